"""What a Pod's containers were granted, and what of a resize is still to come. Pure.

Source of the rules and texts: pkg/kubelet/allocation/allocation_manager.go, pkg/kubelet/events/resize.go and
`updatedPodResizeCondition` in pkg/kubelet/status/status_manager.go of Kubernetes 1.36.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from k8slab.node.containers.container_status import timestamp
from k8slab.node.pods import pod_spec
from k8slab.node.pods.pod_spec import Container, Pod
from k8slab.quantity import bytes_of, parse

Resources = dict[str, Any]
PENDING, IN_PROGRESS = "PodResizePending", "PodResizeInProgress"
DEFERRED, ERROR = "Deferred", "Error"


@dataclass(frozen=True)
class ResizeState:
    """One of the two conditions about a resize.

    Args:
        reason: one word, or empty.
        message: a sentence, or empty.
        generation: generation of the Pod that it is about.
        since: when it became so (epoch s).
    """

    reason: str
    message: str
    generation: int
    since: float

    def condition(self, kind: str) -> dict[str, Any]:
        """The condition as the API has it."""
        return {
            "type": kind,
            "status": "True",
            "lastProbeTime": None,
            "reason": self.reason or None,
            "message": self.message or None,
            "lastTransitionTime": timestamp(self.since),
            "observedGeneration": self.generation,
        }


def resizable(pod: Pod) -> list[Container]:
    """The containers whose resources may change while they run."""
    return [*pod_spec.init_containers(pod), *pod_spec.containers(pod)]


def wanted(pod: Pod) -> dict[str, Resources]:
    """The resources that the Pod asks for, by container."""
    return {each["name"]: copy.deepcopy(each.get("resources") or {}) for each in resizable(pod)}


def recorded(pod: Pod) -> dict[str, Resources]:
    """What the Pod's containers were granted by an earlier agent, which wrote it into their status.

    Containers that have no such record get what they ask for.
    """
    found = wanted(pod)
    status = pod.get("status") or {}
    for each in (*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])):
        if each["name"] in found and each.get("resources") is not None and each.get("containerID"):
            found[each["name"]] = {**found[each["name"]], **copy.deepcopy(each["resources"])}
            if each.get("allocatedResources"):
                found[each["name"]]["requests"] = dict(each["allocatedResources"])
    return found


def same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two resource requirements ask for the same; `1000m` is `1`."""
    return not changed(one, other)


def changed(one: Mapping[str, Any], other: Mapping[str, Any]) -> set[str]:
    """The resources whose request or limit differs, such as `cpu`."""
    names: set[str] = set()
    for bound in ("requests", "limits"):
        mine, theirs = one.get(bound) or {}, other.get(bound) or {}
        for name in {*mine, *theirs}:
            if (name in mine) != (name in theirs) or parse(mine[name]) != parse(theirs[name]):
                names.add(name)
    return names


def needs_restart(container: Container, resources: set[str]) -> bool:
    """Whether the container's `resizePolicy` wants a new run for a change of one of the resources."""
    policies = {each["resourceName"]: each["restartPolicy"] for each in container.get("resizePolicy") or []}
    return any(policies.get(name) == "RestartContainer" for name in resources)


def with_resources(pod: Pod, resources: Mapping[str, Resources]) -> Pod:
    """The Pod with other resources in the place of its containers' own."""
    spec = dict(pod["spec"])
    for kind in ("initContainers", "containers"):
        if spec.get(kind):
            spec[kind] = [
                {**each, "resources": resources.get(each["name"], each.get("resources") or {})}
                for each in spec[kind]
            ]
    return {**pod, "spec": spec}


def memory_limit(resources: Mapping[str, Any]) -> int:
    """The limit in bytes; 0 for none."""
    limit = (resources.get("limits") or {}).get("memory")
    return bytes_of(limit) if limit else 0


def refused_decrease(name: str, old: Resources, new: Resources, used: int) -> str:
    """Why a memory limit cannot come down now; empty if it can.

    Args:
        name: the container's.
        old: its resources as they are.
        new: its resources as they are to be.
        used: bytes it holds.
    """
    before, after = memory_limit(old), memory_limit(new)
    if after and (not before or after < before) and used >= after:
        return (
            f'cannot decrease memory limits: attempting to set container "{name}" memory limit ({after}) '
            f"below current usage ({used})"
        )
    return ""


def resize_message(begin: str, pod: Pod, generation: int, error: str = "") -> str:
    """The text of an Event about a resize: how it goes, and the resources as JSON.

    Args:
        begin: such as `Pod resize started`.
        pod: the Pod with the resources that are meant.
        generation: the Pod's generation that is meant.
        error: what is in the way, or empty.
    """
    summary: dict[str, Any] = {}
    for kind, containers in (
        ("initContainers", pod_spec.init_containers(pod)),
        ("containers", pod_spec.containers(pod)),
    ):
        if containers:
            summary[kind] = [
                {"name": each["name"], "resources": each.get("resources") or {}} for each in containers
            ]
    summary["generation"] = generation
    if error:
        summary["error"] = error
    return f"{begin}: {json.dumps(summary, separators=(',', ':'))}"
