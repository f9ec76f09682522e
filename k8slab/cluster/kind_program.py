"""Where the program kind comes from, rung by rung: PATH, the cache, the release, a build from its Go module.

The release's sum is pinned in `components/release.json`, its source's in `components/kind/go.sum`: what
differs is refused. A cold build takes about a minute.
"""

from __future__ import annotations

import json
import platform
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from filelock import FileLock

from k8slab.cluster.components.disk import MB, require_space
from k8slab.cluster.components.download import address, fetch
from k8slab.cluster.components.go_module import build_module
from k8slab.cluster.components.memory import Memory
from k8slab.cluster.components.programs import ARCHITECTURES, RefusedError
from k8slab.cluster.components.release import load_release
from k8slab.cluster.components.toolchain import CURE
from k8slab.cluster.components.verify import check_digest
from k8slab.cluster.container_engine import environment
from k8slab.commands import find_program, run
from k8slab.errors import LabError, MissingToolError
from k8slab.folders import cache_folder, write_private
from k8slab.processes import end_processes, processes_of_cluster
from k8slab.progress import Progress, TextProgress, reason_of

OLDEST = (0, 30)
"""The oldest kind that is taken from PATH."""

PACKAGE = "sigs.k8s.io/kind"
DOWNLOAD_SPACE = 30 * MB
BUILD_SPACE = 800 * MB
VERSION_SECONDS = 20.0

_ANSWER = re.compile(r"kind (v(\d+)\.(\d+)\.\d+\S*)")


@dataclass(frozen=True)
class KindProgram:
    """A kind that can be run.

    Args:
        program: its path.
        version: such as `v0.33.0`.
        source: where it came from, such as `from PATH`.
    """

    program: Path
    version: str
    source: str

    def __str__(self) -> str:
        return f"kind {self.version} {self.source} ({self.program})"


def find_without_fetching() -> KindProgram | list[str]:
    """A kind that is on this machine, or one clause for each place that has none."""
    reasons = []
    for rung in (_on_path, _in_cache):
        try:
            return rung()
        except MissingToolError as error:
            reasons.append(error.message.rstrip("."))
    return reasons


def locate_kind(progress: Progress) -> KindProgram:
    """A kind to run, downloaded or built if there is none yet; says which was taken.

    Args:
        progress: told what is taken and why.

    Raises:
        MissingToolError: there is none and it could not be built; the message has every reason.
    """
    found = find_without_fetching()
    if isinstance(found, list):
        reasons = found
        for reason in reasons:
            progress.line(f"not taken: {reason}")
        try:
            found = _install(progress)
        except LabError as error:
            listed = "; ".join([*reasons, reason_of(error)])
            raise MissingToolError(
                f"The program kind could not be had: {listed}.",
                f"Install kind {OLDEST[0]}.{OLDEST[1]} or newer on PATH, or open the lab with"
                f" backend='embedded'. To have it built: {error.cure or CURE}",
            ) from error
    progress.line(str(found))
    return found


def kind_version(program: Path) -> str:
    """What a kind says that it is.

    Raises:
        RefusedError: it does not run, is none, or is too old.
    """
    try:
        answer = run([program, "version"], timeout=VERSION_SECONDS, env=environment()).stdout.strip()
    except LabError as error:
        raise RefusedError(f"{program} does not run: {reason_of(error)}") from error
    match = _ANSWER.match(answer)
    if match is None:
        raise RefusedError(f"{program} answers {answer[:80]!r} to `version` and is no kind.")
    if (int(match[2]), int(match[3])) < OLDEST:
        raise RefusedError(f"{program} is {match[1]}; wanted is v{OLDEST[0]}.{OLDEST[1]} or newer.")
    return match[1]


def module_folder() -> Path:
    """Where kind's go.mod and go.sum are: inside an installed package, or in the repository."""
    here = Path(__file__).parent
    for folder in (here / "components" / "go" / "kind", here.parents[1] / "components" / "kind"):
        if (folder / "go.mod").is_file():
            return folder
    raise MissingToolError("go.mod of kind is missing from this installation.", "Install k8slab again.")


def _on_path() -> KindProgram:
    program = find_program("kind")
    if program is None:
        raise MissingToolError("kind is not on PATH.")
    return KindProgram(program, kind_version(program), "from PATH")


def _in_cache() -> KindProgram:
    version = load_release().kind
    program, manifest = _root() / version / "kind", _root() / version / "installed.json"
    try:
        noted = json.loads(manifest.read_text())
        digest, source = str(noted["sha256"]), str(noted["source"])
    except FileNotFoundError:
        raise MissingToolError(f"kind is not in the cache ({_root()}).") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RefusedError(f"{manifest} cannot be used: {error!r}.") from error
    memory = Memory()
    try:
        check_digest(program, digest, memory)
    finally:
        memory.save()
    return KindProgram(program, version, f"from the cache, {source}")


def _root() -> Path:
    return cache_folder() / "kind"


def _install(progress: Progress) -> KindProgram:
    """Download kind or build it, whichever can be done, into the cache.

    Raises:
        MissingToolError: neither could; the message has both reasons.
    """
    root = _root()
    root.mkdir(parents=True, exist_ok=True)
    with FileLock(root / "lock"):
        # Another process may have installed it while this one waited.
        try:
            return _in_cache()
        except MissingToolError:
            pass
        for left in root.glob(".new-*"):
            shutil.rmtree(left, ignore_errors=True)
        reasons = []
        for rung in (_downloaded, _built):
            staging = Path(tempfile.mkdtemp(prefix=".new-", dir=root))
            try:
                return _installed(staging, rung(staging, progress))
            except LabError as error:
                reasons.append(error)
                progress.line(f"not taken: {reason_of(error)}")
            finally:
                end_processes(processes_of_cluster(staging.name), grace=0.5)
                shutil.rmtree(staging, ignore_errors=True)
    listed = "; ".join(reason_of(error) for error in reasons)
    raise MissingToolError(f"{listed}.", reasons[-1].cure or CURE)


def _downloaded(staging: Path, progress: Progress) -> str:
    release = load_release()
    name = f"{platform.system().lower()}-{ARCHITECTURES.get(platform.machine(), platform.machine())}"
    file = release.kind_downloads.get(name)
    if file is None:
        raise MissingToolError(f"No checksum of a kind for {name} is pinned.")
    require_space(staging, DOWNLOAD_SPACE, "to download kind")
    with progress.step(f"Downloading kind {release.kind}") as step:
        fetch("kind", file, staging, step)
    return f"downloaded from {urlsplit(address(file.url)).netloc}"


def _built(staging: Path, progress: Progress) -> str:
    require_space(staging, BUILD_SPACE, "to build kind")
    return build_module(module_folder(), PACKAGE, staging, "kind", _root() / "go", progress)


def _installed(staging: Path, source: str) -> KindProgram:
    """Take what a rung left in its folder into the cache, as a whole or not at all."""
    part = staging / "kind"
    version = load_release().kind
    if (found := kind_version(part)) != version:
        raise RefusedError(f"What was {source} is kind {found}, and {version} was wanted.")
    noted = {"version": version, "source": source, "sha256": Memory().digest(part)}
    folder = staging / "whole"
    folder.mkdir()
    part.rename(folder / "kind")
    write_private(folder / "installed.json", json.dumps(noted, indent=1))
    final = _root() / version
    shutil.rmtree(final, ignore_errors=True)
    folder.rename(final)
    return KindProgram(final / "kind", version, source)


if __name__ == "__main__":
    locate_kind(TextProgress())
