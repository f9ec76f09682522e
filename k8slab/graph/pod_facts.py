"""What a Pod object says, in the words of `kubectl get pods`. Pure.

The status follows printPod of kubectl's server-side printer (Kubernetes 1.36.3,
pkg/printers/internalversion/printers.go).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from k8slab.graph.escape import plain
from k8slab.mirror.changes import Object, controller_of, epoch
from k8slab.mirror.lives import is_ready

TERMINAL = ("Succeeded", "Failed")
STARTING = ("Pending", "ContainerCreating", "PodInitializing", "SchedulingGated")


@dataclass(frozen=True)
class ContainerFacts:
    """One container of a Pod.

    Args:
        name: its name.
        look: a key of `looks.LOOKS`.
        state: what it does, such as `running` or `waiting: CrashLoopBackOff`.
        restarts: how often it was restarted.
    """

    name: str
    look: str
    state: str
    restarts: int


@dataclass(frozen=True)
class PodFacts:
    """What the map needs to know of one Pod; `scene` in docs/architecture.md explains the fields."""

    uid: str
    name: str
    node_name: str
    status: str
    look: str
    ready: bool
    counts: bool
    ip: str
    owner: str
    restarts: int
    trouble: str
    grace_end: float
    containers: tuple[ContainerFacts, ...]


def pod_facts(pod: Object) -> PodFacts:
    """What the map needs to know of a Pod."""
    metadata, spec, status = pod["metadata"], pod.get("spec", {}), pod.get("status", {})
    word, restarts = printed_status(pod)
    deleting = metadata.get("deletionTimestamp")
    phase = str(status.get("phase", ""))
    return PodFacts(
        uid=str(metadata["uid"]),
        name=plain(metadata["name"]),
        node_name=str(spec.get("nodeName") or ""),
        status=plain(word),
        look=_look(word, phase, bool(deleting), is_ready(pod)),
        ready=is_ready(pod),
        counts=not deleting and phase not in TERMINAL,
        ip=plain(status.get("podIP") or ""),
        owner=controller_of(pod),
        restarts=restarts,
        trouble=trouble_of(pod),
        grace_end=epoch(deleting) or 0,
        containers=tuple(_containers(pod)),
    )


def printed_status(pod: Object) -> tuple[str, int]:
    """The STATUS and RESTARTS columns of `kubectl get pods`."""
    status = pod.get("status", {})
    phase = str(status.get("phase", ""))
    reason = str(status.get("reason") or phase)
    conditions = {one.get("type"): one for one in status.get("conditions") or ()}
    if conditions.get("PodScheduled", {}).get("reason") == "SchedulingGated":
        reason = "SchedulingGated"
    initializing, restarts, sidecar_restarts = False, 0, 0
    specs = {one["name"]: one for one in pod.get("spec", {}).get("initContainers") or ()}
    for index, container in enumerate(status.get("initContainerStatuses") or ()):
        restarts += int(container.get("restartCount", 0))
        sidecar = specs.get(container.get("name"), {}).get("restartPolicy") == "Always"
        if sidecar:
            sidecar_restarts += int(container.get("restartCount", 0))
        problem = _init_problem(container, sidecar, index, len(specs))
        if problem:
            reason, initializing = problem, True
            break
    if not initializing or conditions.get("Initialized", {}).get("status") == "True":
        statuses = status.get("containerStatuses") or ()
        restarts = sidecar_restarts + sum(int(one.get("restartCount", 0)) for one in statuses)
        reason = _main_reason(statuses, reason, is_ready(pod))
    if pod["metadata"].get("deletionTimestamp"):
        if status.get("reason") == "NodeLost":
            reason = "Unknown"
        elif phase not in TERMINAL:
            reason = "Terminating"
    return reason, restarts


def printed_ready(pod: Object) -> str:
    """The READY column of `kubectl get pods`; it counts sidecars, which are init containers that go on."""
    spec, status = pod.get("spec", {}), pod.get("status", {})
    inits = {one["name"]: one for one in spec.get("initContainers") or ()}
    sidecars = {name for name, one in inits.items() if one.get("restartPolicy") == "Always"}
    conditions = {one.get("type"): one.get("status") for one in status.get("conditions") or ()}
    ready, initialized = 0, True
    for index, container in enumerate(status.get("initContainerStatuses") or ()):
        sidecar = container.get("name") in sidecars
        if _init_problem(container, sidecar, index, len(inits)):
            initialized = False
            break
        over = (container.get("state") or {}).get("terminated") is not None
        ready += bool(sidecar and container.get("ready") and not over)
    if initialized or conditions.get("Initialized") == "True":
        statuses = status.get("containerStatuses") or ()
        ready += sum(bool(one.get("ready") and "running" in (one.get("state") or {})) for one in statuses)
    return f"{ready}/{len(spec.get('containers') or ()) + len(sidecars)}"


def _init_problem(container: Mapping[str, Any], sidecar: bool, index: int, total: int) -> str:
    """Why initialization is not past this init container; empty if it is."""
    state = container.get("state") or {}
    ended, waiting = state.get("terminated"), (state.get("waiting") or {}).get("reason")
    if ended is not None and ended.get("exitCode") == 0:
        return ""
    if sidecar and container.get("started"):
        return ""
    if ended is not None:
        return "Init:" + _exit_word(ended)
    if waiting and waiting != "PodInitializing":
        return f"Init:{waiting}"
    return f"Init:{index}/{total}"


def _main_reason(statuses: Any, reason: str, ready: bool) -> str:
    has_running, error = False, ""
    for container in reversed(statuses):
        state = container.get("state") or {}
        waiting, ended = (state.get("waiting") or {}).get("reason"), state.get("terminated")
        if waiting:
            reason = str(waiting)
        elif ended is not None:
            reason = _exit_word(ended)
            if ended.get("exitCode"):
                error = reason
        elif container.get("ready") and "running" in state:
            has_running = True
    if reason == "Completed":
        if has_running and ready:
            return "Running"
        if error:
            return error
        if has_running:
            return "NotReady"
    return reason


def _exit_word(ended: Mapping[str, Any]) -> str:
    if ended.get("reason"):
        return str(ended["reason"])
    if ended.get("signal"):
        return f"Signal:{ended['signal']}"
    return f"ExitCode:{ended.get('exitCode', 0)}"


def _look(word: str, phase: str, deleting: bool, ready: bool) -> str:
    if phase == "Succeeded":
        return "done"
    if phase == "Failed":
        return "failed"
    if deleting:
        return "terminating"
    if word in STARTING or (word.startswith("Init:") and "/" in word):
        return "starting"
    if word in ("Running", "NotReady", "Completed", "Unknown"):
        return "running" if ready else "not-ready"
    return "failed"


def trouble_of(pod: Object) -> str:
    """What keeps a Pod from running, in the cluster's own words; empty if nothing does."""
    status = pod.get("status", {})
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("reason") == "Unschedulable":
            return plain(condition.get("message") or "Unschedulable")
    statuses = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    for container in statuses:
        waiting = (container.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") and waiting["reason"] not in STARTING:
            return plain(waiting.get("message") or waiting["reason"])
    return plain(status.get("message") or "") if status.get("phase") == "Failed" else ""


def _containers(pod: Object) -> list[ContainerFacts]:
    spec, status = pod.get("spec", {}), pod.get("status", {})
    known = {
        one.get("name"): one
        for one in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ()))
    }
    found = []
    for container in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
        one = known.get(container["name"], {})
        look, state = _container_state(one)
        restarts = int(one.get("restartCount", 0))
        found.append(ContainerFacts(plain(container["name"]), look, plain(state), restarts))
    return found


def _container_state(container: Mapping[str, Any]) -> tuple[str, str]:
    state = container.get("state") or {}
    if "running" in state:
        return ("running", "running") if container.get("ready") else ("not-ready", "running, not ready")
    if "terminated" in state:
        ended = state["terminated"]
        code = int(ended.get("exitCode", 0))
        reason = (
            f" ({ended['reason']})" if ended.get("reason") not in (None, "", "Completed", "Error") else ""
        )
        return ("failed" if code else "done"), f"exited with code {code}{reason}"
    reason = (state.get("waiting") or {}).get("reason") or ""
    if not reason or reason in STARTING:
        return "starting", f"waiting: {reason}" if reason else "waiting"
    return "failed", f"waiting: {reason}"
