"""The scene in plotly: Node > Service > Pod > container, one row each.

Positions come from the slots of the scene and stand in a networkx graph (`scene_graph`), so
networkx can draw the same picture. The number and order of traces never change: a live
FigureWidget is updated trace by trace, in place, in one batch. plotly and networkx are
imported on first use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from k8slab.graph.difference import Scene
from k8slab.graph.escape import esc
from k8slab.graph.looks import DARK_BLUE, EDGES, INK, LINE, LOOKS, PAPER, QUIET
from k8slab.graph.text import Entry, badge_words, by_slot, owner_words, pod_words, tree

if TYPE_CHECKING:
    import plotly.graph_objects

ROWS = {"Node": 3.0, "Service": 2.0, "Pod": 1.0, "container": 0.0}
"""Height of each row."""

NARROWEST = 4
"""Slots a Node's column has at least; it grows by doubling, so that it seldom does."""

NAMES_UP_TO = 14
"""Pods whose names are written out; of more, they show on hover."""

Trace = dict[str, Any]


def scene_graph(scene: Scene) -> Any:
    """The scene as a networkx DiGraph; nodes carry `kind`, `name` and `pos`, edges `relation`.

    Draw it with `networkx.draw(graph, networkx.get_node_attributes(graph, "pos"))`.
    """
    import networkx

    graph: Any = networkx.DiGraph()
    columns = [uid for uid, _ in by_slot(scene["nodes"])]
    width = NARROWEST
    while width <= max((pod["slot"] for pod in scene["pods"].values()), default=0):
        width *= 2
    total = width * max(1, len(columns))
    for index, uid in enumerate(columns):
        name = scene["nodes"][uid]["name"]
        graph.add_node(uid, kind="Node", name=name, pos=((index + 0.5) * width, ROWS["Node"]))
    room = 2
    while room <= max((service["slot"] for service in scene["services"].values()), default=0):
        room *= 2
    for uid, service in by_slot(scene["services"]):
        x = (service["slot"] + 0.5) * total / room
        graph.add_node(uid, kind="Service", name=service["name"], pos=(x, ROWS["Service"]))
    for uid, pod in scene["pods"].items():
        column = columns.index(pod["node"]) if pod["node"] in scene["nodes"] else len(columns)
        x = column * width + pod["slot"] + 0.5
        graph.add_node(uid, kind="Pod", name=pod["name"], pos=(x, ROWS["Pod"]))
        if pod["node"] in scene["nodes"]:
            graph.add_edge(pod["node"], uid, relation="runs")
        for number, container in enumerate(pod["containers"]):
            offset = (number - (len(pod["containers"]) - 1) / 2) * 0.3
            key = f"{uid}/{container['name']}"
            place = (x + offset, ROWS["container"])
            graph.add_node(key, kind="container", name=container["name"], pos=place)
            graph.add_edge(uid, key, relation="contains")
    for edge in scene["edges"].values():
        if edge["service"] in graph and edge["pod"] in graph:
            graph.add_edge(edge["service"], edge["pod"], relation=edge["state"])
    return graph


def figure_data(scene: Scene) -> list[Trace]:
    """The traces of the figure as plain dicts: always as many, always in the same order."""
    graph = scene_graph(scene)
    places: dict[str, tuple[float, float]] = dict(graph.nodes(data="pos"))
    pairs: dict[str, list[tuple[str, str]]] = {}
    for start, end, relation in graph.edges(data="relation"):
        pairs.setdefault(relation, []).append((start, end))
    heirs = [(uid, pod["heir"]) for uid, pod in scene["pods"].items() if pod["heir"] in scene["pods"]]
    lines = [_lines("runs on", pairs.get("runs", ()), places, LINE, "solid", 1.2, legend=False)]
    lines.append(_lines("contains", pairs.get("contains", ()), places, LINE, "solid", 1.2, legend=False))
    for state, look in EDGES.items():
        lines.append(_lines(look.word, pairs.get(state, ()), places, look.colour, look.plotly, 2.2))
    lines.append(_heirs(heirs, places))
    return [
        *lines,
        _nodes(scene, places),
        _services(scene, places),
        *_pods(scene, places),
        _containers(scene, places),
    ]


def figure(scene: Scene) -> plotly.graph_objects.Figure:
    """The scene as a plotly figure."""
    import plotly.graph_objects as go

    # What plotly calls a figure's text stands in no trace: the words for screen readers go to its metadata.
    layout = {**figure_layout(scene), "meta": {"description": esc(tree(scene), 20_000)}}
    return go.Figure(data=figure_data(scene), layout=layout)


def figure_layout(scene: Scene) -> dict[str, Any]:
    """The layout of the figure; `uirevision` never changes, so a zoom by hand stays."""
    ticks = {"tickvals": list(ROWS.values()), "ticktext": list(ROWS), "range": [-0.45, 3.5]}
    quiet = {"showgrid": False, "zeroline": False, "fixedrange": False}
    title = f"{esc(scene['title'] or scene['namespace'])} · {esc(badge_words(scene))}"
    return {
        "title": {"text": title},
        "uirevision": "k8slab",
        "template": "none",
        "paper_bgcolor": PAPER,
        "plot_bgcolor": PAPER,
        "font": {"color": INK, "size": 13},
        "hoverlabel": {"align": "left"},
        "legend": {"orientation": "h", "y": -0.08},
        "margin": {"l": 80, "r": 20, "t": 60, "b": 60},
        "height": 520,
        "xaxis": {**quiet, "visible": False},
        "yaxis": {**quiet, **ticks},
    }


def _lines(
    name: str,
    pairs: Iterable[tuple[str, str]],
    places: dict[str, tuple[float, float]],
    colour: str,
    dash: str,
    width: float,
    legend: bool = True,
) -> Trace:
    # One trace a kind of line: None between two lines lifts the pen.
    xs: list[float | None] = []
    ys: list[float | None] = []
    for start, end in pairs:
        xs += [places[start][0], places[end][0], None]
        ys += [places[start][1], places[end][1], None]
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": xs,
        "y": ys,
        "line": {"color": colour, "dash": dash, "width": width},
        "hoverinfo": "skip",
        "showlegend": legend,
    }


def _heirs(pairs: Iterable[tuple[str, str]], places: dict[str, tuple[float, float]]) -> Trace:
    """Arrows from Pods that leave to those that replace them, below the row of Pods."""
    trace = _lines("replaced by", (), places, QUIET, "dashdot", 1.6)
    for start, end in pairs:
        (out, top), (back, _) = places[start], places[end]
        trace["x"] += [out, out, back, back, None]
        trace["y"] += [top, top - 0.25, top - 0.25, top - 0.12, None]
    symbols = [*(["line-ew"] * 3), "arrow-up", "line-ew"] * (len(trace["x"]) // 5)
    sizes = [0, 0, 0, 11, 0] * (len(trace["x"]) // 5)
    return {**trace, "mode": "lines+markers", "marker": {"symbol": symbols, "size": sizes, "color": QUIET}}


def _marks(
    name: str,
    entries: list[tuple[str, Entry]],
    places: dict[str, tuple[float, float]],
    marker: dict[str, Any],
    hover: Callable[[Entry], str],
    names: bool = True,
    legend: bool = False,
    above: bool = True,
) -> Trace:
    return {
        "type": "scatter",
        "mode": "markers+text" if names else "markers",
        "name": name,
        "x": [places[key][0] for key, _ in entries],
        "y": [places[key][1] for key, _ in entries],
        "text": [esc(entry["name"]) for _, entry in entries],
        "textposition": "top center" if above else "bottom center",
        "hovertext": [esc(hover(entry), 400) for _, entry in entries],
        "hoverinfo": "text",
        "customdata": [key for key, _ in entries],
        "marker": marker,
        "showlegend": legend,
    }


def _nodes(scene: Scene, places: dict[str, tuple[float, float]]) -> Trace:
    entries = by_slot(scene["nodes"])
    symbols = ["square" if node["ready"] else "square-x-open" for _, node in entries]
    marker = {"size": 26, "symbol": symbols, "color": "#8a949e", "line": {"color": INK, "width": 1.5}}

    def hover(node: Entry) -> str:
        return f"Node {node['name']}: {node['status']}" + (f", {node['played']}" if node["played"] else "")

    return _marks("Node", entries, places, marker, hover)


def _services(scene: Scene, places: dict[str, tuple[float, float]]) -> Trace:
    def hover(service: Entry) -> str:
        words = (
            f"Service {service['name']} {service['address']}: {service['ready']} of {service['total']} ready"
        )
        return words + (f", {service['played']}" if service["played"] else "")

    marker = {"size": 22, "symbol": "hexagon", "color": "#e8f1f8", "line": {"color": DARK_BLUE, "width": 2}}
    return _marks("Service", by_slot(scene["services"]), places, marker, hover)


def _pods(scene: Scene, places: dict[str, tuple[float, float]]) -> list[Trace]:
    def hover(pod: Entry) -> str:
        owner = scene["owners"].get(pod["owner"])
        belongs = f" · {owner['kind']} {owner['name']}: {owner_words(owner)}" if owner else ""
        return pod_words(scene, pod) + belongs

    traces = []
    for key, look in LOOKS.items():
        entries = [(uid, pod) for uid, pod in scene["pods"].items() if pod["look"] == key]
        marker = {
            "size": 18,
            "symbol": look.symbol,
            "color": look.colour,
            "line": {"color": look.colour, "width": 2},
        }
        names = len(scene["pods"]) <= NAMES_UP_TO
        traces.append(_marks(look.word, entries, places, marker, hover, names, legend=True))
    return traces


def _containers(scene: Scene, places: dict[str, tuple[float, float]]) -> Trace:
    entries = [
        (f"{uid}/{container['name']}", container)
        for uid, pod in scene["pods"].items()
        for container in pod["containers"]
    ]
    looks = [LOOKS[container["look"]] for _, container in entries]
    marker = {"size": 10, "symbol": [look.symbol for look in looks], "color": [look.colour for look in looks]}

    def hover(container: Entry) -> str:
        return f"container {container['name']}: {container['state']}"

    names = len(entries) <= NAMES_UP_TO
    return _marks("container", entries, places, marker, hover, names, above=False)
