"""Samples, what is said of them, and the table that README.md shows."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BEGIN = "<!-- figures: written by `python -m benchmarks.run --readme` -->"
END = "<!-- end of figures -->"


@dataclass(frozen=True)
class Measurement:
    """One figure, with everything it was made from.

    Args:
        name: what was measured.
        unit: `s`, `ms`, `MB`, `×` or a share in words.
        samples: every sample, in the order they were taken; none is left out.
        settings: what was set while measuring.
        target: what it is to reach, in words.
        judged: name of the value that is compared with the target, `p50`, `p95` or `ratio`.
        limits: largest allowed value by name.
    """

    name: str
    unit: str
    samples: tuple[float, ...]
    settings: dict[str, Any]
    limits: dict[str, float]
    values: dict[str, float] = field(default_factory=dict)

    @property
    def figures(self) -> dict[str, float]:
        """p50 and p95 of the samples, and whatever else was worked out from them."""
        return {"p50": percentile(self.samples, 50), "p95": percentile(self.samples, 95), **self.values}

    @property
    def reached(self) -> bool:
        """Whether every limit is kept."""
        return all(self.figures[name] <= limit for name, limit in self.limits.items())

    def as_json(self) -> dict[str, Any]:
        """Everything, as plain JSON."""
        return {
            "name": self.name,
            "unit": self.unit,
            "figures": {name: round(value, 4) for name, value in self.figures.items()},
            "limits": self.limits,
            "reached": self.reached,
            "settings": self.settings,
            "samples": [round(sample, 4) for sample in self.samples],
        }


def percentile(samples: Sequence[float], percent: float) -> float:
    """The smallest sample that at least so many percent of the samples do not exceed (nearest rank)."""
    if not samples:
        raise ValueError("There are no samples.")
    return sorted(samples)[max(0, math.ceil(len(samples) * percent / 100) - 1)]


def table(measurements: Sequence[Measurement]) -> str:
    """The performance table in Markdown: what, measured, target, number of samples."""
    lines = ["| what | measured | target | samples |", "| --- | --- | --- | --- |"]
    for each in measurements:
        limits = ", ".join(f"{name} ≤ {_text(limit, each.unit, name)}" for name, limit in each.limits.items())
        figures = ", ".join(
            f"{name} {_text(each.figures[name], each.unit, name)}" for name in each.limits or ("p50",)
        )
        lines.append(f"| {each.name} | {figures} | {limits or 'none'} | {len(each.samples)} |")
    return "\n".join(lines)


def _text(value: float, unit: str, name: str) -> str:
    if name == "ratio":
        return f"{value:.2f}"
    if name == "positions moved":
        return f"{value:.0f}"
    if unit == "bytes":
        return f"{value:,.0f} bytes"
    digits = {"ms": 0 if value >= 10 else 1, "MB": 1}.get(unit, 2)
    return f"{value:.{digits}f} {unit}"


def write_into_readme(readme: Path, text: str) -> None:
    """Replace what stands between the two marks of README.md.

    Raises:
        ValueError: the marks are not there.
    """
    content = readme.read_text()
    pattern = re.compile(re.escape(BEGIN) + ".*?" + re.escape(END), re.DOTALL)
    if not pattern.search(content):
        raise ValueError(f"{readme} has no place for figures: {BEGIN} ... {END}")
    readme.write_text(pattern.sub(lambda _: f"{BEGIN}\n{text}\n{END}", content))
