"""The exercise `keep-three`: change the number that is kept, and prove that it is kept."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from k8slab.chapters.checks import CheckResult, seen
from k8slab.chapters.evidence import Evidence, ready_count
from k8slab.chapters.exercises import Exercise
from k8slab.chapters.predictions import Choice, Prediction, Question
from k8slab.mirror.lives import wish_of
from k8slab.mirror.stopwatch import Recovery

AT_ONCE = 10.0
"""Seconds within which two kills count as at once: two clicks, unhurried."""


def two_at_once(evidence: Evidence, asked: float) -> Mapping[str, str] | None:
    """How many Pods `tea` made after two of its three were killed since `asked`."""
    tea = evidence.named("ReplicaSet", "tea")
    pair = None if tea is None else kills_at_once(evidence.recoveries(tea), asked)
    if tea is None or pair is None or ready_count(evidence.owned(tea)) < 3:
        return None
    lives = evidence.timeline.lives(evidence.namespace, str(tea["metadata"]["uid"]))
    end = max(each.start + (each.healed or 0) for each in pair)
    return {"made": str(sum(pair[0].start <= life.created <= end for life in lives))}


def keep_three(evidence: Evidence) -> CheckResult:
    """Whether `tea` keeps three Pods, and has proved it."""
    tea = evidence.named("ReplicaSet", "tea")
    if tea is None:
        return seen(
            "No ReplicaSet tea is there. It is where this exercise starts: has the cell with"
            ' lab.apply("tea.yaml") been run?'
        )
    wants, pods = wish_of(tea), evidence.owned(tea)
    if wants != 3:
        return seen(
            f"The ReplicaSet tea wants {wants} and has {len(pods)}; it should want 3. Which field of it says"
            " how many, and which kubectl verb changes that field?"
        )
    ready = ready_count(pods)
    kills = [each for each in evidence.recoveries(tea) if evidence.wanted_at(tea, each.start) == 3]
    pair = kills_at_once(kills, evidence.since)
    if ready < 3:
        return seen(
            f"tea wants 3 and has {len(pods)}, {ready} of them ready. What are the others waiting for?"
        )
    if not kills:
        return seen("Three are ready, and none was killed yet. How do you know that they would come back?")
    if pair is None:
        return seen(
            f"{kills[-1].victim.name} was killed and replaced; the task asks for two at once (within"
            f" {AT_ONCE:.0f} s). Does the ReplicaSet wait for the first to be back before it makes another?"
        )
    heirs = [each.heir.name for each in pair if each.heir is not None]
    slowest = max(each.healed or 0 for each in pair)
    return CheckResult(
        True,
        f"{pair[0].victim.name} and {pair[1].victim.name} were killed; {' and '.join(heirs)} took their"
        f" places, and all was well again after {slowest:.1f} s.",
    )


def kills_at_once(kills: list[Recovery], since: float) -> tuple[Recovery, Recovery] | None:
    """The first two Pods that left at once and have both been replaced; None while there are none."""
    healed = [each for each in kills if each.start >= since and each.healed is not None]
    for first, second in itertools.pairwise(healed):
        if second.start - first.start <= AT_ONCE:
            return first, second
    return None


KEEP_THREE = Exercise(
    id="keep-three",
    title="Keep three",
    task=(
        "A ReplicaSet named tea is there, and keeps one Pod. Make it keep three. Then prove that it"
        " does: kill two of them at once, and let three be ready again."
    ),
    check=keep_three,
    hints=(
        "The number stands in the ReplicaSet, not in its Pods. Look at it:"
        ' lab.kubectl("get replicaset tea -o yaml").',
        "kubectl has a verb for exactly this field: scale, with the flag --replicas.",
        'lab.kubectl("scale replicaset tea --replicas=3"), then Kill on two Pods of tea on the map.',
    ),
    solution=(
        'lab.kubectl("scale replicaset tea --replicas=3").wait(10)',
        'lab.kubectl("wait replicaset/tea --for=jsonpath={.status.readyReplicas}=3 --timeout=60s").wait(60)',
        'for pod in lab.pods("tea")[:2]:',
        "    lab.kill(pod)",
    ),
    prediction=Prediction(
        id="two-at-once",
        questions=(
            Question(
                "made",
                "tea keeps three Pods, and you kill two at once. How many new ones will be made?",
                (Choice("1", "1"), Choice("2", "2"), Choice("3", "3")),
            ),
        ),
        act="Now do what the task asks.",
        judge=two_at_once,
    ),
)
