"""A chart in plotly, as the plain dicts that plotly's own JSON is made of; plotly itself is not imported.

Every text is escaped: plotly renders a subset of HTML. Nothing is written in less than 12 px.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

from k8slab.graph.chart import Chart, Curves, Rows
from k8slab.graph.escape import esc
from k8slab.graph.looks import INK, LINE, PAPER, QUIET

Part = dict[str, Any]

PATTERN = {"fillmode": "overlay", "fgcolor": "#fff", "fgopacity": 0.8, "size": 7, "solidity": 0.25}
ROW_HEIGHT = 26
CURVES_HEIGHT = 190
TITLE_COLUMNS = 105
"""Characters of 12 px that fit across 760 px."""

LEGEND_COLUMNS = 90


def plotly_chart(chart: Chart) -> Part:
    """The chart as `{"data": [...], "layout": {...}}`.

    Args:
        chart: one that has something to draw.
    """
    heights = [_height(panel) for panel in chart.panels]
    domains = list(_domains(heights))
    data: list[Part] = []
    layout = _layout(chart, sum(heights) + 46 * (len(heights) - 1))
    annotations: list[Part] = []
    shapes: list[Part] = []
    for number, (panel, domain) in enumerate(zip(chart.panels, domains, strict=True), 1):
        name = "" if number == 1 else str(number)
        axes = {"xaxis": "x", "yaxis": f"y{name}"}
        if isinstance(panel, Curves):
            data += [{**trace, **axes} for trace in _curves(panel, f"s{number}")]
            layout[f"yaxis{name}"] = _numbers(panel, domain)
        else:
            data += [{**trace, **axes} for trace in _rows(panel)]
            layout[f"yaxis{name}"] = _names(panel, domain)
            annotations += _notes(panel, axes["yaxis"])
            shapes += [_upright(x, axes["yaxis"]) for x, _ in panel.lines]
    layout["xaxis"]["anchor"] = "y" if len(chart.panels) == 1 else f"y{len(chart.panels)}"
    return {"data": data, "layout": {**layout, "annotations": annotations, "shapes": shapes}}


def _height(panel: Curves | Rows) -> int:
    return CURVES_HEIGHT if isinstance(panel, Curves) else max(70, ROW_HEIGHT * len(panel.rows))


def _domains(heights: list[int]) -> Iterator[list[float]]:
    gap = 46
    whole, top = sum(heights) + gap * (len(heights) - 1), 0
    for height in heights:
        yield [max(0.0, 1 - (top + height) / whole), 1 - top / whole]
        top += height + gap


def _layout(chart: Chart, drawn: int) -> Part:
    words = textwrap.wrap(chart.source, TITLE_COLUMNS)
    title = [
        f"<b>{esc(chart.title)}</b>",
        *(f'<span style="font-size:12px">{esc(line)}</span>' for line in words),
    ]
    names = [part.name for panel in chart.panels for part in _parts(panel)]
    legend_lines = 1 + sum(len(name) + 8 for name in names) // LEGEND_COLUMNS
    top, bottom = 44 + 17 * len(words), 58 + 22 * legend_lines
    return {
        "title": {
            "text": "<br>".join(title),
            "font": {"size": 16},
            "x": 0,
            "xanchor": "left",
            "xref": "container",
            "y": 1,
            "yanchor": "top",
            "yref": "container",
            "pad": {"l": 12, "t": 12},
        },
        "template": "none",
        "paper_bgcolor": PAPER,
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": INK, "size": 13},
        "hoverlabel": {"align": "left", "font": {"size": 13}},
        "height": top + drawn + bottom,
        "margin": {"l": 60, "r": 24, "t": top, "b": bottom},
        "legend": {
            "bgcolor": "rgba(0,0,0,0)",
            "orientation": "h",
            "traceorder": "normal",
            "font": {"size": 13},
            "x": 0,
            "xref": "paper",
            "y": 0,
            "yref": "container",
            "yanchor": "bottom",
        },
        "xaxis": {
            "title": {"text": esc(chart.x_title), "standoff": 6},
            "range": [0, chart.end * 1.02 or 1],
            "gridcolor": LINE,
            "zeroline": False,
            "tickfont": {"size": 12},
        },
        "barmode": "overlay",
        "uirevision": "k8slab",
        "meta": {"description": esc(chart.description, 20_000)},
    }


def _parts(panel: Curves | Rows) -> tuple[Any, ...]:
    return panel.curves if isinstance(panel, Curves) else (*panel.bars, *panel.marks)


def _numbers(panel: Curves, domain: list[float]) -> Part:
    few = {"dtick": 1} if panel.whole and panel.top <= 8 else {}
    return {
        "title": {"text": esc(panel.title), "standoff": 8},
        "domain": domain,
        "range": [0, panel.top * 1.12 or 1],
        "gridcolor": LINE,
        "zeroline": True,
        "zerolinecolor": QUIET,
        "tickfont": {"size": 12},
        "automargin": True,
        **few,
    }


def _names(panel: Rows, domain: list[float]) -> Part:
    labels = [f"<b>{esc(row.label, 60)}</b>" if row.head else esc(row.label, 60) for row in panel.rows]
    return {
        "domain": domain,
        "tickvals": list(range(len(panel.rows))),
        "ticktext": labels,
        "range": [len(panel.rows) - 0.5, -0.5],
        "showgrid": False,
        "zeroline": False,
        "automargin": True,
        "fixedrange": True,
        "tickfont": {"size": 12},
    }


def _curves(panel: Curves, stack: str) -> Iterator[Part]:
    for curve in panel.curves:
        trace: Part = {
            "type": "scatter",
            "mode": "lines+markers" if curve.symbol else "lines",
            "name": esc(curve.name),
            "x": [x for x, _ in curve.points],
            "y": [y for _, y in curve.points],
            "line": {
                "shape": "hv" if curve.step else "linear",
                "color": curve.colour,
                "dash": curve.dash,
                "width": 2.6,
            },
            "hovertext": [esc(f"{curve.name}: {y:g}{curve.unit} at {x:.1f} s") for x, y in curve.points],
            "hoverinfo": "text",
        }
        if curve.symbol:
            trace["marker"] = {"symbol": curve.symbol, "size": 8, "color": curve.colour}
        if panel.stacked:
            trace |= {"stackgroup": stack, "fillpattern": {**PATTERN, "shape": curve.pattern}}
            trace["line"]["width"] = 1.2
        yield trace


def _rows(panel: Rows) -> Iterator[Part]:
    place = {row.key: index for index, row in enumerate(panel.rows)}
    for bars in panel.bars:
        yield {
            "type": "bar",
            "orientation": "h",
            "name": esc(bars.name),
            "y": [place[span.row] for span in bars.spans],
            "base": [span.start for span in bars.spans],
            "x": [span.stop - span.start for span in bars.spans],
            "width": 0.62,
            "hovertext": [esc(span.words) for span in bars.spans],
            "hoverinfo": "text",
            "marker": {"color": bars.colour, "pattern": {"shape": bars.pattern, **PATTERN}},
            # A bar trace without bars would take the axis with it to the year 2000.
            "showlegend": bool(bars.spans),
        }
    for marks in panel.marks:
        yield {
            "type": "scatter",
            "mode": "markers",
            "name": esc(marks.name),
            "x": [mark.x for mark in marks.marks],
            "y": [place[mark.row] for mark in marks.marks],
            "hovertext": [esc(mark.words) for mark in marks.marks],
            "hoverinfo": "text",
            "marker": {
                "symbol": marks.symbol,
                "size": 12,
                "color": marks.colour,
                "line": {"color": "#fff", "width": 1},
            },
            "showlegend": bool(marks.marks),
        }
    if panel.link:
        yield _links(panel, place)


def _links(panel: Rows, place: dict[str, int]) -> Part:
    xs: list[float | None] = []
    ys: list[float | None] = []
    for start, left, end, right in panel.links:
        xs += [left, right, None]
        ys += [place[start], place[end], None]
    count = len(panel.links)
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": esc(panel.link),
        "x": xs,
        "y": ys,
        "line": {"color": QUIET, "dash": "dot", "width": 1.8},
        "marker": {
            "symbol": ["circle", "triangle-right", "circle"] * count,
            "size": [0, 10, 0] * count,
            "color": QUIET,
            "opacity": [0, 1, 0] * count,
        },
        "hoverinfo": "skip",
        "showlegend": count > 0,
    }


def _notes(panel: Rows, axis: str) -> Iterator[Part]:
    for x, words in panel.lines:
        yield {
            "text": esc(words),
            "x": x,
            "xref": "x",
            "y": 1,
            "yref": f"{axis} domain",
            "yanchor": "bottom",
            "xanchor": "left",
            "showarrow": False,
            "font": {"size": 12, "color": INK},
        }


def _upright(x: float, axis: str) -> Part:
    ends = {"x0": x, "x1": x, "y0": 0, "y1": 1, "xref": "x", "yref": f"{axis} domain"}
    return {"type": "line", **ends, "line": {"color": QUIET, "width": 1.6, "dash": "dash"}}
