"""Memory over time as a chart: the control plane's processes, and the nodes. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from k8slab.graph.chart import Chart, Curve, Curves, clock, seconds_since
from k8slab.graph.looks import BLUE, GREEN, MIDDLE, ORANGE, SKY, VERMILION

LOOKS = (
    (BLUE, "solid", "circle"),
    (ORANGE, "dash", "square"),
    (GREEN, "dot", "diamond"),
    (VERMILION, "dashdot", "triangle-up"),
    (SKY, "longdash", "x"),
    (MIDDLE, "solid", "square-open"),
)
"""Colour, dash and mark of each curve; begun again where there are more."""

CURVES_SHOWN = 6


@dataclass(frozen=True)
class MemorySample:
    """Memory at one moment, in MB by name.

    Args:
        moment: epoch seconds.
        processes: of the control plane: proportional set size, as the operating system counts it.
        nodes: of the nodes, as the metrics API tells it.
    """

    moment: float
    processes: dict[str, float]
    nodes: dict[str, float]


def memory_chart(samples: Sequence[MemorySample], title: str, note: str = "", every: float = 2.0) -> Chart:
    """Memory over time.

    Args:
        samples: oldest first.
        title: what stands above it.
        note: a sentence on what cannot be had here.
        every: seconds between two samples.
    """
    source = (
        "Control plane: proportional set size, from the operating system. Nodes: from the API metrics.k8s.io."
    )
    known = [each for each in samples if each.processes or each.nodes]
    if not known:
        return Chart(title, source, empty=note or "No memory is known yet: look again in a few seconds.")
    start, until = known[0].moment, known[-1].moment
    groups = (
        ("control plane, MB", [each.processes for each in known]),
        ("nodes, MB", [each.nodes for each in known]),
    )
    moments = [each.moment - start for each in known]
    panels = tuple(_panel(name, moments, values, len(known) < 3) for name, values in groups if any(values))
    taken = f"{len(known)} samples, one every {every:g} s since {clock(start)}, to {clock(until)}."
    if len(known) == 1:
        taken = f"One sample so far, one every {every:g} s since {clock(start)}: run the cell again soon."
    words = f"{source} {taken} {note}".rstrip()
    table = []
    for group, values in zip(("control plane", "node"), (groups[0][1], groups[1][1]), strict=True):
        for name in _names(values):
            numbers = [each[name] for each in values if name in each]
            table.append((group, name, f"{numbers[-1]:.1f}", f"{min(numbers):.1f}", f"{max(numbers):.1f}"))
    columns = ("WHAT", "NAME", "MB NOW", "LEAST", "MOST")
    return Chart(title, words, seconds_since(start), max(until - start, 1.0), panels, columns, tuple(table))


def _names(values: Sequence[dict[str, float]]) -> list[str]:
    return list(dict.fromkeys(name for each in values for name in each))


def _panel(title: str, moments: Sequence[float], values: Sequence[dict[str, float]], few: bool) -> Curves:
    curves = []
    names = sorted(_names(values), key=lambda name: -max(each.get(name, 0.0) for each in values))
    for index, name in enumerate(names[:CURVES_SHOWN]):
        colour, dash, symbol = LOOKS[index % len(LOOKS)]
        points = tuple((x, each[name]) for x, each in zip(moments, values, strict=True) if name in each)
        curves.append(Curve(name, points, colour, dash, symbol=symbol if few else "", step=False, unit=" MB"))
    rest = names[CURVES_SHOWN:]
    if rest:
        sums = tuple(
            (x, sum(each.get(name, 0.0) for name in rest)) for x, each in zip(moments, values, strict=True)
        )
        curves.append(Curve(f"{len(rest)} others together", sums, MIDDLE, "dot", step=False, unit=" MB"))
    return Curves(title, tuple(curves), whole=False)
