"""The exercise `waiting-wish`: five Pods are asked for, and for a while nobody works for the wish."""

from __future__ import annotations

from k8slab.chapters.checks import CheckResult, seen
from k8slab.chapters.cluster_anatomy.outages import (
    CONTROLLER_MANAGER,
    SCHEDULER,
    is_away,
    lives_of,
    node_of,
    outages,
    pods_of,
)
from k8slab.chapters.evidence import Evidence, ready_count
from k8slab.chapters.exercises import Exercise
from k8slab.mirror.lives import wish_of

DEPLOYMENT = "web"
WANTED = 5
WAIT = 3.0
"""Seconds that the wish has to wait."""


def waiting_wish(evidence: Evidence) -> CheckResult:
    """Whether five Pods of `web` were asked for while kube-controller-manager was away, and came at last."""
    web = evidence.named("Deployment", DEPLOYMENT)
    if web is None:
        return seen('No Deployment web is there. Has the cell with lab.apply("web.yaml") been run?')
    wants, pods = wish_of(web), pods_of(evidence, DEPLOYMENT)
    away = is_away(evidence, CONTROLLER_MANAGER)
    if wants != WANTED:
        return seen(_not_asked(wants, len(pods), away))
    asked = _asked(evidence)
    if asked is None:
        return seen("web wanted 5 before this task began. What if you go back to 3 first?")
    came = [life.created for life in lives_of(evidence, DEPLOYMENT) if life.created > asked]
    if len(pods) < WANTED and away:
        return seen(
            f"web wants 5 and has {len(pods)}, for {evidence.now - asked:.0f} s now: the wish is written"
            " down, and nobody compares. Whom do you wake when you have seen enough?"
        )
    waited = sum(
        each.overlap(asked, min(came, default=evidence.now)) for each in outages(evidence, CONTROLLER_MANAGER)
    )
    if waited < WAIT:
        return seen(_too_soon(evidence, waited, min(came, default=evidence.now) - asked))
    unplaced = [pod for pod in pods if not node_of(pod)]
    if unplaced and is_away(evidence, SCHEDULER):
        return seen(f"{len(unplaced)} Pods of web were made, and have no node. Who else is stopped?")
    if ready_count(pods) < WANTED:
        return seen(
            f"The wish waited {waited:.0f} s, and {ready_count(pods)} of 5 Pods are ready. Is everything back"
            " that they need?"
        )
    return CheckResult(
        True,
        f"You asked for 5 while kube-controller-manager was away: the wish waited {waited:.0f} s in etcd, and"
        " was read when the controller-manager was back.",
    )


def _not_asked(wants: int | None, has: int, away: bool) -> str:
    if wants != 3:
        return (
            f"The Deployment web wants {wants}, and this task is about 5. How do you tell it another number?"
        )
    if has > wants:
        return f"The Deployment web wants 3, and {has} Pods are there. Whose wish counts in the end?"
    if away:
        return (
            "kube-controller-manager is stopped, and web wants 3. The API server still takes wishes down."
            " Which wish is it to be?"
        )
    return (
        "web wants 3 and everybody is at work. Wanted is 5, asked for while nobody compares wish and reality."
        " Which part has to be away before you ask?"
    )


def _asked(evidence: Evidence) -> float | None:
    """When five Pods were asked for, the last time; None if that was before the task began."""
    moment = None
    for change in evidence.timeline.changes(since=evidence.since, kind="Deployment"):
        if change.before is None or change.after is None or change.after["metadata"]["name"] != DEPLOYMENT:
            continue
        if wish_of(change.before) != WANTED and wish_of(change.after) == WANTED:
            moment = change.moment
    return moment


def _too_soon(evidence: Evidence, waited: float, took: float) -> str:
    back = "Go back to 3, and ask again: what has to be stopped before, and for how long?"
    if waited > 0:
        return f"The wish waited {waited:.1f} s for kube-controller-manager; wanted are 3 s at least. {back}"
    if outages(evidence, SCHEDULER):
        return (
            f"The new Pods were made {took:.1f} s after you asked. kube-scheduler was away, which leaves Pods"
            f" without a node; to make them is another part's work. {back}"
        )
    return f"The new Pods were made {took:.1f} s after you asked: kube-controller-manager was at work. {back}"


WAITING_WISH = Exercise(
    id="waiting-wish",
    title="A wish that waits",
    task=(
        "Ask for 5 Pods of web in such a way that for 3 seconds at least the wish stands in etcd and only 3"
        " Pods are there. In the end there are to be 5."
    ),
    check=waiting_wish,
    needs=("components",),
    hints=(
        'The wish is a number in the Deployment: lab.kubectl("scale deployment web --replicas=5") changes'
        " it.",
        "Who compares the number with what is there? Stop that part first, ask, wait, and start it again.",
        'lab.components["kube-controller-manager"].stop(), scale, count to three, .start().',
    ),
    solution=(
        "import time",
        'lab.components["kube-controller-manager"].stop()',
        'lab.kubectl("scale deployment web --replicas=5").wait(30)',
        "time.sleep(4)",
        'lab.components["kube-controller-manager"].start()',
    ),
)
