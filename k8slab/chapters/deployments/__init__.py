"""Chapter 04: a Deployment leads from one version to the next, and back."""

from __future__ import annotations

from k8slab.chapters.deployments.predictions import PREDICTIONS
from k8slab.chapters.deployments.recap import RECAP
from k8slab.chapters.deployments.repair import REPAIR
from k8slab.chapters.deployments.roll_out import ROLL_OUT
from k8slab.chapters.deployments.undo import UNDO
from k8slab.chapters.exercises import Chapter, Step


def _has(file: str, name: str, purpose: str) -> Step:
    return Step(
        f'lab.apply("{file}")',
        lambda evidence: evidence.named("Deployment", name) is not None,
        f"makes {purpose}",
    )


CHAPTER = Chapter(
    name="04-deployments",
    title="04 · Deployments",
    goal="You can bring a new version out while the old one serves, and take it back when it is bad.",
    steps=(
        _has("web.yaml", "web", "the Deployment web and its Service"),
        _has("shop.yaml", "shop", "the shop of the exercise undo"),
        _has("rough.yaml", "rough", "the Deployment that knows no overlap"),
        _has("till.yaml", "till", "the till of the exercise roll-out"),
    ),
    predictions=PREDICTIONS,
    exercises=(UNDO, ROLL_OUT, REPAIR),
    recap=RECAP,
)
