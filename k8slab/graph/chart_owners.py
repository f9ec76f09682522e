"""Who owned what, read from a timeline: names and revisions of controllers, gone ones included. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from k8slab.graph.entries import revision_of
from k8slab.mirror.changes import Change, Object, controller_of
from k8slab.mirror.lives import WISHES


@dataclass(frozen=True)
class Owner:
    """A controller.

    Args:
        uid, kind, name: which.
        owner: uid of the controller that owns it; empty if none does.
        revision: number of its template among those of its Deployment; 0 if it has none.
        seen: its place in the order in which controllers were seen.
    """

    uid: str
    kind: str
    name: str
    owner: str
    revision: int
    seen: int

    @property
    def words(self) -> str:
        """Kind and name, and the revision of a Deployment's ReplicaSet."""
        text = f"{self.kind} {self.name}"
        return f"{text}, revision {self.revision}" if self.revision else text


def owners_of(
    changes: Iterable[Change], present: Iterable[Object] = (), namespace: str = ""
) -> dict[str, Owner]:
    """Every controller that is or was there, by uid.

    Args:
        changes: a timeline's, oldest first.
        present: objects that are there now, whose changes a timeline may have dropped.
        namespace: only there; everywhere if empty.
    """
    known: dict[str, Owner] = {}
    for obj in (*(change.object for change in changes), *present):
        metadata = obj["metadata"]
        if obj.get("kind") not in KINDS or (namespace and metadata.get("namespace") != namespace):
            continue
        uid = str(metadata["uid"])
        revision = revision_of(obj)
        known[uid] = Owner(
            uid,
            str(obj["kind"]),
            str(metadata["name"]),
            controller_of(obj),
            int(revision) if revision.isdecimal() and obj["kind"] == "ReplicaSet" else 0,
            known[uid].seen if uid in known else len(known),
        )
    return known


KINDS = WISHES | {"Job"}
"""Kinds whose names are wanted."""
