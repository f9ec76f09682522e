"""Pods that have gone and are still drawn for a while, so that one sees who replaced whom. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

GHOST_SECONDS = 6.0
"""How long a Pod that has gone stays on the map."""


class Ghosts:
    """The last entries of Pods that have gone, until they fade."""

    def __init__(self) -> None:
        self._ghosts: dict[str, tuple[dict[str, Any], float]] = {}
        self._owners: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._ghosts)

    def __iter__(self) -> Iterator[str]:
        return iter(self._ghosts)

    def __contains__(self, uid: str) -> bool:
        return uid in self._ghosts

    def add(self, uid: str, entry: dict[str, Any], moment: float) -> None:
        """Keep the entry of a Pod that has gone.

        Args:
            uid: its uid.
            entry: how it was drawn last.
            moment: when it went, in epoch seconds.
        """
        self._ghosts[uid] = (entry, moment)
        self._owners[entry["owner"]] += 1

    def entry(self, uid: str) -> dict[str, Any]:
        """How a ghost was drawn when it was a Pod."""
        return self._ghosts[uid][0]

    def owned_by(self, owner: str) -> int:
        """How many ghosts a controller has."""
        return self._owners[owner]

    def next_fade(self) -> float | None:
        """When the next ghost's time is over, in epoch seconds; None without ghosts."""
        return min((gone + GHOST_SECONDS for _, gone in self._ghosts.values()), default=None)

    def fade(self, moment: float) -> list[tuple[str, str]]:
        """Forget the ghosts whose time is over.

        Returns:
            Their uids, each with the uid of its owner.
        """
        over = [
            (uid, entry["owner"])
            for uid, (entry, gone) in self._ghosts.items()
            if moment - gone >= GHOST_SECONDS
        ]
        for uid, owner in over:
            del self._ghosts[uid]
            self._owners[owner] -= 1
        return over
