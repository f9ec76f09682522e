"""The conditions of a Pod that belong to the kubelet, as Kubernetes 1.36 writes them. Pure.

Source of the rules and texts: pkg/kubelet/status/generate.go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from k8slab.node.containers.container_status import timestamp
from k8slab.node.pods import pod_spec
from k8slab.node.pods.pod_spec import Pod

Condition = dict[str, Any]

PASSING = ("PodResizePending", "PodResizeInProgress")
"""Types of the kubelet's conditions that come and go."""

OWNED = (
    *("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"),
    *("AllContainersRestarting", *PASSING),
)
"""Types of the conditions that a kubelet writes (pkg/kubelet/types/pod_status.go); the rest is others'."""


def pod_conditions(
    pod: Pod,
    phase: str,
    statuses: Sequence[Mapping[str, Any]],
    sandbox: bool,
    old: Mapping[str, Any],
    now: float,
) -> list[Condition]:
    """The kubelet's conditions of a Pod, each with its transition time.

    Args:
        pod: the Pod; conditions of others in its status decide its readiness gates.
        phase: its phase.
        statuses: statuses of init and regular containers.
        sandbox: whether its network is there.
        old: the status as it was, for the transition times.
        now: the present (epoch s).
    """
    by_name = {status["name"]: status for status in statuses}
    containers_ready = _containers_ready(pod, phase, by_name)
    conditions = [
        _condition("PodReadyToStartContainers", sandbox),
        _initialized(pod, phase, by_name, old),
        _ready(pod, containers_ready),
        containers_ready,
        _condition("PodScheduled", True),
    ]
    return [_dated(pod, condition, old, now) for condition in conditions]


def restarting_condition(
    pod: Pod, phase: str, restarting: bool, old: Mapping[str, Any], now: float
) -> Condition:
    """The condition of a Pod that a restart rule may start anew (`GenerateAllContainersRestartingCondition`).

    Args:
        pod: the Pod.
        phase: its phase.
        restarting: whether its containers are being removed.
        old: the status as it was.
        now: the present (epoch s).
    """
    kind = "AllContainersRestarting"
    ended = {"Succeeded": "PodCompleted", "Failed": "PodFailed"}.get(phase)
    if ended or not restarting:
        return _dated(pod, _condition(kind, False, ended), old, now)
    text = "container exited with restart policy rule"
    return _dated(pod, _condition(kind, True, "RestartAllContainersStarted", text), old, now)


def _dated(pod: Pod, condition: Condition, old: Mapping[str, Any], now: float) -> Condition:
    """A condition with its transition time, which stays as long as its status does."""
    before = {each["type"]: each for each in old.get("conditions") or []}
    previous = before.get(condition["type"])
    same = previous is not None and previous.get("status") == condition["status"]
    kept = previous.get("lastTransitionTime") if same and previous else None
    condition["lastTransitionTime"] = kept or timestamp(now)
    condition["observedGeneration"] = pod["metadata"].get("generation", 0)
    return condition


def _condition(kind: str, true: bool, reason: str | None = None, message: str | None = None) -> Condition:
    # Explicit nulls: a strategic merge keeps a reason that is left out.
    return {
        "type": kind,
        "status": "True" if true else "False",
        "lastProbeTime": None,
        "reason": reason,
        "message": message,
    }


def _names(names: Sequence[str]) -> str:
    """A list as Go prints it."""
    return "[" + " ".join(names) + "]"


def _containers_ready(pod: Pod, phase: str, statuses: Mapping[str, Mapping[str, Any]]) -> Condition:
    kind = "ContainersReady"
    counted = [each for each in pod_spec.init_containers(pod) if pod_spec.is_sidecar(each)]
    names = [each["name"] for each in (*counted, *pod_spec.containers(pod))]
    unknown = [name for name in names if name not in statuses]
    unready = [name for name in names if name in statuses and not statuses[name]["ready"]]
    if phase == "Succeeded" and not unknown:
        return _condition(kind, False, "PodCompleted")
    if phase == "Failed":
        return _condition(kind, False, "PodFailed")
    messages = []
    if unknown:
        messages.append(f"containers with unknown status: {_names(unknown)}")
    if unready:
        messages.append(f"containers with unready status: {_names(unready)}")
    if messages:
        return _condition(kind, False, "ContainersNotReady", ", ".join(messages))
    return _condition(kind, True)


def _ready(pod: Pod, containers_ready: Condition) -> Condition:
    if containers_ready["status"] != "True":
        return {**containers_ready, "type": "Ready"}
    present = {each["type"]: each["status"] for each in (pod.get("status") or {}).get("conditions") or []}
    messages = []
    for gate in pod["spec"].get("readinessGates") or []:
        kind = gate["conditionType"]
        if kind not in present:
            messages.append(f'corresponding condition of pod readiness gate "{kind}" does not exist.')
        elif present[kind] != "True":
            messages.append(f'the status of pod readiness gate "{kind}" is not "True", but {present[kind]}')
    if messages:
        return _condition("Ready", False, "ReadinessGatesNotReady", ", ".join(messages))
    return _condition("Ready", True)


def _initialized(
    pod: Pod, phase: str, statuses: Mapping[str, Mapping[str, Any]], old: Mapping[str, Any]
) -> Condition:
    kind = "Initialized"
    incomplete = []
    unknown = []
    for container in pod_spec.init_containers(pod):
        status = statuses.get(container["name"])
        if status is None:
            unknown.append(container["name"])
        elif not status["started" if pod_spec.is_sidecar(container) else "ready"]:
            incomplete.append(container["name"])
    if phase == "Succeeded" and not unknown:
        return _condition(kind, True, "PodCompleted")
    if any(
        "running" in statuses[each["name"]]["state"] or "terminated" in statuses[each["name"]]["state"]
        for each in pod_spec.containers(pod)
        if each["name"] in statuses
    ):
        return _condition(kind, True)
    messages = []
    if unknown:
        messages.append(f"containers with unknown status: {_names(unknown)}")
    if incomplete:
        messages.append(f"containers with incomplete status: {_names(incomplete)}")
    was = any(each["type"] == kind and each["status"] == "True" for each in old.get("conditions") or [])
    if messages and not was:
        return _condition(kind, False, "ContainersNotInitialized", ", ".join(messages))
    return _condition(kind, True)
