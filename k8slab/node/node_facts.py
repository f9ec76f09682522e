"""What a node says of itself: resources, system, labels, conditions.

A lab's nodes share one host, so each claims its share of the host's processors, memory and disk;
the reserve that is not allocatable is the kubelet's default (100 MiB of memory, a tenth of the disk).
What identifies a machine is the node's own, so that no two nodes look like one.
"""

from __future__ import annotations

import os
import platform
import shutil
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from k8slab.folders import write_private
from k8slab.network.addresses import node_index
from k8slab.node.containers.container_status import timestamp

MIB = 1024 * 1024
PODS = 110
MEMORY_RESERVE = 100 * MIB
LEAST_MEMORY = 512 * MIB
LEAST_PIDS = 100
"""With fewer process ids left than this a node is under pressure."""

LEAST_FREE = 100 * MIB
"""Under this much free memory or disk a node is under pressure. A kubelet's own threshold for the
disk is a tenth of it, which would empty the nodes on many a laptop."""

ARCHITECTURES = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "armv7l": "arm",
    "ppc64le": "ppc64le",
    "s390x": "s390x",
}

REGION = "lab"
ZONES = "abc"
BOOT_ID = "boot-id"
PROC_KERNEL = Path("/proc/sys/kernel")
CONTROL_GROUP = Path("/sys/fs/cgroup")

DECLARED_FEATURES = ("ExtendWebSocketsToKubelet", "RestartAllContainersOnContainerExits")
"""The features that a scheduler and an API server may count on here; only what is there."""


@dataclass(frozen=True)
class HostResources:
    """What this host has, as far as its control groups let us use it.

    Args:
        processors: number of processors.
        memory: bytes of memory.
        disk: bytes of the file system that the cluster lies on.
    """

    processors: int
    memory: int
    disk: int

    @staticmethod
    def measured(folder: Path) -> HostResources:
        """The resources of this host and of the file system of `folder`."""
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        limit = _first_line(Path("/sys/fs/cgroup/memory.max"))
        if limit.isdigit():
            memory = min(memory, int(limit))
        return HostResources(len(os.sched_getaffinity(0)), memory, shutil.disk_usage(folder).total)


def capacity(host: HostResources, nodes: int) -> dict[str, str]:
    """The resources that one of so many nodes claims, as quantities."""
    memory = max(LEAST_MEMORY, host.memory // nodes)
    return {
        "cpu": str(max(1, -(-host.processors // nodes))),
        "memory": f"{memory // 1024}Ki",
        "ephemeral-storage": f"{host.disk // nodes // 1024}Ki",
        "pods": str(PODS),
    }


def allocatable(capacity: Mapping[str, str]) -> dict[str, str]:
    """What of a node's resources Pods may ask for."""
    memory = int(capacity["memory"].removesuffix("Ki")) - MEMORY_RESERVE // 1024
    disk = int(capacity["ephemeral-storage"].removesuffix("Ki")) * 1024
    return {**capacity, "memory": f"{memory}Ki", "ephemeral-storage": str(disk * 9 // 10)}


def architecture() -> str:
    """The processor architecture in Go's words."""
    machine = platform.machine()
    return ARCHITECTURES.get(machine, machine)


def zone_labels(name: str) -> dict[str, str]:
    """Region and zone of a node, which a cloud would tell: the workers go round three zones.

    Args:
        name: the node's name, such as `worker-2`.
    """
    zone = ZONES[max(0, node_index(name) - 1) % len(ZONES)]
    return {"topology.kubernetes.io/region": REGION, "topology.kubernetes.io/zone": f"{REGION}-{zone}"}


def boot_id(folder: Path) -> str:
    """The id of the node's present boot: made when it is first asked for after a power-on, then kept.

    Args:
        folder: the node's folder (`ClusterFolder.node`).
    """
    file = folder / BOOT_ID
    known = _first_line(file)
    if not known:
        known = str(uuid.uuid4())
        folder.mkdir(parents=True, exist_ok=True)
        write_private(file, known + "\n")
    return known


def own_version() -> str:
    """The version of this package; `0` where it runs from a plain folder."""
    try:
        return version("k8slab")
    except PackageNotFoundError:
        return "0"


def node_info(kubernetes: str, cluster: str, name: str, boot: str) -> dict[str, str]:
    """The `nodeInfo` of a node.

    Args:
        kubernetes: version of the control plane, such as `v1.36.3`.
        cluster: the cluster's uuid.
        name: the node's name.
        boot: the id of its present boot.
    """
    machine = uuid.uuid5(uuid.UUID(cluster), name)
    return {
        "machineID": machine.hex,
        "systemUUID": str(machine),
        "bootID": boot,
        "kernelVersion": platform.release(),
        "osImage": _os_image(),
        "containerRuntimeVersion": f"k8slab://{own_version()}",
        # As other makers of kubelets mark theirs: the API of this version, not the program.
        "kubeletVersion": f"{kubernetes}+k8slab",
        "kubeProxyVersion": "",
        "operatingSystem": "linux",
        "architecture": architecture(),
    }


def _os_image() -> str:
    for line in _text(Path("/etc/os-release")).splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip('"')
    return platform.platform()


def _first_line(path: Path) -> str:
    return _text(path).split("\n", 1)[0].strip()


def _text(path: Path) -> str:
    return path.read_text() if path.is_file() else ""


def free_memory() -> int:
    """Bytes of memory that this host could still give to a program."""
    for line in _text(Path("/proc/meminfo")).splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return LEAST_FREE


def free_pids() -> int:
    """How many more processes and threads this host could hold."""
    limits = [
        int(text)
        for text in map(_first_line, (PROC_KERNEL / "pid_max", PROC_KERNEL / "threads-max"))
        if text.isdigit()
    ]
    # The fourth field of loadavg is `running/existing`.
    existing = _first_line(Path("/proc/loadavg")).split()[3:4]
    if not limits or not existing:
        return LEAST_PIDS
    free = min(limits) - int(existing[0].partition("/")[2])
    group, used = (_first_line(CONTROL_GROUP / name) for name in ("pids.max", "pids.current"))
    return min(free, int(group) - int(used)) if group.isdigit() and used.isdigit() else free


def node_conditions(
    problems: Sequence[str],
    memory_short: bool,
    disk_full: bool,
    old: Sequence[Mapping[str, Any]],
    now: float,
    pids_short: bool = False,
) -> list[dict[str, Any]]:
    """A node's conditions, with the kubelet's reasons and texts. Pure.

    Source: pkg/kubelet/nodestatus/setters.go of Kubernetes 1.36; Ready comes last there, too.

    Args:
        problems: why the node is not ready; empty if it is.
        memory_short: whether the host's memory runs out.
        disk_full: whether the disk is about to be full.
        old: the conditions as they were, for the transition times.
        now: the present (epoch s).
        pids_short: whether the host runs out of process ids.
    """
    memory = ("KubeletHasInsufficientMemory", "kubelet has insufficient memory available")
    disk = ("KubeletHasDiskPressure", "kubelet has disk pressure")
    pids = ("KubeletHasInsufficientPID", "kubelet has insufficient PID available")
    told = [
        ("MemoryPressure", memory_short, memory)
        if memory_short
        else (
            "MemoryPressure",
            False,
            ("KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        ),
        ("DiskPressure", disk_full, disk)
        if disk_full
        else ("DiskPressure", False, ("KubeletHasNoDiskPressure", "kubelet has no disk pressure")),
        ("PIDPressure", True, pids)
        if pids_short
        else ("PIDPressure", False, ("KubeletHasSufficientPID", "kubelet has sufficient PID available")),
        ("Ready", False, ("KubeletNotReady", _joined(problems)))
        if problems
        else ("Ready", True, ("KubeletReady", "kubelet is posting ready status")),
    ]
    before = {condition["type"]: condition for condition in old}
    conditions = []
    for kind, true, (reason, message) in told:
        status = "True" if true else "False"
        previous = before.get(kind, {})
        kept = previous.get("lastTransitionTime") if previous.get("status") == status else None
        conditions.append(
            {
                "type": kind,
                "status": status,
                "reason": reason,
                "message": message,
                "lastHeartbeatTime": timestamp(now),
                "lastTransitionTime": kept or timestamp(now),
            }
        )
    return conditions


def _joined(problems: Sequence[str]) -> str:
    """Several errors as Go's aggregate prints them."""
    return problems[0] if len(problems) == 1 else "[" + ", ".join(problems) + "]"
