"""Which Pods a ReplicaSet counts: what its selector says, and when a Pod joined it or was let go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from k8slab.chapters.evidence import Evidence
from k8slab.mirror.changes import Object, controller_of
from k8slab.mirror.lives import Life, ready_endpoints


@dataclass(frozen=True)
class Turn:
    """A Pod that was there got a ReplicaSet as its owner, or lost it.

    Args:
        uid, name: which Pod.
        moment: when, in epoch seconds.
        joined: whether it was taken in; else it was let go.
    """

    uid: str
    name: str
    moment: float
    joined: bool


def changes_of_owner(evidence: Evidence, owner: Object, since: float) -> list[Turn]:
    """Pods that a controller took in or let go without their being made or deleted, oldest first."""
    uid, turns = owner["metadata"]["uid"], []
    for change in evidence.timeline.changes(since=since, kind="Pod"):
        if change.before is None or change.after is None:
            continue
        before, after = controller_of(change.before), controller_of(change.after)
        if before != after and uid in (before, after):
            name = str(change.after["metadata"]["name"])
            turns.append(Turn(change.uid, name, change.moment, after == uid))
    return turns


def counted_at(evidence: Evidence, owner: Object, moment: float) -> list[Life]:
    """The Pods that a controller counted at a moment: those it had let go by then are not among them."""
    inside: dict[str, bool] = {}
    for turn in changes_of_owner(evidence, owner, 0):
        if turn.moment <= moment:
            inside[turn.uid] = turn.joined
        else:
            inside.setdefault(turn.uid, not turn.joined)
    lives = evidence.timeline.lives(evidence.namespace, str(owner["metadata"]["uid"]))
    return [life for life in lives if life.counts_at(moment) and inside.get(life.uid, True)]


def labels_of(obj: Object) -> Mapping[str, str]:
    """The labels of an object."""
    return obj["metadata"].get("labels") or {}


def chooses(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a selector with `matchLabels`, `matchExpressions` or both chooses these labels."""
    equal = (selector.get("matchLabels") or {}).items()
    rules = selector.get("matchExpressions") or ()
    return all(labels.get(key) == value for key, value in equal) and all(
        _holds(rule, labels) for rule in rules
    )


def selector_of(owner: Object) -> Mapping[str, Any]:
    """The selector of a controller; an empty one if it has none."""
    return owner.get("spec", {}).get("selector") or {}


def in_words(selector: Mapping[str, Any]) -> str:
    """A selector as `kubectl get -l` would take it."""
    parts = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    for rule in selector.get("matchExpressions") or ():
        key, operator = str(rule.get("key", "")), str(rule.get("operator", ""))
        values = ", ".join(map(str, rule.get("values") or ()))
        forms = {"Exists": key, "DoesNotExist": f"!{key}"}
        parts.append(forms.get(operator, f"{key} {operator.lower()} ({values})"))
    return ", ".join(parts) or "nothing"


def bare_pods(evidence: Evidence) -> list[Object]:
    """The Pods that nobody owns and that are not on their way out."""
    return [
        pod
        for pod in evidence.objects.get("Pod", ())
        if not controller_of(pod) and not pod["metadata"].get("deletionTimestamp")
    ]


def endpoints_of(evidence: Evidence, service: str) -> set[str]:
    """The uids of the Pods to which a Service sends requests."""
    return {
        uid
        for each in evidence.objects.get("EndpointSlice", ())
        if labels_of(each).get("kubernetes.io/service-name") == service
        for uid in ready_endpoints(each)
    }


def _holds(rule: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, operator, values = str(rule.get("key", "")), rule.get("operator"), rule.get("values") or ()
    if operator == "In":
        return labels.get(key) in values
    if operator == "NotIn":
        return labels.get(key) not in values
    return (key in labels) == (operator == "Exists")
