"""From what the runtime reports to `status.containerStatuses` as Kubernetes 1.36 writes it. Pure.

Source of the rules: pkg/kubelet/kubelet_pods.go (`convertToAPIContainerStatuses`) and
pkg/kubelet/prober/prober_manager.go (`UpdatePodStatus`).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from k8slab.node.containers.container_record import ContainerRecord
from k8slab.node.pods import pod_spec
from k8slab.node.pods.pod_spec import Container, Pod

State = dict[str, Any]

RESTARTING_ALL = "RestartingAllContainers"
RESTARTING_ALL_MESSAGE = "The container is removed because RestartAllContainers in place"


@dataclass(frozen=True)
class Waiting:
    """Why a container is not running.

    Args:
        reason: one word, such as `CrashLoopBackOff`.
        message: a sentence, or empty.
    """

    reason: str
    message: str = ""


@dataclass(frozen=True)
class ContainerFacts:
    """What is known of a Pod's containers beyond their specification.

    Args:
        runs: runs of each container by name, latest first; a run that has not yet settled is left out.
        waiting: why a container that should run does not, by name.
        images: what stands behind each container's image (`imageID`), by container name.
        shown_images: each container's image as its status shows it, by container name.
        messages: termination messages by container id.
        started: whether the startup probe of a run succeeded or there is none, by container id.
        ready: whether the readiness probe of a run succeeded or there is none, by container id.
        granted: the resources a container was granted, by name; its own where it has no entry.
        actual: those in force for the present run, by name; the granted ones where it has no entry.
        users: the `user` of each container that runs, by name.
        restarting: whether all containers are being restarted by a restart rule.
        recursive_read_only: whether a read-only mount can be so with all that is mounted in its source.
    """

    runs: Mapping[str, Sequence[ContainerRecord]] = field(default_factory=dict)
    waiting: Mapping[str, Waiting] = field(default_factory=dict)
    images: Mapping[str, str] = field(default_factory=dict)
    shown_images: Mapping[str, str] = field(default_factory=dict)
    messages: Mapping[str, str] = field(default_factory=dict)
    started: Callable[[ContainerRecord], bool] = lambda record: True
    ready: Callable[[ContainerRecord], bool] = lambda record: True
    granted: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    actual: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    users: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    restarting: bool = False
    recursive_read_only: bool = False


def timestamp(moment: float) -> str:
    """An epoch time as the API writes it, in whole seconds."""
    return datetime.fromtimestamp(int(moment), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def container_statuses(
    pod: Pod, specs: Sequence[Container], facts: ContainerFacts, old: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """The statuses of one sort of containers, in the order of their specifications.

    Args:
        pod: the Pod.
        specs: its regular, init or ephemeral containers.
        facts: what is known of them.
        old: the statuses as they were.
    """
    before = {status["name"]: status for status in old}
    return [_status(pod, spec, facts, before.get(spec["name"])) for spec in specs]


def _status(
    pod: Pod, spec: Container, facts: ContainerFacts, old: Mapping[str, Any] | None
) -> dict[str, Any]:
    name = spec["name"]
    runs = facts.runs.get(name) or ()
    status: dict[str, Any] = {
        "name": name,
        "image": spec["image"],
        "imageID": "",
        "lastState": {},
        "ready": False,
        "restartCount": 0,
        "started": False,
        "state": {"waiting": {"reason": _first_reason(pod)}},
    }
    mounts = [_mount_status(each, facts.recursive_read_only) for each in spec.get("volumeMounts") or []]
    if mounts:
        status["volumeMounts"] = mounts
    if old is not None:
        status["restartCount"] = old.get("restartCount", 0)
        status["lastState"] = copy.deepcopy(old.get("lastState") or {})
    if runs:
        _describe_run(status, spec, runs, facts)
    elif old is not None and facts.restarting and "waiting" not in (old.get("state") or {}):
        _describe_reset(status, old)
    elif old is not None:
        _describe_absence(status, old, deleted=pod_spec.is_deleted(pod))
    _describe_waiting(pod, spec, status, runs, facts)
    _describe_readiness(pod, spec, status, runs, facts)
    return status


def _first_reason(pod: Pod) -> str:
    return "PodInitializing" if pod_spec.init_containers(pod) else "ContainerCreating"


def _mount_status(mount: Mapping[str, Any], recursive: bool) -> dict[str, Any]:
    status: dict[str, Any] = {"name": mount["name"], "mountPath": mount["mountPath"]}
    if mount.get("readOnly"):
        status["readOnly"] = True
        asked = mount.get("recursiveReadOnly") in ("Enabled", "IfPossible")
        status["recursiveReadOnly"] = "Enabled" if asked and recursive else "Disabled"
    return status


def _describe_run(
    status: dict[str, Any], spec: Container, runs: Sequence[ContainerRecord], facts: ContainerFacts
) -> None:
    """Write what the latest run is doing, and how the one before it ended."""
    latest = runs[0]
    status["restartCount"] = max(status["restartCount"], latest.attempt)
    status["image"] = facts.shown_images.get(spec["name"]) or status["image"]
    status["imageID"] = facts.images.get(spec["name"], "")
    status["containerID"] = latest.api_id
    status["state"] = state_of(latest, facts.messages.get(latest.container, ""))
    if len(runs) > 1:
        status["lastState"] = state_of(runs[1], facts.messages.get(runs[1].container, ""))
    granted = facts.granted.get(spec["name"], spec.get("resources") or {})
    in_force = facts.actual.get(spec["name"], granted) if latest.running else granted
    status["resources"] = copy.deepcopy(dict(in_force))
    if granted.get("requests"):
        status["allocatedResources"] = dict(granted["requests"])
    if spec["name"] in facts.users:
        status["user"] = facts.users[spec["name"]]


def state_of(record: ContainerRecord, message: str = "") -> State:
    """The state of one run: `running` or `terminated`.

    Args:
        record: the run.
        message: its termination message, or empty.
    """
    started = timestamp(record.started if record.started is not None else record.created)
    if record.running:
        return {"running": {"startedAt": started}}
    terminated: dict[str, Any] = {
        "containerID": record.api_id,
        "exitCode": record.exit_code,
        "finishedAt": timestamp(record.finished if record.finished is not None else record.created),
        "reason": _ended_reason(record),
        "startedAt": started,
    }
    if message:
        terminated["message"] = message
    return {"terminated": terminated}


def _ended_reason(record: ContainerRecord) -> str:
    if record.oom:
        return "OOMKilled"
    return record.reason or ("Error" if record.exit_code else "Completed")


def _describe_reset(status: dict[str, Any], old: Mapping[str, Any]) -> None:
    """Write what is said of a container that was removed so that all containers start anew."""
    status["state"] = {"waiting": {"reason": RESTARTING_ALL, "message": RESTARTING_ALL_MESSAGE}}
    status["lastState"] = {
        "terminated": {
            "exitCode": 137,
            "finishedAt": None,
            "message": RESTARTING_ALL_MESSAGE,
            "reason": RESTARTING_ALL,
            "startedAt": None,
        }
    }
    status["restartCount"] = old.get("restartCount", 0) + 1


def _describe_absence(status: dict[str, Any], old: Mapping[str, Any], deleted: bool) -> None:
    """Write what can be said of a container that the runtime does not know (any more)."""
    state = old.get("state") or {}
    if "terminated" in state:
        status.update(copy.deepcopy(dict(old)))
    elif "running" in state and not status["lastState"].get("terminated"):
        status["lastState"] = {
            "terminated": {
                "exitCode": 137,
                "finishedAt": None,
                "message": "The container could not be located when the pod was deleted.  "
                "The container used to be Running",
                "reason": "ContainerStatusUnknown",
                "startedAt": None,
            }
        }
        status["restartCount"] += 0 if deleted else 1


def _describe_waiting(
    pod: Pod, spec: Container, status: dict[str, Any], runs: Sequence[ContainerRecord], facts: ContainerFacts
) -> None:
    """Write `waiting` over `terminated` for a container that is to run again but may not yet."""
    waiting = facts.waiting.get(spec["name"])
    if waiting is None or pod_spec.is_deleted(pod) or (runs and runs[0].running):
        return
    if runs and not pod_spec.should_restart(pod, spec, runs[0].exit_code):
        return
    if "terminated" in status["state"]:
        status["lastState"] = status["state"]
    status["state"] = {"waiting": {"reason": waiting.reason}}
    if waiting.message:
        status["state"]["waiting"]["message"] = waiting.message


def _describe_readiness(
    pod: Pod, spec: Container, status: dict[str, Any], runs: Sequence[ContainerRecord], facts: ContainerFacts
) -> None:
    running = bool(runs) and "running" in status["state"]
    if spec in pod_spec.ephemeral_containers(pod):
        # Nobody asks it whether it is ready: `UpdatePodStatus` leaves it alone.
        del status["started"]
        return
    status["started"] = running and facts.started(runs[0])
    if pod_spec.is_init(pod, spec["name"]) and not pod_spec.is_sidecar(spec):
        terminated = status["state"].get("terminated")
        status["ready"] = terminated is not None and terminated["exitCode"] == 0
    else:
        status["ready"] = running and status["started"] and facts.ready(runs[0])
