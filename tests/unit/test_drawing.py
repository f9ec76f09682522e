"""The static SVG and the text tree: the same bytes, readable, accessible, harmless."""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ElementTree
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8slab.commands import run
from k8slab.graph.drawing import svg
from k8slab.graph.drawing_geometry import PODS_DRAWN, geometry, heir_line, service_line
from k8slab.graph.escape import esc, plain
from k8slab.graph.looks import EDGES, LOOKS
from k8slab.graph.scene import SceneBuilder
from k8slab.graph.text import tree
from tests.browser.scripted_scenes import grouped_scene, layered_scene
from tests.unit.recorded_objects import START, Recording, kill, lesson

SVG = "{http://www.w3.org/2000/svg}"


def scene_after_a_kill() -> dict[str, Any]:
    builder = SceneBuilder("lesson", "03 · ReplicaSets", "embedded", {"services": "played by k8slab"})
    recording = lesson(builder.apply)
    recording.pod("solo")
    builder.announce("delete", "pod-web-a", recording.now)
    kill(recording)
    builder.set_badge("live", START)
    return builder.scene(recording.now)


def crowd(pods: int) -> dict[str, Any]:
    builder = SceneBuilder("lesson")
    recording = Recording(builder.apply)
    for number in range(5):
        recording.node(f"worker-{number}")
    recording.service("web")
    uids = [recording.pod(f"web-{number}") for number in range(pods)]
    for number, uid in enumerate(uids):
        recording.place(uid, f"worker-{number % 2}")
        recording.start(uid, ready=number != 71)
    recording.endpoints("web", dict.fromkeys(uids, "ready"))
    return builder.scene(recording.now)


def test_the_same_log_gives_the_same_bytes() -> None:
    assert svg(scene_after_a_kill()) == svg(scene_after_a_kill())
    assert tree(scene_after_a_kill()) == tree(scene_after_a_kill())


def test_the_drawing_is_xml_with_title_description_and_no_small_text() -> None:
    scene = scene_after_a_kill()
    root = ElementTree.fromstring(svg(scene))
    assert root.get("width") == "1240" and root.get("role") == "img"
    title, description = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert title is not None and title.text == "03 · ReplicaSets"
    assert description is not None and description.text == tree(scene)
    assert root.get("aria-labelledby") == f"{title.get('id')} {description.get('id')}"
    sizes = [float(text.get("font-size", "0")) for text in root.iter(f"{SVG}text")]
    assert min(sizes) >= 12
    height = float(root.get("height", "0"))
    for text in root.iter(f"{SVG}text"):
        assert 0 <= float(text.get("x", "-1")) <= 1240 and 0 <= float(text.get("y", "-1")) <= height


def test_every_state_has_a_word_beside_its_colour() -> None:
    root = ElementTree.fromstring(svg(scene_after_a_kill()))
    words = {text.text for text in root.iter(f"{SVG}text")}
    assert {look.word for look in LOOKS.values()} <= words
    assert {edge.word for edge in EDGES.values()} <= words
    assert {
        "web-x",
        "Terminating",
        "28 s",
        "10.7.128.12:80",
        "● live",
        "healed in 0.74 s",
        "web-a → web-x",
    } <= words
    assert "You deleted web-a. It has 30 s to finish." in words
    assert len({look.mark for look in LOOKS.values()}) == len(LOOKS) - 1, "a ghost keeps the mark of leaving"


def test_lines_never_cross_a_pod() -> None:
    scene = scene_after_a_kill()
    found = geometry(scene)
    lines = [
        (service_line(found, edge["service"], edge["pod"], 0), edge["pod"])
        for edge in scene["edges"].values()
    ]
    lines += [
        (heir_line(found, uid, pod["heir"]), pod["heir"]) for uid, pod in scene["pods"].items() if pod["heir"]
    ]
    assert len(lines) == 5
    for points, end in lines:
        for (x1, y1), (x2, y2) in pairwise(points):
            for uid, box in found.pods.items():
                inside_x = min(x1, x2) < box.x + box.width and max(x1, x2) > box.x
                inside_y = min(y1, y2) < box.y + box.height and max(y1, y2) > box.y
                assert not (inside_x and inside_y), f"the line to {end} crosses {uid}"


def test_boxes_do_not_overlap_and_a_crowd_is_counted() -> None:
    scene = crowd(120)
    found = geometry(scene)
    boxes = list(found.pods.values())
    assert len(boxes) == 2 * PODS_DRAWN
    for index, one in enumerate(boxes):
        for other in boxes[index + 1 :]:
            apart_x = one.x + one.width <= other.x or other.x + other.width <= one.x
            apart_y = one.y + one.height <= other.y or other.y + other.height <= one.y
            assert apart_x or apart_y
    assert "pod-web-71" in found.pods, "who is not well is drawn"
    assert found.more["node-worker-0"] == "showing 24 of 60; the rest: 36 running"
    ElementTree.fromstring(svg(scene))


def test_the_tree_says_all_of_it() -> None:
    lines = tree(scene_after_a_kill()).splitlines()
    assert lines[:2] == ["03 · ReplicaSets (live)", "embedded"]
    assert "ReplicaSet web: wants 3, has 3, ready 3, terminating 1 (saw 2, made 1)" in lines
    assert "Service web at 10.7.128.12:80, selects app=web: 3 of 3 ready, played by k8slab" in lines
    assert "Node worker-1: Ready, kubelet played by k8slab" in lines
    assert "  ✕ Pod web-a: Terminating, 28 s left, replaced by web-x" in lines
    assert "    container web: running" in lines
    waiting = lines.index("Waiting for a node")
    assert lines[waiting + 1].startswith("  ▲ Pod solo: Pending, no owner")
    assert any(line.startswith("Recovery: web-a is replaced by web-x") for line in lines)


def test_a_stale_picture_says_for_how_long() -> None:
    builder = SceneBuilder("lesson", "Chapter")
    builder.set_badge("stale", START)
    scene = builder.scene(START + 12)
    assert tree(scene).startswith("Chapter (stale for 12 s)")
    assert "■ stale for 12 s" in svg(scene)


PAYLOADS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</text></svg><script>1</script>",
    "<a href='javascript:alert(1)'>x</a>",
    "$\\href{javascript:alert(1)}{x}$",
    "%{customdata} %{x}",
    "&lt;b&gt; & `tick`",
    "\u202egnp.exe\u2066",
    "\x00\x1b[2Jcleared\x07",
    "]]><!--",
    "\ud800 \uffff",
    "a\r\nb\u2028c",
]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_hostile_text_stays_text(payload: str) -> None:
    scene = scene_after_a_kill()
    scene["title"] = scene["backend"] = payload
    for section in ("pods", "nodes", "owners", "services"):
        for uid, entry in scene[section].items():
            hostile = {
                key: payload for key in ("name", "note", "status", "played", "address") if key in entry
            }
            scene[section][uid] = {**entry, **hostile}
    scene["story"] = [{**entry, "text": payload} for entry in scene["story"]]
    root = ElementTree.fromstring(svg(scene))
    tags = {element.tag.removeprefix(SVG) for element in root.iter()}
    assert tags <= {"svg", "title", "desc", "defs", "marker", "path", "rect", "circle", "text", "g"}
    assert not re.search(r"[\x00-\x09\x0b-\x1f\u202e\u2066]", tree(scene))


@given(st.text())
def test_escaped_text_holds_no_markup_and_is_bounded(text: str) -> None:
    escaped = esc(text)
    assert not re.search(r"[<>\"'`$]|%\{", escaped)
    assert len(plain(text)) <= 200
    ElementTree.fromstring(f"<p a='{escaped}'>{escaped}</p>")


def test_ordinary_text_is_left_alone() -> None:
    assert plain("web-x7k2p · schön 3 ≥ 2") == "web-x7k2p · schön 3 ≥ 2"
    assert esc("a < b & c > d") == "a &lt; b &amp; c &gt; d"
    assert esc("100 % of {x}") == "100 % of {x}"
    assert len(plain("x" * 1000)) == 200


def test_nothing_heavy_is_imported_before_it_is_used() -> None:
    code = (
        "import sys, k8slab.graph.scene, k8slab.graph.drawing, k8slab.graph.figure,"
        " k8slab.graph.timeline_figure, k8slab.mirror.mirror, k8slab.mirror.timeline;"
        "print([name for name in ('networkx', 'plotly', 'kubernetes', 'pandas') if name in sys.modules])"
    )
    assert run([sys.executable, "-c", code], timeout=60).stdout.strip() == "[]"


def test_layers_and_groups_are_drawn_with_their_words() -> None:
    for scene, expected in (
        (
            layered_scene(),
            {"VOLUMES", "CONFIGURATION", "LIMITS", "INGRESS", "missing", "→ web, shop", "used up"},
        ),
        (grouped_scene(), {"×94 Pods", "4 not ready", "web-crash"}),
    ):
        drawing = svg(scene)
        assert drawing == svg(scene)
        root = ElementTree.fromstring(drawing)
        words = {text.text for text in root.iter(f"{SVG}text")}
        assert expected <= words
        height = float(root.get("height", "0"))
        for text in root.iter(f"{SVG}text"):
            assert 0 <= float(text.get("x", "-1")) <= 1240 and 0 <= float(text.get("y", "-1")) <= height
