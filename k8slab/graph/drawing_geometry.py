"""Where the static drawing puts what a scene holds: boxes and the gutters between them. Pure.

Nodes stand three in a row, Pods two in a row within a Node. Lines run in the gutters: the bus
above the Nodes, the gap left of each Node, the gap above each row of Pods.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from k8slab.graph.difference import Scene
from k8slab.graph.looks import LOOKS
from k8slab.graph.text import Entry, by_slot

WIDTH = 1240.0
MARGIN = 24.0
LABELS = 160.0
"""Where the content of a labelled row begins."""

NODE_WIDTH, NODE_GAP = 388.0, 14.0
POD_WIDTH, POD_HEIGHT = 176.0, 96.0
POD_GAP = 32.0
"""Between rows of Pods: 18 px for a note, then the lane of arrows, then that of Service lines."""

FOOTER = 42.0
PODS_DRAWN = 24
"""Pods a Node shows; of more, the unhealthy come first and the rest is counted."""

Point = tuple[float, float]


@dataclass(frozen=True)
class Box:
    """A rectangle in px."""

    x: float
    y: float
    width: float
    height: float


@dataclass
class Geometry:
    """Boxes by uid, and where each section begins."""

    owners: dict[str, Box] = field(default_factory=dict)
    services: dict[str, Box] = field(default_factory=dict)
    resources: dict[str, Box] = field(default_factory=dict)
    nodes: dict[str, Box] = field(default_factory=dict)
    pods: dict[str, Box] = field(default_factory=dict)
    """Pods, and groups of them by their keys."""

    more: dict[str, str] = field(default_factory=dict)
    gutters: dict[str, float] = field(default_factory=dict)
    first_row: set[str] = field(default_factory=set)
    bus: float = 0
    waiting: Box = field(default_factory=lambda: Box(0, 0, 0, 0))
    end: float = 0


def geometry(scene: Scene) -> Geometry:
    """Where everything stands."""
    found = Geometry()
    y = 100.0 if scene["components"] else 56.0
    badges = any(owner["badges"] for owner in scene["owners"].values())
    y = _row(found.owners, scene["owners"], y, 330, 66 if badges else 46, 3)
    y = _resources(found, scene, ("ingress",), y)
    y = _row(found.services, scene["services"], y, 515, 40, 2)
    found.bus = y + 4
    y += 34
    pods: dict[str, list[tuple[str, Entry]]] = {uid: [] for uid in scene["nodes"]}
    waiting: list[tuple[str, Entry]] = []
    for uid, pod in by_slot(scene["pods"] | scene["groups"]):
        pods.get(pod["node"], waiting).append((uid, pod))
    drawn = [uid for uid, node in by_slot(scene["nodes"]) if pods[uid] or not node["control_plane"]]
    for start in range(0, len(drawn), 3):
        y = _nodes(found, drawn[start : start + 3], pods, y, first=start == 0)
    shown, found.more[""] = _chosen(waiting, 4 * 6)
    rows = -(-len(shown) // 6)
    height = 40 + rows * (POD_HEIGHT + POD_GAP)
    found.waiting = Box(MARGIN, y, WIDTH - 2 * MARGIN, height)
    for index, (uid, _) in enumerate(shown):
        x = MARGIN + 18 + index % 6 * (POD_WIDTH + 18)
        found.pods[uid] = Box(x, y + 40 + index // 6 * (POD_HEIGHT + POD_GAP), POD_WIDTH, POD_HEIGHT)
        found.gutters[uid] = MARGIN - 8
    found.end = _resources(found, scene, ("volumes", "configuration", "limits"), y + height + 14)
    return found


def _resources(found: Geometry, scene: Scene, layers: tuple[str, ...], y: float) -> float:
    """A row of cards for each layer that has any."""
    for layer in layers:
        entries = {uid: entry for uid, entry in scene["resources"].items() if entry["layer"] == layer}
        entries = scene["limits"] if layer == "limits" else entries
        if entries:
            y = _row(found.resources, entries, y, 330, 66, 3)
    return y


def _row(
    boxes: dict[str, Box], entries: dict[str, Entry], y: float, width: float, height: float, each: int
) -> float:
    for index, (uid, _) in enumerate(by_slot(entries)):
        x = LABELS + index % each * (width + 14)
        boxes[uid] = Box(x, y + index // each * (height + 10), width, height)
    rows = max(1, -(-len(entries) // each))
    return y + rows * (height + 10) + 10


def _nodes(
    found: Geometry, uids: list[str], pods: dict[str, list[tuple[str, Entry]]], y: float, first: bool
) -> float:
    chosen = {uid: _chosen(pods[uid], PODS_DRAWN) for uid in uids}
    places = {uid: _places(chosen[uid][0]) for uid in uids}
    rows = max([1, *(place // 2 + 1 for some in places.values() for place in some.values())])
    height = 6 + rows * (POD_HEIGHT + POD_GAP) + 22 + FOOTER
    for index, uid in enumerate(uids):
        x = MARGIN + index * (NODE_WIDTH + NODE_GAP)
        found.nodes[uid] = Box(x, y, NODE_WIDTH, height)
        found.more[uid] = chosen[uid][1]
        for pod, place in places[uid].items():
            top = y + 22 + place // 2 * (POD_HEIGHT + POD_GAP)
            found.pods[pod] = Box(x + 12 + place % 2 * (POD_WIDTH + 12), top, POD_WIDTH, POD_HEIGHT)
            found.gutters[pod] = x - NODE_GAP / 2
            if first and place < 2:
                found.first_row.add(pod)
    return y + height + 14


def _places(pods: list[tuple[str, Entry]]) -> dict[str, int]:
    """Where in a Node each Pod stands: its slot, or one after the other if that would not fit."""
    if all(pod["slot"] < PODS_DRAWN for _, pod in pods):
        return {uid: int(pod["slot"]) for uid, pod in pods}
    return {uid: index for index, (uid, _) in enumerate(pods)}


def _chosen(pods: list[tuple[str, Entry]], limit: int) -> tuple[list[tuple[str, Entry]], str]:
    if len(pods) <= limit:
        return pods, ""
    ranked = sorted(pods, key=lambda item: "count" not in item[1] and item[1]["look"] == "running")
    kept = {uid for uid, _ in ranked[:limit]}
    counts = Counter(pod["look"] for uid, pod in pods if uid not in kept)
    words = ", ".join(f"{counts[look]} {LOOKS[look].word}" for look in LOOKS if counts[look])
    return [item for item in pods if item[0] in kept], f"showing {limit} of {len(pods)}; the rest: {words}"


def service_line(found: Geometry, service: str, pod: str, lane: float) -> list[Point]:
    """The way of a line from a Service to a Pod, through gutters only.

    Args:
        found: where everything stands.
        service, pod: uids.
        lane: px by which this kind of line is set off from others in the same gutter.
    """
    start, end = found.services[service], found.pods[pod]
    order = list(found.services).index(service)
    x = start.x + start.width / 2 + lane * 8
    bus = found.bus + lane + order % 3 * 3
    if pod in found.first_row:
        enter = end.x + end.width / 2 + lane
        return [(x, start.y + start.height), (x, bus), (enter, bus), (enter, end.y)]
    gutter, gap = found.gutters[pod] + lane / 2, end.y - 6 + lane / 4
    enter = end.x + 14 + lane
    return [(x, start.y + start.height), (x, bus), (gutter, bus), (gutter, gap), (enter, gap), (enter, end.y)]


def heir_line(found: Geometry, victim: str, heir: str) -> list[Point]:
    """The way of the arrow from a Pod that leaves to the one that replaces it, below both."""
    start, end = found.pods[victim], found.pods[heir]
    out, back = start.x + start.width - 10, end.x + end.width - 10
    below, above = start.y + start.height + 20, end.y + end.height + 20
    points = [(out, start.y + start.height), (out, below)]
    if below != above:
        gutter = found.gutters[heir] + 4
        points += [(gutter, below), (gutter, above)]
    return [*points, (back, above), (back, end.y + end.height + 2)]
