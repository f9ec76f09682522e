"""The exercise `misspelt`: a Service looks for a label that no Pod has."""

from __future__ import annotations

from k8slab.chapters.checks import CheckResult, seen
from k8slab.chapters.evidence import Evidence
from k8slab.chapters.exercises import Exercise
from k8slab.chapters.services.endpoints import (
    matches,
    names,
    pairs,
    pods_of,
    ready_now,
    selector_of,
)
from k8slab.mirror.changes import Object

NAME = "shop"
MISSPELT = {"app": "shpo"}
LABELS = {"app": "shop"}


def misspelt(evidence: Evidence) -> CheckResult:
    """Whether the Service `shop` finds its Pods again, and the Pods were left alone."""
    deployment, service = evidence.named("Deployment", NAME), evidence.named("Service", NAME)
    if deployment is None:
        return seen(
            "No Deployment shop is there. It is where this exercise starts: has the cell with"
            ' lab.apply("shop.yaml") been run?'
        )
    if service is None:
        return seen(
            "The Deployment shop is there, and no Service shop: clients know that name and no other."
            " Which file made it, and what should be different this time?"
        )
    touched = _touched(evidence, deployment)
    if touched:
        return seen(touched)
    selector = selector_of(service)
    if not selector:
        return seen(
            "The Service shop has no selector at all now, so nobody fills its list of endpoints. What"
            " should it look for?"
        )
    pods = pods_of(evidence, NAME)
    found = [pod for pod in pods if matches(selector, pod)]
    if not found:
        return seen(_finds_none(evidence, service))
    ready = ready_now(evidence, NAME)
    mine = [str(pod["metadata"]["name"]) for pod in found if pod["metadata"]["uid"] in ready]
    if len(mine) < len(pods):
        return seen(
            f"The Service shop looks for {pairs(selector)}, which {len(found)} of {len(pods)} Pods of shop"
            f" have; {len(mine)} of them get its requests. What does"
            f' lab.kubectl("describe service shop") say about the others?'
        )
    if not _was_misspelt(evidence):
        return seen(
            "The Service shop finds its Pods, and it was so before this task began. What happens if you"
            ' start from lab.apply("shop.yaml")?'
        )
    return CheckResult(
        True,
        f"You changed the selector of the Service shop from {pairs(MISSPELT)} to {pairs(selector)};"
        f" {names(mine)} get its requests now, and no Pod was touched.",
    )


def _touched(evidence: Evidence, deployment: Object) -> str:
    """What was done to Pods, or to what they are made from; empty if nothing was."""
    template = deployment.get("spec", {}).get("template", {}).get("metadata", {}).get("labels") or {}
    if any(template.get(key) != value for key, value in LABELS.items()):
        return (
            f"The template of the Deployment shop makes Pods with {pairs(template)} now. The task leaves the"
            " Pods alone. Which of the two words was misspelt in the first place?"
        )
    relabelled = [
        pod
        for pod in evidence.objects.get("Pod", ())
        if matches(MISSPELT, pod) and not pod["metadata"].get("deletionTimestamp")
    ]
    if relabelled:
        name = relabelled[0]["metadata"]["name"]
        return (
            f"{name} carries {pairs(MISSPELT)}: the Pod was made to fit the mistake, and its ReplicaSet has"
            " made another in its place. Which object held the wrong word?"
        )
    return ""


def _finds_none(evidence: Evidence, service: Object) -> str:
    """Why the Service finds none of the shop's Pods."""
    selector = selector_of(service)
    others = [pod for pod in evidence.objects.get("Pod", ()) if matches(selector, pod)]
    if others:
        return (
            f"The Service shop looks for {pairs(selector)} and finds {names(_names(others))}: Pods, and not"
            " the shop's. Which label do the shop's Pods have?"
        )
    elsewhere = [
        str(each["metadata"]["name"])
        for each in evidence.objects.get("Service", ())
        if each["metadata"]["name"] != NAME and matches(selector_of(each), {"metadata": {"labels": LABELS}})
    ]
    if elsewhere:
        return (
            f"The Service {names(elsewhere)} finds the Pods, but clients ask for shop, and shop still looks"
            f" for {pairs(selector)}. How do you change what a Service looks for?"
        )
    if matches(LABELS, service):
        return (
            f"The Service shop carries the label {pairs(LABELS)} itself now, and still looks for"
            f" {pairs(selector)}. A label says what an object is; which field says what a Service looks for?"
        )
    if selector == MISSPELT:
        return (
            f"The Service shop looks for {pairs(selector)}, the Pods have {pairs(LABELS)}, and 0 addresses"
            " are in its list. Which of the two do you change, and where does it stand?"
        )
    return (
        f"The Service shop looks for {pairs(selector)} now, and no Pod has that; they have {pairs(LABELS)}."
        " Which letters still differ?"
    )


def _was_misspelt(evidence: Evidence) -> bool:
    """Whether the Service was seen with the mistake since the last reset, and then without it."""
    return any(
        change.before is not None
        and change.before["metadata"]["name"] == NAME
        and selector_of(change.before) == MISSPELT
        for change in evidence.timeline.changes(since=evidence.since, kind="Service")
    )


def _names(pods: list[Object]) -> list[str]:
    return [str(pod["metadata"]["name"]) for pod in pods]


MISSPELT_EXERCISE = Exercise(
    id="misspelt",
    title="The misspelt Service",
    task=(
        "A shop has two healthy Pods and a Service, and no customer gets through. Repair it without touching"
        " the Pods."
    ),
    check=misspelt,
    hints=(
        'Compare two columns: lab.kubectl("get service shop -o wide") and lab.kubectl("get pods'
        ' --show-labels").',
        "The Pods' label is right, and the Service's selector is not. You have changed a selector in this"
        " chapter before, to break it.",
        'lab.kubectl("set selector service shop app=shop")',
    ),
    solution=('lab.kubectl("set selector service shop app=shop")',),
)
