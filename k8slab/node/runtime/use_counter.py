"""A counter that never falls, over processes that come and go. Pure, standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Counter:
    """A sum that never falls, over sources that come and go, as a control group counts processor time.

    What a source had counted stays in the sum when the source is gone.
    """

    def __init__(self) -> None:
        self._total = 0.0
        self._last: dict[object, float] = {}

    def advance(self, readings: Mapping[Any, float]) -> float:
        """Take in what each source shows now; returns the sum.

        Args:
            readings: each source's own total by its identity; a new one counts in full.
        """
        for source, reading in readings.items():
            self._total += max(0.0, reading - self._last.get(source, 0.0))
        self._last = {
            source: max(reading, self._last.get(source, 0.0)) for source, reading in readings.items()
        }
        return self._total
