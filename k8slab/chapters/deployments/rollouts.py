"""Reading rollouts out of what was seen: the turns of a Deployment's template, and its Pods meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from k8slab import demo_configmap
from k8slab.chapters.evidence import Evidence
from k8slab.mirror.changes import Object, controller_of, uid_of
from k8slab.mirror.lives import Life


@dataclass(frozen=True)
class Turn:
    """A change of a Deployment's Pod template.

    Args:
        moment: when, in epoch seconds.
        before, after: the Deployment as it was, and as it became.
    """

    moment: float
    before: Object
    after: Object


@dataclass(frozen=True)
class Count:
    """How many Pods counted for a Deployment from a moment on, and how many of those were ready."""

    moment: float
    has: int
    ready: int


def template_of(owner: Object) -> Object:
    """The Pod template of a Deployment or ReplicaSet, without the label that a Deployment adds to it."""
    template = dict(owner.get("spec", {}).get("template") or {})
    metadata = dict(template.get("metadata") or {})
    labels = dict(metadata.get("labels") or {})
    labels.pop("pod-template-hash", None)
    metadata.pop("creationTimestamp", None)
    return {**template, "metadata": {**metadata, "labels": labels}}


def container_of(owner: Object) -> Object:
    """The first container of its template; empty if there is none."""
    return next(iter((template_of(owner).get("spec") or {}).get("containers") or ()), {})


def image_of(owner: Object) -> str:
    """The image of the first container of its template; empty if there is none."""
    return demo_configmap.image_of(container_of(owner))


def turns(evidence: Evidence, name: str) -> list[Turn]:
    """Every change of the template of the Deployment of that name since the chapter's start, oldest first."""
    found = []
    for change in evidence.timeline.changes(since=evidence.since, kind="Deployment"):
        before, after = change.before, change.after
        if before is None or after is None or after["metadata"].get("name") != name:
            continue
        if template_of(before) != template_of(after):
            found.append(Turn(change.moment, before, after))
    return found


def replica_sets(evidence: Evidence, name: str) -> dict[str, Object]:
    """The ReplicaSets of the Deployments that have or had that name, by uid; also those that are gone."""
    owners = {
        change.uid
        for change in evidence.timeline.changes(kind="Deployment")
        if change.object["metadata"].get("name") == name
    }
    return {
        change.uid: change.object
        for change in evidence.timeline.changes(kind="ReplicaSet")
        if controller_of(change.object) in owners
    }


def newest_set(evidence: Evidence, deployment: Object) -> Object | None:
    """The ReplicaSet that holds the Deployment's present template; None while there is none."""
    uid = uid_of(deployment)
    for each in evidence.objects.get("ReplicaSet", ()):
        if controller_of(each) == uid and template_of(each) == template_of(deployment):
            return each
    return None


def lives_of(evidence: Evidence, name: str) -> list[Life]:
    """The lives of all Pods that the Deployments of that name have or had."""
    return [
        life
        for uid in replica_sets(evidence, name)
        for life in evidence.timeline.lives(evidence.namespace, uid)
    ]


def counts(lives: Sequence[Life], start: float, end: float) -> list[Count]:
    """How many Pods there were at the start, and after each change up to the end."""
    moments = {start}
    for life in lives:
        ends = (life.created, life.left, life.done, *(moment for moment, _ in life.turns))
        moments |= {moment for moment in ends if moment is not None and start < moment <= end}
    return [
        Count(
            moment,
            sum(life.counts_at(moment) for life in lives),
            sum(life.ready_at(moment) for life in lives),
        )
        for moment in sorted(moments)
    ]


def fewest_ready(steps: Sequence[Count], enough: int) -> int:
    """The fewest ready Pods from the moment on when there were enough; as many as now if that never was."""
    for index, step in enumerate(steps):
        if step.ready >= enough:
            return min(each.ready for each in steps[index:])
    return steps[-1].ready if steps else 0
