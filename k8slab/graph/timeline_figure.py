"""The lives of Pods as a plotly figure, for pages of our own. plotly is imported on first use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from k8slab.graph.chart_lives import lives_chart
from k8slab.graph.chart_owners import owners_of
from k8slab.graph.chart_plotly import plotly_chart
from k8slab.mirror.lives import Life
from k8slab.mirror.timeline import Timeline

if TYPE_CHECKING:
    import plotly.graph_objects


def timeline_figure(
    timeline: Timeline, namespace: str = "", until: float | None = None
) -> plotly.graph_objects.Figure:
    """The lives of all Pods a timeline knows, as a Gantt chart.

    Args:
        timeline: what happened.
        namespace: only there; everywhere if empty.
        until: the end of the picture, in epoch seconds; the last change if not given.
    """
    import plotly.graph_objects as go

    changes = timeline.changes()
    end = until if until is not None else changes[-1].moment if changes else 0.0
    chart = lives_chart(
        timeline.lives(namespace),
        end,
        owners=owners_of(changes, namespace=namespace),
        recoveries=timeline.recoveries(namespace),
    )
    return go.Figure(plotly_chart(chart))


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

    return go.Figure(plotly_chart(lives_chart(lives, until, title)))
