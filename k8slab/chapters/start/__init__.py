"""Chapter 00: twenty containers from one declaration, and what the words mean."""

from __future__ import annotations

from k8slab.chapters.evidence import Evidence
from k8slab.chapters.exercises import Chapter, Step
from k8slab.chapters.start.exercises import EXERCISES
from k8slab.chapters.start.fleet import deleted
from k8slab.chapters.start.predictions import PREDICTIONS
from k8slab.chapters.start.products import LIFE, PRODUCTS
from k8slab.chapters.start.recap import RECAP

__all__ = ["CHAPTER", "LIFE", "PRODUCTS"]


def _was_there(name: str, evidence: Evidence) -> bool:
    """Whether the Deployment is there, or was and has been deleted as an exercise asks."""
    return evidence.named("Deployment", name) is not None or bool(deleted(evidence, "Deployment", name))


CHAPTER = Chapter(
    name="00-start",
    title="00 · Start",
    goal="You can run a cell, ask for twenty containers, and say why they come back when they die.",
    steps=(
        Step(
            'lab.apply("practice.yaml")',
            lambda evidence: _was_there("practice", evidence),
            "makes the Pod to practise on",
        ),
        Step(
            'lab.apply("twenty.yaml")',
            lambda evidence: _was_there("twenty", evidence),
            "makes the twenty Pods",
        ),
    ),
    predictions=PREDICTIONS,
    exercises=EXERCISES,
    recap=RECAP,
)
