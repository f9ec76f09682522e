"""What the mirror tells its listeners: one change of one object, with its time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

Object = Mapping[str, Any]
"""One Kubernetes object as the API server sent it, slimmed; never changed once it is in the store."""

Verb = Literal["added", "modified", "deleted"]

UNSEEN = "k8slab.dev/unseen"
"""Annotation of what stands in the place of a Node that this user may not see; see `unseen_nodes`."""


@dataclass(frozen=True)
class Change:
    """One object appeared, changed or went away.

    Args:
        moment: when it was received, in epoch seconds.
        kind: the object's kind, such as `Pod`.
        verb: `added`, `modified` or `deleted`.
        before: the object as it was known; None when it was added.
        after: the object as it is; None when it was deleted.
        listed: whether it came from a list rather than a watch: it happened before `moment`, unknown when.
    """

    moment: float
    kind: str
    verb: Verb
    before: Object | None
    after: Object | None
    listed: bool = False

    @property
    def object(self) -> Object:
        """The newest version there is: `after`, or what was known before it was deleted."""
        known = self.after if self.after is not None else self.before
        if known is None:
            raise ValueError("a change carries an object before or after it")
        return known

    @property
    def uid(self) -> str:
        """The identity of the object."""
        return uid_of(self.object)


Listener = Callable[[Change], None]
"""Something that wants every change; called in order, on one thread."""


def uid_of(obj: Object) -> str:
    """The uid of an object: its identity; names come back, uids never do."""
    return str(obj["metadata"]["uid"])


def controller_of(obj: Object) -> str:
    """The uid of the controller that owns an object; empty if none does."""
    for reference in obj["metadata"].get("ownerReferences") or ():
        if reference.get("controller"):
            return str(reference.get("uid", ""))
    return ""


def epoch(timestamp: str | None) -> float | None:
    """An API timestamp, such as `2026-01-01T00:00:00Z`, in epoch seconds; None if there is none.

    The API keeps whole seconds in object metadata: what happened is up to one second later.
    """
    if not timestamp:
        return None
    return datetime.fromisoformat(timestamp).timestamp()
