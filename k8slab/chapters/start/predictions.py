"""What the learner is asked before it happens: a Pod made by hand that dies, and one of twenty."""

from __future__ import annotations

from collections.abc import Mapping

from k8slab.chapters.evidence import Evidence
from k8slab.chapters.predictions import Choice, Prediction, Question
from k8slab.chapters.start.fleet import kills, lives_of

LOOK_AFTER = 5.0
"""Seconds after a kill at which is counted."""

BY_HAND = "hand-"
"""How the names of Pods made by hand begin."""


def by_hand(evidence: Evidence, asked: float) -> Mapping[str, str] | None:
    """What took the place of the first Pod made by hand that left since `asked`."""
    lives = [
        life
        for life in evidence.timeline.lives(evidence.namespace)
        if life.name.startswith(BY_HAND) and not life.owner
    ]
    gone = sorted((life.left, life.name) for life in lives if life.left is not None and life.left >= asked)
    if not gone or evidence.now < gone[0][0] + LOOK_AFTER:
        return None
    moment, name = gone[0]
    later = [life.name for life in lives if moment < life.created <= moment + LOOK_AFTER]
    return {"next": "nothing" if not later else "same" if name in later else "another"}


def one_of_twenty(evidence: Evidence, asked: float) -> Mapping[str, str] | None:
    """How many Pods `twenty` had five seconds after the first kill since `asked`."""
    done = kills(evidence, "twenty", asked)
    if not done or evidence.now < done[0].start + LOOK_AFTER:
        return None
    moment = done[0].start + LOOK_AFTER
    return {"count": str(sum(life.counts_at(moment) for life in lives_of(evidence, "twenty")))}


PREDICTIONS = (
    Prediction(
        id="by-hand",
        questions=(
            Question(
                "next",
                "You kill hand-1, which was started by hand. What has taken its place five seconds later?",
                (
                    Choice("same", "a new one with the same name"),
                    Choice("another", "a new one with another name"),
                    Choice("nothing", "nothing"),
                ),
            ),
        ),
        act="Now run the next cell, which kills hand-1.",
        judge=by_hand,
    ),
    Prediction(
        id="one-of-twenty",
        questions=(
            Question(
                "count",
                "You kill one of the twenty. How many are there five seconds later?",
                (Choice("19", "19"), Choice("20", "20"), Choice("21", "21")),
            ),
        ),
        act="Now run the next cell, which kills one of them.",
        judge=one_of_twenty,
    ),
)
"""In the order in which the chapter asks them."""
