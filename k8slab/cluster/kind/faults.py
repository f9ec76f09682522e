"""What of an engine or its host keeps kind from working, found beforehand.

Sources: kind's known issues and `validateProvider` in its create.go, and docs/reality.md for what was seen.
Each fault has one cure.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from k8slab.cluster.components.disk import existing_folder
from k8slab.cluster.container_engine import Engine
from k8slab.cluster.kind.cures import CAPABILITY_CURE, DISK, MODULES_CURE
from k8slab.errors import LabError

MEMORY = 3 << 30
"""Bytes an engine should have: four nodes took 1.6 GiB when idle, and the Pods come on top."""

INOTIFY = {"max_user_watches": 524288, "max_user_instances": 512}
"""What kind's known issues ask for; with less, kubelets fail with `too many open files`."""

OLDEST_ENGINE = {"docker": (20, 10), "podman": (4, 0), "nerdctl": (1, 7)}
OLDEST_CONTAINERD = (1, 7)
"""With an older one nerdctl refuses the restart policy on-failure, with which kind starts every node."""

NETWORKS = 29
"""Networks of one's own that docker's default address pools leave room for beside the one that kind needs: 31
pools, one of them for `bridge` (moby's libnetwork/ipamutils)."""

CAP_SYS_RESOURCE = 24
DAEMONS = {"docker": ("dockerd", "containerd"), "podman": ("podman",), "nerdctl": ("containerd",)}
"""Engine → whose capabilities its containers get at most; podman has no daemon and gives on our own."""

MODULES = Path("/lib/modules")
"""kind mounts it into every node. Where it is missing docker and nerdctl make it, and podman refuses."""

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
KIND_NETWORK = "kind"

_LOCAL = re.compile(r"//(localhost|127\.[\d.]+|\[::1\])[:/]?")


@dataclass(frozen=True)
class Fault:
    """Something that keeps kind from working, or makes it likely to fail.

    Args:
        subject: what it is about, such as `inotify limits`.
        seen: what was found.
        cure: one line that helps.
        blocking: whether a cluster cannot be made with it.
    """

    subject: str
    seen: str
    cure: str
    blocking: bool = False


@dataclass(frozen=True)
class EngineFacts:
    """What an engine says of itself and its host.

    Args:
        version: such as `28.2.2`; empty if it does not say.
        cgroup: version of its control groups; 0 if it does not say.
        rootless: whether it runs without root.
        delegated: whether it may limit memory, processes and CPU.
        memory: bytes its host has; 0 if it does not say.
        root: its folder for images and containers; empty if it does not say.
        containerd: version of the containerd that nerdctl speaks to; empty with other engines.
        remote: whether a podman client speaks to a service in another place, such as its machine.
        identity: what tells it from another of its name, as a docker context leads to; empty with podman.
    """

    version: str = ""
    cgroup: int = 0
    rootless: bool = False
    delegated: bool = True
    memory: int = 0
    root: str = ""
    containerd: str = ""
    remote: bool = False
    identity: str = ""


def facts_of(engine: Engine) -> EngineFacts:
    """Ask an engine about itself; what it does not say stays empty."""
    template = "json" if engine.name == "podman" else "{{json .}}"
    try:
        said = json.loads(engine.call("info", "--format", template).stdout)
    except (LabError, ValueError):
        return EngineFacts()
    if not isinstance(said, dict):
        return EngineFacts()
    if "host" in said:
        return _podman(said)
    facts = _docker(said)
    if engine.name != "nerdctl":
        return facts
    # nerdctl's "server" is containerd, whose version says nothing of nerdctl's age.
    return replace(facts, version=_nerdctl(engine), containerd=facts.version)


def _nerdctl(engine: Engine) -> str:
    return engine.call("--version", check=False).stdout.strip().rpartition(" ")[2]


def _docker(said: dict[str, Any]) -> EngineFacts:
    options = [str(each) for each in said.get("SecurityOptions") or []]
    limits = ("MemoryLimit", "PidsLimit", "CPUShares")
    return EngineFacts(
        version=str(said.get("ServerVersion") or ""),
        cgroup=int(said.get("CgroupVersion") or 0),
        rootless=any("name=rootless" in each.split(",") for each in options),
        delegated=said.get("CgroupDriver") != "none" and all(said.get(each, True) for each in limits),
        memory=int(said.get("MemTotal") or 0),
        root=str(said.get("DockerRootDir") or ""),
        identity=str(said.get("ID") or ""),
    )


def _podman(said: dict[str, Any]) -> EngineFacts:
    host = said["host"]
    controllers = set(host.get("cgroupControllers") or ())
    rootless = bool((host.get("security") or {}).get("rootless"))
    return EngineFacts(
        version=str((said.get("version") or {}).get("Version") or ""),
        cgroup=int(str(host.get("cgroupVersion") or "v0").removeprefix("v")),
        rootless=rootless,
        delegated=not rootless or {"cpu", "memory", "pids"} <= controllers,
        memory=int(host.get("memTotal") or 0),
        root=str((said.get("store") or {}).get("graphRoot") or ""),
        remote=bool(host.get("serviceIsRemote")),
    )


def faults(engine: Engine, facts: EngineFacts | None = None) -> list[Fault]:
    """Everything that is found to be wrong, the worst first."""
    facts = facts or facts_of(engine)
    looks: tuple[Callable[[Engine, EngineFacts], Iterator[Fault]], ...] = (
        _engine_faults,
        _capability_faults,
        _inotify_faults,
        _room_faults,
        _network_faults,
        _snap_faults,
    )
    found = [fault for look in looks for fault in look(engine, facts)]
    return sorted(found, key=lambda fault: not fault.blocking)


def blocking(engine: Engine) -> str:
    """The first fault with which no cluster can be made, as a clause; empty if there is none."""
    return next((f"{each.subject}: {each.seen}" for each in faults(engine) if each.blocking), "")


def _engine_faults(engine: Engine, facts: EngineFacts) -> Iterator[Fault]:
    ages = (
        (engine.name, facts.version, OLDEST_ENGINE[engine.name]),
        ("containerd", facts.containerd, OLDEST_CONTAINERD),
    )
    for name, version, oldest in ages:
        numbers = tuple(int(each) for each in re.findall(r"\d+", version)[:2])
        if numbers and numbers < oldest:
            cure = f"Update {name} to {'.'.join(map(str, oldest))} or newer."
            yield Fault("engine's age", f"{name} {version}", cure, True)
    if engine.name == "podman" and not facts.remote and Path("/proc").is_dir() and not MODULES.is_dir():
        yield Fault("kernel modules", f"podman mounts {MODULES}, which is not there", MODULES_CURE, True)
    if facts.rootless and facts.cgroup == 1:
        seen = "a rootless engine on control groups of version 1"
        yield Fault(
            "rootless engine", seen, "Boot with systemd.unified_cgroup_hierarchy=1, or run it as root.", True
        )
    elif facts.rootless and not facts.delegated:
        yield Fault(
            "rootless engine",
            "it may not limit memory, processes and CPU",
            "Put [Service] Delegate=yes into /etc/systemd/system/user@.service.d/delegate.conf, then"
            " `systemctl daemon-reload` and log in again.",
            True,
        )
    elif facts.cgroup == 1:
        yield Fault(
            "control groups",
            "version 1, which Kubernetes 1.35 and newer accept only when told to (k8slab tells them)",
            "Boot with systemd.unified_cgroup_hierarchy=1 to have version 2.",
        )


def _capability_faults(engine: Engine, facts: EngineFacts) -> Iterator[Fault]:
    """An engine on this very machine without CAP_SYS_RESOURCE starts no privileged container at all."""
    if not Path("/proc").is_dir() or facts.rootless or facts.remote:
        return
    for name in DAEMONS[engine.name]:
        bounds = _capabilities_of(name)
        if bounds is not None and not bounds >> CAP_SYS_RESOURCE & 1:
            yield Fault("capabilities", f"{name} runs without CAP_SYS_RESOURCE", CAPABILITY_CURE, True)
            return


def _capabilities_of(name: str) -> int | None:
    ours = name == "podman"
    for status in [Path("/proc/self/status")] if ours else Path("/proc").glob("[0-9]*/status"):
        try:
            lines = dict(line.split(":\t", 1) for line in status.read_text().splitlines() if ":\t" in line)
        except OSError:
            continue
        if ours or lines.get("Name") == name:
            return int(lines.get("CapBnd", "0"), 16)
    return None


def _inotify_faults(engine: Engine, facts: EngineFacts) -> Iterator[Fault]:
    low = []
    for name, wanted in INOTIFY.items():
        try:
            value = int(Path(f"/proc/sys/fs/inotify/{name}").read_text())
        except (OSError, ValueError):
            continue
        if value < wanted:
            low.append(f"fs.inotify.{name}={wanted}")
    if low:
        seen = f"below what four nodes need: {', '.join(each.partition('=')[0] for each in low)}"
        yield Fault("inotify limits", seen, f"sudo sysctl {' '.join(low)}")


def _room_faults(engine: Engine, facts: EngineFacts) -> Iterator[Fault]:
    if 0 < facts.memory < MEMORY:
        yield Fault(
            "engine's memory",
            f"{facts.memory / (1 << 30):.1f} GiB",
            f"Give it {MEMORY >> 30} GiB or more (Docker Desktop: Settings, Resources), or ask for fewer"
            " nodes: `k8slab up --nodes 1`.",
        )
    root = Path(facts.root)
    if facts.root and root.is_absolute() and root.exists():
        free = shutil.disk_usage(existing_folder(root)).free
        if free < DISK:
            yield Fault(
                "engine's disk",
                f"{free / (1 << 30):.1f} GiB free at {root}",
                f"Make room there, {DISK >> 30} GiB or more: `{engine.name} system df` shows what takes it.",
            )


def _network_faults(engine: Engine, facts: EngineFacts) -> Iterator[Fault]:
    try:
        names = engine.call("network", "ls", "--format", "{{.Name}}").stdout.split()
    except LabError:
        names = []
    own = set(names) - {"bridge", "host", "none"}
    if engine.name == "docker" and KIND_NETWORK not in own and len(own) > NETWORKS:
        yield Fault(
            "engine's networks",
            f"{len(own)} networks, and no addresses left for one more",
            f"`{engine.name} network prune` removes those that nothing uses.",
        )
    for variable in PROXIES:
        if _LOCAL.search(os.environ.get(variable, "")):
            yield Fault(
                "proxy",
                f"{variable} names this machine's loopback; kind hands it to its nodes, which have their own",
                f"Give the proxy's address in the network instead, or unset {variable} beforehand.",
            )
            return


def _snap_faults(engine: Engine, facts: EngineFacts) -> Iterator[Fault]:
    if facts.root.startswith("/var/snap/") or "/snap/" in f"{engine.program} {engine.program.resolve()}":
        yield Fault(
            "snap",
            f"{engine.name} is a snap and sees neither /tmp nor hidden folders",
            "Set TMPDIR and K8SLAB_STATE_DIR to folders in your home that are not hidden, or install the"
            " engine from its own packages.",
        )
