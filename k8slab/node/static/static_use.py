"""What the control plane's processes use, told as their mirror Pods' containers."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable

from k8slab.node.node_use import ContainerUse, NodeUse, PodUse, Use
from k8slab.node.pods import pod_spec
from k8slab.node.pods.pod_spec import Pod
from k8slab.node.runtime.processes import processor_time, proportional
from k8slab.node.runtime.use_counter import Counter
from k8slab.node.static.static_pods import ProcessRecord


def components_use(
    name: str, started: float, pods: Iterable[Pod], running: Iterable[ProcessRecord], counter: Counter
) -> NodeUse:
    """Measure the processes that run.

    Args:
        name: the node's name.
        started: when its agent started (epoch s).
        pods: the node's Pods; those that mirror a process are told.
        running: the processes with a pid.
        counter: keeps the node's sum while processes come and go.
    """
    mirrors = {
        pod["spec"]["containers"][0]["name"]: pod["metadata"] for pod in pods if pod_spec.is_mirror(pod)
    }
    readings: dict[tuple[int, float], float] = {}
    memory, told = 0, []
    for record in running:
        use = Use(time.time(), processor_time([record.pid]), proportional([record.pid]))
        if not use.memory:
            # It has ended, and the supervisor has not said so yet.
            continue
        readings[record.pid, record.started] = use.cpu
        memory += use.memory
        if metadata := mirrors.get(record.name):
            container = ContainerUse(record.name, record.started, use)
            told.append(PodUse(metadata["name"], metadata["namespace"], metadata["uid"], [container]))
    own = Use(
        time.time(),
        counter.advance(readings) + time.process_time(),
        memory + proportional([os.getpid()]),
    )
    return NodeUse(name, started, own, told)
