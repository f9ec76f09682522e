"""Replicas over time as a chart: wanted, there and ready, and below them a Deployment's ReplicaSets. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from k8slab.graph.chart import Chart, Curve, Curves, Point, clock, seconds_since, value_at
from k8slab.graph.chart_owners import Owner
from k8slab.graph.looks import BLUE, GREEN, MIDDLE, ORANGE, SKY, VERMILION
from k8slab.mirror.timeline import Replicas

REVISIONS = ((SKY, "/"), (ORANGE, "\\"), (BLUE, "."), (VERMILION, "x"), (GREEN, ""), (MIDDLE, "-"))
"""Colour and pattern of each ReplicaSet, in the order of revisions; begun again where there are more."""

REVISIONS_SHOWN = 6
STEPS_TOLD = 60


def replicas_chart(
    owner: Owner,
    steps: Sequence[Replicas],
    until: float,
    parts: Sequence[tuple[Owner, Sequence[Replicas]]] = (),
    since: float = 0.0,
) -> Chart:
    """Wanted, existing and ready Pods of one owner, as steps.

    Args:
        owner: whose.
        steps: what `Timeline.replicas` returned; of a Deployment what it wanted is enough.
        until: the end of the picture, in epoch seconds.
        parts: the ReplicaSets of a Deployment, each with its own steps.
        since: when looking began.
    """
    title = f"{owner.kind} {owner.name}: replicas"
    if parts:
        steps = summed(steps, [each for _, each in parts])
    if not steps:
        empty = f"Nothing is known of the Pods of {owner.kind} {owner.name}. Apply its manifest first."
        return Chart(title, "Made from the changes of Pods that the API server tells.", empty=empty)
    acts = [step.moment for step in steps if step.moment >= since]
    start = min(acts, default=max(since, steps[0].moment))
    end = max(until - start, 0.001)
    lines = (
        (
            "wanted",
            MIDDLE,
            "dash",
            [(step.moment, float(step.wants)) for step in steps if step.wants is not None],
        ),
        ("there", ORANGE, "dot", [(step.moment, float(step.has)) for step in steps]),
        ("ready", GREEN, "solid", [(step.moment, float(step.ready)) for step in steps]),
    )
    curves = tuple(
        Curve(name, _cut(points, start, end), colour, dash) for name, colour, dash, points in lines
    )
    panels = [Curves("Pods", curves)]
    newest = sorted(parts, key=lambda part: (part[0].revision, part[0].seen))[-REVISIONS_SHOWN:]
    if newest:
        layers = []
        moments = sorted({step.moment for _, each in newest for step in each if step.moment >= start})
        for index, (part, each) in enumerate(newest):
            colour, pattern = REVISIONS[index % len(REVISIONS)]
            has = tuple((step.moment, float(step.has)) for step in each)
            points = [(moment, value_at(has, moment)) for moment in (start, *moments)]
            name = f"revision {part.revision or '?'}: {part.name}"
            layers.append(Curve(name, _cut(points, start, end), colour, "solid", pattern))
        panels.append(Curves("Pods by ReplicaSet", tuple(layers), stacked=True))
    told = _told(steps, start, newest)
    more = f" The table below holds the last {STEPS_TOLD} steps." if len(steps) > STEPS_TOLD else ""
    source = (
        f"Made from the changes of {owner.kind} {owner.name} and its Pods that the API server told since"
        f" {clock(since or start)}, to {clock(until)}. Pods that are terminating do not count.{more}"
    )
    columns = (
        "AFTER",
        "WANTED",
        "THERE",
        "READY",
        *(f"REVISION {part.revision or '?'}" for part, _ in newest),
    )
    return Chart(title, source, seconds_since(start), end, tuple(panels), columns, told)


def summed(wishes: Sequence[Replicas], parts: Sequence[Sequence[Replicas]]) -> list[Replicas]:
    """What a Deployment wanted, with the Pods of its ReplicaSets added up.

    Args:
        wishes: what it wanted, and when that changed.
        parts: the steps of each ReplicaSet.
    """
    wants: tuple[Point, ...] = tuple((step.moment, float(step.wants or 0)) for step in wishes)
    has = [tuple((step.moment, float(step.has)) for step in part) for part in parts]
    ready = [tuple((step.moment, float(step.ready)) for step in part) for part in parts]
    moments = sorted({step.moment for part in (wishes, *parts) for step in part})
    found: list[Replicas] = []
    for moment in moments:
        step = Replicas(
            moment,
            int(value_at(wants, moment)) if wants and moment >= wants[0][0] else None,
            int(sum(value_at(part, moment) for part in has)),
            int(sum(value_at(part, moment) for part in ready)),
        )
        if not found or (step.wants, step.has, step.ready) != (
            found[-1].wants,
            found[-1].has,
            found[-1].ready,
        ):
            found.append(step)
    return found


def _cut(points: Sequence[Point], start: float, end: float) -> tuple[Point, ...]:
    """A step in seconds since the start, from there to the end."""
    known = tuple(points)
    inside = [(moment - start, value) for moment, value in known if moment > start]
    if known and known[0][0] <= start:
        inside.insert(0, (0.0, value_at(known, start)))
    return (*inside, (end, inside[-1][1])) if inside else ()


def _told(
    steps: Sequence[Replicas], start: float, parts: Sequence[tuple[Owner, Sequence[Replicas]]]
) -> tuple[tuple[str, ...], ...]:
    layers = [tuple((step.moment, float(step.has)) for step in each) for _, each in parts]
    rows = []
    for step in [each for each in steps if each.moment >= start] or list(steps[-1:]):
        wants = "" if step.wants is None else str(step.wants)
        shares = (f"{value_at(layer, step.moment):.0f}" for layer in layers)
        rows.append(
            (f"{max(0.0, step.moment - start):.2f} s", wants, str(step.has), str(step.ready), *shares)
        )
    return tuple(rows[-STEPS_TOLD:])


def owner_named(owners: Mapping[str, Owner], kind: str, name: str) -> Owner | None:
    """The newest controller of that kind and name; of any kind if `kind` is empty."""
    found = [
        each
        for each in owners.values()
        if each.name == name and each.kind.lower() == (kind or each.kind).lower()
    ]
    return max(found, key=lambda each: each.seen, default=None)
