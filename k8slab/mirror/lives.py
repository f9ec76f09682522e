"""The life of every Pod in moments: created, scheduled, started, ready, in endpoints, leaving, gone.

A moment is when the change reached the mirror, which is exact to milliseconds; the API's own
timestamps are whole seconds. Only what was there before the mirror looked (`exact` is False)
takes them, for want of better.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from k8slab.mirror.changes import Change, Object, controller_of, epoch

LIVES_KEPT = 10_000
TURNS_KEPT = 200
"""Changes of readiness a life keeps, and changes of its wish an owner keeps."""


@dataclass(frozen=True)
class Life:
    """One Pod's life; moments are epoch seconds, None for what has not happened.

    Args:
        uid, name, namespace: which Pod.
        owner: uid of its controller, or of the last that let it go; empty if none ever owned it.
        node: name of its node; empty before it is placed.
        revision: the revision of its template, where its controller marks it (StatefulSet, DaemonSet).
        seen: when the mirror first heard of it.
        created, scheduled, started, ready, endpoint: the steps up; `started` is when all its containers had
            started, `endpoint` when an EndpointSlice first called it ready.
        deleted: when its deletion was asked for.
        failed: when its phase became Failed.
        done: when its phase became Succeeded.
        gone: when it had left the API.
        tenures: every change of its controller, as (moment, uid); uid is empty from when one let it go.
        turns: every change of its readiness, as (moment, ready).
        restarts: when a container was seen restarted.
        exact: whether it was watched from its creation on.
        missed_end: whether its end fell into an outage, so that `gone` is when that was noticed.
    """

    uid: str
    name: str
    namespace: str
    owner: str
    node: str
    seen: float
    created: float
    scheduled: float | None = None
    started: float | None = None
    ready: float | None = None
    endpoint: float | None = None
    deleted: float | None = None
    failed: float | None = None
    done: float | None = None
    gone: float | None = None
    tenures: tuple[tuple[float, str], ...] = ()
    turns: tuple[tuple[float, bool], ...] = ()
    restarts: tuple[float, ...] = ()
    exact: bool = True
    missed_end: bool = False
    revision: str = ""

    @property
    def left(self) -> float | None:
        """When it stopped counting for its owner: the first of deletion, failure and being gone."""
        moments = [moment for moment in (self.deleted, self.failed, self.gone) if moment is not None]
        return min(moments, default=None)

    def owner_at(self, moment: float) -> str:
        """The uid of its controller at that moment; empty if it had none."""
        index = bisect_right([since for since, _ in self.tenures], moment)
        return self.tenures[index - 1][1] if index else ""

    def counts_for(self, owner: str, moment: float) -> bool:
        """Whether a controller counted it at that moment: it was its own, and had not left."""
        return self.counts_at(moment) and self.owner_at(moment) == owner

    def counts_at(self, moment: float) -> bool:
        """Whether it had not left at that moment, whoever owned it."""
        ends = [end for end in (self.left, self.done) if end is not None]
        return self.created <= moment < min(ends, default=float("inf"))

    def ready_at(self, moment: float) -> bool:
        """Whether it was ready and counted at that moment."""
        index = bisect_right(self.turns, (moment, True))
        return index > 0 and self.turns[index - 1][1] and self.counts_at(moment)


class Lives:
    """Every Pod's life and every owner's wish, learned from changes. Not thread-safe."""

    def __init__(self) -> None:
        self._lives: OrderedDict[str, Life] = OrderedDict()
        self._owned: dict[str, dict[str, None]] = {}
        self._early_endpoints: OrderedDict[str, float] = OrderedDict()
        self._wants: OrderedDict[str, list[tuple[float, int | None]]] = OrderedDict()
        self._gone: deque[str] = deque()

    def __iter__(self) -> Iterator[Life]:
        return iter(list(self._lives.values()))

    def get(self, uid: str) -> Life | None:
        """The life of that Pod, or None."""
        return self._lives.get(uid)

    def of_owner(self, owner: str) -> list[Life]:
        """The lives of the Pods that a controller owns or owned, in the order in which they were seen."""
        return [self._lives[uid] for uid in self._owned.get(owner, ())]

    def wants(self, owner: str, moment: float) -> int | None:
        """How many Pods an owner wanted at a moment; None if that is not known."""
        history = self._wants.get(owner, [])
        index = bisect_right([turn[0] for turn in history], moment)
        return history[index - 1][1] if index else (history[0][1] if history else None)

    def wishes(self, owner: str) -> list[tuple[float, int | None]]:
        """Every change of what an owner wants, as (moment, number)."""
        return list(self._wants.get(owner, ()))

    def apply(self, change: Change) -> None:
        """Learn from one change; kinds that say nothing of Pods' lives are ignored."""
        if change.kind == "Pod":
            self._apply_pod(change)
        elif change.kind == "EndpointSlice" and change.after is not None:
            for uid in ready_endpoints(change.after):
                self._in_endpoints(uid, change.moment)
        elif change.kind in WISHES or change.kind == "Job":
            self._apply_wish(change)

    def _apply_wish(self, change: Change) -> None:
        over = change.after is None or _is_over(change.after)
        wish = 0 if over else wish_of(change.object)
        history = self._wants.setdefault(change.uid, [])
        if not history or history[-1][1] != wish:
            history.append((change.moment, wish))
            del history[:-TURNS_KEPT]
        if len(self._wants) > LIVES_KEPT:
            self._wants.popitem(last=False)

    def _apply_pod(self, change: Change) -> None:
        uid = change.uid
        life = self._lives.get(uid)
        if change.after is None:
            if life is not None and life.gone is None:
                self._keep(replace(life, gone=change.moment, missed_end=change.listed))
                self._gone.append(uid)
            return
        if life is None:
            life = _born(change)
            endpoint = self._early_endpoints.pop(uid, None)
            if endpoint is not None:
                life = replace(life, endpoint=endpoint)
        self._keep(_grown(life, change))

    def _in_endpoints(self, uid: str, moment: float) -> None:
        life = self._lives.get(uid)
        if life is None:
            self._early_endpoints.setdefault(uid, moment)
            if len(self._early_endpoints) > LIVES_KEPT:
                self._early_endpoints.popitem(last=False)
        elif life.endpoint is None:
            self._keep(replace(life, endpoint=moment))

    def _keep(self, life: Life) -> None:
        self._lives[life.uid] = life
        if life.owner:
            self._owned.setdefault(life.owner, {})[life.uid] = None
        if len(self._lives) > LIVES_KEPT and self._gone:
            oldest = self._lives.pop(self._gone.popleft())
            for _, owner in oldest.tenures:
                owned = self._owned.get(owner, {})
                owned.pop(oldest.uid, None)
                if not owned:
                    self._owned.pop(owner, None)


def _born(change: Change) -> Life:
    pod = change.object
    metadata = pod["metadata"]
    created = epoch(metadata.get("creationTimestamp"))
    born = created if change.listed and created is not None else change.moment
    return Life(
        uid=change.uid,
        name=str(metadata["name"]),
        namespace=str(metadata.get("namespace", "")),
        owner=controller_of(pod),
        node="",
        seen=change.moment,
        created=born,
        tenures=((born, controller_of(pod)),),
        exact=not change.listed,
        revision=str((metadata.get("labels") or {}).get("controller-revision-hash", "")),
    )


def _grown(life: Life, change: Change) -> Life:
    pod, moment = change.object, change.moment
    metadata, status = pod["metadata"], pod.get("status", {})
    # What was there at the first look happened earlier: the API's whole seconds are the best there is.
    first_look = change.listed and change.verb == "added"
    news: dict[str, Any] = {}
    owner = controller_of(pod)
    if owner != life.tenures[-1][1]:
        news.update(owner=owner or life.owner, tenures=(*life.tenures, (moment, owner))[-TURNS_KEPT:])
    if life.scheduled is None and pod.get("spec", {}).get("nodeName"):
        at = _condition_time(status, "PodScheduled") if first_look else None
        news.update(node=str(pod["spec"]["nodeName"]), scheduled=at or moment)
    if life.started is None and all_started(pod):
        news["started"] = (_started_time(status) if first_look else None) or moment
    ready = is_ready(pod)
    if ready != (bool(life.turns) and life.turns[-1][1]):
        at = (_condition_time(status, "Ready") if first_look else None) or moment
        news["turns"] = (*life.turns, (at, ready))[-TURNS_KEPT:]
        if ready and life.ready is None:
            news["ready"] = at
    if life.deleted is None and metadata.get("deletionTimestamp"):
        asked = epoch(metadata["deletionTimestamp"]) or moment
        grace = float(metadata.get("deletionGracePeriodSeconds") or 0)
        news["deleted"] = min(moment, asked - grace) if first_look else moment
    if life.failed is None and status.get("phase") == "Failed":
        news["failed"] = moment
    if life.done is None and status.get("phase") == "Succeeded":
        news["done"] = moment
    if change.before is not None and restarts_of(pod) > restarts_of(change.before):
        news["restarts"] = (*life.restarts, moment)[-TURNS_KEPT:]
    return replace(life, **news) if news else life


WISHES = frozenset({"Deployment", "ReplicaSet", "StatefulSet", "ReplicationController", "DaemonSet"})
"""Kinds that say how many Pods they want."""


def wish_of(owner: Object) -> int | None:
    """How many Pods a controller wants; None for kinds that do not say (a Job, say)."""
    if owner["metadata"].get("deletionTimestamp"):
        return 0
    if owner["kind"] == "DaemonSet":
        return int(owner.get("status", {}).get("desiredNumberScheduled", 0))
    if owner["kind"] in WISHES:
        replicas = owner.get("spec", {}).get("replicas")
        return 1 if replicas is None else int(replicas)
    return None


def _is_over(owner: Object) -> bool:
    """Whether an object is a Job that makes no more Pods."""
    if owner["kind"] != "Job":
        return False
    conditions = owner.get("status", {}).get("conditions") or ()
    ends = {one.get("type") for one in conditions if one.get("status") == "True"}
    return bool(ends & {"Complete", "Failed"}) or bool(owner.get("spec", {}).get("suspend"))


def is_ready(pod: Object) -> bool:
    """Whether the Pod's Ready condition is True."""
    conditions = pod.get("status", {}).get("conditions") or ()
    return any(one.get("type") == "Ready" and one.get("status") == "True" for one in conditions)


def all_started(pod: Object) -> bool:
    """Whether every container (init containers apart) runs or has run."""
    statuses = pod.get("status", {}).get("containerStatuses") or ()
    wanted = len(pod.get("spec", {}).get("containers") or ())
    begun = [one for one in statuses if {"running", "terminated"} & one.get("state", {}).keys()]
    return wanted > 0 and len(begun) >= wanted


def restarts_of(pod: Object) -> int:
    """How often the containers of a Pod were restarted, together."""
    statuses = pod.get("status", {}).get("containerStatuses") or ()
    return sum(int(one.get("restartCount", 0)) for one in statuses)


def ready_endpoints(endpoint_slice: Object) -> list[str]:
    """The uids of the Pods that a slice calls ready; no word on readiness means ready."""
    return [
        str(one["targetRef"]["uid"])
        for one in endpoint_slice.get("endpoints") or ()
        if one.get("targetRef", {}).get("uid") and one.get("conditions", {}).get("ready") is not False
    ]


def _condition_time(status: Object, kind: str) -> float | None:
    for condition in status.get("conditions") or ():
        if condition.get("type") == kind and condition.get("status") == "True":
            return epoch(condition.get("lastTransitionTime"))
    return None


def _started_time(status: Object) -> float | None:
    states = [one.get("state", {}) for one in status.get("containerStatuses") or ()]
    begun = [state.get("running") or state.get("terminated") or {} for state in states]
    times = [epoch(state.get("startedAt")) for state in begun]
    return max((time for time in times if time is not None), default=None)
