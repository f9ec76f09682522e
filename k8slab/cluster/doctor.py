"""`k8slab doctor`: what of this machine the lab can use, what is missing, and the line that cures it.

It looks and changes nothing: nothing is fetched, no cluster is started.
"""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from k8slab.cluster.components import find_without_fetching
from k8slab.cluster.components.disk import existing_folder
from k8slab.cluster.components.programs import platform_name
from k8slab.cluster.components.release import load_release
from k8slab.cluster.components.toolchain import CURE as GO_CURE
from k8slab.cluster.components.toolchain import find_go
from k8slab.errors import LabError
from k8slab.folders import cache_folder, state_folder
from k8slab.node.images.catalogue import user_catalogue
from k8slab.node.isolation import best_level

State = Literal["ok", "warn", "bad"]
MARKS: dict[State, str] = {"ok": "ok  ", "warn": "note", "bad": "BAD "}

OLDEST_PYTHON = (3, 11)
MEMORY = 1 << 30
"""Bytes that a session with three nodes and ten Pods may take."""

DISK = 1 << 30
"""Bytes that components (360 MB), etcd's data and logs need with room to spare."""

FRONT_END = ("jupyterlab", "ipykernel", "ipywidgets", "anywidget")

GROUP_LIMITS = (
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (
        Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
        Path("/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ),
)
"""Limit and use of memory as a container sees its own, for cgroup versions 2 and 1."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Args:
        subject: what, such as `free memory`.
        state: `ok`; `warn` where something works less well; `bad` where the lab cannot run embedded.
        seen: what was found.
        cure: one line that helps; empty if nothing is to be done.
    """

    subject: str
    state: State
    seen: str
    cure: str = ""

    def __str__(self) -> str:
        text = f"{MARKS[self.state]} {self.subject}: {self.seen}"
        return f"{text}\n       {self.cure}" if self.cure else text


def examine() -> list[Finding]:
    """Look at everything that matters, the decisive things first."""
    checks: Sequence[tuple[str, Callable[[], Finding]]] = (
        ("platform", _platform),
        ("Python", _python),
        ("control plane", _components),
        ("Go", _go),
        ("isolation of Pods", _isolation),
        ("free memory", _memory),
        ("free disk for components", lambda: _disk("free disk for components", cache_folder())),
        ("free disk for clusters", lambda: _disk("free disk for clusters", state_folder())),
        ("your own images", _images),
    )
    findings = [_checked(subject, check) for subject, check in checks]
    return [*findings, *_kind_checked(), *(_front_end(package) for package in FRONT_END)]


def rendered(findings: Sequence[Finding]) -> str:
    """The findings as text, with one closing line."""
    bad = [finding.subject for finding in findings if finding.state == "bad"]
    if bad:
        closing = f"The embedded backend cannot run here yet: see {', '.join(bad)}."
    else:
        closing = "The embedded backend can run here."
    return "\n".join([*(str(finding) for finding in findings), "", closing])


def as_json(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """The findings as plain values."""
    return [asdict(finding) for finding in findings]


def _checked(subject: str, check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except LabError as error:
        return Finding(subject, "bad", error.message, error.cure)


def _platform() -> Finding:
    name = platform_name()
    release = platform.uname().release
    wsl = ", WSL2" if "microsoft" in release.lower() else ""
    return Finding("platform", "ok", f"{name} (kernel {release}{wsl})")


def _python() -> Finding:
    seen = f"{platform.python_version()} at {sys.executable}"
    if sys.version_info < OLDEST_PYTHON:
        return Finding("Python", "bad", seen, f"Use Python {OLDEST_PYTHON[0]}.{OLDEST_PYTHON[1]} or newer.")
    return Finding("Python", "ok", seen)


def _components() -> Finding:
    found = find_without_fetching()
    if isinstance(found, list):
        return Finding(
            "control plane",
            "warn",
            f"not here yet ({'; '.join(found)})",
            "Get it now with: python -m k8slab.cluster.components",
        )
    return Finding("control plane", "ok", str(found))


def _go() -> Finding:
    go = find_go(cache_folder() / "components" / "go" / "toolchain")
    if go is not None:
        return Finding("Go", "ok", f"{go.version} at {go.program}")
    if isinstance(find_without_fetching(), list):
        seen = f"not here; it builds Kubernetes {load_release().kubernetes} where that cannot be downloaded"
        return Finding("Go", "warn", seen, GO_CURE)
    return Finding("Go", "ok", "not here, and not needed: the control plane is there")


def _isolation() -> Finding:
    level, reason = best_level()
    if level == "sandboxed":
        return Finding("isolation of Pods", "ok", reason)
    return Finding(
        "isolation of Pods",
        "warn",
        reason,
        "Pods run as plain processes. For sandboxes install bubblewrap, iproute2 and util-linux, and allow "
        "user namespaces.",
    )


def _memory() -> Finding:
    free = free_memory()
    seen = f"{free / (1 << 30):.1f} GiB"
    if free < MEMORY:
        return Finding(
            "free memory",
            "warn",
            seen,
            f"A session takes up to {MEMORY >> 30} GiB: close other programs or other notebooks' kernels.",
        )
    return Finding("free memory", "ok", seen)


def free_memory() -> int:
    """Bytes of memory that are free: the machine's, or this container's share if that is less."""
    import psutil

    free = int(psutil.virtual_memory().available)
    for limit, used in GROUP_LIMITS:
        try:
            free = min(free, int(limit.read_text()) - int(used.read_text()))
        except (OSError, ValueError):
            # No such cgroup, or "max": there is no limit of its own.
            continue
    return max(free, 0)


def _disk(subject: str, folder: Path) -> Finding:
    free = shutil.disk_usage(existing_folder(folder)).free
    seen = f"{free / (1 << 30):.1f} GiB at {folder}"
    if free < DISK:
        variable = "K8SLAB_CACHE_DIR" if "components" in subject else "K8SLAB_STATE_DIR"
        return Finding(subject, "bad", seen, f"Make room, or choose another folder with {variable}.")
    return Finding(subject, "ok", seen)


def _kind_checked() -> list[Finding]:
    try:
        return _kind()
    except LabError as error:
        return [Finding("kind", "warn", error.message, error.cure)]


def _kind() -> list[Finding]:
    """kind and what of its engine keeps it from working, one cure each; nothing of it stops the lab."""
    from k8slab.cluster.container_engine import find_engine
    from k8slab.cluster.kind.backend import kind_can_run
    from k8slab.cluster.kind.cures import engine_cure
    from k8slab.cluster.kind.faults import faults

    engine, seen = find_engine()
    if engine is None:
        unused = f"not used: {seen}; the embedded backend needs no containers"
        return [Finding("kind", "ok", unused, engine_cure(seen))]
    runs, why = kind_can_run()
    first = why if runs else f"not used: {why}; the embedded backend needs no containers"
    return [
        Finding("kind", "ok" if runs else "warn", first),
        *(Finding(f"kind: {each.subject}", "warn", each.seen, each.cure) for each in faults(engine)),
    ]


def _images() -> Finding:
    path = user_catalogue()
    return Finding("your own images", "ok", f"{path}" if path.is_file() else f"none ({path} would hold them)")


def _front_end(package: str) -> Finding:
    try:
        found = version(package)
    except PackageNotFoundError:
        return Finding(package, "bad", "not installed", f"pip install {package}")
    if package == "ipykernel" and found.startswith(("7.0.", "7.1.", "7.2.", "7.3.")):
        # Its SubshellManager answers past the stream that reads the socket; that of 7.4 says why it may not.
        cure = "pip install 'ipykernel>=7.4': this one may stop hearing its notebook once a widget is there."
        return Finding(package, "bad", found, cure)
    return Finding(package, "ok", found)
