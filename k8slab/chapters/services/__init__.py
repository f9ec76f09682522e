"""Chapter 05: a Service is one address in front of Pods that come and go."""

from __future__ import annotations

from k8slab.chapters.exercises import Chapter, Step
from k8slab.chapters.services.by_hand import BY_HAND
from k8slab.chapters.services.predictions import PREDICTIONS
from k8slab.chapters.services.readiness import TAKE_OUT
from k8slab.chapters.services.recap import RECAP
from k8slab.chapters.services.renewal import NO_REQUEST_LOST
from k8slab.chapters.services.selectors import MISSPELT_EXERCISE


def _has(file: str, kind: str, name: str, purpose: str) -> Step:
    return Step(
        f'lab.apply("{file}")', lambda evidence: evidence.named(kind, name) is not None, f"makes {purpose}"
    )


CHAPTER = Chapter(
    name="05-services",
    title="05 · Services",
    goal=(
        "You can put one lasting address in front of Pods that come and go, and say why a Service has nobody"
        " behind it."
    ),
    steps=(
        _has("web.yaml", "Deployment", "web", "the Pods of web and the Pod client"),
        _has("web-service.yaml", "Service", "web", "the Service web"),
        _has("shop.yaml", "Deployment", "shop", "the shop of the exercise misspelt"),
        _has("till.yaml", "Deployment", "till", "the till of the exercise no-request-lost"),
        _has("mysql.yaml", "Pod", "mysql", "the Pod mysql"),
        _has("by-hand.yaml", "Service", "by-hand", "the Service without a selector"),
    ),
    predictions=PREDICTIONS,
    exercises=(MISSPELT_EXERCISE, TAKE_OUT, NO_REQUEST_LOST, BY_HAND),
    recap=RECAP,
)
