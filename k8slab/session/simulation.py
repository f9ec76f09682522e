"""Simulated nodes for scale: how many, and how Pods come to run on them."""

from __future__ import annotations

import time

from k8slab.errors import WaitTimeoutError
from k8slab.guard import Guard
from k8slab.session.plain_words import in_plain_words

LABEL = "k8slab.dev/simulated=true"
READY_SECONDS = 60.0


@in_plain_words
def simulate(guard: Guard, nodes: int) -> str:
    """Have so many simulated nodes played, wait until they are there, and say how to use them.

    Args:
        guard: lets changes through.
        nodes: how many; 0 removes them.
    """
    guard.simulate(nodes)
    started = time.monotonic()
    while (ready := _ready(guard)) != nodes:
        if time.monotonic() - started > READY_SECONDS:
            cure = "Its log is the one of the process `simulator`: `k8slab status` names it."
            raise WaitTimeoutError(f"{nodes} simulated nodes to be Ready", READY_SECONDS, f"{ready}", cure)
        time.sleep(0.1)
    if nodes == 0:
        return "The simulated nodes are gone; Kubernetes removes their Pods within two minutes."
    return (
        f"{nodes} simulated nodes are Ready; each takes a thousand Pods, which change their status and run"
        " nothing.\nPods of a namespace with the label go there:\n"
        f"  k8slab kubectl create namespace many\n  k8slab kubectl label namespace many {LABEL}"
    )


def _ready(guard: Guard) -> int:
    nodes, _ = guard.api.list("nodes", labels=LABEL)
    return sum(
        condition["type"] == "Ready" and condition["status"] == "True" and "podCIDR" in node["spec"]
        for node in nodes
        for condition in node.get("status", {}).get("conditions") or []
    )
