"""What a check or a prediction is judged by: the objects that are there, and what happened to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from k8slab.mirror.changes import Object
from k8slab.mirror.lives import is_ready, wish_of
from k8slab.mirror.stopwatch import Recovery
from k8slab.mirror.timeline import Timeline


@dataclass(frozen=True)
class Evidence:
    """What was seen of one namespace.

    Args:
        namespace: which one.
        objects: the objects that are there now, by kind.
        timeline: what happened.
        since: what happened earlier does not count, in epoch seconds: the last reset.
        now: the present, in epoch seconds.
        asked: when the task that is judged was first looked at; what was done before is no answer to it.
    """

    namespace: str
    objects: Mapping[str, Sequence[Object]]
    timeline: Timeline
    since: float
    now: float
    asked: float = 0.0

    def named(self, kind: str, name: str) -> Object | None:
        """The object of that kind and name, or None."""
        return next((each for each in self.objects.get(kind, ()) if each["metadata"]["name"] == name), None)

    def owned(self, owner: Object) -> list[Object]:
        """The Pods that a controller owns and that are not on their way out."""
        uid = owner["metadata"]["uid"]
        return [
            pod
            for pod in self.objects.get("Pod", ())
            if not pod["metadata"].get("deletionTimestamp")
            and any(
                each.get("controller") and each.get("uid") == uid
                for each in pod["metadata"].get("ownerReferences") or ()
            )
        ]

    def recoveries(self, owner: Object) -> list[Recovery]:
        """The Pods of a controller that left and were missed, oldest first."""
        uid = owner["metadata"]["uid"]
        return [
            each for each in self.timeline.recoveries(self.namespace, self.since) if each.victim.owner == uid
        ]

    def wanted_at(self, owner: Object, moment: float) -> int | None:
        """How many Pods a controller wanted at a moment; None if that is not known."""
        wants = wish_of(owner)
        for step in self.timeline.replicas(str(owner["metadata"]["uid"])):
            if step.moment > moment:
                break
            wants = step.wants
        return wants


def ready_count(pods: Sequence[Object]) -> int:
    """How many of the Pods are ready."""
    return sum(is_ready(pod) for pod in pods)
