"""The exercise `repair`: a skeleton out of old notes becomes a Deployment that runs."""

from __future__ import annotations

from k8slab.chapters.checks import CheckResult, seen
from k8slab.chapters.deployments.rollouts import container_of, image_of, newest_set
from k8slab.chapters.evidence import Evidence, ready_count
from k8slab.chapters.exercises import Exercise
from k8slab.mirror.changes import Object
from k8slab.mirror.lives import wish_of

NAME = "note"
WANTED = 3
REPOSITORY = "k8slab/demo:"
OTHERS = frozenset({"web", "till", "shop", "rough"})
"""Deployments that the chapter's own files make."""


def repair(evidence: Evidence) -> CheckResult:
    """Whether the Deployment `note` was taken by the API server and runs."""
    note = evidence.named("Deployment", NAME)
    if note is None:
        return _missing(evidence)
    born = [
        change
        for change in evidence.timeline.changes(since=evidence.since, kind="Deployment")
        if change.verb == "added" and not change.listed and change.uid == note["metadata"]["uid"]
    ]
    if not born:
        return seen(
            "The Deployment note was there before this task began. Delete it and send your repaired text:"
            " does the API server take it?"
        )
    wants, container = wish_of(note), container_of(note)
    if wants != WANTED:
        return seen(
            f"The Deployment note is there and wants {wants}; the note's text should say {WANTED}. Which"
            " field of spec is that?"
        )
    if not image_of(note).startswith(REPOSITORY):
        return seen(
            f"The Deployment note is there, with the image {image_of(note)!r}; wanted is {REPOSITORY}1. What"
            " do its Pods say?"
        )
    if not container.get("ports"):
        return seen(
            "The Deployment note is there, and its container names no port; the note's text lists `ports`."
            " On which containerPort does the demo application listen?"
        )
    newest = newest_set(evidence, note)
    ready = 0 if newest is None else ready_count(evidence.owned(newest))
    if newest is None or ready < WANTED:
        return seen(
            f"The API server took the Deployment note, and {ready} of {WANTED} Pods are ready. What do the"
            " others wait for?"
        )
    labels = note.get("spec", {}).get("selector", {}).get("matchLabels") or {}
    chosen = ", ".join(f"{key}={value}" for key, value in labels.items()) or "an expression"
    return CheckResult(
        True,
        f"You repaired it: the API server took the Deployment note, whose selector and template agree on"
        f" {chosen}. ReplicaSet {newest['metadata']['name']} keeps {WANTED} ready Pods, and status says what"
        " a controller counted.",
    )


def _missing(evidence: Evidence) -> CheckResult:
    for kind in ("ReplicaSet", "Pod"):
        if evidence.named(kind, NAME) is not None:
            return seen(
                f"note is there as a {kind}; the task asks for a Deployment. Which kind and which apiVersion"
                " belong together?"
            )
    strangers = [each for each in evidence.objects.get("Deployment", ()) if _is_strange(each)]
    if strangers:
        return seen(
            f"The Deployment {strangers[-1]['metadata']['name']} is there; the task asks for one called"
            f" {NAME}. Which field holds the name?"
        )
    return seen(
        "No Deployment note is there: what was sent so far was refused. What does the message under your cell"
        " name first, and on which line?"
    )


def _is_strange(deployment: Object) -> bool:
    return deployment["metadata"].get("name") not in OTHERS


REPAIR = Exercise(
    id="repair",
    title="Six faults",
    task=(
        "Repair the note's text in the cell below until the API server takes it: a Deployment called note,"
        " with 3 ready Pods of k8slab/demo:1 that listen on port 8080. The text holds six faults."
    ),
    check=repair,
    hints=(
        "Run the cell after each change; it names the next faults, and their lines. In YAML a comment"
        " begins with #.",
        "A Deployment belongs to apps/v1. The selector needs matchLabels, and the template needs a metadata"
        " with the same labels. The container needs its name and its image.",
        "The sixth fault is never reported: a status is written by controllers, and what a file says there is"
        " ignored. manifests/04-deployments/repaired.yaml holds the whole text.",
    ),
    solution=('lab.apply("repaired.yaml")',),
)
