"""One program by itself, such as kind: from PATH, the cache, its release, or a build from its Go module.

The control plane's five programs have a ladder of their own (`ladder`), for they have to fit one another.
What is fetched lies in the cache below the program's name and version, and its sum is looked at again
each time it is found there.
"""

from __future__ import annotations

import json
import platform
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from filelock import FileLock

from k8slab.cluster.components.disk import MB, require_space
from k8slab.cluster.components.download import address, fetch
from k8slab.cluster.components.go_module import build_module
from k8slab.cluster.components.memory import Memory
from k8slab.cluster.components.programs import ARCHITECTURES, RefusedError
from k8slab.cluster.components.release import Download
from k8slab.cluster.components.toolchain import CURE
from k8slab.cluster.components.verify import check_digest
from k8slab.commands import find_program
from k8slab.errors import LabError, MissingToolError
from k8slab.folders import cache_folder, write_private
from k8slab.processes import end_processes, processes_of_cluster
from k8slab.progress import Progress, reason_of

DOWNLOAD_SPACE = 120 * MB
"""kubectl, the larger one, has 60 MB."""


@dataclass(frozen=True)
class Source:
    """Where one program can be had, and how it is told from another.

    Args:
        name: the program's name.
        version: the one that is fetched, such as `v0.33.0`.
        downloads: its release's files, by platform such as `linux-amd64`; none if empty.
        package: the Go package that it is built from.
        module: folder of the go.mod that requires it, below `components/`; empty for the control plane's.
        ask: gives the version of a program at a path; raises `RefusedError` for one not to be used.
        linked: Go variables that the linker writes, such as the version.
        space: bytes that a build takes on the disk.
    """

    name: str
    version: str
    downloads: Mapping[str, Download]
    package: str
    module: str
    ask: Callable[[Path], str]
    linked: Mapping[str, str] = field(default_factory=dict)
    space: int = 800 * MB


@dataclass(frozen=True)
class Program:
    """A program that can be run.

    Args:
        name: its name.
        program: its path.
        version: such as `v0.33.0`.
        source: where it came from, such as `from PATH`.
    """

    name: str
    program: Path
    version: str
    source: str

    def __str__(self) -> str:
        return f"{self.name} {self.version} {self.source} ({self.program})"


def find_single(source: Source) -> Program | list[str]:
    """A program that is on this machine, or one clause for each place that has none."""
    reasons = []
    for rung in (_on_path, _in_cache):
        try:
            return rung(source)
        except MissingToolError as error:
            reasons.append(error.message.rstrip("."))
    return reasons


def locate_single(source: Source, progress: Progress) -> Program:
    """A program to run, downloaded or built if there is none yet; says which was taken.

    Args:
        source: where it can be had.
        progress: told what is taken and why.

    Raises:
        MissingToolError: there is none and it could not be fetched; the message has every reason.
    """
    found = find_single(source)
    if isinstance(found, list):
        reasons = found
        for reason in reasons:
            progress.line(f"not taken: {reason}")
        try:
            found = _install(source, progress)
        except LabError as error:
            listed = "; ".join([*reasons, reason_of(error)])
            raise MissingToolError(
                f"The program {source.name} could not be had: {listed}.", error.cure
            ) from error
    progress.line(str(found))
    return found


def _on_path(source: Source) -> Program:
    program = find_program(source.name)
    if program is None:
        raise MissingToolError(f"{source.name} is not on PATH.")
    return Program(source.name, program, source.ask(program), "from PATH")


def _in_cache(source: Source) -> Program:
    folder = _root(source) / source.version
    manifest = folder / "installed.json"
    try:
        noted = json.loads(manifest.read_text())
        digest, origin = str(noted["sha256"]), str(noted["source"])
    except FileNotFoundError:
        raise MissingToolError(f"{source.name} is not in the cache ({_root(source)}).") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RefusedError(f"{manifest} cannot be used: {error!r}.") from error
    memory = Memory()
    try:
        check_digest(folder / source.name, digest, memory)
    finally:
        memory.save()
    return Program(source.name, folder / source.name, source.version, f"from the cache, {origin}")


def _root(source: Source) -> Path:
    return cache_folder() / "programs" / source.name


def _install(source: Source, progress: Progress) -> Program:
    """Download a program or build it, whichever can be done, into the cache.

    Raises:
        MissingToolError: neither could; the message has both reasons.
    """
    root = _root(source)
    root.mkdir(parents=True, exist_ok=True)
    with FileLock(root / "lock"):
        # Another process may have installed it while this one waited.
        try:
            return _in_cache(source)
        except MissingToolError:
            pass
        for left in root.glob(".new-*"):
            shutil.rmtree(left, ignore_errors=True)
        reasons = []
        for rung in (_downloaded, _built):
            staging = Path(tempfile.mkdtemp(prefix=".new-", dir=root))
            try:
                return _installed(source, staging, rung(source, staging, progress))
            except LabError as error:
                reasons.append(error)
                progress.line(f"not taken: {reason_of(error)}")
            finally:
                end_processes(processes_of_cluster(staging.name), grace=0.5)
                shutil.rmtree(staging, ignore_errors=True)
    listed = "; ".join(reason_of(error) for error in reasons)
    raise MissingToolError(f"{listed}.", f"To have it built: {reasons[-1].cure or CURE}")


def _downloaded(source: Source, staging: Path, progress: Progress) -> str:
    here = f"{platform.system().lower()}-{ARCHITECTURES.get(platform.machine(), platform.machine())}"
    file = source.downloads.get(here)
    if file is None or not file.sha256:
        raise MissingToolError(f"No checksum of a {source.name} for {here} is pinned.")
    require_space(staging, DOWNLOAD_SPACE, f"to download {source.name}")
    with progress.step(f"Downloading {source.name} {source.version}") as step:
        fetch(source.name, file, staging, step)
    return f"downloaded from {urlsplit(address(file.url)).netloc}"


def _built(source: Source, staging: Path, progress: Progress) -> str:
    require_space(staging, source.space, f"to build {source.name}")
    module = _module_folder(source)
    return build_module(
        module, source.package, staging, source.name, _root(source) / "go", progress, source.linked
    )


def _module_folder(source: Source) -> Path:
    """Where the program's go.mod and go.sum are: inside an installed package, or in the repository."""
    here = Path(__file__).parent
    for folder in (here / "go" / source.module, here.parents[2] / "components" / source.module):
        if (folder / "go.mod").is_file():
            return folder
    raise MissingToolError(
        f"go.mod of {source.name} is missing from this installation.", "Install k8slab again."
    )


def _installed(source: Source, staging: Path, origin: str) -> Program:
    """Take what a rung left in its folder into the cache, as a whole or not at all."""
    part = staging / source.name
    if (found := source.ask(part)) != source.version:
        raise RefusedError(f"What was {origin} is {source.name} {found}, and {source.version} was wanted.")
    noted = {"version": source.version, "source": origin, "sha256": Memory().digest(part)}
    folder = staging / "whole"
    folder.mkdir()
    part.rename(folder / source.name)
    write_private(folder / "installed.json", json.dumps(noted, indent=1))
    final = _root(source) / source.version
    shutil.rmtree(final, ignore_errors=True)
    folder.rename(final)
    return Program(source.name, final / source.name, source.version, origin)
