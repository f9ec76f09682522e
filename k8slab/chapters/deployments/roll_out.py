"""The exercise `roll-out`: version 2 comes, and at no moment are fewer than four Pods ready."""

from __future__ import annotations

from k8slab.chapters.checks import CheckResult, seen
from k8slab.chapters.deployments.rollouts import Turn, counts, image_of, lives_of, newest_set, turns
from k8slab.chapters.evidence import Evidence, ready_count
from k8slab.chapters.exercises import Exercise
from k8slab.mirror.changes import Object
from k8slab.mirror.lives import wish_of

NAME = "till"
NEEDED = 4
BEFORE = 0.5
"""Seconds before the change from which on Pods are counted: the news of it and of them come separately."""
OLD, NEW = "k8slab/demo:1", "k8slab/demo:2"


def roll_out(evidence: Evidence) -> CheckResult:
    """Whether `till` came to version 2 with four ready Pods at every moment."""
    till = evidence.named("Deployment", NAME)
    if till is None:
        return seen(
            "No Deployment till is there. It is where this exercise starts: has the cell with"
            ' lab.apply("till.yaml") been run?'
        )
    tries = [turn for turn in turns(evidence, NAME) if image_of(turn.after) == NEW != image_of(turn.before)]
    if image_of(till) != NEW:
        return _not_begun(evidence, till, tries)
    if not tries:
        return seen(
            "till runs version 2 without having been led there: it began with that, or was made anew. The"
            " task asks for the way from version 1. How do you bring version 1 back first?"
        )
    return _judge(evidence, till, tries[-1])


def _not_begun(evidence: Evidence, till: Object, tries: list[Turn]) -> CheckResult:
    image = image_of(till)
    if image != OLD:
        return seen(f"till asks for {image or 'no image'} now; the task asks for {NEW}. Which part differs?")
    if wish_of(till) != NEEDED:
        return seen(
            f"till wants {wish_of(till)} Pods of version 1; in the end it should want {NEEDED}, of version 2."
            " Is the number of Pods what this task changes?"
        )
    if tries:
        return seen(
            "till is back at version 1, and you can try again. What have you changed since, so that no Pod"
            " may be missing this time?"
        )
    beside = [
        str(each["metadata"]["name"])
        for each in evidence.objects.get("Deployment", ())
        if image_of(each) == NEW and (each["metadata"].get("labels") or {}).get("app") == NAME
    ]
    if beside:
        return seen(
            f"{beside[0]} runs version 2 beside till, and till itself still runs version 1. Can you change"
            " till, rather than add to it?"
        )
    if turns(evidence, NAME):
        return seen(
            "The Pods of till were renewed, and they are still of version 1: a restart keeps the image. Which"
            " field names the image?"
        )
    rolling = (till.get("spec", {}).get("strategy") or {}).get("rollingUpdate") or {}
    if rolling.get("maxUnavailable") in (0, "0%"):
        return seen(
            "till still runs version 1, and no Pod may be missing while that changes: well prepared. Which"
            " command changes the image?"
        )
    return seen(
        f"till runs version 1, {NEEDED} Pods of it, and maxUnavailable is"
        f" {rolling.get('maxUnavailable', 'not set')}. How many of four may be missing then, and how many"
        " does the task allow?"
    )


def _judge(evidence: Evidence, till: Object, turn: Turn) -> CheckResult:
    lives = lives_of(evidence, NAME)
    newest = newest_set(evidence, till)
    ready = 0 if newest is None else ready_count(evidence.owned(newest))
    old = [life for life in lives if newest is None or life.owner != newest["metadata"]["uid"]]
    steps = counts(lives, turn.moment - BEFORE, evidence.now)
    for index, step in enumerate(steps):
        if index and step.ready >= NEEDED and not any(life.counts_at(step.moment) for life in old):
            steps = steps[: index + 1]  # the rollout is over; what happens later is not part of it
            break
    least = min(step.ready for step in steps)
    if steps[0].ready < NEEDED:
        return seen(
            f"When you changed the image, {steps[0].ready} of {NEEDED} Pods were ready. Go back with"
            " `rollout undo` and let four be ready first: how do you see that they are?"
        )
    if least == 0:
        return seen(
            "All Pods of version 1 went before the first of version 2 was ready: at one moment nobody was"
            " there. Go back with `rollout undo`; which strategy makes the new before the old goes?"
        )
    if least < NEEDED:
        return seen(
            f"Version 2 came, and at one moment only {least} of {NEEDED} Pods were ready. Go back with"
            " `rollout undo`; which number of the strategy allowed one to be missing?"
        )
    if wish_of(till) != NEEDED:
        return seen(
            f"So far never fewer than {NEEDED} were ready, and till wants {wish_of(till)} Pods now; in the"
            f" end it should want {NEEDED}. Which verb changes that number?"
        )
    left = sum(life.counts_at(evidence.now) for life in old)
    if ready < NEEDED or left:
        return seen(
            f"{ready} Pods of version 2 are ready, and {left} of version 1 are left; never were fewer than"
            f" {least} ready so far. What does the rollout wait for?"
        )
    assert newest is not None
    most = max(step.has for step in steps)
    return CheckResult(
        True,
        f"You led till to version 2: ReplicaSet {newest['metadata']['name']} has its {NEEDED} Pods, there"
        f" were {most} at most, and never fewer than {least} ready.",
    )


ROLL_OUT = Exercise(
    id="roll-out",
    title="No Pod may be missing",
    task=(
        "Four Pods of till are all needed: at noon three would be too few. Bring till to version 2,"
        " k8slab/demo:2. At no moment may fewer than four Pods be ready."
    ),
    check=roll_out,
    hints=(
        "Of four Pods, 25 % may be missing: that is one. The field is spec.strategy.rollingUpdate, and it"
        " holds two numbers.",
        "With maxUnavailable 0 a new Pod has to be ready before an old one goes. maxSurge allows one more"
        " Pod meanwhile. `kubectl patch` changes one field of what is stored.",
        '%kubectl patch deployment till -p \'{"spec": {"strategy": {"rollingUpdate":'
        ' {"maxUnavailable": 0}}}}\''
        ", and then kubectl set image, as you did with web.",
    ),
    solution=(
        'lab.kubectl("rollout status deployment till --timeout=60s").wait(60)',
        'none_missing = \'{"spec": {"strategy": {"rollingUpdate": {"maxUnavailable": 0}}}}\'',
        "lab.kubectl(f\"patch deployment till -p '{none_missing}'\").wait(30)",
        'lab.kubectl("set image deployment/till demo=k8slab/demo:2").wait(30)',
        'lab.kubectl("rollout status deployment till --timeout=60s")',
    ),
)
