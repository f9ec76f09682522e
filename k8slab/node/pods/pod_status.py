"""The status of a Pod as Kubernetes 1.36 writes it, from what runs and what was asked for. Pure.

Source of the rules: pkg/kubelet/kubelet_pods.go (`getPhase`, `generateAPIPodStatus`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from k8slab.node.containers.container_status import (
    RESTARTING_ALL,
    ContainerFacts,
    container_statuses,
    timestamp,
)
from k8slab.node.pods import pod_spec
from k8slab.node.pods.pod_conditions import PASSING, pod_conditions, restarting_condition
from k8slab.node.pods.pod_spec import Pod


@dataclass(frozen=True)
class PodFacts:
    """What the node knows of a Pod.

    Args:
        host: the node's own address.
        address: the Pod's address, or empty before it has one.
        sandbox: whether its network is there.
        containers: what is known of its containers.
        terminal: whether all its containers were ended for good.
        failure: reason and message if the node itself ended or refused the Pod.
        conditions: further conditions of the node's, such as those about resizes.
    """

    host: str
    address: str = ""
    sandbox: bool = False
    containers: ContainerFacts = field(default_factory=ContainerFacts)
    terminal: bool = False
    failure: tuple[str, str] | None = None
    conditions: Sequence[Mapping[str, Any]] = ()


def pod_status(pod: Pod, facts: PodFacts, old: Mapping[str, Any], now: float) -> dict[str, Any]:
    """A Pod's status, as a strategic merge patch of `status` carries it.

    Fields of others (their conditions, `qosClass`, resource claims) are left out and so stay;
    what is to vanish is null.

    Args:
        pod: the Pod as the API shows it.
        facts: what the node knows.
        old: the status that was written last, or the API's own.
        now: the present (epoch s).
    """
    known = replace(facts.containers, waiting={}) if facts.terminal else facts.containers
    regular = container_statuses(pod, pod_spec.containers(pod), known, old.get("containerStatuses") or [])
    init = container_statuses(
        pod, pod_spec.init_containers(pod), known, old.get("initContainerStatuses") or []
    )
    ephemeral = container_statuses(
        pod, pod_spec.ephemeral_containers(pod), known, old.get("ephemeralContainerStatuses") or []
    )
    if facts.terminal:
        _end_unknown(pod, regular, init)
    phase = _settled_phase(pod, facts, old, phase_of(pod, regular, init, facts))
    reason, message = _explanation(facts, old, phase)
    shown = phase
    if not facts.terminal and pod_spec.is_terminal(phase):
        shown, reason, message = _before_the_end(pod, old, (phase, reason, message))
    status: dict[str, Any] = {
        "observedGeneration": pod["metadata"].get("generation", 0),
        "phase": shown,
        "reason": reason,
        "message": message,
        "hostIP": facts.host,
        "hostIPs": [{"ip": facts.host}],
        "startTime": old.get("startTime") or timestamp(now),
        "conditions": _conditions(pod, phase, [*init, *regular], facts, old, now),
        "containerStatuses": sorted(regular, key=lambda status: str(status["name"])),
    }
    if facts.address:
        status["podIP"] = facts.address
        status["podIPs"] = [{"ip": facts.address}]
    if init:
        status["initContainerStatuses"] = init
    if ephemeral:
        status["ephemeralContainerStatuses"] = sorted(ephemeral, key=lambda status: str(status["name"]))
    return status


def _conditions(
    pod: Pod,
    phase: str,
    statuses: Sequence[Mapping[str, Any]],
    facts: PodFacts,
    old: Mapping[str, Any],
    now: float,
) -> list[dict[str, Any]]:
    """All conditions that are the node's; those that ended are taken away."""
    sandbox = facts.sandbox and not facts.terminal
    conditions = pod_conditions(pod, phase, statuses, sandbox, old, now)
    if pod_spec.may_restart_all(pod):
        conditions.append(restarting_condition(pod, phase, facts.containers.restarting, old, now))
    conditions += [dict(each) for each in facts.conditions]
    held = {each["type"] for each in conditions}
    shown = {each["type"] for each in (pod.get("status") or {}).get("conditions") or []}
    # A strategic merge keeps what is left out.
    conditions += [{"$patch": "delete", "type": each} for each in PASSING if each in shown - held]
    return conditions


def _end_unknown(pod: Pod, regular: Sequence[dict[str, Any]], init: Sequence[dict[str, Any]]) -> None:
    """Show containers without a known end as ended: the Pod is over, and none may look alive.

    Containers that never could begin stay as they are: those of a Pod that was not initialized, and init
    containers after the last that began. The rules are status_manager.go's (`TerminatePod`).
    """
    begun = [number for number, status in enumerate(init) if _began(status)]
    if _was_initialized(pod, regular, init):
        for status in regular:
            _end_one(status)
    for status in init[: max(begun, default=0) + 1]:
        _end_one(status)


def _end_one(status: dict[str, Any]) -> None:
    if "terminated" not in status["state"]:
        status["state"] = {
            "terminated": {
                "exitCode": 137,
                "finishedAt": None,
                "message": "The container could not be located when the pod was terminated",
                "reason": "ContainerStatusUnknown",
                "startedAt": None,
            }
        }
        status["ready"] = status["started"] = False


def _began(status: Mapping[str, Any]) -> bool:
    return "waiting" not in status["state"] or bool(status["lastState"].get("terminated"))


def _was_initialized(
    pod: Pod, regular: Sequence[Mapping[str, Any]], init: Sequence[Mapping[str, Any]]
) -> bool:
    """Whether the regular containers had their turn (`hasPodInitialized`)."""
    if not init or any(map(_began, regular)):
        return True
    last = init[-1]
    if pod_spec.is_sidecar(pod_spec.init_containers(pod)[-1]):
        return "running" in last["state"] and bool(last["started"])
    ends = (last["state"].get("terminated"), last["lastState"].get("terminated"))
    return any(each is not None and each["exitCode"] == 0 for each in ends)


def _settled_phase(pod: Pod, facts: PodFacts, old: Mapping[str, Any], phase: str) -> str:
    """The phase, given that a Pod never leaves a terminal one."""
    for earlier in ((pod.get("status") or {}).get("phase"), old.get("phase")):
        if pod_spec.is_terminal(earlier):
            return str(earlier)
    if facts.failure is not None:
        return "Failed"
    if facts.terminal and not pod_spec.is_terminal(phase):
        # Its containers are gone and it did not end by itself: status_manager.go, TerminatePod.
        return "Failed"
    return phase


def _before_the_end(
    pod: Pod, old: Mapping[str, Any], end: tuple[str, str | None, str | None]
) -> tuple[str, str | None, str | None]:
    """Phase, reason and message as they stay until all containers are gone (`mergePodStatus`)."""
    shown = pod.get("status") or {}
    before = old if old.get("phase") else shown
    if pod_spec.is_terminal(before.get("phase")) or pod_spec.is_terminal(shown.get("phase")):
        return end
    return before.get("phase") or "Pending", before.get("reason"), before.get("message")


def _explanation(facts: PodFacts, old: Mapping[str, Any], phase: str) -> tuple[str | None, str | None]:
    if facts.failure is not None:
        return facts.failure
    if phase == old.get("phase"):
        return old.get("reason"), old.get("message")
    return None, None


def phase_of(
    pod: Pod, regular: Sequence[Mapping[str, Any]], init: Sequence[Mapping[str, Any]], facts: PodFacts
) -> str:
    """The phase that follows from the containers' states."""
    if _initialization_failed(pod, init):
        return "Failed"
    counts = {"running": 0, "waiting": 0, "stopped": 0, "succeeded": 0, "final": 0}
    specs = {spec["name"]: spec for spec in pod_spec.containers(pod)}
    for status in regular:
        ended = status["state"].get("terminated")
        if "waiting" in status["state"]:
            ended = status["lastState"].get("terminated")
            if ended is None:
                counts["waiting"] += 1
                continue
            # A container that waits for its next run counts as stopped, never as succeeded.
            counts["stopped"] += 1
        elif "running" in status["state"]:
            counts["running"] += 1
            continue
        else:
            counts["stopped"] += 1
            counts["succeeded"] += ended["exitCode"] == 0
        counts["final"] += not _runs_again(pod, specs[status["name"]], ended)
    was_initialized = counts["running"] or counts["stopped"]
    unfinished, unstarted, waiting, running = _pending_initialization(pod, init)
    counts["waiting"] += waiting
    counts["running"] += running
    if unfinished or (unstarted and not was_initialized) or counts["waiting"]:
        return "Pending"
    if counts["running"]:
        return "Running"
    if not counts["stopped"]:
        return "Pending"
    if not facts.terminal and counts["stopped"] != counts["final"]:
        return "Running"
    return "Succeeded" if counts["stopped"] == counts["succeeded"] else "Failed"


def _runs_again(pod: Pod, spec: pod_spec.Container, ended: Mapping[str, Any]) -> bool:
    return ended.get("reason") == RESTARTING_ALL or pod_spec.should_restart(pod, spec, ended["exitCode"])


def _initialization_failed(pod: Pod, init: Sequence[Mapping[str, Any]]) -> bool:
    """Whether an init container ended badly and is not to run again."""
    specs = {spec["name"]: spec for spec in pod_spec.init_containers(pod)}
    for status in init:
        spec = specs[status["name"]]
        ended = status["state"].get("terminated")
        if ended is None and "waiting" in status["state"]:
            ended = status["lastState"].get("terminated")
        failed = ended and ended["exitCode"] and not pod_spec.is_sidecar(spec)
        if failed and not _runs_again(pod, spec, ended):
            return True
    return False


def _pending_initialization(pod: Pod, init: Sequence[Mapping[str, Any]]) -> tuple[int, int, int, int]:
    """Init containers still to finish, sidecars still to start, sidecars that wait, sidecars that run."""
    specs = {spec["name"]: spec for spec in pod_spec.init_containers(pod)}
    unfinished = unstarted = waiting = running = 0
    for status in init:
        state = status["state"]
        never_ran = "waiting" in state and not status["lastState"].get("terminated")
        if not pod_spec.is_sidecar(specs[status["name"]]):
            unfinished += "running" in state or never_ran
        elif "running" in state:
            running += 1
            unstarted += not status["started"]
        elif never_ran:
            waiting += 1
            unstarted += 1
    return unfinished, unstarted, waiting, running
