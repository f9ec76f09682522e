"""Chapter 03: a ReplicaSet keeps the number of its Pods, whatever happens to them."""

from __future__ import annotations

from k8slab.chapters.exercises import Chapter, Step
from k8slab.chapters.replicasets.by_set import BY_SET
from k8slab.chapters.replicasets.keep_three import KEEP_THREE
from k8slab.chapters.replicasets.predictions import PREDICTIONS
from k8slab.chapters.replicasets.quarantine import QUARANTINE
from k8slab.chapters.replicasets.recap import RECAP
from k8slab.chapters.replicasets.surplus import SURPLUS


def _has(kind: str, name: str, file: str, purpose: str = "") -> Step:
    return Step(
        f'lab.apply("{file}")',
        lambda evidence: evidence.named(kind, name) is not None,
        purpose or f"makes the {kind} {name}",
    )


CHAPTER = Chapter(
    name="03-replicasets",
    title="03 · ReplicaSets",
    goal="You can say who replaces a Pod that dies, how long that takes, and how to change the number kept.",
    steps=(
        _has("ReplicaSet", "web", "web.yaml"),
        Step(
            'lab.kill(lab.pods("web")[0])',
            lambda evidence: any(
                each.start >= evidence.since for each in evidence.timeline.recoveries(evidence.namespace)
            ),
            "gives the stopwatch something to time",
        ),
        _has("ReplicaSet", "tea", "tea.yaml"),
        _has("ReplicaSet", "till", "till.yaml"),
        _has("Pod", "tier-front", "tiers.yaml", "makes the Pods that nobody keeps"),
    ),
    predictions=PREDICTIONS,
    exercises=(KEEP_THREE, SURPLUS, QUARANTINE, BY_SET),
    recap=RECAP,
)
