"""The layers of the static drawing: cards of Ingresses, claims, configuration and limits; groups. Pure."""

from __future__ import annotations

from k8slab.graph.difference import Scene
from k8slab.graph.drawing_geometry import MARGIN, Box, Geometry
from k8slab.graph.looks import DARK_BLUE, DARK_RED, FAINT, INK, LOOKS, QUIET
from k8slab.graph.svg import Svg, fitted, width_of
from k8slab.graph.text import Entry

LABELS_OF = {"ingress": "INGRESS", "volumes": "VOLUMES", "configuration": "CONFIGURATION", "limits": "LIMITS"}
"""What stands before the row of each layer."""

SHORT = {"PersistentVolumeClaim": "Claim"}


def layers(svg: Svg, scene: Scene, found: Geometry) -> None:
    """All cards of resources and limits, each row with its label."""
    for layer, label in LABELS_OF.items():
        row = [(uid, box) for uid, box in found.resources.items() if _layer(scene, uid) == layer]
        if row:
            svg.text(MARGIN, row[0][1].y + 27, label, 12, FAINT, 700)
        for uid, box in row:
            if layer == "limits":
                _limit(svg, scene["limits"][uid], box)
            else:
                _resource(svg, scene, uid, box)


def group(svg: Svg, entry: Entry, box: Box) -> None:
    """A group of Pods as one card: how many, of whom, and how they do; the worst gives the frame."""
    look = LOOKS[entry["look"]]
    svg.rect(box.x + 5, box.y - 5, box.width - 5, box.height, 10, "#fff", look.colour, 1.4, look.dash)
    svg.rect(box.x, box.y, box.width - 5, box.height, 10, "#fff", look.colour, 2.2, look.dash)
    x, room = box.x + 14, box.width - 33
    svg.text(x, box.y + 23, fitted(entry["name"] or "no owner", 13.5, room, True), 13.5, INK, 600, mono=True)
    svg.mark(entry["look"], x + 7, box.y + 42, look.colour)
    svg.text(x + 20, box.y + 47, f"×{entry['count']} Pods", 14, INK, 700)
    lines = [""]
    for key, count in entry["looks"].items():
        words = f"{count} {LOOKS[key].word}"
        longer = f"{lines[-1]}, {words}" if lines[-1] else words
        if width_of(longer, 12) <= room:
            lines[-1] = longer
        else:
            lines.append(words)
    if len(lines) > 2:
        lines[1] = ", ".join(lines[1:])
    for number, line in enumerate(lines[:2]):
        svg.text(x, box.y + 66 + 17 * number, fitted(line, 12, room), 12, QUIET)


def mismatch_words(scene: Scene, pod: str) -> str:
    """What a Service's selector and its endpoints do not agree on about a Pod; empty if nothing."""
    for entry in scene["mismatches"].values():
        if entry["pod"] == pod:
            return f"≠ Service {scene['services'].get(entry['service'], {}).get('name', '')}: {entry['why']}"
    return ""


def _layer(scene: Scene, uid: str) -> str:
    return "limits" if uid in scene["limits"] else str(scene["resources"][uid]["layer"])


def _resource(svg: Svg, scene: Scene, uid: str, box: Box) -> None:
    entry = scene["resources"][uid]
    look, missing = LOOKS[entry["look"]], entry["state"] == "missing"
    colour = DARK_RED if entry["look"] == "failed" else QUIET
    svg.rect(box.x, box.y, box.width, box.height, 4, "#fff", look.colour, 1.6, "5 4" if missing else "")
    kind = SHORT.get(entry["kind"], entry["kind"])
    svg.text(box.x + 14, box.y + 19, fitted(kind, 12, 110), 12, QUIET)
    svg.text(box.x + 14, box.y + 38, fitted(entry["name"], 14, 140), 14, weight=700)
    state = fitted(entry["state"], 12.5, 170)
    svg.text(box.x + box.width - 14, box.y + 19, state, 12.5, colour, 700, "end")
    svg.mark_small(entry["look"], box.x + box.width - 32 - width_of(state, 12.5), box.y + 15, look.colour)
    svg.text(box.x + box.width - 14, box.y + 38, fitted(_used(scene, uid), 12, 150), 12, QUIET, anchor="end")
    svg.text(box.x + 14, box.y + 58, fitted(entry["note"], 12, box.width - 28), 12, colour)


def _used(scene: Scene, uid: str) -> str:
    """Who has to do with a resource, in a few words."""
    if scene["resources"][uid]["kind"] == "Ingress":
        goals = [
            (scene["services"].get(link["to"]) or scene["resources"].get(link["to"]) or {}).get("name", "")
            for link in scene["links"].values()
            if link["from"] == uid and link["relation"] == "routes"
        ]
        return f"→ {', '.join(goals)}" if goals else ""
    count = sum(link["to"] == uid and link["from"] in scene["pods"] for link in scene["links"].values())
    return f"used by {count} Pod{'' if count == 1 else 's'}" if count else ""


def _limit(svg: Svg, entry: Entry, box: Box) -> None:
    colour = DARK_RED if entry["full"] else DARK_BLUE
    svg.rect(box.x, box.y, box.width, box.height, 4, "#fff", colour, 1.6)
    svg.text(box.x + 14, box.y + 19, "ResourceQuota", 12, QUIET)
    svg.text(box.x + 14, box.y + 38, fitted(entry["name"], 14, 150), 14, weight=700)
    svg.text(box.x + box.width - 14, box.y + 19, "used up" if entry["full"] else "", 12.5, colour, 700, "end")
    svg.text(box.x + 14, box.y + 58, fitted(entry["text"], 12, box.width - 28), 12, colour)
