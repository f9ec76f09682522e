"""The exercise `surplus`: the ReplicaSet itself deletes a Pod, since there is one too many."""

from __future__ import annotations

from k8slab.chapters.checks import CheckResult, seen
from k8slab.chapters.evidence import Evidence
from k8slab.chapters.exercises import Exercise
from k8slab.chapters.replicasets.counted import (
    Turn,
    bare_pods,
    changes_of_owner,
    chooses,
    counted_at,
    in_words,
    labels_of,
    selector_of,
)
from k8slab.mirror.changes import Object
from k8slab.mirror.lives import Life, wish_of

NAME = "web"
RECENT = 30.0
"""Seconds for which a kill or another number is taken as a try of this task."""


def surplus(evidence: Evidence) -> CheckResult:
    """Whether `web` deleted a Pod because another one joined it."""
    web = evidence.named("ReplicaSet", NAME)
    if web is None:
        return seen(
            "No ReplicaSet web is there. It is whom this exercise is about: has the cell with"
            ' lab.apply("web.yaml") been run?'
        )
    joined = [turn for turn in changes_of_owner(evidence, web, evidence.since) if turn.joined]
    for turn in joined:
        victim = _victim(evidence, web, turn)
        if victim is not None:
            return CheckResult(
                True, f"{_what_you_did(evidence, turn)}; ReplicaSet web deleted {victim.name}."
            )
    return _not_yet(evidence, web, joined)


def _victim(evidence: Evidence, web: Object, turn: Turn) -> Life | None:
    """The Pod that left because that one joined; None if there was not one too many."""
    wanted, counted = evidence.wanted_at(web, turn.moment), counted_at(evidence, web, turn.moment)
    if wanted is None or len(counted) <= wanted:
        return None
    left = [life for life in counted if life.left is not None]
    first = min(left, key=lambda life: life.left or 0, default=None)
    if first is None or evidence.wanted_at(web, first.left or 0) != wanted:
        return None
    return first


def _what_you_did(evidence: Evidence, turn: Turn) -> str:
    for change in evidence.timeline.changes(since=evidence.since, kind="Pod"):
        if change.uid == turn.uid and change.verb == "added" and not change.listed:
            owners = change.object["metadata"].get("ownerReferences")
            return f"You gave {turn.name} the label" if owners else f"You created {turn.name}"
    return f"You gave {turn.name} the label"


def _not_yet(evidence: Evidence, web: Object, joined: list[Turn]) -> CheckResult:
    uid, wants = str(web["metadata"]["uid"]), wish_of(web)
    selector, words = selector_of(web), in_words(selector_of(web))
    recent = max(evidence.since, evidence.now - RECENT)
    steps = [each.wants or 0 for each in evidence.timeline.replicas(uid) if each.moment >= recent]
    strangers = [pod for pod in bare_pods(evidence) if not chooses(selector, labels_of(pod))]
    new = [
        pod for pod in strangers if str(pod["metadata"]["name"]).startswith(NAME) and _is_new(evidence, pod)
    ]
    if joined:
        return seen(
            f"{joined[-1].name} was taken in, and web, which wants {wants}, deletes nothing: none is too many"
            " yet. How many more than it wants must carry the label?"
        )
    if new:
        labels = ", ".join(f"{key}={value}" for key, value in labels_of(new[-1]).items()) or "no label"
        return seen(
            f"{new[-1]['metadata']['name']} runs with {labels}; web counts Pods with {words}, so this one is"
            " none of its own. What would make it count?"
        )
    if wants != 3 or max(steps, default=3) > 3:
        return seen(
            f"The number that web wants was changed; it is {wants} now. Scaling makes it delete, and the task"
            " asks for a way without that; let it want 3. What else can make three too few for what is there?"
        )
    kills = [each for each in evidence.recoveries(web) if each.start >= recent]
    if kills:
        return seen(
            f"{kills[-1].victim.name} was deleted by hand, and web made a new one: that is the other"
            f" direction. {len(evidence.owned(web))} Pods with {words}, {wants} wanted: what would make it"
            " count a fourth?"
        )
    return seen(
        f"{len(evidence.owned(web))} Pods with {words}, {wants} wanted: nothing is too many yet. What would"
        " make it count a fourth?"
    )


def _is_new(evidence: Evidence, pod: Object) -> bool:
    """Whether the Pod never belonged to anybody."""
    life = evidence.timeline.life(str(pod["metadata"]["uid"]))
    return life is not None and not life.owner


SURPLUS = Exercise(
    id="surplus",
    title="One too many",
    task=(
        "Make the ReplicaSet web delete a Pod, without deleting one yourself and without scaling. It wants"
        " three all the while."
    ),
    check=surplus,
    hints=(
        "web counts the Pods that carry one label. Look at the selector in"
        ' lab.kubectl("get replicaset web -o yaml").',
        "It counts whatever carries the label, also Pods that it did not make. kubectl run makes a Pod, and"
        " --labels=key=value gives it a label.",
        'lab.kubectl("run web-extra --image=k8slab/demo:1 --labels=app=web"), and then look at the map.',
    ),
    solution=(
        'lab.kubectl("wait replicaset/web --for=jsonpath={.status.readyReplicas}=3 --timeout=60s").wait(60)',
        'lab.kubectl("run web-extra --image=k8slab/demo:1 --labels=app=web")',
    ),
)
