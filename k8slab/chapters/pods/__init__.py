"""Chapter 02: a Pod, what its containers share, and what becomes of it when it breaks or goes."""

from __future__ import annotations

from k8slab.chapters.exercises import Chapter, Step
from k8slab.chapters.pods.one_folder import ONE_FOLDER
from k8slab.chapters.pods.one_life import ONE_LIFE
from k8slab.chapters.pods.predictions import PREDICTIONS
from k8slab.chapters.pods.recap import RECAP
from k8slab.chapters.pods.repair import REPAIR


def _has(file: str, name: str, purpose: str) -> Step:
    return Step(
        f'lab.apply("{file}")',
        lambda evidence: any(life.name == name for life in evidence.timeline.lives(evidence.namespace)),
        f"makes {purpose}",
    )


CHAPTER = Chapter(
    name="02-pods",
    title="02 · Pods",
    goal="You can start a Pod, look into it, and say what outlives a crash and what ends for good.",
    steps=(
        _has("pair.yaml", "pair", "the Pod of two containers"),
        _has("bare.yaml", "bare", "the Pod that is crashed and deleted"),
        _has("candle.yaml", "candle", "the Pod of the exercise one-life"),
    ),
    predictions=PREDICTIONS,
    exercises=(REPAIR, ONE_FOLDER, ONE_LIFE),
    recap=RECAP,
)
