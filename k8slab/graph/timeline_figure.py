"""What is read at leisure, in plotly: the lives of Pods, and replicas over time.

Times are seconds since the first moment shown. plotly is imported on first use.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from k8slab.graph.escape import esc
from k8slab.graph.looks import BLUE, FAINT, GREEN, INK, ORANGE, PAPER, SKY
from k8slab.mirror.lives import Life
from k8slab.mirror.timeline import Replicas, Timeline

if TYPE_CHECKING:
    import plotly.graph_objects

PHASES = {
    "waiting for a node": (SKY, "/"),
    "starting": (ORANGE, "\\"),
    "not ready": (BLUE, "."),
    "ready": (GREEN, ""),
    "terminating": (FAINT, "x"),
}
"""Colour and pattern of each phase of a life, in the order of the legend."""


PATTERN = {"fillmode": "overlay", "fgcolor": "#fff", "fgopacity": 0.8, "size": 7, "solidity": 0.25}


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


def timeline_figure(
    timeline: Timeline, namespace: str = "", until: float | None = None
) -> plotly.graph_objects.Figure:
    """The lives of all Pods a timeline knows, as a Gantt chart.

    Args:
        timeline: what happened.
        namespace: only there; everywhere if empty.
        until: the end of the picture, in epoch seconds; the last change if not given.
    """
    changes = timeline.changes()
    end = until if until is not None else changes[-1].moment if changes else 0.0
    return lives_figure(timeline.lives(namespace), end)


def lives_figure(
    lives: Sequence[Life], until: float, title: str = "Pod lives"
) -> plotly.graph_objects.Figure:
    """A Gantt chart: one bar a Pod, one colour and pattern a phase.

    Args:
        lives: the Pods, from top to bottom.
        until: the end of the picture, in epoch seconds.
        title: what stands above it.
    """
    import plotly.graph_objects as go

    start = min((life.created for life in lives), default=until)
    # Two Pods may have had one name: the row is the uid, the name is what is written beside it.
    rows = [life.uid for life in lives]
    traces: list[Any] = []
    for name, (colour, pattern) in PHASES.items():
        bars = [
            (life, begin, stop)
            for life in lives
            for phase, begin, stop in phases_of(life, until)
            if phase == name
        ]
        traces.append(
            go.Bar(
                name=name,
                orientation="h",
                y=[life.uid for life, _, _ in bars],
                base=[begin - start for _, begin, _ in bars],
                x=[stop - begin for _, begin, stop in bars],
                hovertext=[
                    esc(f"{life.name} on {life.node or 'no node'}: {name} for {stop - begin:.2f} s")
                    for life, begin, stop in bars
                ],
                hoverinfo="text",
                marker={"color": colour, "pattern": {"shape": pattern, **PATTERN}},
            )
        )
    layout = _layout(title, start)
    layout["yaxis"] = {
        "tickvals": rows,
        "ticktext": [esc(life.name) for life in lives],
        "categoryorder": "array",
        "categoryarray": rows[::-1],
        "type": "category",
        "automargin": True,
    }
    layout |= {"barmode": "overlay", "height": max(260, 120 + 28 * len(lives))}
    return go.Figure(data=traces, layout=layout)


def replicas_figure(steps: Sequence[Replicas], until: float, title: str) -> plotly.graph_objects.Figure:
    """Wanted, existing and ready Pods of one owner over time, as steps.

    Args:
        steps: what `Timeline.replicas` returned.
        until: the end of the picture, in epoch seconds.
        title: what stands above it.
    """
    import plotly.graph_objects as go

    start = steps[0].moment if steps else until
    shown = [*steps, steps[-1]] if steps else []
    xs = [step.moment - start for step in steps] + ([until - start] if steps else [])
    lines = (
        ("wants", INK, "dash", [step.wants for step in shown]),
        ("has", ORANGE, "dot", [step.has for step in shown]),
        ("ready", GREEN, "solid", [step.ready for step in shown]),
    )
    traces = [
        go.Scatter(
            name=name,
            x=xs,
            y=ys,
            mode="lines",
            line={"shape": "hv", "color": colour, "dash": dash, "width": 2.6},
        )
        for name, colour, dash, ys in lines
    ]
    layout = _layout(title, start)
    layout["yaxis"] = {"title": {"text": "Pods"}, "rangemode": "tozero", "dtick": 1 if _few(steps) else None}
    return go.Figure(data=traces, layout=layout)


def _few(steps: Sequence[Replicas]) -> bool:
    return max((max(step.has, step.wants or 0) for step in steps), default=0) <= 12


def _layout(title: str, start: float) -> dict[str, Any]:
    clock = datetime.fromtimestamp(start, UTC).strftime("%H:%M:%S")
    return {
        "title": {"text": esc(title), "y": 0.95},
        "template": "none",
        "paper_bgcolor": PAPER,
        "plot_bgcolor": PAPER,
        "font": {"color": INK, "size": 13},
        "xaxis": {"title": {"text": f"seconds since {clock} UTC"}, "gridcolor": "#e3e7eb", "zeroline": False},
        "legend": {"orientation": "h", "y": 1.0, "yanchor": "bottom", "traceorder": "normal"},
        "margin": {"l": 120, "r": 20, "t": 90, "b": 60},
        "uirevision": "k8slab",
    }
