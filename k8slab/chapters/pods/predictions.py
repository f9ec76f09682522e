"""What the learner is asked before it happens: a clash of ports, a crash, and a deletion."""

from __future__ import annotations

from collections.abc import Mapping

from k8slab.chapters.evidence import Evidence
from k8slab.chapters.pods.seen import made_since, statuses_of
from k8slab.chapters.predictions import Choice, Prediction, Question
from k8slab.mirror.lives import all_started, restarts_of

BARE = "bare"
CLASH = "clash"
GONE_FOR = 5.0
QUIET = 6.0
"""Seconds after which two containers that both run are held to get along."""


def clash(evidence: Evidence, asked: float) -> Mapping[str, str] | None:
    """How many containers of `clash`, made since `asked`, could keep running."""
    pod = evidence.named("Pod", CLASH)
    life = None if pod is None else evidence.timeline.life(str(pod["metadata"]["uid"]))
    if pod is None or life is None or life.created < asked or not made_since(evidence, pod):
        return None
    failed = [each for each in statuses_of(pod) if each.get("restartCount") or "terminated" in each["state"]]
    if failed:
        return {"running": str(len(statuses_of(pod)) - len(failed))}
    if all_started(pod) and life.started is not None and evidence.now >= life.started + QUIET:
        return {"running": str(len(statuses_of(pod)))}
    return None


def crash(evidence: Evidence, asked: float) -> Mapping[str, str] | None:
    """What came after the first restart in the Pod `bare` since `asked`."""
    for change in evidence.timeline.changes(since=asked, kind="Pod"):
        before, after = change.before, change.after
        if before is None or after is None or after["metadata"].get("name") != BARE:
            continue
        more = restarts_of(after) - restarts_of(before)
        if more > 0:
            same = before.get("status", {}).get("podIP") == after.get("status", {}).get("podIP")
            return {"pod": "same" if same else "moved", "restarts": "up"}
    return None


def deletion(evidence: Evidence, asked: float) -> Mapping[str, str] | None:
    """How many Pods there were in place of `bare`, five seconds after it was deleted since `asked`."""
    lives = evidence.timeline.lives(evidence.namespace)
    victim = next(
        (each for each in lives if each.name == BARE and each.deleted is not None and each.deleted >= asked),
        None,
    )
    if victim is None or victim.deleted is None or victim.gone is None:
        return None
    moment = victim.gone + GONE_FOR
    if evidence.now < moment:
        return None
    heirs = [
        each
        for each in lives
        if each.uid != victim.uid and each.name.startswith(BARE) and victim.deleted <= each.created <= moment
    ]
    if not heirs:
        return {"heirs": "none"}
    return {"heirs": "name" if heirs[0].name == BARE else "other"}


PREDICTIONS = (
    Prediction(
        id="clash",
        questions=(
            Question(
                "running",
                "Two containers of one Pod both want port 8080. How many of them can keep running?",
                (Choice("2", "both"), Choice("1", "one"), Choice("0", "neither")),
            ),
        ),
        act="Now run the next cell.",
        judge=clash,
    ),
    Prediction(
        id="crash",
        questions=(
            Question(
                "pod",
                "The program in the Pod bare crashes. What will you find a moment later?",
                (
                    Choice("same", "the same Pod, with its address"),
                    Choice("moved", "the same Pod, with another address"),
                    Choice("new", "a new Pod"),
                ),
            ),
            Question(
                "restarts",
                "And what does the column RESTARTS say?",
                (Choice("zero", "still 0"), Choice("up", "one more")),
            ),
        ),
        act="Now run the next cell, or press Crash container on the map.",
        judge=crash,
    ),
    Prediction(
        id="deletion",
        questions=(
            Question(
                "heirs",
                "You delete the Pod bare. What is there five seconds after it is gone?",
                (
                    Choice("none", "nothing"),
                    Choice("name", "a new Pod called bare"),
                    Choice("other", "a new Pod with another name"),
                ),
            ),
        ),
        act="Now run the next cell, or press Kill on the map.",
        judge=deletion,
    ),
)
"""In the order in which the chapter asks them."""
