"""What the learner is asked before it happens: how a rollout counts, a bad image, and a hand on the child."""

from __future__ import annotations

from collections.abc import Mapping

from k8slab.chapters.deployments.rollouts import counts, lives_of, newest_set, replica_sets, turns
from k8slab.chapters.evidence import Evidence
from k8slab.chapters.predictions import Choice, Prediction, Question
from k8slab.mirror.lives import wish_of

NAME = "web"
STALLED_AFTER = 6.0
"""Seconds after a bad image at which the old Pods are counted."""
SET_BACK_AFTER = 3.0


def rolling(evidence: Evidence, asked: float) -> Mapping[str, str] | None:
    """The most Pods there were, and the fewest ready ones, in the first rollout of `web` since `asked`."""
    web = evidence.named("Deployment", NAME)
    turn = next((each for each in turns(evidence, NAME) if each.moment >= asked), None)
    if web is None or turn is None:
        return None
    lives, newest = lives_of(evidence, NAME), newest_set(evidence, web)
    steps = counts(lives, turn.moment, evidence.now)
    if newest is None or steps[-1].ready < (wish_of(web) or 0):
        return None
    if any(life.counts_at(evidence.now) for life in lives if life.owner != newest["metadata"]["uid"]):
        return None
    return {"most": str(max(each.has for each in steps)), "least": str(min(each.ready for each in steps))}


def bad_image(evidence: Evidence, asked: float) -> Mapping[str, str] | None:
    """How many Pods of `web` were ready a while after its template was changed since `asked`."""
    turn = next((each for each in turns(evidence, NAME) if each.moment >= asked), None)
    if turn is None or evidence.now < turn.moment + STALLED_AFTER:
        return None
    serving = sum(life.ready_at(turn.moment + STALLED_AFTER) for life in lives_of(evidence, NAME))
    return {"serving": str(serving)}


def fight(evidence: Evidence, asked: float) -> Mapping[str, str] | None:
    """What a ReplicaSet of `web` wanted a moment after its number was changed by hand since `asked`."""
    children = replica_sets(evidence, NAME)
    for change in evidence.timeline.changes(since=asked, kind="ReplicaSet"):
        before, after = change.before, change.after
        if change.uid not in children or before is None or after is None:
            continue
        if wish_of(before) == wish_of(after):
            continue
        moment = change.moment + SET_BACK_AFTER
        if evidence.now < moment:
            return None
        wanted = evidence.wanted_at(after, moment)
        return {"wants": "back" if wanted == wish_of(before) else "stays"}
    return None


PREDICTIONS = (
    Prediction(
        id="rolling",
        questions=(
            Question(
                "most",
                "web keeps four Pods, and you change their image. How many Pods are there at most meanwhile?",
                (Choice("4", "4"), Choice("5", "5"), Choice("8", "8")),
            ),
            Question(
                "least",
                "And how many of them are ready at the worst moment?",
                (Choice("0", "0"), Choice("3", "3"), Choice("4", "4")),
            ),
        ),
        act="Now run the next cell, and watch the map.",
        judge=rolling,
    ),
    Prediction(
        id="bad-image",
        questions=(
            Question(
                "serving",
                "You ask for an image that does not exist. How many of the four old Pods still work after"
                " six seconds?",
                (Choice("0", "none"), Choice("3", "three of them"), Choice("4", "all four")),
            ),
        ),
        act="Now run the next cell, and watch the requests.",
        judge=bad_image,
    ),
    Prediction(
        id="fight",
        questions=(
            Question(
                "wants",
                "You tell the ReplicaSet below web to keep nine Pods. What does it want three seconds later?",
                (Choice("stays", "nine, as you said"), Choice("back", "four, as before")),
            ),
        ),
        act="Now run the next cell, which scales the ReplicaSet.",
        judge=fight,
    ),
)
"""In the order in which the chapter asks them."""
