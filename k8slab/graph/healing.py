"""Who replaced whom on the map, and how long the newest healing took. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from k8slab.mirror.changes import Change, controller_of
from k8slab.mirror.lives import Lives, wish_of
from k8slab.mirror.stopwatch import heirs, measured

VICTIMS_WATCHED = 50
"""Pods that left last, among which the map looks for heirs."""


class Healing:
    """The Pods that left last and their heirs.

    Args:
        lives: the life of every Pod, kept up to date by somebody else.
    """

    def __init__(self, lives: Lives) -> None:
        self._lives = lives
        self._victims: dict[str, None] = {}
        self._heirs: dict[str, str] = {}
        self._doubtful: set[str] = set()

    def follow_pod(self, change: Change) -> None:
        """Take in a change of a Pod that `lives` has taken in already."""
        uid = change.uid
        life = self._lives.get(uid)
        if life is not None and life.left is not None and uid not in self._victims:
            self._victims[uid] = None
            self._doubtful.add(life.owner)
            if len(self._victims) > VICTIMS_WATCHED:
                oldest = next(iter(self._victims))
                del self._victims[oldest]
                self._heirs.pop(oldest, None)
        if change.before is None or change.after is None:
            self._doubtful.add(controller_of(change.object))

    def follow_owner(self, change: Change) -> None:
        """Take in a change of an owner."""
        was = wish_of(change.before) if change.before is not None else None
        now = wish_of(change.after) if change.after is not None else None
        if was != now or change.kind == "Job":
            self._doubtful.add(change.uid)

    def heir(self, victim: str) -> str:
        """The uid of the Pod that replaces one; empty if none does."""
        return self._heirs.get(victim, "")

    def look(self) -> Iterator[str]:
        """Find heirs anew where something may have changed; gives the victims whose heir did."""
        for owner in sorted(self._doubtful - {""}):
            found = heirs(self._lives, owner, VICTIMS_WATCHED)
            for victim in [uid for uid, heir in self._heirs.items() if not heir and uid not in found]:
                if self._owner(victim) in ("", owner):
                    del self._heirs[victim]  # its owner wants no more than it has: nobody is missed
            for victim, heir in found.items():
                if victim in self._victims and self._heirs.get(victim) != heir:
                    self._heirs[victim] = heir
                    yield victim
        self._doubtful.clear()

    def recovery(self) -> dict[str, Any] | None:
        """The newest replacement of a Pod that is missed, as a scene has it."""
        for uid in reversed(self._victims):
            life = self._lives.get(uid)
            if life is None or uid not in self._heirs:
                continue
            found = measured(life, self._lives.get(self._heirs[uid]))
            return {
                "victim": found.victim.name,
                "heir": found.heir.name if found.heir else "",
                "start": found.start,
                "phases": [{"name": name, "seconds": round(span, 3)} for name, span in found.phases],
                "healed": None if found.healed is None else round(found.healed, 3),
            }
        return None

    def _owner(self, pod: str) -> str:
        life = self._lives.get(pod)
        return life.owner if life is not None else ""
