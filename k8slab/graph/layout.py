"""Where things stand: stable slots in lanes. Pure.

A slot depends on what there is, never on how it does: whoever has a slot keeps it until it
leaves its lane, and a newcomer takes the first free one. So a replacement stands where its
victim stood once the ghost has faded, or next to it before that, and never moves again.
"""

from __future__ import annotations

import heapq


class Layout:
    """Slots, counted from 0, in lanes such as `nodes` or `pods/<uid of a node>`."""

    def __init__(self) -> None:
        self._used: dict[str, int] = {}
        self._free: dict[str, list[int]] = {}
        self._places: dict[str, tuple[str, int]] = {}

    def place(self, key: str, lane: str) -> int:
        """The slot of something in a lane; it is given one, or moved from another lane, if need be.

        Args:
            key: what stands there, such as a uid.
            lane: the lane it belongs to.
        """
        known = self._places.get(key)
        if known is not None and known[0] == lane:
            return known[1]
        self.remove(key)
        free = self._free.setdefault(lane, [])
        if free:
            slot = heapq.heappop(free)
        else:
            slot = self._used.get(lane, 0)
            self._used[lane] = slot + 1
        self._places[key] = (lane, slot)
        return slot

    def remove(self, key: str) -> None:
        """Free the slot of something that has gone; unknown keys are ignored."""
        known = self._places.pop(key, None)
        if known is not None:
            lane, slot = known
            heapq.heappush(self._free[lane], slot)

    def slot(self, key: str) -> int | None:
        """The slot of something, or None if it has none."""
        known = self._places.get(key)
        return None if known is None else known[1]

    def places(self) -> dict[str, tuple[str, int]]:
        """Lane and slot of everything."""
        return dict(self._places)
