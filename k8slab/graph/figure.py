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
from k8slab.graph.looks import DARK_BLUE, EDGES, INK, LINE, LOOKS, PAPER, QUIET, VERMILION
from k8slab.graph.text import Entry, badge_words, by_slot, owner_words, pod_words, tree

if TYPE_CHECKING:
    import plotly.graph_objects

ROWS = {"Node": 3.0, "Service": 2.0, "Pod": 1.0, "container": 0.0}
"""Height of each row."""

NARROWEST = 4
"""Slots a Node's column has at least; it grows by doubling, so that it seldom does."""

RAISED = 0.36
"""How much higher every second Pod stands, so that names have two slots of room each."""

DRAWN_WIDTH = 620.0
"""Px that columns share where the figure is narrow."""

FEWEST_LETTERS = 6
"""A label with room for fewer letters says nothing: then the name shows on hover."""

LETTER = 7.6
"""Px that a letter of 13 px takes, about."""

OWNERS_TOLD = 4
"""Owners whose numbers stand below the title; those of all stand where their Pods are pointed at."""

MISMATCHES = (
    ("no-endpoint", "matches, and is no endpoint", "longdashdot"),
    ("not-selected", "is an endpoint, and does not match", "longdash"),
)
"""Where a selector and the endpoints differ: kind in the scene, words, dash."""

Trace = dict[str, Any]


def scene_graph(scene: Scene) -> Any:
    """The scene as a networkx DiGraph; nodes carry `kind`, `name` and `pos`, edges `relation`.

    Draw it with `networkx.draw(graph, networkx.get_node_attributes(graph, "pos"))`.
    """
    import networkx

    graph: Any = networkx.DiGraph()
    columns = [uid for uid, _ in by_slot(scene["nodes"])]
    width = _width(scene)
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
        x, raised = column * width + pod["slot"] + 0.5, RAISED * (pod["slot"] % 2)
        graph.add_node(uid, kind="Pod", name=pod["name"], pos=(x, ROWS["Pod"] + raised))
        if pod["node"] in scene["nodes"]:
            graph.add_edge(pod["node"], uid, relation="runs")
        for number, container in enumerate(pod["containers"]):
            offset = (number - (len(pod["containers"]) - 1) / 2) * 0.3
            key = f"{uid}/{container['name']}"
            place = (x + offset, ROWS["container"])
            graph.add_node(key, kind="container", name=container["name"], pos=place)
            graph.add_edge(uid, key, relation="contains")
    for key, group in scene.get("groups", {}).items():
        column = columns.index(group["node"]) if group["node"] in scene["nodes"] else len(columns)
        place = (column * width + group["slot"] + 0.5, ROWS["Pod"] + RAISED * (group["slot"] % 2))
        graph.add_node(key, kind="group", name=group["name"], pos=place)
        if group["node"] in scene["nodes"]:
            graph.add_edge(group["node"], key, relation="runs")
    for edge in scene["edges"].values():
        if edge["service"] in graph and edge["pod"] in graph:
            graph.add_edge(edge["service"], edge["pod"], relation=edge["state"])
    for miss in scene.get("mismatches", {}).values():
        if (
            miss["service"] in graph
            and miss["pod"] in graph
            and not graph.has_edge(miss["service"], miss["pod"])
        ):
            graph.add_edge(miss["service"], miss["pod"], relation=miss["kind"])
    return graph


def _width(scene: Scene) -> int:
    """Slots of a Node's column: it grows by doubling."""
    width = NARROWEST
    entries = (*scene["pods"].values(), *scene.get("groups", {}).values())
    while width <= max((entry["slot"] for entry in entries), default=0):
        width *= 2
    return width


def _slot_px(scene: Scene) -> float:
    """Px that a slot has where the figure is narrow."""
    waiting = any(pod["node"] not in scene["nodes"] for pod in scene["pods"].values())
    return DRAWN_WIDTH / (_width(scene) * max(1, len(scene["nodes"]) + waiting))


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
    for kind, word, dash in MISMATCHES:
        lines.append(_lines(word, pairs.get(kind, ()), places, VERMILION, dash, 2.0))
    lines.append(_heirs(heirs, places))
    return [
        *lines,
        _nodes(scene, places),
        _services(scene, places),
        *_pods(scene, places),
        _groups(scene, places),
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
    ticks = {"tickvals": list(ROWS.values()), "ticktext": list(ROWS), "range": [-0.45, 3.55]}
    quiet = {"showgrid": False, "zeroline": False, "fixedrange": False}
    title = f"{esc(scene['title'] or scene['namespace'])} · {esc(badge_words(scene))}"
    shown = scene.get("shown", {"pods": 0, "of": 0})
    if shown["pods"] != shown["of"]:
        title += f" · showing {shown['pods']} of {shown['of']} Pods one by one"
    owners = [entry for _, entry in by_slot(scene["owners"])]
    told = [f"{entry['kind']} {entry['name']}: {owner_words(entry)}" for entry in owners[:OWNERS_TOLD]]
    if len(owners) > OWNERS_TOLD:
        told.append(f"and {len(owners) - OWNERS_TOLD} owners more")
    title += "".join(f'<br><span style="font-size:12px">{esc(line, 110)}</span>' for line in told)
    return {
        "title": {
            "text": title,
            "font": {"size": 16},
            "x": 0.015,
            "xref": "container",
            "xanchor": "left",
            "y": 0.97,
            "yref": "container",
            "yanchor": "top",
        },
        "uirevision": "k8slab",
        "template": "none",
        "paper_bgcolor": PAPER,
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": INK, "size": 13},
        "hoverlabel": {"align": "left"},
        "legend": {
            "orientation": "h",
            "y": 0,
            "yref": "container",
            "yanchor": "bottom",
            "bgcolor": "rgba(0,0,0,0)",
        },
        "margin": {"l": 80, "r": 20, "t": 128, "b": 88},
        "height": 620,
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
    label: Callable[[Entry], str] = lambda entry: "",
    legend: bool = False,
    above: bool = True,
) -> Trace:
    texts = [label(entry) for _, entry in entries]
    return {
        "type": "scatter",
        "mode": "markers+text",
        "name": name,
        "x": [places[key][0] for key, _ in entries],
        "y": [places[key][1] for key, _ in entries],
        "text": texts,
        "textfont": {"size": 12},
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

    room = int(_slot_px(scene) * _width(scene) / LETTER)
    return _marks(
        "Node", entries, places, marker, hover, lambda node: _two_lines(node["name"], node["status"], room)
    )


def _services(scene: Scene, places: dict[str, tuple[float, float]]) -> Trace:
    def hover(service: Entry) -> str:
        words = (
            f"Service {service['name']} {service['address']}: {service['ready']} of {service['total']} ready"
        )
        if service.get("hint"):
            words += f"; {service['hint']}"
        return words + (f", {service['played']}" if service["played"] else "")

    most = max((service["slot"] for service in scene["services"].values()), default=0) + 1
    room = int(DRAWN_WIDTH / max(2, 1 << (most - 1).bit_length()) / LETTER)
    marker = {"size": 22, "symbol": "hexagon", "color": "#e8f1f8", "line": {"color": DARK_BLUE, "width": 2}}
    return _marks(
        "Service",
        by_slot(scene["services"]),
        places,
        marker,
        hover,
        lambda service: _two_lines(service["name"], f"{service['ready']} of {service['total']} ready", room),
    )


def _pods(scene: Scene, places: dict[str, tuple[float, float]]) -> list[Trace]:
    def hover(pod: Entry) -> str:
        owner = scene["owners"].get(pod["owner"])
        belongs = f" · {owner['kind']} {owner['name']}: {owner_words(owner)}" if owner else ""
        return pod_words(scene, pod) + belongs

    room = int(_slot_px(scene) * 2 / LETTER)

    def label(pod: Entry) -> str:
        return _pod_label(scene, pod, room)

    traces = []
    for key, look in LOOKS.items():
        entries = [(uid, pod) for uid, pod in scene["pods"].items() if pod["look"] == key]
        marker = {
            "size": 18,
            "symbol": look.symbol,
            "color": look.colour,
            "line": {"color": look.colour, "width": 2},
        }
        traces.append(_marks(look.word, entries, places, marker, hover, label, legend=True))
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

    room = int(_slot_px(scene) / LETTER)
    alone = all(len(pod["containers"]) <= 1 for pod in scene["pods"].values())

    def label(container: Entry) -> str:
        return esc(container["name"]) if alone and len(container["name"]) <= room else ""

    return _marks("container", entries, places, marker, hover, label, above=False)


def _two_lines(name: str, words: str, room: int) -> str:
    """A name and below it some words, each cut to so many letters."""
    return "<br>".join(esc(line, max(room, 2)) for line in (name, words))


def _pod_label(scene: Scene, pod: Entry, room: int) -> str:
    """As much of a Pod's name as there is room for, and its state in a word where it does not just run.

    Pods of one owner share the beginning of their names, so the end is what tells them apart.
    """
    if room < FEWEST_LETTERS:
        return ""
    name = pod["name"]
    owner = scene["owners"].get(pod["owner"])
    if len(name) > room and owner is not None and name.startswith(f"{owner['name']}-"):
        name = "…" + name[len(owner["name"]) + 1 :]
    if len(name) > room:
        name = "…" + name[1 - room :]
    word = "" if pod["look"] == "running" else LOOKS[pod["look"]].word
    return esc(name) + (f"<br>{word}" if word and len(word) <= room - 2 else "")


def _groups(scene: Scene, places: dict[str, tuple[float, float]]) -> Trace:
    """A mark a group, in the shape of the worst state in it; its label says how many there are."""
    entries = list(scene.get("groups", {}).items())
    looks = [LOOKS[group["look"]] for _, group in entries]
    marker = {
        "size": 26,
        "symbol": [look.symbol for look in looks],
        "color": [look.colour for look in looks],
        "line": {"color": INK, "width": 1.5},
    }

    def hover(group: Entry) -> str:
        parts = ", ".join(f"{count} {LOOKS[look].word}" for look, count in group["looks"].items())
        return f"{group['kind']} {group['name']} ×{group['count']}: {parts}"

    return _marks(
        "group of Pods", entries, places, marker, hover, lambda group: f"×{group['count']}", legend=False
    )
