"""The lives of Pods as a chart: a row a Pod, a colour and pattern a phase, heirs linked to victims. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from k8slab.graph.chart import Bars, Chart, Mark, Marks, Row, Rows, Span, clock, seconds_since
from k8slab.graph.chart_owners import Owner
from k8slab.graph.looks import BLUE, FAINT, GREEN, ORANGE, SKY, VERMILION
from k8slab.mirror.lives import Life
from k8slab.mirror.stopwatch import Recovery

PHASES = {
    "waiting for a node": (SKY, "/"),
    "starting": (ORANGE, "\\"),
    "not ready": (BLUE, "."),
    "ready": (GREEN, ""),
    "terminating": (FAINT, "x"),
}
"""Colour and pattern of each phase of a life, in the order of the legend."""

COLUMNS = ("POD", "OWNER", "NODE", "FROM", *(name.upper() for name in PHASES), "RESTARTS", "END", "HEIR")
LIVES_SHOWN = 40
EMPTY = (
    "No Pod has lived here yet. Apply a manifest first, such as lab.apply('web.yaml');"
    " lab.manifests() lists them."
)


def phases_of(life: Life, until: float) -> Iterator[tuple[str, float, float]]:
    """The phases of one life, as (name, from, to) in epoch seconds.

    Args:
        life: the life.
        until: where a life that goes on is cut off.
    """
    end = min([one for one in (life.gone, life.done, life.failed) if one is not None], default=until)
    leave = min(life.deleted if life.deleted is not None else end, end)
    marks = [
        ("waiting for a node", life.created),
        ("starting", life.scheduled),
        ("not ready", life.started),
        *(("ready" if ready else "not ready", moment) for moment, ready in life.turns),
    ]
    known = [(name, moment) for name, moment in marks if moment is not None and moment < leave]
    known.append(("terminating", leave))
    for (name, start), (_, stop) in pairwise(known):
        if stop > start:
            yield name, start, stop
    if end > leave:
        yield "terminating", leave, end


def lives_chart(
    lives: Sequence[Life],
    until: float,
    title: str = "Pod lives",
    owners: Mapping[str, Owner] | None = None,
    recoveries: Sequence[Recovery] = (),
    since: float | None = None,
) -> Chart:
    """A Gantt chart of lives.

    Args:
        lives: the Pods, in the order in which they were seen; of many, the last are shown.
        until: the end of the picture, in epoch seconds.
        title: what stands above it.
        owners: controllers by uid, to group the Pods by.
        recoveries: who replaced whom.
        since: when looking began; lives are not drawn before the first that began after it.
    """
    if not lives:
        return Chart(title, "Made from the changes of Pods that the API server tells.", empty=EMPTY)
    owners = owners or {}
    shown = lives[-LIVES_SHOWN:]
    start = _first_act(shown, since)
    heirs = {each.victim.uid: each.heir for each in recoveries if each.heir is not None}
    rows: list[Row] = []
    for owner, group in _grouped(shown, owners):
        if owners:
            rows.append(
                Row(f"owner {owner}", owners[owner].words if owner in owners else "no owner", head=True)
            )
        rows += [Row(life.uid, life.name) for life in group]
    inside = {life.uid for life in shown}
    links = tuple(
        (uid, (victim.left or start) - start, heir.uid, heir.created - start)
        for uid, heir in heirs.items()
        if uid in inside and heir.uid in inside and (victim := _by_uid(shown, uid)).left is not None
    )
    panel = Rows(
        "Pods",
        tuple(rows),
        tuple(_bars(name, shown, start, until) for name in PHASES),
        (Marks("container restarted", "triangle-up", VERMILION, tuple(_restarts(shown, start))),),
        links,
        "replaced by",
    )
    more = f" The last {len(shown)} of {len(lives)} Pods." if len(shown) < len(lives) else ""
    first = clock(start if since is None else since)
    source = f"Made from the changes of Pods that the API server told since {first}, to {clock(until)}.{more}"
    table = tuple(_told(life, start, until, owners, heirs) for life in shown)
    return Chart(title, source, seconds_since(start), max(until - start, 0.001), (panel,), COLUMNS, table)


def _first_act(lives: Sequence[Life], since: float | None) -> float:
    if since is None:
        return min(life.created for life in lives)
    moments = [one for life in lives for one in (life.created, life.left) if one is not None and one >= since]
    return min(moments, default=since)


def _by_uid(lives: Sequence[Life], uid: str) -> Life:
    return next(life for life in lives if life.uid == uid)


def _grouped(lives: Sequence[Life], owners: Mapping[str, Owner]) -> Iterator[tuple[str, list[Life]]]:
    if not owners:
        yield "", list(lives)
        return
    groups: dict[str, list[Life]] = {}
    for life in lives:
        groups.setdefault(life.owner, []).append(life)
    yield from groups.items()


def _bars(name: str, lives: Sequence[Life], start: float, until: float) -> Bars:
    spans = tuple(
        Span(
            life.uid,
            max(0.0, begin - start),
            stop - start,
            f"{life.name} on {life.node or 'no node'}: {name} for {stop - begin:.2f} s",
        )
        for life in lives
        for phase, begin, stop in phases_of(life, until)
        if phase == name and stop > start
    )
    return Bars(name, *PHASES[name], spans)


def _restarts(lives: Sequence[Life], start: float) -> Iterator[Mark]:
    for life in lives:
        for number, moment in enumerate(life.restarts, 1):
            if moment >= start:
                words = f"{life.name}: container restarted ({number}), {moment - start:.1f} s in"
                yield Mark(life.uid, moment - start, words)


def _told(
    life: Life, start: float, until: float, owners: Mapping[str, Owner], heirs: Mapping[str, Life]
) -> tuple[str, ...]:
    spent = dict.fromkeys(PHASES, 0.0)
    for name, begin, stop in phases_of(life, until):
        spent[name] += stop - begin
    ends = (("gone", life.gone), ("failed", life.failed), ("completed", life.done))
    ended = next((word for word, moment in ends if moment is not None), "")
    owner = owners.get(life.owner)
    return (
        life.name,
        f"{owner.kind} {owner.name}" if owner else "",
        life.node,
        f"{life.created - start:.1f} s" if life.created >= start else "earlier",
        *(f"{seconds:.2f} s" if seconds else "" for seconds in spent.values()),
        str(len(life.restarts) or ""),
        ended,
        heirs[life.uid].name if life.uid in heirs else "",
    )
