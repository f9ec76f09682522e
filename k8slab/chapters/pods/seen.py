"""What is read from a Pod of this chapter: its containers, and whether it was made since the task began."""

from __future__ import annotations

from collections.abc import Sequence

from k8slab.chapters.evidence import Evidence
from k8slab.mirror.changes import Object


def made_since(evidence: Evidence, pod: Object) -> bool:
    """Whether a Pod was seen to be made after the task began."""
    life = evidence.timeline.life(str(pod["metadata"]["uid"]))
    return life is not None and life.exact and life.created >= evidence.since


def containers_of(pod: Object) -> Sequence[Object]:
    """The containers a Pod asks for, init containers apart."""
    found: Sequence[Object] = pod.get("spec", {}).get("containers") or ()
    return found


def statuses_of(pod: Object) -> Sequence[Object]:
    """What was last seen of a Pod's containers."""
    found: Sequence[Object] = pod.get("status", {}).get("containerStatuses") or ()
    return found


def container_named(pod: Object, name: str) -> Object:
    """A Pod's container of that name; empty if there is none."""
    return next((each for each in containers_of(pod) if each.get("name") == name), {})


def waiting_reason(pod: Object) -> str:
    """Why the first container that waits does so, such as `ErrImagePull`; empty if none waits."""
    reasons = (each.get("state", {}).get("waiting", {}).get("reason") for each in statuses_of(pod))
    return next((str(reason) for reason in reasons if reason), "")


def is_leaving(pod: Object) -> bool:
    """Whether a Pod's deletion has been asked for."""
    return bool(pod["metadata"].get("deletionTimestamp"))
