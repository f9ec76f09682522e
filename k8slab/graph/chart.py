"""What a chart shows, apart from how it is drawn: plotly, SVG and text all read this. Pure.

A chart has one axis across, usually seconds, and one or two panels above one another that share it:
`Curves` are numbers over time, `Rows` are spans and marks in named rows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from k8slab.graph.escape import plain

Point = tuple[float, float]


@dataclass(frozen=True)
class Curve:
    """A number over time.

    Args:
        name: what it is called in the legend.
        points: where it is, from left to right; a step holds until the next point.
        colour: of the line. dash: plotly's name of its pattern.
        pattern: of the area below it, in a panel that stacks.
        symbol: plotly's name of a mark at each point; none if empty.
        step: whether it jumps from value to value, or is joined by straight lines.
        unit: said after each value.
    """

    name: str
    points: tuple[Point, ...]
    colour: str
    dash: str = "solid"
    pattern: str = ""
    symbol: str = ""
    step: bool = True
    unit: str = ""


@dataclass(frozen=True)
class Curves:
    """A panel of curves.

    Args:
        title: of the axis up, with its unit.
        curves: from back to front.
        stacked: whether they stand on one another, so that the top is their sum.
        whole: whether only whole numbers make sense.
    """

    title: str
    curves: tuple[Curve, ...]
    stacked: bool = False
    whole: bool = True

    @property
    def top(self) -> float:
        """The largest value there is to draw."""
        if not self.stacked:
            return max((y for curve in self.curves for _, y in curve.points), default=0.0)
        moments = {x for curve in self.curves for x, _ in curve.points}
        return max((sum(value_at(curve.points, x) for curve in self.curves) for x in moments), default=0.0)


@dataclass(frozen=True)
class Span:
    """A stretch of a row, and what it says when pointed at."""

    row: str
    start: float
    stop: float
    words: str


@dataclass(frozen=True)
class Bars:
    """All spans of one meaning: one colour, one pattern, one entry of the legend."""

    name: str
    colour: str
    pattern: str
    spans: tuple[Span, ...]


@dataclass(frozen=True)
class Mark:
    """A moment in a row, and what it says when pointed at."""

    row: str
    x: float
    words: str


@dataclass(frozen=True)
class Marks:
    """All marks of one meaning."""

    name: str
    symbol: str
    colour: str
    marks: tuple[Mark, ...]


@dataclass(frozen=True)
class Row:
    """A row: its key, what is written beside it, and whether it only heads those below."""

    key: str
    label: str
    head: bool = False


@dataclass(frozen=True)
class Rows:
    """A panel of rows.

    Args:
        title: what the rows are.
        rows: from top to bottom.
        bars, marks: what stands in them.
        links: arrows between rows, as (from row, at, to row, at). link: what they are called.
        lines: upright lines, as (at, what is written there).
    """

    title: str
    rows: tuple[Row, ...]
    bars: tuple[Bars, ...] = ()
    marks: tuple[Marks, ...] = ()
    links: tuple[tuple[str, float, str, float], ...] = ()
    link: str = ""
    lines: tuple[tuple[float, str], ...] = ()


@dataclass(frozen=True)
class Chart:
    """A chart, or the sentence that stands where there is nothing to draw yet.

    Args:
        title: of what.
        source: what it was made from, and since when.
        x_title: of the axis across, with its unit.
        end: where that axis ends, in its unit.
        panels: from top to bottom.
        columns, table: the same numbers as text.
        empty: what to do first; then nothing is drawn.
    """

    title: str
    source: str
    x_title: str = ""
    end: float = 1.0
    panels: tuple[Curves | Rows, ...] = ()
    columns: tuple[str, ...] = ()
    table: tuple[tuple[str, ...], ...] = ()
    empty: str = ""

    @property
    def description(self) -> str:
        """The whole chart in words, a line a fact, as a screen reader says it."""
        lines = [self.title, self.source, self.empty]
        lines += [
            ", ".join(f"{head.lower()} {value}" for head, value in self._pairs(row)) for row in self.table
        ]
        return "\n".join(plain(line, 400) for line in lines if line)

    def _pairs(self, row: tuple[str, ...]) -> Iterable[tuple[str, str]]:
        return ((head, value) for head, value in zip(self.columns, row, strict=True) if value)


def value_at(points: tuple[Point, ...], x: float) -> float:
    """What a step is at a place; 0 before its first."""
    found = 0.0
    for at, value in points:
        if at > x:
            break
        found = value
    return found


def clock(moment: float) -> str:
    """A moment in the zone of this machine, such as `14:03:12 CET`."""
    return datetime.fromtimestamp(moment).astimezone().strftime("%H:%M:%S %Z")


def seconds_since(moment: float) -> str:
    """The title of an axis of time."""
    return f"seconds since {clock(moment)}"
