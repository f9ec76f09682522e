"""A crowd of Pods: groups per Node and owner, with those that are not well drawn one by one. Pure.

What is kept apart follows from the changes alone, not from when somebody looked: the same log gives the
same picture. Groups and the Pods kept apart share the slots of their Node (lane `crowd/<uid of a Node>`).
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from k8slab.graph.escape import plain
from k8slab.graph.layout import Layout
from k8slab.graph.looks import LOOKS

GROUPED_ABOVE = 200
"""Pods above which groups are drawn."""

SINGLE_BELOW = 150
"""Pods below which all are drawn one by one again."""

KEPT = 60
"""Pods that are drawn one by one while there are groups."""

WORST_FIRST = ("failed", "not-ready", "terminating", "starting", "running", "done")
UNWELL = WORST_FIRST[:4]

assert set(WORST_FIRST) == set(LOOKS) - {"ghost"}


class Groups:
    """Who stands in which group, and who is kept apart.

    Args:
        layout: where things stand.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._pods: dict[str, tuple[str, str, str]] = {}
        self._counts: dict[str, Counter[str]] = {}
        self._kept: dict[str, str] = {}
        self._waiting: dict[str, dict[str, None]] = {look: {} for look in UNWELL}
        self.on = False
        """Whether groups are drawn."""
        self.dirty: set[str] = set()
        """Keys of groups that may have changed."""

    def __len__(self) -> int:
        return len(self._pods)

    def alone(self, pod: str) -> bool:
        """Whether a Pod is drawn by itself."""
        return not self.on or pod in self._kept

    def slot(self, pod: str) -> int | None:
        """Where a Pod that is kept apart stands."""
        return self._layout.slot(f"kept {pod}")

    def put(self, pod: str, node: str, owner: str, look: str) -> set[str]:
        """Take in how a Pod does.

        Args:
            pod: its uid.
            node, owner: uids of its Node and its controller; empty if it has none.
            look: how it does.

        Returns:
            Pods that are drawn by themselves now and were not, and the reverse; all if groups came or went.
        """
        before, now = self._pods.get(pod), (node, owner, look)
        if before == now:
            return set()
        self._pods[pod] = now
        if not self.on:
            return self._turn()
        if before is None:
            self._count(now, 1)
        elif pod in self._kept:
            if look in UNWELL:
                self._kept[pod] = look
                self._layout.place(f"kept {pod}", f"crowd/{node}")
                return set()
            self._count(now, 1)
            return {pod} | self._release(pod)
        else:
            # The newcomer is counted first: a group that was empty in between would lose its slot.
            self._count(now, 1)
            self._count(before, -1)
            self._unlist(pod)
        return self._keep(pod) if look in UNWELL else set()

    def drop(self, pod: str, haunts: bool = False) -> set[str]:
        """Take in that a Pod has gone; returns as `put`.

        Args:
            pod: its uid.
            haunts: whether its ghost stands in its place until `fade`.
        """
        before = self._pods.pop(pod, None)
        if before is None or not self.on:
            return set()
        if pod in self._kept:
            return self._release(pod, haunts) | self._turn()
        self._count(before, -1)
        self._unlist(pod)
        return self._turn()

    def entry(self, key: str, name: str, kind: str) -> dict[str, Any] | None:
        """A group of the scene; None if nobody is in it.

        Args:
            key: `<uid of its Node>/<uid of its owner>`.
            name, kind: of its owner.
        """
        counts = self._counts.get(key)
        if not self.on or not counts:
            return None
        node, _, owner = key.partition("/")
        return {
            "node": node,
            "owner": owner,
            "name": plain(name),
            "kind": kind,
            "slot": self._layout.slot(f"group {key}") or 0,
            "count": counts.total(),
            "look": next(look for look in WORST_FIRST if counts[look]),
            "looks": {look: counts[look] for look in LOOKS if counts[look]},
        }

    def _turn(self) -> set[str]:
        """Begin or end to draw groups, if there are so many or so few Pods now."""
        wanted = len(self._pods) > GROUPED_ABOVE or (self.on and len(self._pods) >= SINGLE_BELOW)
        if wanted == self.on:
            return set()
        self.on = wanted
        self.dirty |= self._counts.keys()
        for pod in self._kept:
            self._layout.remove(f"kept {pod}")
        for key in self._counts:
            self._layout.remove(f"group {key}")
        self._kept, self._counts = {}, {}
        self._waiting = {look: {} for look in UNWELL}
        if wanted:
            for place in self._pods.values():
                self._count(place, 1)
            for look in UNWELL:
                for pod, place in self._pods.items():
                    if place[2] == look:
                        self._keep(pod)
        return set(self._pods)

    def _keep(self, pod: str) -> set[str]:
        """Draw a Pod by itself if there is room, or if somebody who does better can make room."""
        look = self._pods[pod][2]
        changed: set[str] = set()
        if len(self._kept) >= KEPT:
            rank = UNWELL.index(look)
            worse = [one for one, how in self._kept.items() if UNWELL.index(how) > rank]
            if not worse:
                self._waiting[look][pod] = None
                return changed
            better = max(worse, key=lambda one: UNWELL.index(self._kept[one]))
            how = self._kept.pop(better)
            self._layout.remove(f"kept {better}")
            self._waiting[how][better] = None
            self._count(self._pods[better], 1)
            changed.add(better)
        self._kept[pod] = look
        self._layout.place(f"kept {pod}", f"crowd/{self._pods[pod][0]}")
        self._count(self._pods[pod], -1)
        return changed | {pod}

    def fade(self, pod: str) -> None:
        """Free the slot of a ghost."""
        self._layout.remove(f"kept {pod}")

    def _release(self, pod: str, haunts: bool = False) -> set[str]:
        """Keep a Pod apart no more, and let one that waits take its place."""
        del self._kept[pod]
        if not haunts:
            self._layout.remove(f"kept {pod}")
        for look in UNWELL:
            for following in self._waiting[look]:
                del self._waiting[look][following]
                return self._keep(following)
        return set()

    def _unlist(self, pod: str) -> None:
        for waiting in self._waiting.values():
            waiting.pop(pod, None)

    def _count(self, place: tuple[str, str, str], number: int) -> None:
        node, owner, look = place
        key = f"{node}/{owner}"
        counts = self._counts.setdefault(key, Counter())
        counts[look] += number
        self.dirty.add(key)
        if counts.total():
            self._layout.place(f"group {key}", f"crowd/{node}")
        else:
            del self._counts[key]
            self._layout.remove(f"group {key}")
