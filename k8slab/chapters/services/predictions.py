"""What the learner is asked before it happens: the heir's address, and a Service with a wrong letter."""

from __future__ import annotations

from collections.abc import Mapping

from k8slab.chapters.evidence import Evidence
from k8slab.chapters.predictions import Choice, Prediction, Question
from k8slab.chapters.services.endpoints import listed_at, listings, lives_of, selector_of

LOOK_AFTER = 2.0
"""Seconds after the change at which the list is looked at."""


def address_of(evidence: Evidence, pod: str) -> str:
    """The address that a Pod was given, also of one that is gone; empty if it was never seen with one."""
    for change in reversed(evidence.timeline.changes(kind="Pod")):
        address = change.object.get("status", {}).get("podIP")
        if change.uid == pod and address:
            return str(address)
    return ""


def next_address(evidence: Evidence, asked: float) -> Mapping[str, str] | None:
    """Whether the heir of the first Pod of `web` that left since `asked` has its address."""
    mine = {life.uid for life in lives_of(evidence, "web")}
    for each in evidence.timeline.recoveries(evidence.namespace):
        if each.start < asked or each.victim.uid not in mine or each.heir is None:
            continue
        old, new = address_of(evidence, each.victim.uid), address_of(evidence, each.heir.uid)
        if not old or not new:
            return None
        return {"address": "same" if old == new else "another"}
    return None


def after_the_typo(evidence: Evidence, asked: float) -> Mapping[str, str] | None:
    """What became of the Service `web` when its selector was changed since `asked`."""
    for change in evidence.timeline.changes(since=asked, kind="Service"):
        before, after = change.before, change.after
        if before is None or after is None or after["metadata"]["name"] != "web":
            continue
        if selector_of(before) == selector_of(after):
            continue
        moment = change.moment + LOOK_AFTER
        if evidence.now < moment:
            return None
        listed = listed_at(listings(evidence, "web"), moment)
        count = len(listed) if listed is not None else 0
        return {"server": "accepts", "list": str(min(count, 3))}
    return None


PREDICTIONS = (
    Prediction(
        id="next-address",
        questions=(
            Question(
                "address",
                "You kill the Pod whose address you wrote down, and a new one takes its place. Which address"
                " has the new one?",
                (Choice("same", "the same address"), Choice("another", "another address")),
            ),
        ),
        act="Now run the next cell, which kills that Pod.",
        judge=next_address,
    ),
    Prediction(
        id="after-the-typo",
        questions=(
            Question(
                "server",
                "You tell the Service web to look for app=wbe. No Pod has that. What will the API server do?",
                (Choice("refuses", "it refuses"), Choice("accepts", "it accepts")),
            ),
            Question(
                "list",
                "How many addresses are in the Service's list two seconds later?",
                (Choice("3", "3"), Choice("2", "2"), Choice("0", "0")),
            ),
        ),
        act="Now run the next cell, which changes the selector.",
        judge=after_the_typo,
    ),
)
"""In the order in which the chapter asks them."""
