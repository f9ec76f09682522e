"""Chapter 01: the parts of a cluster, each known by what happens while it is away."""

from __future__ import annotations

from k8slab.chapters.cluster_anatomy.own_choice import OWN_CHOICE
from k8slab.chapters.cluster_anatomy.predictions import PREDICTIONS
from k8slab.chapters.cluster_anatomy.recap import RECAP
from k8slab.chapters.cluster_anatomy.waiting_wish import WAITING_WISH
from k8slab.chapters.cluster_anatomy.who_is_missing import WHO_IS_MISSING
from k8slab.chapters.exercises import Chapter, Step


def _has(file: str, kind: str, name: str, purpose: str) -> Step:
    return Step(
        f'lab.apply("{file}")', lambda evidence: evidence.named(kind, name) is not None, f"makes {purpose}"
    )


CHAPTER = Chapter(
    name="01-cluster-anatomy",
    title="01 · Cluster anatomy",
    goal="You can say what each part of a cluster does, and tell from what is missing which part is away.",
    steps=(
        _has("hello.yaml", "Pod", "hello", "the Pod hello"),
        _has("late.yaml", "Pod", "late", "the Pod late"),
        _has("web.yaml", "Deployment", "web", "the three Pods of web"),
        _has("tea.yaml", "Deployment", "tea", "the Deployment tea of the exercise who-is-missing"),
    ),
    predictions=PREDICTIONS,
    exercises=(OWN_CHOICE, WAITING_WISH, WHO_IS_MISSING),
    recap=RECAP,
)
