"""The Pods of a Deployment, and what happened to them, read out of what was seen."""

from __future__ import annotations

from k8slab.chapters.evidence import Evidence
from k8slab.mirror.changes import Object, controller_of, uid_of
from k8slab.mirror.lives import Life, wish_of
from k8slab.mirror.stopwatch import Recovery


def replica_sets(evidence: Evidence, name: str) -> set[str]:
    """The uids of the ReplicaSets of the Deployments that have or had that name, also of those gone."""
    owners = {
        change.uid
        for change in evidence.timeline.changes(kind="Deployment")
        if change.object["metadata"].get("name") == name
    }
    return {
        change.uid
        for change in evidence.timeline.changes(kind="ReplicaSet")
        if controller_of(change.object) in owners
    }


def pods_of(evidence: Evidence, name: str) -> list[Object]:
    """The Pods that count for the Deployment of that name now, those on their way out left aside."""
    mine = replica_sets(evidence, name)
    return [
        pod
        for pod in evidence.objects.get("Pod", ())
        if not pod["metadata"].get("deletionTimestamp") and controller_of(pod) in mine
    ]


def lives_of(evidence: Evidence, name: str) -> list[Life]:
    """The lives of all Pods that the Deployment of that name had."""
    mine = replica_sets(evidence, name)
    return [life for life in evidence.timeline.lives(evidence.namespace) if life.owner in mine]


def kills(evidence: Evidence, name: str, since: float) -> list[Recovery]:
    """Its Pods that left since a moment and were missed, oldest first."""
    mine = replica_sets(evidence, name)
    return [
        each
        for each in evidence.timeline.recoveries(evidence.namespace)
        if each.victim.owner in mine and each.start >= since
    ]


def crashed(evidence: Evidence, name: str) -> str:
    """The name of one of its Pods whose container was seen restarted since the start; empty if none."""
    for life in lives_of(evidence, name):
        if any(moment >= evidence.since for moment in life.restarts):
            return life.name
    return ""


def came_to_want(evidence: Evidence, name: str, number: int) -> bool:
    """Whether the Deployment was seen to begin to want that number since the start."""
    for change in evidence.timeline.changes(since=evidence.since, kind="Deployment"):
        if change.after is None or change.listed or change.after["metadata"].get("name") != name:
            continue
        before = None if change.before is None else wish_of(change.before)
        if wish_of(change.after) == number != before:
            return True
    return False


def set_was_told(evidence: Evidence, name: str, number: int) -> bool:
    """Whether one of its ReplicaSets was told that number while the Deployment wanted another."""
    deployment = evidence.named("Deployment", name)
    if deployment is None or wish_of(deployment) == number:
        return False
    mine = replica_sets(evidence, name)
    return any(
        change.after is not None and change.uid in mine and wish_of(change.after) == number
        for change in evidence.timeline.changes(since=evidence.since, kind="ReplicaSet")
        if change.before is not None
    )


def deleted(evidence: Evidence, kind: str, name: str) -> list[Object]:
    """The objects of that kind and name that were seen to be deleted since the start."""
    return [
        change.before
        for change in evidence.timeline.changes(since=evidence.since, kind=kind)
        if change.after is None and change.before is not None and change.before["metadata"]["name"] == name
    ]


def lost_set(evidence: Evidence, deployment: Object) -> str:
    """The name of a ReplicaSet that was deleted while its Deployment stayed; empty if none was."""
    uid = uid_of(deployment)
    for change in evidence.timeline.changes(since=evidence.since, kind="ReplicaSet"):
        if change.after is None and change.before is not None and controller_of(change.before) == uid:
            return str(change.before["metadata"]["name"])
    return ""


def reason(pods: list[Object]) -> str:
    """Why one of the Pods waits, in Kubernetes' own word, such as `ErrImagePull`; empty if none says."""
    for pod in pods:
        for status in pod.get("status", {}).get("containerStatuses") or ():
            why = (status.get("state") or {}).get("waiting", {}).get("reason")
            if why:
                return str(why)
    return ""
