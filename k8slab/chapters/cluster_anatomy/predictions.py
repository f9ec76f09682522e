"""What the learner is asked before a part is stopped."""

from __future__ import annotations

from collections.abc import Mapping

from k8slab.chapters.cluster_anatomy.outages import (
    API_SERVER,
    CONTROLLER_MANAGER,
    LAG,
    SCHEDULER,
    away_at,
    life_of,
    lives_of,
)
from k8slab.chapters.evidence import Evidence
from k8slab.chapters.predictions import Choice, Prediction, Question
from k8slab.graph.components import component_of
from k8slab.mirror.changes import Object, epoch
from k8slab.mirror.lives import is_ready, restarts_of

LOOK_AFTER = 3.0
"""Seconds after the act at which is looked what came of it."""
AT_ONCE = 10.0


def no_scheduler(evidence: Evidence, asked: float) -> Mapping[str, str] | None:
    """What became of the Pod `late` that was made since `asked`, and of `hello` meanwhile."""
    late, hello = life_of(evidence, "late"), life_of(evidence, "hello")
    if late is None or late.created < asked:
        return None
    waited = late.scheduled is None or late.scheduled - late.created >= 1.0
    away = away_at(evidence, SCHEDULER, late.created)
    # A kubelet tells only some seconds later that its scheduler is gone.
    look_after = LOOK_AFTER if away is not None else LOOK_AFTER + LAG
    if waited and evidence.now < late.created + look_after and late.scheduled is None:
        return None
    waits = waited and away is not None
    stopped = hello is None or any(
        each is not None and each >= asked for each in (hello.left, *hello.restarts)
    )
    return {"new": "waits" if waits else "runs", "old": "stops" if stopped else "runs"}


def no_controller_manager(evidence: Evidence, asked: float) -> Mapping[str, str] | None:
    """How many Pods of `web` were there some seconds after one of them was killed."""
    lives = lives_of(evidence, "web")
    left = [life.left for life in lives if life.left is not None and life.left >= asked]
    if not left:
        return None
    outage = away_at(evidence, CONTROLLER_MANAGER, left[0])
    # A notebook that is run through starts the part again sooner than that.
    looked = min(left[0] + LOOK_AFTER, outage.end) if outage is not None else left[0] + LOOK_AFTER
    if evidence.now < looked:
        return None
    return {"count": str(min(3, sum(life.counts_at(looked - 0.01) for life in lives)))}


def no_api_server(evidence: Evidence, asked: float) -> Mapping[str, str] | None:
    """What became of the chapter's Pods while the API server was away since `asked`."""
    back = None
    for change in evidence.timeline.changes(since=asked, kind="Pod"):
        if component_of(change.object) != API_SERVER or change.after is None:
            continue
        more = change.before is not None and restarts_of(change.after) > restarts_of(change.before)
        if more or _started(change.after) > asked:
            back = change.moment
    if back is None or evidence.now < back + 1.0:
        return None
    before = [life for life in evidence.timeline.lives(evidence.namespace) if life.created < asked]
    before = [life for life in before if life.left is None or life.left >= asked]
    if any(life.left is not None and life.left <= back for life in before):
        return {"containers": "stop"}
    if any(asked <= moment <= back + 1.0 for life in before for moment in life.restarts):
        return {"containers": "restart"}
    return {"containers": "run"}


def silent_node(evidence: Evidence, asked: float) -> Mapping[str, str] | None:
    """When the node of `hello` was called NotReady since `asked`, and whether Pods of it were gone."""
    hello = life_of(evidence, "hello")
    if hello is None:
        return None
    for change in evidence.timeline.changes(since=asked, kind="Node"):
        before, after = change.before, change.after
        if before is None or after is None or after["metadata"]["name"] != hello.node:
            continue
        if not (_ready(before) and not _ready(after)) or evidence.now < change.moment + 1.0:
            continue
        gone = any(
            life.left is not None and asked <= life.left <= change.moment + 1.0 and life.node == hello.node
            for life in evidence.timeline.lives(evidence.namespace)
        )
        soon = change.moment - asked < AT_ONCE
        return {"when": "at-once" if soon else "later", "pods": "gone" if gone else "there"}
    return None


def _started(pod: Object) -> float:
    """When its program was started last; a static Pod that was made anew counts no restart."""
    statuses = pod.get("status", {}).get("containerStatuses") or ()
    running = [(each.get("state") or {}).get("running") or {} for each in statuses]
    return max((epoch(each.get("startedAt")) or 0.0 for each in running), default=0.0)


def _ready(node: Object) -> bool:
    return is_ready(node)


PREDICTIONS = (
    Prediction(
        id="no-scheduler",
        questions=(
            Question(
                "new",
                "kube-scheduler is stopped, and you ask for a new Pod, late. What will it be?",
                (
                    Choice("refused", "refused by the API server"),
                    Choice("runs", "running on some node"),
                    Choice("waits", "waiting without a node"),
                ),
            ),
            Question(
                "old",
                "And the Pod hello, which runs already?",
                (Choice("stops", "stopped, too"), Choice("runs", "running as before")),
            ),
        ),
        act="Now run the next two cells: one stops the scheduler, one asks for late.",
        judge=no_scheduler,
        needs=("components",),
    ),
    Prediction(
        id="no-controller-manager",
        questions=(
            Question(
                "count",
                "kube-controller-manager is stopped, and you kill one of the three Pods of web. How many are"
                " there three seconds later?",
                (Choice("3", "3"), Choice("2", "2"), Choice("0", "0")),
            ),
        ),
        act="Now run the next two cells: one stops the controller-manager, one kills a Pod.",
        judge=no_controller_manager,
        needs=("components",),
    ),
    Prediction(
        id="no-api-server",
        questions=(
            Question(
                "containers",
                "You are about to stop kube-apiserver, the one that everybody talks to. What are the"
                " containers of your Pods, meanwhile?",
                (
                    Choice("stop", "stopped"),
                    Choice("restart", "restarted"),
                    Choice("run", "running as before"),
                ),
            ),
        ),
        act="Now stop it. The answer comes when it is back: until then nobody can tell.",
        judge=no_api_server,
        needs=("components",),
    ),
    Prediction(
        id="silent-node",
        questions=(
            Question(
                "when",
                "The agent of the node where hello runs falls silent. When does the cluster call this node"
                " NotReady?",
                (Choice("at-once", "at once"), Choice("later", "about a minute later")),
            ),
            Question(
                "pods",
                "And the Pods on it, at that moment?",
                (Choice("gone", "removed"), Choice("there", "still there")),
            ),
        ),
        act="Now run the next cell. The answer needs about a minute; read on meanwhile.",
        judge=silent_node,
        needs=("machines",),
    ),
)
"""In the order in which the chapter asks them."""
