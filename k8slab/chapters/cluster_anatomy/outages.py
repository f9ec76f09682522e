"""When a part of the control plane was away, as its mirror Pod in `kube-system` tells. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from k8slab.chapters.evidence import Evidence
from k8slab.graph.components import component_of
from k8slab.mirror.changes import Object, epoch
from k8slab.mirror.lives import Life

SCHEDULER = "kube-scheduler"
CONTROLLER_MANAGER = "kube-controller-manager"
API_SERVER = "kube-apiserver"

LAG = 4.0
"""Seconds by which a kubelet may be late to take away the mirror Pod of a program that it has ended.

It does so when it next tidies up, every 2 s (housekeepingPeriod in pkg/kubelet/kubelet.go), and after the
Pod's end is through. k8slab's own node keeps the Pod and writes down when its program ended.
"""


@dataclass(frozen=True)
class Outage:
    """A time during which a part of the control plane did not run.

    The agent of the control plane's node looks once a second, and a kubelet tells only some seconds later
    that a static Pod is gone, so both ends are given at their widest.

    Args:
        part: such as `kube-scheduler`.
        start: when it ended, in epoch seconds.
        end: when it ran again; infinity while it does not.
        seen: when it was seen to be away.
    """

    part: str
    start: float
    end: float
    seen: float

    @property
    def lasts(self) -> bool:
        """Whether the part is still away."""
        return self.end == float("inf")

    def covers(self, moment: float) -> bool:
        """Whether the part was away at that moment."""
        return self.start <= moment <= self.end

    def surely_covers(self, moment: float) -> bool:
        """The same, where the time before it was seen, in which it may still have been there, is left out."""
        return self.seen < moment <= self.end

    def overlap(self, start: float, end: float) -> float:
        """For how many seconds between two moments the part was away."""
        return max(0.0, min(end, self.end) - max(start, self.start))


def outages(evidence: Evidence, part: str) -> list[Outage]:
    """The times since the last reset during which a part was away, oldest first."""
    found: list[Outage] = []
    began: tuple[float, float] | None = None
    for change in evidence.timeline.changes(kind="Pod"):
        if component_of(change.object) != part:
            continue
        ended = _ended(change.after)
        if ended is not None and began is None:
            told = ended or (change.moment if change.after is not None else change.moment - LAG)
            began = (min(told, change.moment), change.moment)
        elif ended is None and began is not None:
            found.append(Outage(part, began[0], change.moment, began[1]))
            began = None
    if began is not None:
        found.append(Outage(part, began[0], float("inf"), began[1]))
    return [each for each in found if each.end >= evidence.since]


def is_away(evidence: Evidence, part: str) -> bool:
    """Whether a part does not run now."""
    return any(each.lasts for each in outages(evidence, part))


def away_at(evidence: Evidence, part: str, moment: float) -> Outage | None:
    """The outage of a part that a moment fell into; None if the part ran."""
    return next((each for each in outages(evidence, part) if each.covers(moment)), None)


def life_of(evidence: Evidence, pod: str) -> Life | None:
    """The latest life of the Pod of that name in the chapter's namespace; None if there was none."""
    lives = [each for each in evidence.timeline.lives(evidence.namespace) if each.name == pod]
    return lives[-1] if lives else None


def lives_of(evidence: Evidence, deployment: str) -> list[Life]:
    """The lives of a Deployment's Pods, those of all its ReplicaSets."""
    return [
        life
        for each in replica_sets(evidence, deployment)
        for life in evidence.timeline.lives(evidence.namespace, str(each["metadata"]["uid"]))
    ]


def replica_sets(evidence: Evidence, deployment: str) -> list[Object]:
    """The ReplicaSets of a Deployment."""
    owner = evidence.named("Deployment", deployment)
    if owner is None:
        return []
    uid = owner["metadata"]["uid"]
    return [
        each
        for each in evidence.objects.get("ReplicaSet", ())
        if any(one.get("uid") == uid for one in each["metadata"].get("ownerReferences") or ())
    ]


def pods_of(evidence: Evidence, deployment: str) -> list[Object]:
    """A Deployment's Pods that are not on their way out."""
    return [pod for each in replica_sets(evidence, deployment) for pod in evidence.owned(each)]


def node_of(pod: Object) -> str:
    """The node that a Pod was given; empty while it has none."""
    return str(pod.get("spec", {}).get("nodeName") or "")


def _ended(pod: Object | None) -> float | None:
    """When the program of a mirror Pod ended: 0 if nobody says when, None while it runs."""
    if pod is None:
        return 0.0
    statuses = pod.get("status", {}).get("containerStatuses") or ()
    if not statuses and pod.get("status", {}).get("phase") in (None, "Pending"):
        return 0.0  # a kubelet makes a static Pod's picture first and starts its container then
    for status in statuses:
        state = status.get("state") or {}
        if "running" not in state:
            return epoch((state.get("terminated") or {}).get("finishedAt")) or 0.0
    return None
