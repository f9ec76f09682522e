"""What a cluster of three nodes with ten Pods each takes: memory of what plays hardware, and idle time.

Memory is PSS (`/proc/<pid>/smaps_rollup`): what processes share is divided among them. Time is what the
kernel booked on a process (`/proc/<pid>/stat`) while nothing happened, as a share of one core.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

import psutil

from benchmarks.figures import Measurement
from k8slab.cluster.contract import Cluster
from k8slab.processes import memory_of, processes_of_cluster

if TYPE_CHECKING:
    from k8slab.lab import Lab

PODS_A_NODE = 10
IDLE_SECONDS = 30.0
READY_SECONDS = 120.0

MEGABYTE = 1e6


def measure(lab: Lab) -> list[Measurement]:
    """Fill the nodes, wait until all is quiet, and look at every process.

    Args:
        lab: a lab on an embedded cluster whose chapter namespace may be used.

    Returns:
        Memory of a node's agent and runtime together, of the network, of the add-ons and of a demo
        container, and the idle time of all nodes, the network and the add-ons together.
    """
    cluster = lab.cluster
    nodes = list(cluster.info()["nodes"])
    wanted = PODS_A_NODE * len(nodes)
    lab.kubectl(f"create deployment crowd --image=k8slab/demo:1 --replicas={wanted}")
    _until_ready(lab, wanted)
    pids = _pids(cluster)
    settings = {"nodes": len(nodes), "pods a node": PODS_A_NODE, "isolation": cluster.isolation}
    before = {name: _seconds(pid) for name, pid in pids.items()}
    began = time.monotonic()
    time.sleep(IDLE_SECONDS)
    elapsed = time.monotonic() - began
    ours = [name for name in pids if name in ("network", "switch", "addons") or name.startswith("worker-")]
    idle = sum(_seconds(pids[name]) - before[name] for name in ours) / elapsed
    a_node = [_megabytes([pids[f"{node}-agent"], pids[f"{node}-runtime"]]) for node in nodes]
    containers = [_megabytes([pid]) for pid in _demo_programs(cluster)]
    return [
        Measurement(
            "agent and runtime of a node with ten Pods", "MB", tuple(a_node), settings, {"p95": 60.0}
        ),
        Measurement("network process", "MB", (_megabytes([pids["network"]]),), settings, {"p50": 45.0}),
        Measurement("add-ons process", "MB", (_megabytes([pids["addons"]]),), settings, {}),
        Measurement("demo container at rest", "MB", tuple(containers), settings, {"p95": 8.0}),
        Measurement(
            "idle: all nodes, network and add-ons",
            "% of a core",
            (idle * 100,),
            {**settings, "seconds": IDLE_SECONDS},
            {"p50": 3.0},
        ),
    ]


def _until_ready(lab: Lab, wanted: int) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while sum(pod.ready == "1/1" for pod in lab.pods("app=crowd")) < wanted:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{wanted} Pods were not ready after {READY_SECONDS:.0f} s")
        time.sleep(0.5)


def _pids(cluster: Cluster) -> dict[str, int]:
    return {each.name: each.pid for each in cluster.processes() if each.pid is not None}


def _demo_programs(cluster: Cluster) -> list[int]:
    """The processes of the cluster whose command line is the demo application's."""
    found = []
    for identity in processes_of_cluster(cluster.uuid):
        try:
            with open(f"/proc/{identity.pid}/cmdline", "rb") as file:
                words = file.read().split(b"\0")
        except OSError:
            continue
        # bubblewrap, the keeper of a sandbox, names the program among its own arguments.
        if any(word.endswith(b"demo.py") for word in words) and b"python" in os.path.basename(words[0]):
            found.append(identity.pid)
    return found


def _megabytes(pids: Iterable[int]) -> float:
    return memory_of(pids) / MEGABYTE


def _seconds(pid: int) -> float:
    used = psutil.Process(pid).cpu_times()
    return float(used.user + used.system)
