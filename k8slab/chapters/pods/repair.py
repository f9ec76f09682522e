"""The exercise `repair`: an annotated page of notes becomes a manifest that the API server takes."""

from __future__ import annotations

from k8slab.chapters.checks import CheckResult, seen
from k8slab.chapters.evidence import Evidence
from k8slab.chapters.exercises import Exercise
from k8slab.chapters.pods.seen import containers_of, is_leaving, made_since, waiting_reason
from k8slab.mirror.changes import Object
from k8slab.mirror.lives import is_ready

NAME = "note"
IMAGE = "httpd:2.4"
PORT = 80
OTHERS = frozenset({"httpd", "pair", "clash", "native", "bare", "candle", "letters"})
"""Pods that the chapter's own cells make."""


def repair(evidence: Evidence) -> CheckResult:
    """Whether the Pod `note` was taken by the API server, holds what the note says, and runs."""
    note = evidence.named("Pod", NAME)
    if note is None or is_leaving(note):
        return _missing(evidence)
    if not made_since(evidence, note):
        return seen(
            "The Pod note was there before this task began. Delete it and send your repaired text: does the"
            " API server take it?"
        )
    if (note["metadata"].get("labels") or {}).get("app") != NAME:
        return seen(
            "The Pod note is there without the label app=note. Labels are a mapping below metadata: what"
            " became of those two lines?"
        )
    containers = containers_of(note)
    image = str(containers[0].get("image", "")) if containers else ""
    if image in ("httpd", "httpd:latest"):
        return seen(
            f"The Pod note runs the image {image!r}, which means whatever is newest that day. The task asks"
            f" for {IMAGE}. An image may be changed in place: will you write it, and apply again?"
        )
    if image != IMAGE:
        return seen(
            f"The Pod note asks for the image {image!r}; wanted is {IMAGE}. What does STATUS say of it?"
        )
    ports = [each.get("containerPort") for each in containers[0].get("ports") or ()]
    if PORT not in ports:
        return seen(
            f"The container of note names {', '.join(map(str, ports)) or 'no port'}; the note's text says"
            f" containerPort {PORT}. It would run as well without; but who would know where to knock?"
        )
    if not is_ready(note):
        return seen(
            f"The API server took the Pod note; it is not ready yet ({waiting_reason(note) or 'it starts'})."
            " What do its events say?"
        )
    return CheckResult(
        True,
        f"You repaired it: the API server took the Pod note, and one container of {IMAGE} runs in it on"
        f" {note.get('spec', {}).get('nodeName', 'a node')}.",
    )


def _missing(evidence: Evidence) -> CheckResult:
    strangers = [each for each in evidence.objects.get("Pod", ()) if _is_strange(evidence, each)]
    if strangers:
        return seen(
            f"The Pod {strangers[-1]['metadata']['name']} is there; the task asks for one called {NAME}."
            " Which field holds the name?"
        )
    return seen(
        "No Pod note is there: what was sent so far was refused. Which line does the message under your cell"
        " point at, and what stands there that YAML does not take for a comment?"
    )


def _is_strange(evidence: Evidence, pod: Object) -> bool:
    return pod["metadata"].get("name") not in OTHERS | {NAME} and made_since(evidence, pod)


REPAIR = Exercise(
    id="repair",
    title="From a page to a file",
    task=(
        "Repair the text in the cell below until the API server takes it: a Pod called note with the label"
        " app=note, whose one container runs httpd:2.4 and names port 80."
    ),
    check=repair,
    hints=(
        "Run the cell after each change. In YAML a comment begins with # and a space before it.",
        "Put a # before every arrow, on all seven lines that have one. An arrow behind a name is no fault of"
        " YAML's; it becomes a part of the name, and the API server refuses that.",
        "image: httpd takes the newest; write httpd:2.4. manifests/02-pods/note.yaml holds the whole text.",
    ),
    solution=('lab.apply("note.yaml")',),
)
