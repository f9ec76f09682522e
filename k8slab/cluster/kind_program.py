"""Where the program kind comes from, rung by rung: PATH, the cache, a build from its Go module.

kind's releases are not downloaded: the module proxy has the same source, its sum is pinned in
`components/kind/go.sum`, and Go itself refuses what differs. A cold build takes about a minute.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from k8slab.cluster.components.disk import MB, require_space
from k8slab.cluster.components.memory import Memory
from k8slab.cluster.components.programs import RefusedError
from k8slab.cluster.components.release import load_release
from k8slab.cluster.components.toolchain import CURE, Go, cache_settings, find_go, install_go
from k8slab.cluster.components.verify import check_digest
from k8slab.cluster.container_engine import environment
from k8slab.commands import find_program, run
from k8slab.errors import LabError, MissingToolError, last_lines
from k8slab.folders import cache_folder, write_private
from k8slab.processes import CLUSTER_VARIABLE, Child, end_processes, processes_of_cluster
from k8slab.progress import Progress, TextProgress, reason_of

VERSION = "v0.33.0"
"""What is built; `components/kind/go.mod` pins the same."""

OLDEST = (0, 30)
"""The oldest kind that is taken from PATH."""

PACKAGE = "sigs.k8s.io/kind"
SPACE = 800 * MB
TIMEOUT = 1200.0
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


def can_build() -> Go | None:
    """The Go toolchain that kind would be built with; None if there is none at hand."""
    return find_go(_root() / "go" / "toolchain")


def locate_kind(progress: Progress) -> KindProgram:
    """A kind to run, built if there is none yet; says which was taken.

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
            found = _build(progress)
        except LabError as error:
            reasons = [*reasons, f"a build: {reason_of(error)}"]
            listed = "; ".join(reasons)
            raise MissingToolError(
                f"The program kind could not be had: {listed}.",
                f"Install kind {OLDEST[0]}.{OLDEST[1]} or newer on PATH, or open the lab with"
                f" backend='embedded'. To build it: {error.cure or CURE}",
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
    program, manifest = _root() / VERSION / "kind", _root() / VERSION / "installed.json"
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
    return KindProgram(program, VERSION, f"from the cache, {source}")


def _root() -> Path:
    return cache_folder() / "kind"


def _build(progress: Progress) -> KindProgram:
    root = _root()
    root.mkdir(parents=True, exist_ok=True)
    with FileLock(root / "lock"):
        # Another process may have built it while this one waited.
        try:
            return _in_cache()
        except MissingToolError:
            pass
        for left in root.glob(".new-*"):
            shutil.rmtree(left, ignore_errors=True)
        require_space(root, SPACE, "to build kind")
        staging = Path(tempfile.mkdtemp(prefix=".new-", dir=root))
        try:
            return _built(staging, progress)
        finally:
            end_processes(processes_of_cluster(staging.name), grace=0.5)
            shutil.rmtree(staging, ignore_errors=True)


def _built(staging: Path, progress: Progress) -> KindProgram:
    private = _root() / "go"
    go = can_build() or install_go(load_release(), private / "toolchain", progress)
    for file in ("go.mod", "go.sum"):
        shutil.copyfile(module_folder() / file, staging / file)
    part, log = staging / "kind", staging / "build.log"
    with progress.step(f"Building kind {VERSION} from its Go module with {go.version}") as step:
        words = [str(go.program), "build", "-C", str(staging), "-trimpath", "-ldflags", "-s -w"]
        child = Child("go", [*words, "-o", str(part), PACKAGE], _environment(go, private, staging), log)
        started = time.monotonic()
        try:
            while not child.wait(0.5):
                step.detail(f"{time.monotonic() - started:.0f} s")
                if time.monotonic() - started > TIMEOUT:
                    raise LabError(f"Building kind did not end within {TIMEOUT:.0f} s.")
        finally:
            child.stop()
        if child.exit_code != 0:
            raise LabError(
                f"Building kind failed with exit code {child.exit_code}: {last_lines(log)}",
                "If the module proxy cannot be reached, set GOPROXY to one that can.",
            )
        if kind_version(part) != VERSION:
            raise RefusedError(f"What was built is not kind {VERSION}.")
    source = f"built from the Go module proxy with {go.version}"
    memory = Memory()
    noted = {"version": VERSION, "source": source, "sha256": memory.digest(part)}
    folder = staging / "whole"
    folder.mkdir()
    part.rename(folder / "kind")
    write_private(folder / "installed.json", json.dumps(noted, indent=1))
    final = _root() / VERSION
    shutil.rmtree(final, ignore_errors=True)
    folder.rename(final)
    shutil.rmtree(private, ignore_errors=True)
    return KindProgram(final / "kind", VERSION, source)


def _environment(go: Go, private: Path, staging: Path) -> dict[str, str]:
    caches = cache_settings(go, private)
    temporary = staging / "tmp"
    temporary.mkdir()
    environment = {key: value for key, value in os.environ.items() if key not in ("GOOS", "GOARCH", "GOBIN")}
    environment |= caches | {
        "CGO_ENABLED": "0",
        "GOFLAGS": f"-mod=readonly -buildvcs=false {caches.get('GOFLAGS', '')}".strip(),
        "GOWORK": "off",
        "GOTMPDIR": str(temporary),
        CLUSTER_VARIABLE: staging.name,
    }
    if go.root is not None:
        environment["GOROOT"] = str(go.root)
    return environment


if __name__ == "__main__":
    locate_kind(TextProgress())
