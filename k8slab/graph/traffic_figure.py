"""Where requests went, in plotly: a bar for each Pod that answered, and one for what failed.

plotly is imported on first use.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from k8slab.graph.escape import esc
from k8slab.graph.looks import GREEN, INK, PAPER, VERMILION

if TYPE_CHECKING:
    import plotly.graph_objects

FAILED = "failed"


def traffic_figure(by_pod: Mapping[str, int], failed: int, sentence: str) -> plotly.graph_objects.Figure:
    """A bar chart of answers by Pod.

    Args:
        by_pod: answers by the Pod that gave them.
        failed: requests that nobody answered properly.
        sentence: the figures in words, as the title.
    """
    import plotly.graph_objects as go

    rows = [*((name, count, GREEN, "") for name, count in by_pod.items()), (FAILED, failed, VERMILION, "x")]
    bar = go.Bar(
        orientation="h",
        y=[esc(name) for name, _, _, _ in rows],
        x=[count for _, count, _, _ in rows],
        text=[str(count) for _, count, _, _ in rows],
        textposition="outside",
        cliponaxis=False,
        hoverinfo="y+x",
        marker={
            "color": [colour for _, _, colour, _ in rows],
            "pattern": {"shape": [shape for _, _, _, shape in rows]},
        },
    )
    layout = {
        "title": {"text": esc(sentence), "font": {"size": 15}},
        "template": "none",
        "paper_bgcolor": PAPER,
        "plot_bgcolor": PAPER,
        "font": {"color": INK, "size": 13},
        "height": max(220, 130 + 30 * len(rows)),
        "margin": {"l": 40, "r": 50, "t": 60, "b": 50},
        "xaxis": {"title": {"text": "requests answered"}, "gridcolor": "#e3e7eb", "rangemode": "tozero"},
        "yaxis": {"autorange": "reversed", "automargin": True, "type": "category"},
        "showlegend": False,
    }
    return go.Figure(data=[bar], layout=layout)
