"""The exercise `undo`: a rollout that stalls is taken back, and enough Pods serve all the time."""

from __future__ import annotations

from k8slab.chapters.checks import CheckResult, seen
from k8slab.chapters.deployments.rollouts import (
    Turn,
    counts,
    fewest_ready,
    image_of,
    lives_of,
    newest_set,
    replica_sets,
    template_of,
    turns,
)
from k8slab.chapters.evidence import Evidence, ready_count
from k8slab.chapters.exercises import Exercise
from k8slab.mirror.changes import Object
from k8slab.mirror.lives import wish_of

NAME = "shop"
WANTED = 4
ENOUGH = 3
"""Ready Pods that a rolling update of four leaves, with 25 % that may be missing."""
BAD = "k8slab/demo:1.O"


def undo(evidence: Evidence) -> CheckResult:
    """Whether `shop` is what it was before the bad image, without having had too few ready Pods."""
    shop = evidence.named("Deployment", NAME)
    bad = [turn for turn in turns(evidence, NAME) if image_of(turn.after) == BAD != image_of(turn.before)]
    if shop is None and not bad:
        return seen(
            "No Deployment shop is there. It is where this exercise starts: has the cell with"
            ' lab.apply("shop.yaml") been run?'
        )
    if not bad:
        return seen(
            "The shop is well, and nothing was rolled out badly since this task began. Has the cell with"
            ' lab.apply("shop-new.yaml") been run?'
        )
    turn, former = bad[-1], bad[0].before  # after a detour over version 2, `before` is the detour
    steps = counts(lives_of(evidence, NAME), turn.moment, evidence.now)
    fewest = fewest_ready(steps, ENOUGH)
    again = ' Apply "shop.yaml", wait, apply "shop-new.yaml", and try again:'
    if shop is None:
        return seen(
            f"The Deployment shop was deleted, and its Pods with it: nobody serves.{again} what leads back"
            " without deleting anything?"
        )
    if image_of(shop) == BAD:
        return _still_bad(evidence, shop, turn)
    if template_of(shop) != template_of(former):
        return seen(
            f"shop asks for {image_of(shop)} now. Before the bad rollout it had another template, with"
            f" {image_of(former)}. Which revision was that, and how do you tell `rollout undo` its"
            " number?"
        )
    if fewest < ENOUGH:
        return seen(
            f"The template is the former one, and on the way only {fewest} of {WANTED} Pods were ready at one"
            f" moment.{again} who served while the new Pods could not start?"
        )
    newest = newest_set(evidence, shop)
    ready = 0 if newest is None else ready_count(evidence.owned(newest))
    if wish_of(shop) != WANTED:
        return seen(
            f"The template is the former one, and shop wants {wish_of(shop)} Pods; before it was {WANTED}."
            " Which verb changes that number?"
        )
    if newest is None or ready < WANTED:
        return seen(
            f"The template is the former one, and {ready} of {WANTED} Pods are ready. What do the others wait"
            " for?"
        )
    return CheckResult(
        True,
        f"You took the rollout back: ReplicaSet {newest['metadata']['name']}, which {BAD} was to replace,"
        f" has all {WANTED} Pods again, and never were fewer than {fewest} ready.",
    )


def _still_bad(evidence: Evidence, shop: Object, turn: Turn) -> CheckResult:
    if wish_of(shop) != WANTED:
        return seen(
            f"shop wants {wish_of(shop)} Pods now, and its template still names {BAD}. Does another number"
            " help Pods that find no image?"
        )
    serving = sum(life.ready_at(evidence.now) for life in lives_of(evidence, NAME))
    if serving < ENOUGH:
        return seen(
            f"Only {serving} of {WANTED} Pods serve now, and the template still names {BAD}: what made old"
            " Pods go made it worse. Which command brings the former template back?"
        )
    sets = [each for each in replica_sets(evidence, NAME).values() if image_of(each) == BAD]
    for each in sets:
        uid, name = str(each["metadata"]["uid"]), each["metadata"]["name"]
        wishes = [step.wants or 0 for step in evidence.timeline.replicas(uid) if step.moment >= turn.moment]
        top = next((index for index, wish in enumerate(wishes) if wish == max(wishes)), 0)
        if any(wish < max(wishes) for wish in wishes[top:]):
            return seen(
                f"The ReplicaSet {name} was scaled by hand, and the Deployment shop sets it as it needs it."
                " Whose template names the bad image?"
            )
    for each in sets:
        gone = [
            life
            for life in evidence.timeline.lives(evidence.namespace, str(each["metadata"]["uid"]))
            if life.left is not None and life.left >= turn.moment
        ]
        if gone:
            return seen(
                f"{gone[-1].name} was deleted, and {each['metadata']['name']} made another with the same"
                " image. Where does a new Pod get its image from?"
            )
    if shop.get("spec", {}).get("paused"):
        return seen(
            f"The rollout is paused, and {serving} of {WANTED} Pods serve: it gets no worse, and no better."
            f" The template still names {BAD}; who could put the former one back?"
        )
    return seen(
        f"shop asks for {BAD}, and no registry has it: the new Pods cannot start, and {serving} old ones"
        " serve. Which revision worked, and which command leads back to it?"
    )


UNDO = Exercise(
    id="undo",
    title="Take it back",
    task=(
        "Somebody rolled out a new version of the shop, and its Pods do not start. Bring the shop back to"
        f" what it was: four ready Pods with the former template. Never may fewer than {ENOUGH} be ready."
    ),
    check=undo,
    hints=(
        'See what is there first: lab.kubectl("get replicasets -l app=shop -o wide"). One of the two has an'
        " image that works.",
        "The Deployment knows its revisions: kubectl rollout history. Nothing has to be deleted.",
        'lab.kubectl("rollout undo deployment shop"), or apply shop.yaml, whose template is the former one.',
    ),
    solution=(
        'lab.kubectl("rollout undo deployment shop").wait(30)',
        'lab.kubectl("rollout status deployment shop --timeout=60s")',
    ),
)
