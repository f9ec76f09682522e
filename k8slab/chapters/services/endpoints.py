"""Who is behind a Service: its EndpointSlices now, and how the list changed over time. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from k8slab.chapters.evidence import Evidence
from k8slab.mirror.changes import Object, controller_of
from k8slab.mirror.lives import Life, ready_endpoints

SERVICE_NAME = "kubernetes.io/service-name"
"""The label of an EndpointSlice that says to which Service it belongs."""


@dataclass(frozen=True)
class Listing:
    """Which Pods a Service sent requests to, from a moment on.

    Args:
        moment: epoch seconds.
        ready: uids of the Pods that its slices called ready.
    """

    moment: float
    ready: frozenset[str]


def labels_of(obj: Object) -> Mapping[str, str]:
    """The labels of an object; none where it has none."""
    labels: Mapping[str, str] = obj["metadata"].get("labels") or {}
    return labels


def selector_of(service: Object) -> Mapping[str, str]:
    """What a Service looks for; empty where it has no selector."""
    selector: Mapping[str, str] = service.get("spec", {}).get("selector") or {}
    return selector


def pairs(labels: Mapping[str, str]) -> str:
    """Labels as one types them, such as `app=web`."""
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))


def names(pods: Iterable[str]) -> str:
    """Names in a sentence: `a`, `a and b`, `a, b and c`."""
    *first, last = sorted(pods) or ["nobody"]
    return f"{', '.join(first)} and {last}" if first else last


def matches(selector: Mapping[str, str], obj: Object) -> bool:
    """Whether a selector finds an object; an empty one finds nothing, as with Services."""
    labels = labels_of(obj)
    return bool(selector) and all(labels.get(key) == value for key, value in selector.items())


def slices_of(evidence: Evidence, service: str) -> list[Object]:
    """The EndpointSlices of a Service that are there now."""
    return [
        each
        for each in evidence.objects.get("EndpointSlice", ())
        if labels_of(each).get(SERVICE_NAME) == service
    ]


def ready_now(evidence: Evidence, service: str) -> frozenset[str]:
    """Uids of the Pods that get a Service's requests now."""
    return frozenset(uid for each in slices_of(evidence, service) for uid in ready_endpoints(each))


def listings(evidence: Evidence, service: str) -> list[Listing]:
    """How the list of a Service's ready Pods changed since the last reset, oldest first.

    What it was at that moment comes first, if it was known by then.
    """
    present: dict[str, frozenset[str]] = {}
    found: list[Listing] = []
    for change in evidence.timeline.changes(kind="EndpointSlice"):
        metadata = change.object["metadata"]
        mine = change.after is not None and labels_of(change.after).get(SERVICE_NAME) == service
        if metadata.get("namespace") != evidence.namespace or not (mine or change.uid in present):
            continue
        present[change.uid] = frozenset(ready_endpoints(change.object)) if mine else frozenset()
        listing = Listing(max(change.moment, evidence.since), frozenset().union(*present.values()))
        if found and listing.moment == found[-1].moment:
            found.pop()
        if not found or found[-1].ready != listing.ready:
            found.append(listing)
    return found


def listed_at(history: list[Listing], moment: float) -> frozenset[str] | None:
    """Who was in the list at a moment; None if that is not known."""
    before = [each for each in history if each.moment <= moment]
    return before[-1].ready if before else None


def lives_of(evidence: Evidence, deployment: str) -> list[Life]:
    """The lives of a Deployment's Pods, those of all its ReplicaSets."""
    owner = evidence.named("Deployment", deployment)
    if owner is None:
        return []
    uid = str(owner["metadata"]["uid"])
    sets = [each for each in evidence.objects.get("ReplicaSet", ()) if controller_of(each) == uid]
    return [
        life
        for each in sets
        for life in evidence.timeline.lives(evidence.namespace, str(each["metadata"]["uid"]))
    ]


def pods_of(evidence: Evidence, deployment: str) -> list[Object]:
    """A Deployment's Pods that are not on their way out."""
    owner = evidence.named("Deployment", deployment)
    if owner is None:
        return []
    uid = str(owner["metadata"]["uid"])
    sets = [each for each in evidence.objects.get("ReplicaSet", ()) if controller_of(each) == uid]
    return [pod for each in sets for pod in evidence.owned(each)]
