"""Building the control plane from the Go module proxy, where the official release cannot be had.

`components/go.mod` and `go.sum` pin every module by its sum; Go itself refuses what differs. The
commands are those of the official build as far as they matter here: no cgo, no symbol tables, the
version written by the linker.
"""

from __future__ import annotations

import platform
import shutil
import time
from pathlib import Path

from k8slab.cluster.components.disk import MB, require_space
from k8slab.cluster.components.go_module import build_environment
from k8slab.cluster.components.programs import PROGRAMS, RefusedError
from k8slab.cluster.components.release import Release
from k8slab.cluster.components.toolchain import Go, cache_settings, find_go, install_go
from k8slab.cluster.components.verify import stated_versions
from k8slab.commands import run
from k8slab.errors import LabError, last_lines
from k8slab.processes import Child
from k8slab.progress import Progress, Step

SPACE = 1000 * MB
"""Room for the five programs (360 MB) and what the linker writes on the way."""

CACHE_SPACE = 4000 * MB
"""Room for a cold build's caches: Go's held 0.9 GB of modules and 3.0 GB of packages after one."""

TIMEOUT = 3600.0
"""Seconds for one program; all five take four to six minutes on two cores."""

VERSION_PACKAGE = "k8s.io/component-base/version"


class BuildError(LabError):
    """Go could not build a program."""


def module_folder() -> Path:
    """Where go.mod and go.sum are: inside an installed package, or `components/` of the repository."""
    here = Path(__file__).parent
    for folder in (here / "go", here.parents[2] / "components"):
        if (folder / "go.mod").is_file():
            return folder
    raise BuildError(
        "go.mod of the control plane is missing from this installation.", "Install k8slab again, or from git."
    )


def build(release: Release, staging: Path, private: Path, progress: Progress) -> str:
    """Build every program of a release into a folder.

    Args:
        release: what to build; go.mod must pin the same versions.
        staging: where to; its name marks Go's processes, so that they can be ended.
        private: folder for a Go of k8slab's own and its caches; kept if the build fails or is
            interrupted, so that the next one goes on from there, and removed when it is done.
        progress: told about each program.

    Returns:
        Where they came from, as the end of a sentence.

    Raises:
        MissingToolError: there is no Go and none could be installed.
        BuildError: a build failed.
        RefusedError: what was built is not the release.
        LabError: the disk is full.
    """
    source = module_folder()
    require_space(staging.parent, SPACE, "to build the control plane")
    toolchain = private / "toolchain"
    go = find_go(toolchain) or install_go(release, toolchain, progress)
    caches = cache_settings(go, private)
    environment = build_environment(go, caches, staging)
    _require_cache_space(go, environment, release)
    for file in ("go.mod", "go.sum"):
        shutil.copyfile(source / file, staging / file)
    for number, name in enumerate(PROGRAMS, start=1):
        text = f"Building {name} {release.version(name)} with {go.version} ({number} of {len(PROGRAMS)})"
        with progress.step(text) as step:
            _build_one(go, release, name, staging, environment, step)
    shutil.rmtree(private, ignore_errors=True)
    return f"built from the Go module proxy with {go.version}"


def _require_cache_space(go: Go, environment: dict[str, str], release: Release) -> None:
    modules = run([go.program, "env", "GOMODCACHE"], timeout=20, env=environment).stdout.strip()
    if modules and not (Path(modules) / "k8s.io" / f"kubernetes@{release.kubernetes}").is_dir():
        require_space(Path(modules), CACHE_SPACE, "for the modules and packages of a first build")


def _build_one(
    go: Go, release: Release, name: str, staging: Path, environment: dict[str, str], step: Step
) -> None:
    flags = "-s -w"
    if name != "etcd":
        major, minor, _ = release.kubernetes.removeprefix("v").split(".")
        for variable, value in (("Version", release.kubernetes), ("Major", major), ("Minor", minor)):
            flags += f" -X {VERSION_PACKAGE}.git{variable}={value}"
    part, log = staging / f"{name}.part", staging / f"{name}.log"
    argv = [str(go.program), "build", "-C", str(staging), "-trimpath", "-ldflags", flags, "-o", str(part)]
    child = Child("go", [*argv, release.packages[name]], environment, log)
    started = time.monotonic()
    try:
        while not child.wait(1.0):
            seconds = time.monotonic() - started
            step.detail(f"{seconds:.0f} s")
            if seconds > TIMEOUT:
                raise BuildError(f"Building {name} did not end within {TIMEOUT:.0f} s.")
    finally:
        # Go's compilers are ended with the staging folder, which marks them.
        child.stop()
    if child.exit_code != 0:
        raise BuildError(
            f"Building {name} failed with exit code {child.exit_code}:\n{last_lines(log)}\n",
            "If the module proxy cannot be reached, set GOPROXY to one that can.",
        )
    stated = stated_versions(name, part, platform.machine())
    wanted = release.version(name).removeprefix("v")
    if wanted not in stated:
        raise RefusedError(f"{name} was built and states {', '.join(sorted(stated))}; wanted is {wanted}.")
    part.rename(staging / name)
