"""What the learner is asked before it happens: a kill, a label taken away, all three killed at once."""

from __future__ import annotations

from collections.abc import Mapping

from k8slab.chapters.evidence import Evidence, ready_count
from k8slab.chapters.predictions import Choice, Prediction, Question
from k8slab.chapters.replicasets.counted import changes_of_owner, counted_at
from k8slab.mirror.lives import wish_of

FIVE_SECONDS = 5.0
ALL_AT_ONCE = 10.0
"""Seconds within which the kills of all Pods belong together."""


def after_the_kill(evidence: Evidence, asked: float) -> Mapping[str, str] | None:
    """Pods of `web` five seconds after the first kill since `asked`, and the replacement's name."""
    web = evidence.named("ReplicaSet", "web")
    kills = [] if web is None else [each for each in evidence.recoveries(web) if each.start >= asked]
    if web is None or not kills or evidence.now < kills[0].start + FIVE_SECONDS:
        return None
    kill = kills[0]
    moment = kill.start + FIVE_SECONDS
    owner = str(web["metadata"]["uid"])
    count = sum(life.counts_at(moment) for life in evidence.timeline.lives(evidence.namespace, owner))
    name = "none" if kill.heir is None else "same" if kill.heir.name == kill.victim.name else "another"
    return {"count": str(count), "name": name}


def without_label(evidence: Evidence, asked: float) -> Mapping[str, str] | None:
    """How many Pods ran five seconds after one of `web` lost its label since `asked`, it included."""
    web = evidence.named("ReplicaSet", "web")
    turns = [] if web is None else changes_of_owner(evidence, web, asked)
    released = [turn for turn in turns if not turn.joined]
    if web is None or not released or evidence.now < released[0].moment + FIVE_SECONDS:
        return None
    moment = released[0].moment + FIVE_SECONDS
    orphan = evidence.timeline.life(released[0].uid)
    alive = orphan is not None and orphan.counts_at(moment)
    return {"count": str(len(counted_at(evidence, web, moment)) + alive)}


def all_at_once(evidence: Evidence, asked: float) -> Mapping[str, str] | None:
    """How many Pods of `web` were ready at the worst moment after all of them were killed since `asked`."""
    web = evidence.named("ReplicaSet", "web")
    wanted = 0 if web is None else wish_of(web) or 0
    if web is None or not wanted or ready_count(evidence.owned(web)) < wanted:
        return None
    lives = evidence.timeline.lives(evidence.namespace, str(web["metadata"]["uid"]))
    left = sorted(life.left for life in lives if life.left and life.left >= asked)
    left = next((left[i:] for i in range(len(left)) if _together(left[i : i + wanted], wanted)), [])
    if not left:
        return None
    turns = [moment for life in lives for moment, _ in life.turns if moment > left[0]]
    moments = [*left, *turns]
    ready = [sum(life.ready_at(at) for life in counted_at(evidence, web, at)) for at in moments]
    return {"ready": str(min(ready))}


def _together(moments: list[float], wanted: int) -> bool:
    return len(moments) == wanted and moments[-1] - moments[0] <= ALL_AT_ONCE


PREDICTIONS = (
    Prediction(
        id="after-the-kill",
        questions=(
            Question(
                "count",
                "You delete one of the three Pods. How many will there be five seconds later?",
                (Choice("2", "2"), Choice("3", "3"), Choice("4", "4")),
            ),
            Question(
                "name",
                "If there is a new one: what will it be called?",
                (
                    Choice("same", "the same name"),
                    Choice("another", "another name"),
                    Choice("none", "there will be no new one"),
                ),
            ),
        ),
        act="Now press Kill on any Pod of web, or run the next cell.",
        judge=after_the_kill,
    ),
    Prediction(
        id="without-label",
        questions=(
            Question(
                "count",
                "One of the three Pods loses its label. How many Pods run five seconds later, it included?",
                (Choice("2", "2"), Choice("3", "3"), Choice("4", "4")),
            ),
        ),
        act="Now run the next cell.",
        judge=without_label,
    ),
    Prediction(
        id="all-at-once",
        questions=(
            Question(
                "ready",
                "You kill all three at once. How many Pods are ready at the worst moment?",
                (Choice("0", "none"), Choice("1", "one"), Choice("3", "three")),
            ),
        ),
        act="Now run the next cell, and watch the requests.",
        judge=all_at_once,
    ),
)
"""In the order in which the chapter asks them."""
