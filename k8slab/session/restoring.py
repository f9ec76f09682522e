"""Bringing back what a learner stopped: processes started, nodes powered on, all of it answering again."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from k8slab.cluster.answering import NEEDED, is_ready, wait_ready
from k8slab.cluster.contract import ClusterProcess
from k8slab.errors import WaitTimeoutError
from k8slab.guard import Guard
from k8slab.progress import Progress

API_SECONDS = 60.0
NODES_SECONDS = 60.0

CLIENTS = ("kube-controller-manager", "kube-scheduler")


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
    # What is frozen cannot say whether its kubelet was stopped before.
    paused = [each.name for each in cluster.nodes() if each.power == "paused"]
    if paused:
        with progress.step(f"Letting go on what was paused: {', '.join(paused)}"):
            for name in paused:
                guard.change_node("power_on", name)
    off = [each.name for each in cluster.nodes() if each.power != "on"]
    without_power = processes_on(off)
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


def processes_on(nodes: Iterable[str]) -> set[str]:
    """The names of the processes that a node of the embedded backend consists of.

    Args:
        nodes: names of nodes.
    """
    return {f"{name}-{part}" for name in nodes for part in ("agent", "runtime")}


def answer_again(guard: Guard, progress: Progress) -> None:
    """Start etcd and kube-apiserver where they do not run, and wait until all who need them follow.

    Raises:
        WaitTimeoutError: the API server was not ready in time.
    """
    processes = {each.name: each for each in guard.cluster.processes()}
    if not all(name in processes for name in NEEDED) or (_is_settled(processes) and is_ready(guard.api)):
        return
    down = [name for name in NEEDED if processes[name].state != "running"]
    said = f"Starting {' and '.join(down)}" if down else "Waiting for the control plane"
    with progress.step(said):
        for name in down:
            guard.change_process(name, "start")
        settle(guard)


def settle(guard: Guard, seconds: float = API_SECONDS) -> None:
    """Bring kube-apiserver, and then its clients of the control plane, up to an etcd that was started again.

    Each of them asks for what it has lost ever more rarely: a controller up to every minute. On a real
    control plane they do not wait that long: the API server's liveness probe fails, and the others end
    themselves when they cannot renew their lease for 10 s; all are started anew. Here they are, too.
    One that did so and found no API server waits ever longer for its next try; it is started anew as well.
    Source: k8s.io/component-base/config/v1alpha1/defaults.go (RenewDeadline), client-go's reflector.go.

    Args:
        guard: lets changes through.
        seconds: how long the API server may take to be ready.

    Raises:
        WaitTimeoutError: it took longer.
    """
    guard.restart_api_server()
    if not wait_ready(guard.api, seconds):
        raise WaitTimeoutError(
            "the API server to be ready", seconds, "no answer, or not ready", "`k8slab status` names its log."
        )
    processes = {each.name: each for each in guard.cluster.processes()}
    for name in CLIENTS:
        if _is_behind(processes, name):
            guard.change_process(name, "stop")
            guard.change_process(name, "start")


def _is_settled(processes: Mapping[str, ClusterProcess]) -> bool:
    return (
        all(processes[name].state == "running" for name in NEEDED)
        and not _is_older(processes, "kube-apiserver", "etcd")
        and not any(_is_behind(processes, name) for name in CLIENTS)
    )


def _is_behind(processes: Mapping[str, ClusterProcess], client: str) -> bool:
    """Whether a client of the API server gave up without it, or may still wait for one that is gone."""
    return processes[client].state == "failed" or _is_older(processes, client, "kube-apiserver")


def _is_older(processes: Mapping[str, ClusterProcess], name: str, other: str) -> bool:
    """Whether a process runs since before another one does."""
    return processes[name].pid is not None and processes[name].started < processes[other].started


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
