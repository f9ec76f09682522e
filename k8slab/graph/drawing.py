"""The scene as a standalone SVG, for files, saved notebooks and printouts. Pure.

The same scene gives the same bytes. Every state has a shape and a word beside its colour.
"""

from __future__ import annotations

from k8slab.graph.difference import Scene
from k8slab.graph.drawing_geometry import (
    FOOTER,
    LABELS,
    MARGIN,
    WIDTH,
    Box,
    Geometry,
    geometry,
    heir_line,
    service_line,
)
from k8slab.graph.drawing_layers import group, layers, mismatch_words
from k8slab.graph.looks import (
    BLUE,
    DARK_BLUE,
    DARK_GREEN,
    DARK_RED,
    EDGES,
    FAINT,
    GREEN,
    INK,
    LINE,
    LOOKS,
    ORANGE,
    PAPER,
    QUIET,
    SKY,
    VERMILION,
)
from k8slab.graph.svg import Svg, fitted, width_of
from k8slab.graph.text import Entry, badge_words, by_slot, tree

SENTENCES_DRAWN = 10

PHASES = {
    "replacement created": ("created", SKY),
    "scheduled": ("placed", BLUE),
    "process started": ("process started", ORANGE),
    "ready": ("ready", GREEN),
    "in endpoints": ("gets requests", DARK_BLUE),
}
"""Word and colour of each phase of a recovery."""

TONES = {"you": DARK_RED, "plain": INK, "good": DARK_BLUE, "bad": DARK_RED}
STATES = {"running": ("running", GREEN), "stopped": ("failed", VERMILION), "unknown": ("not-ready", FAINT)}


def svg(scene: Scene) -> str:
    """The map of a scene as a standalone SVG, 1240 px wide."""
    paper, found = Svg(), geometry(scene)
    name = f"k8slab-{int(scene['moment'] * 1000)}"
    below = Svg()
    height = _tail(below, scene, found.end)
    paper.rect(0, 0, WIDTH, height, fill=PAPER, line=0)
    _head(paper, scene)
    _owners(paper, scene, found)
    _services(paper, scene, found)
    layers(paper, scene, found)
    for uid, box in found.nodes.items():
        _node(paper, scene["nodes"][uid], box, found.more[uid])
    _waiting(paper, found)
    for edge in sorted(
        scene["edges"].values(), key=lambda one: (one["state"] == "ready", one["service"], one["pod"])
    ):
        if edge["pod"] in found.pods and edge["service"] in found.services:
            look, lane = EDGES[edge["state"]], {"ready": 0, "not-ready": 7, "terminating": -7}[edge["state"]]
            points = service_line(found, edge["service"], edge["pod"], lane)
            paper.path(points, look.colour, 2.6 if edge["state"] == "ready" else 2.2, look.dash)
    for uid, pod in scene["pods"].items():
        if uid in found.pods and pod["heir"] in found.pods:
            paper.path(heir_line(found, uid, pod["heir"]), QUIET, 1.9, "6 4", f"{name}-arrow")
    for uid, box in found.pods.items():
        if uid in scene["groups"]:
            group(paper, scene["groups"][uid], box)
        else:
            _pod(paper, scene, uid, box)
    paper.extend(below)
    return paper.document(WIDTH, height, name, scene["title"] or scene["namespace"], tree(scene))


def _head(svg: Svg, scene: Scene) -> None:
    title = fitted(scene["title"] or scene["namespace"], 19, 420)
    svg.text(24, 34, title, 19, weight=700)
    x = 24 + width_of(title, 19) + 18
    words = badge_words(scene)
    live = scene["badge"]["state"] == "live"
    width = width_of(words, 13) + 40
    svg.rect(x, 17, width, 24, 12, fill=DARK_GREEN if live else DARK_RED, line=0)
    svg.text(x + width / 2, 34, ("● " if live else "■ ") + words, 13, "#fff", 600, "middle")
    svg.text(x + width + 14, 34, fitted(scene["backend"], 13, WIDTH - x - width - 40), 13, QUIET)
    remarks = [scene["badge"]["note"]]
    if scene["groups"]:
        shown = scene["shown"]
        remarks.append(f"Showing {shown['pods']} of {shown['of']} Pods one by one, the rest in groups.")
    svg.text(24, 53, fitted(" ".join(part for part in remarks if part), 12.5, WIDTH - 48), 12.5, QUIET)
    x = LABELS
    if scene["components"]:
        svg.text(MARGIN, 75, "CONTROL PLANE", 12, FAINT, 700)
    for component, entry in by_slot(scene["components"]):
        look, colour = STATES[entry["state"]]
        words = component if entry["state"] == "running" else f"{component}: {entry['state']}"
        width = width_of(words, 13) + 44
        svg.rect(x, 57, width, 28, 14, line=1.2)
        svg.mark(look, x + 18, 71, colour)
        svg.text(x + 32, 76, words, 13, QUIET, 500)
        x += width + 10


def _owners(svg: Svg, scene: Scene, found: Geometry) -> None:
    for index, (uid, box) in enumerate(found.owners.items()):
        owner = scene["owners"][uid]
        if index == 0:
            svg.text(MARGIN, box.y + 27, "OWNERS", 12, FAINT, 700)
        svg.rect(box.x, box.y, box.width, box.height, 10, stroke=QUIET, line=1.5)
        parent = scene["owners"].get(owner["owner"])
        kind = owner["kind"] + (f" of {parent['name']}" if parent else "")
        svg.text(box.x + 16, box.y + 19, fitted(kind, 12, 126), 12, QUIET)
        svg.text(box.x + 16, box.y + 38, fitted(owner["name"], 15, 130), 15, weight=700)
        words = f"wants {owner['wants']} · has {owner['has']} · ready {owner['ready']}"
        svg.text(box.x + box.width - 14, box.y + 19, words, 12.5, weight=700, anchor="end")
        badges = fitted(", ".join(owner["badges"]), 12, box.width - 30)
        svg.text(box.x + 16, box.y + 57, badges, 12, DARK_RED if "cannot" in badges else QUIET)
        note = owner["note"] or (f"{owner['terminating']} terminating" if owner["terminating"] else "")
        if parent and owner["revision"]:
            note = f"revision {owner['revision']}" + (f", {note}" if note else "")
        svg.text(box.x + box.width - 14, box.y + 38, fitted(note, 12, 170), 12, QUIET, anchor="end")


def _services(svg: Svg, scene: Scene, found: Geometry) -> None:
    for index, (uid, box) in enumerate(found.services.items()):
        service = scene["services"][uid]
        if index == 0:
            svg.text(MARGIN, box.y + 25, "SERVICES", 12, FAINT, 700)
        dash = "6 4" if service["played"] else ""
        svg.rect(box.x, box.y, box.width, box.height, 20, "#e8f1f8", DARK_BLUE, 1.8, dash)
        name = fitted(f"Service {service['name']}", 14.5, 140)
        svg.text(box.x + 20, box.y + 25, name, 14.5, DARK_BLUE, 700)
        words = service["hint"] or f"{service['ready']} of {service['total']} ready"
        words += f" · {service['played']}" if service["played"] and not service["hint"] else ""
        words = fitted(words, 12, 320 if service["hint"] else 250)
        svg.text(box.x + box.width - 18, box.y + 25, words, 12, DARK_BLUE, 600, "end")
        x = box.x + 30 + width_of(name, 14.5)
        room = box.x + box.width - 24 - width_of(words, 12) - x
        svg.text(x, box.y + 25, fitted(service["address"], 12.5, room, True), 12.5, DARK_BLUE, mono=True)


def _node(svg: Svg, node: Entry, box: Box, more: str) -> None:
    svg.rect(box.x, box.y, box.width, box.height, 14, stroke="#8a949e", line=1.6)
    top = box.y + box.height - FOOTER
    svg.rect(box.x + 1, top, box.width - 2, FOOTER - 1, 13, "#eef2f6", line=0)
    name = fitted(node["name"], 15, 130)
    svg.text(box.x + 16, top + 27, name, 15, weight=700)
    x = box.x + 28 + width_of(name, 15)
    width = width_of(node["status"], 12.5) + 18
    svg.rect(x, top + 11, width, 22, 11, DARK_GREEN if node["ready"] else DARK_RED, line=0)
    svg.text(x + width / 2, top + 27, node["status"], 12.5, "#fff", 600, "middle")
    room = box.x + box.width - 14 - x - width - 8
    svg.text(box.x + box.width - 14, top + 27, fitted(node["played"], 12, room), 12, QUIET, anchor="end")
    svg.text(box.x + 14, top - 6, fitted(more, 12, box.width - 28), 12, QUIET)


def _waiting(svg: Svg, found: Geometry) -> None:
    box = found.waiting
    svg.rect(box.x, box.y, box.width, box.height, 12, "none", LINE, 1.5, "6 5")
    svg.text(box.x + 18, box.y + 25, "Waiting for a node", 13, FAINT, 600)
    words = found.more[""] or ("" if box.height > 40 else "nobody: every Pod has its place")
    svg.text(box.x + box.width - 16, box.y + 25, words, 13, FAINT, anchor="end")


def _pod(svg: Svg, scene: Scene, uid: str, box: Box) -> None:
    pod = scene["pods"][uid]
    look = LOOKS[pod["look"]]
    leaving = pod["look"] in ("terminating", "ghost")
    svg.rect(
        box.x, box.y, box.width, box.height, 10, "#f4f5f7" if leaving else "#fff", look.colour, 2.2, look.dash
    )
    if not leaving:
        svg.rect(box.x, box.y, 7, box.height, 3, look.colour, line=0)
    x, right = box.x + 17, box.x + box.width - 10
    svg.text(
        x,
        box.y + 23,
        fitted(pod["name"], 13.5, box.width - 27, True),
        13.5,
        FAINT if leaving else INK,
        600,
        mono=True,
    )
    svg.mark(pod["look"], x + 7, box.y + 42, look.colour)
    side = pod["ip"]
    if pod["look"] == "terminating" and pod["grace_end"]:
        side = f"{max(0, pod['grace_end'] - scene['moment']):.0f} s"
    elif pod["look"] == "ghost":
        side = ""
    if width_of(pod["status"], 13) + width_of(side, 12) > right - x - 26:
        side = ""
    room = right - x - 20 - (width_of(side, 12) + 6 if side else 0)
    svg.text(x + 20, box.y + 47, fitted(pod["status"], 13, room), 13, FAINT if leaving else INK, 600)
    svg.text(right, box.y + 47, side, 12, QUIET, anchor="end")
    restarts = f"restarted {pod['restarts']}×" if pod["restarts"] else ""
    _containers(svg, pod, x, box.y + 60, right - x - (width_of(restarts, 12) + 6 if restarts else 0))
    svg.text(right, box.y + 77, restarts, 12, DARK_RED, 600, "end")
    note = pod["note"] or mismatch_words(scene, uid)
    svg.text(box.x, box.y + box.height + 14, fitted(note, 12, box.width - 22), 12, QUIET)


def _containers(svg: Svg, pod: Entry, x: float, y: float, room: float) -> None:
    end = x + room
    for index, container in enumerate(pod["containers"]):
        left = len(pod["containers"]) - index
        name = fitted(container["name"], 12, 90)
        width = width_of(name, 12) + 28
        if x + width > end and index:
            svg.text(x, y + 17, f"+{left}", 12, QUIET)
            return
        svg.rect(x, y, width, 24, 6, "#eef2f6" if container["look"] == "running" else "#fff")
        svg.mark_small(container["look"], x + 12, y + 12, LOOKS[container["look"]].colour)
        svg.text(x + 22, y + 17, name, 12, QUIET)
        x += width + 5


def _tail(svg: Svg, scene: Scene, y: float) -> float:
    """Recovery, story and legend; returns the height of the whole drawing."""
    if scene["recovery"]:
        y = _recovery(svg, scene["recovery"], y)
    if scene["story"]:
        y += 22
        svg.text(MARGIN, y, "WHAT HAPPENED", 12, FAINT, 700)
        told = scene["story"][-SENTENCES_DRAWN:]
        for entry in told:
            svg.text(LABELS, y, f"{entry['moment'] - told[0]['moment']:.2f}", 13, QUIET, mono=True)
            words = fitted(entry["text"], 13.5, WIDTH - LABELS - 90)
            svg.text(
                LABELS + 66, y, words, 13.5, TONES[entry["tone"]], 400 if entry["tone"] == "plain" else 600
            )
            y += 23
    y += 14
    x = MARGIN
    for key, look in LOOKS.items():
        svg.mark(key, x + 7, y - 4, look.colour)
        svg.text(x + 20, y, look.word, 12.5, QUIET)
        x += width_of(look.word, 12.5) + 40
    for edge in EDGES.values():
        svg.path([(x, y - 4), (x + 34, y - 4)], edge.colour, 2.6, edge.dash)
        svg.text(x + 42, y, edge.word, 12.5, QUIET)
        x += width_of(edge.word, 12.5) + 60
    y += 20
    svg.text(
        MARGIN, y, "A dashed Service, or the word played: k8slab stands in for the real part.", 12.5, QUIET
    )
    return y + 16


def _recovery(svg: Svg, recovery: Entry, y: float) -> float:
    svg.text(MARGIN, y + 18, "RECOVERY", 12, FAINT, 700)
    phases = recovery["phases"]
    total = max([phase["seconds"] for phase in phases], default=0) or 1
    x, before, words = LABELS, 0.0, []
    for phase in phases:
        word, colour = PHASES[phase["name"]]
        width = max(0.0, phase["seconds"] - before) / total * 560
        svg.rect(x, y + 4, max(1.0, width - 2), 20, 3, colour, line=0)
        words.append(f"{word} {phase['seconds']:.2f}")
        x, before = x + width, max(before, phase["seconds"])
    svg.text(LABELS, y + 42, " · ".join(words) or "no replacement yet", 12.5, QUIET)
    end = f"healed in {recovery['healed']:.2f} s" if recovery["healed"] is not None else "not healed yet"
    svg.text(LABELS + 576, y + 19, end, 13.5, weight=700)
    if recovery["heir"]:
        who = f"{recovery['victim']} → {recovery['heir']}"
        svg.text(LABELS + 576, y + 42, fitted(who, 12.5, 480), 12.5, QUIET)
    return y + 50
