"""Bringing back what a learner stopped: processes started, nodes powered on, all of it answering again."""

from __future__ import annotations

import time

from k8slab.cluster.answering import NEEDED, is_ready, wait_ready
from k8slab.cluster.contract import ClusterProcess
from k8slab.errors import WaitTimeoutError
from k8slab.guard import Guard
from k8slab.progress import Progress

API_SECONDS = 30.0
NODES_SECONDS = 60.0
_FINDS_ETCD_SECONDS = 1.0
"""How long an API server whose etcd is back may take by itself before it is started anew."""


def bring_back(guard: Guard, progress: Progress) -> None:
    """Start every process that is stopped, power every node on, and wait until all of it answers.

    Args:
        guard: lets changes through.
        progress: told about the steps.

    Raises:
        WaitTimeoutError: the API server was not ready, or a node was not Ready, in time.
    """
    answer_again(guard, progress)
    cluster = guard.cluster
    off = [each.name for each in cluster.nodes() if each.power == "off"]
    without_power = {f"{name}-{part}" for name in off for part in ("agent", "runtime")}
    down = [name for name in _down(guard) if name not in without_power]
    if down:
        with progress.step(f"Starting what was stopped: {', '.join(down)}"):
            for name in down:
                guard.change_process(name, "start")
    if off:
        with progress.step(f"Powering on {', '.join(off)}"):
            for name in off:
                guard.change_node("power_on", name)
    if cluster.nodes():
        _wait_nodes(guard, progress)


def answer_again(guard: Guard, progress: Progress) -> None:
    """Start etcd and kube-apiserver where they do not run, and wait until the API server is ready.

    Raises:
        WaitTimeoutError: it was not ready in time.
    """
    processes = {each.name: each for each in guard.cluster.processes()}
    if not all(name in processes for name in NEEDED):
        return
    down = [name for name in NEEDED if processes[name].state != "running"]
    if not down and not any(_is_young(processes[name]) for name in NEEDED):
        return
    if not down and is_ready(guard.api):
        return
    said = f"Starting {' and '.join(down)}" if down else "Waiting for the API server"
    with progress.step(said):
        for name in down:
            guard.change_process(name, "start")
        if "kube-apiserver" not in down and not wait_ready(guard.api, _FINDS_ETCD_SECONDS):
            guard.restart_lost_api_server()
        if not wait_ready(guard.api, API_SECONDS):
            raise WaitTimeoutError(
                "the API server to be ready",
                API_SECONDS,
                "no answer, or not ready",
                f"Its log says why: {processes['kube-apiserver'].log}.",
            )


def _is_young(process: ClusterProcess) -> bool:
    """Whether it was started again at all: only then may the API server not be ready while all run."""
    return process.restarts > 0


def _down(guard: Guard) -> list[str]:
    return [each.name for each in guard.cluster.processes() if each.state != "running"]


def _wait_nodes(guard: Guard, progress: Progress) -> None:
    started = time.monotonic()
    left = _not_ready(guard)
    if not left:
        return
    with progress.step("Waiting for the nodes to be Ready") as step:
        while left:
            if time.monotonic() - started > NODES_SECONDS:
                seen = f"not Ready: {', '.join(left)}"
                raise WaitTimeoutError(
                    "the nodes to be Ready", NODES_SECONDS, seen, "`k8slab status` names the logs."
                )
            step.detail(", ".join(left))
            time.sleep(0.1)
            left = _not_ready(guard)


def _not_ready(guard: Guard) -> list[str]:
    wanted = {each.name for each in guard.cluster.nodes()}
    objects, _ = guard.api.list("nodes")
    ready = {
        each["metadata"]["name"]
        for each in objects
        for condition in each.get("status", {}).get("conditions") or ()
        if condition["type"] == "Ready" and condition["status"] == "True"
    }
    return sorted(wanted - ready)
