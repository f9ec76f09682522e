"""A chart as a standalone SVG, for saved notebooks and pages that run no script. Pure."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Iterator
from itertools import pairwise

from k8slab.graph.chart import Bars, Chart, Curve, Curves, Marks, Point, Rows, value_at
from k8slab.graph.looks import LINE, PAPER, QUIET
from k8slab.graph.svg import Svg, fitted, number, width_of

WIDTH = 760.0
LEFT, RIGHT = 215.0, 20.0
ROW = 24.0
CURVES = 170.0
GAP = 30.0
DASHES = {"solid": "", "dash": "8 5", "dot": "2 4", "dashdot": "8 4 2 4", "longdash": "14 5"}

Across = Callable[[float], float]


class Picture(Svg):
    """A drawing with areas and hatched bars."""

    def area(self, points: list[Point], fill: str) -> None:
        """A filled shape."""
        corners = " ".join(f"{number(x)},{number(y)}" for x, y in points)
        self._parts.append(f'<polygon points="{corners}" fill="{fill}"/>')

    def hatched(self, x: float, y: float, width: float, height: float, fill: str, pattern: str) -> None:
        """A bar in a colour and a pattern, named as plotly names them."""
        self.rect(x, y, width, height, fill=fill, line=0)
        step = 7.0
        for index in range(int((width - 1) // step)):
            left, right = x + index * step + 1, x + (index + 1) * step
            if pattern in ("/", "x"):
                self.path([(left, y + height), (right, y)], "#fff", 1.4)
            if pattern in ("\\", "x"):
                self.path([(left, y), (right, y + height)], "#fff", 1.4)
            if pattern == ".":
                self.rect(left + 2, y + height / 2 - 1.5, 3, 3, 1.5, "#fff", line=0)
            if pattern in ("-", "+"):
                self.path([(left, y + height / 2), (right + 1, y + height / 2)], "#fff", 1.6)


def svg_chart(chart: Chart) -> str:
    """The chart as SVG, 760 px wide.

    Args:
        chart: one that has something to draw.
    """
    end = chart.end * 1.02 or 1.0

    def across(x: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * min(max(x, 0.0), end) / end

    picture = Picture()
    words = textwrap.wrap(chart.source, 95)
    body, top = Picture(), 46.0 + 17 * len(words)
    for panel in chart.panels:
        if isinstance(panel, Curves):
            top = _curves(body, panel, across, top, end)
        else:
            top = _rows(body, panel, across, top)
        top += GAP
    bottom = top - GAP
    _axis(picture, chart, across, (46.0 + 17 * len(words), bottom), end)
    legend = bottom + 62
    height = _legend(body, chart, legend) + 14
    back = Picture()
    back.rect(0, 0, WIDTH, height, 6, PAPER, line=0)
    back.text(14, 26, fitted(chart.title, 16, WIDTH - 28), 16, weight=650)
    for index, line in enumerate(words):
        back.text(14, 45 + 17 * index, fitted(line, 12, WIDTH - 28), 12, QUIET)
    back.extend(picture)
    back.extend(body)
    return back.document(WIDTH, height, "k8slab-chart", chart.title, chart.description)


def _axis(picture: Picture, chart: Chart, across: Across, between: tuple[float, float], end: float) -> None:
    top, bottom = between
    for tick in _ticks(end):
        picture.path([(across(tick), top), (across(tick), bottom)], LINE, 1)
        picture.text(across(tick), bottom + 18, f"{tick:g}", 12, anchor="middle")
    picture.text(LEFT, bottom + 38, fitted(chart.x_title, 13, WIDTH - LEFT - RIGHT), 13)


def _curves(body: Picture, panel: Curves, across: Across, top: float, end: float) -> float:
    highest = panel.top * 1.12 or 1.0

    def up(y: float) -> float:
        return top + CURVES * (1 - y / highest)

    for tick in _ticks(highest):
        if not panel.whole or tick == int(tick):
            body.path([(LEFT, up(tick)), (WIDTH - RIGHT, up(tick))], LINE, 1)
            body.text(LEFT - 8, up(tick) + 4, f"{tick:g}", 12, anchor="end")
    body.text(14, top + 14, fitted(panel.title, 13, LEFT - 44), 13)
    if panel.stacked:
        _stack(body, panel, across, up)
    else:
        for curve in panel.curves:
            points = [(across(x), up(y)) for x, y in _corners(curve)]
            if len(points) > 1:
                body.path(points, curve.colour, 2.6, DASHES.get(curve.dash, ""))
            for x, y in points if curve.symbol else ():
                body.rect(x - 3, y - 3, 6, 6, fill=curve.colour, line=0)
    return top + CURVES


def _stack(body: Picture, panel: Curves, across: Across, up: Callable[[float], float]) -> None:
    moments = sorted({x for curve in panel.curves for x, _ in curve.points})
    below = dict.fromkeys(moments, 0.0)
    for curve in panel.curves:
        above = {x: below[x] + value_at(curve.points, x) for x in moments}
        for left, right in pairwise(moments):
            if above[left] > below[left]:
                high, low = up(above[left]), up(below[left])
                width = across(right) - across(left)
                body.hatched(
                    across(left),
                    high,
                    width,
                    low - high,
                    curve.colour,
                    curve.pattern,
                )
        below = above


def _rows(body: Picture, panel: Rows, across: Across, top: float) -> float:
    top += 16 if panel.lines else 0
    place = {row.key: top + ROW * index for index, row in enumerate(panel.rows)}
    bottom = top + ROW * len(panel.rows)
    for row in panel.rows:
        label = fitted(row.label, 12, LEFT - 22)
        body.text(14 if row.head else 22, place[row.key] + 16, label, 12, weight=650 if row.head else 400)
    for bars in panel.bars:
        for span in bars.spans:
            left, right = across(span.start), across(span.stop)
            body.hatched(left, place[span.row] + 4, max(right - left, 1.0), 16, bars.colour, bars.pattern)
    for start, left, goal, right in panel.links:
        body.path(
            [(across(left), place[start] + 12), (across(right), place[goal] + 12)],
            QUIET,
            1.6,
            "2 4",
            "k8slab-chart-arrow",
        )
    for marks in panel.marks:
        for mark in marks.marks:
            body.mark(_look(marks.symbol), across(mark.x), place[mark.row] + 12, marks.colour)
    for at, label in panel.lines:
        body.path([(across(at), top), (across(at), bottom)], QUIET, 1.6, "8 5")
        room = width_of(label, 12) + across(at) < WIDTH
        body.text(across(at), top - 4, label, 12, anchor="start" if room else "end")
    return bottom


def _legend(body: Picture, chart: Chart, top: float) -> float:
    x, y = 14.0, top
    for panel in chart.panels:
        stacked = isinstance(panel, Curves) and panel.stacked
        parts: tuple[Curve | Bars | Marks, ...] = (
            panel.curves if isinstance(panel, Curves) else (*panel.bars, *panel.marks)
        )
        for part in parts:
            width = 40 + width_of(part.name, 12)
            if x + width > WIDTH - 10:
                x, y = 14.0, y + 22
            if isinstance(part, Marks):
                body.mark(_look(part.symbol), x + 12, y - 4, part.colour)
            elif isinstance(part, Curve) and not stacked:
                body.path([(x, y - 4), (x + 24, y - 4)], part.colour, 2.6, DASHES.get(part.dash, ""))
            else:
                body.hatched(x, y - 12, 24, 14, part.colour, part.pattern)
            body.text(x + 29, y, part.name, 12)
            x += width
    return y


def _corners(curve: Curve) -> Iterator[Point]:
    before: float | None = None
    for x, y in curve.points:
        if curve.step and before is not None:
            yield x, before
        yield x, y
        before = y


def _ticks(end: float) -> list[float]:
    rough = max(end, 1e-9) / 6
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    return [round(step * index, 6) for index in range(int(end / step) + 1)]


def _look(symbol: str) -> str:
    return {
        "triangle-up": "starting",
        "diamond": "failed",
        "circle": "running",
        "square-open": "not-ready",
    }.get(symbol, "terminating")
