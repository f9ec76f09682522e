"""How long recoveries took, as a distribution: a row each, cut into its phases. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

from k8slab.graph.chart import Bars, Chart, Mark, Marks, Row, Rows, Span, clock
from k8slab.graph.looks import BLUE, DARK_BLUE, GREEN, ORANGE, SKY, VERMILION
from k8slab.mirror.stopwatch import PHASES, Recovery

LOOKS = ((VERMILION, "-"), (SKY, "/"), (ORANGE, "\\"), (BLUE, "."), (GREEN, ""))
SHOWN = 20
ALL = "all"
EMPTY = (
    "Nothing has healed yet: no Pod of a controller has left and been replaced."
    " Kill one first, such as lab.kill(lab.pods()[0])."
)


def percentile(values: Sequence[float], share: float) -> float:
    """The value that this share of the values does not exceed (nearest rank).

    Args:
        values: at least one.
        share: such as 0.95.
    """
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def recoveries_chart(recoveries: Sequence[Recovery], title: str, since: float) -> Chart:
    """Each recovery as a stacked bar of its phases, with the median and the 95th percentile.

    Args:
        recoveries: all of them, oldest first; the bars are of the last.
        title: what stands above it.
        since: when looking began, in epoch seconds.
    """
    begun = [each for each in recoveries if each.heir is not None]
    healed = [each.healed for each in begun if each.healed is not None]
    source = (
        f"Made from the changes of Pods and EndpointSlices that the API server told since {clock(since)}."
    )
    if not begun:
        return Chart(title, source, empty=EMPTY)
    shown = begun[-SHOWN:]
    rows = tuple(
        Row(each.victim.uid, f"{each.victim.name}, {clock(each.start).split()[0]}") for each in shown
    )
    bars = []
    for (name, _), (colour, pattern) in zip(PHASES, LOOKS, strict=True):
        bars.append(
            Bars(
                name, colour, pattern, tuple(_span(each, name) for each in shown if name in dict(each.phases))
            )
        )
    points = tuple(
        Mark(ALL, each.healed, f"{each.victim.name}: healed in {each.healed:.2f} s")
        for each in begun
        if each.healed is not None
    )
    lines = tuple((percentile(healed, share), words) for share, words in _shares(healed))
    panel = Rows(
        "recoveries",
        (*rows, Row(ALL, f"all {len(healed)} healed", head=True)),
        tuple(bars),
        (Marks("healed", "diamond", DARK_BLUE, points),),
        lines=lines,
    )
    open_ones = len(begun) - len(healed)
    words = [source, spread(healed)]
    if open_ones:
        words.append(f"{open_ones} not healed yet.")
    if len(shown) < len(begun):
        words.append(f"Bars: the last {len(shown)} of {len(begun)}.")
    end = max([*(seconds for each in begun for _, seconds in each.phases), *healed, 0.001])
    columns = ("POD THAT LEFT", "AT", "HEIR", *(name.upper() for name, _ in PHASES), "HEALED")
    table = tuple(_told(each) for each in begun)
    return Chart(title, " ".join(words), "seconds since the Pod left", end, (panel,), columns, table)


def spread(healed: Sequence[float]) -> str:
    """The median and the 95th percentile in words, as far as there are enough values to say so."""
    if not healed:
        return "None has healed yet."
    if len(healed) == 1:
        return f"One recovery, {healed[0]:.2f} s: one is no distribution, kill more."
    text = f"p50 {percentile(healed, 0.5):.2f} s, longest {max(healed):.2f} s, of {len(healed)} recoveries"
    if len(healed) < 20:
        return f"{text}; a p95 needs 20 or more."
    return f"{text}; p95 {percentile(healed, 0.95):.2f} s."


def _shares(healed: Sequence[float]) -> list[tuple[float, str]]:
    if len(healed) < 2:
        return []
    shares = [(0.5, f"p50 {percentile(healed, 0.5):.2f} s")]
    if len(healed) >= 20:
        shares.append((0.95, f"p95 {percentile(healed, 0.95):.2f} s"))
    return shares


def _span(each: Recovery, name: str) -> Span:
    before, reached = 0.0, dict(each.phases)[name]
    for earlier, seconds in each.phases:
        if earlier == name:
            break
        before = max(before, seconds)
    words = f"{each.victim.name}: {name} {reached:.2f} s after it left ({max(0.0, reached - before):.2f} s)"
    return Span(each.victim.uid, min(before, reached), reached, words)


def _told(each: Recovery) -> tuple[str, ...]:
    reached = dict(each.phases)
    return (
        each.victim.name,
        clock(each.start).split()[0],
        each.heir.name if each.heir else "",
        *(f"{reached[name]:.2f} s" if name in reached else "" for name, _ in PHASES),
        f"{each.healed:.2f} s" if each.healed is not None else "not yet",
    )
