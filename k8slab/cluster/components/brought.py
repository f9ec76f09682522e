"""Programs that the user brings: in a folder named on purpose, or on PATH."""

from __future__ import annotations

import hashlib
import os
import platform
import uuid
from pathlib import Path

from k8slab.cluster.components.memory import Memory
from k8slab.cluster.components.programs import PROGRAMS, Components, RefusedError, check_versions
from k8slab.cluster.components.store import MANIFEST, read_installed
from k8slab.cluster.components.verify import examine
from k8slab.commands import find_program
from k8slab.errors import MissingToolError
from k8slab.folders import cache_folder

FOLDER_VARIABLE = "K8SLAB_BIN_DIR"


def explicit_folder(folder: Path | None) -> tuple[Path, str] | None:
    """The folder that was named on purpose and what named it, or None.

    Args:
        folder: an argument; it wins over `K8SLAB_BIN_DIR`.
    """
    if folder is not None:
        return folder.expanduser().absolute(), "the folder that was asked for"
    named = os.environ.get(FOLDER_VARIABLE, "")
    return (Path(named).expanduser().absolute(), FOLDER_VARIABLE) if named else None


def from_folder(folder: Path, named_by: str, memory: Memory) -> Components:
    """The components of a folder, as a copy of k8slab's own cache or as the user filled it.

    Args:
        folder: holds all programs. A manifest of k8slab's own in it is held to.
        named_by: what named it, for messages.
        memory: files examined before.

    Raises:
        MissingToolError: programs are missing there.
        RefusedError: a program there is not what it should be.
    """
    if (folder / MANIFEST).is_file():
        found = read_installed(folder, memory)
        return Components(folder, found.kubernetes, found.etcd, f"from {named_by}, {found.source}")
    missing = [name for name in PROGRAMS if not (folder / name).exists()]
    if missing:
        raise MissingToolError(
            f"{folder} ({named_by}) does not hold {', '.join(missing)}.",
            f"It needs all of {', '.join(PROGRAMS)}; or leave {FOLDER_VARIABLE} unset.",
        )
    return _examined({name: folder / name for name in PROGRAMS}, f"from {named_by}", memory)


def from_path(memory: Memory) -> Components:
    """The components that are on PATH, as conda-forge's packages put them there.

    Raises:
        MissingToolError: programs are missing on PATH.
        RefusedError: a program there is not what it should be.
    """
    found = {name: find_program(name) for name in PROGRAMS}
    missing = [name for name, path in found.items() if path is None]
    if missing:
        raise MissingToolError(f"{', '.join(missing)} not on PATH")
    return _examined({name: path.absolute() for name, path in found.items() if path}, "from PATH", memory)


def _examined(paths: dict[str, Path], source: str, memory: Memory) -> Components:
    # Links are followed once, here: what is examined is what will be run.
    real = {name: path.resolve() for name, path in paths.items()}
    machine = platform.machine()
    versions = {name: examine(name, path, machine, memory) for name, path in real.items()}
    check_versions(versions)
    kubernetes = "v" + versions["kube-apiserver"].removeprefix("v")
    return Components(_one_folder(real), kubernetes, versions["etcd"].removeprefix("v"), source)


def _one_folder(real: dict[str, Path]) -> Path:
    """The folder that holds all programs under their names; one of links if they are spread."""
    first = real[PROGRAMS[0]].parent
    if all(path == first / name for name, path in real.items()):
        return first
    text = "\n".join(f"{name} {path}" for name, path in sorted(real.items()))
    folder = cache_folder() / "components" / f"links-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    if not folder.is_dir():
        part = folder.with_name(f".links-{uuid.uuid4().hex}")
        part.mkdir(parents=True)
        for name, path in real.items():
            (part / name).symlink_to(path)
        try:
            part.rename(folder)
        except OSError:
            # Another process made the same folder at the same moment.
            if not folder.is_dir():
                raise
    for name, path in real.items():
        if (folder / name).resolve() != path:
            raise RefusedError(f"{folder / name} does not lead to {path}.", f"Remove {folder}.")
    return folder
