"""The plotly figures: a constant shape, stable places, harmless text."""

from __future__ import annotations

import json
from typing import Any

import networkx

from k8slab.graph.figure import figure, figure_data, scene_graph
from k8slab.graph.scene import SceneBuilder
from k8slab.widgets.kernel_figure import with_mortal_views
from tests.unit.recorded_objects import START, kill, lesson


def scenes() -> list[dict[str, Any]]:
    """Before, during and after a kill, and an empty namespace."""
    builder = SceneBuilder("lesson", "Chapter")
    found = [builder.scene(START)]
    recording = lesson(builder.apply)
    found.append(builder.scene(recording.now))
    kill(recording)
    found.append(builder.scene(recording.now))
    recording.drop("pod-web-a")
    found.append(builder.scene(recording.now))
    return found


def test_the_number_and_order_of_traces_never_change() -> None:
    shapes = [[(trace["type"], trace["name"]) for trace in figure_data(scene)] for scene in scenes()]
    assert all(shape == shapes[0] for shape in shapes)
    assert len(shapes[0]) == 19


def test_a_live_figure_can_be_updated_in_place() -> None:
    first, *later = scenes()
    live = figure(first)
    for scene in later:
        with live.batch_update():
            for trace, data in zip(live.data, figure_data(scene), strict=True):
                trace.update(data)
        expected = figure(scene)
        assert json.loads(live.to_json())["data"] == json.loads(expected.to_json())["data"]


def test_the_same_scene_gives_the_same_figure() -> None:
    assert [figure(scene).to_json() for scene in scenes()] == [figure(scene).to_json() for scene in scenes()]


def test_a_status_change_moves_nothing() -> None:
    builder = SceneBuilder("lesson")
    recording = lesson(builder.apply)
    before = networkx.get_node_attributes(scene_graph(builder.scene(recording.now)), "pos")
    recording.start("pod-web-a", ready=False, restarts=4)
    assert networkx.get_node_attributes(scene_graph(builder.scene(recording.now)), "pos") == before


def test_lines_are_the_edges_of_the_graph() -> None:
    scene = scenes()[2]
    graph = scene_graph(scene)
    traces = {trace["name"]: trace for trace in figure_data(scene)}
    relations = [relation for _, _, relation in graph.edges(data="relation")]
    assert traces["gets requests"]["x"].count(None) == relations.count("ready") == 3
    assert traces["leaving"]["x"].count(None) == relations.count("terminating") == 1
    assert traces["contains"]["x"].count(None) == 4
    assert len(traces["replaced by"]["x"]) == 5
    assert traces["running"]["customdata"] == ["pod-web-b", "pod-web-c", "pod-web-x"]
    assert "replaced by web-x" in traces["terminating"]["hovertext"][0]
    assert "wants 3, has 3, ready 3, terminating 1" in traces["running"]["hovertext"][0]


def test_pods_without_a_node_stand_apart() -> None:
    builder = SceneBuilder("lesson")
    recording = lesson(builder.apply)
    uid = recording.pod("waiting")
    places = networkx.get_node_attributes(scene_graph(builder.scene(recording.now)), "pos")
    assert places[uid][0] > max(
        place[0] for key, place in places.items() if key != uid and key != f"{uid}/web"
    )


def test_hostile_text_is_inert() -> None:
    scene = scenes()[2]
    evil = "<a href='javascript:alert(1)'>x</a>$\\href{javascript:1}{y}$ %{x} `"
    scene["title"] = evil
    scene["pods"]["pod-web-x"] = {**scene["pods"]["pod-web-x"], "note": evil, "name": evil}
    text = json.dumps(json.loads(figure(scene).to_json()), ensure_ascii=False)
    assert "<a" not in text and "$\\" not in text and "%{" not in text and "href='" not in text


def test_the_views_of_the_kernels_figure_end_with_their_elements() -> None:
    """plotly's own module is wrapped where it exports its default, and left alone if it does so otherwise."""
    script = "var w=()=>({});export{A as FigureModel,B as FigureView,w as default};\n/* licences */"
    wrapped = with_mortal_views(script)
    assert "inner=w()" in wrapped
    assert "export{A as FigureModel,B as FigureView,k8slabWidget as default};\n/* licences */" in wrapped
    assert with_mortal_views("export default {}") == "export default {}"


def test_labels_are_cut_to_their_room_and_keep_what_tells_pods_apart() -> None:
    scene = scenes()[2]
    owner = scene["pods"]["pod-web-x"]["owner"]
    scene["owners"][owner]["name"] = "frontend-of-the-shop-6c8f9d7b5"
    name = "frontend-of-the-shop-6c8f9d7b5-k2j4s"
    scene["pods"]["pod-web-x"] = {**scene["pods"]["pod-web-x"], "name": name}
    texts: dict[str, Any] = {trace["name"]: trace.get("text") for trace in figure_data(scene)}
    assert "…k2j4s" in texts["running"]
    assert texts["terminating"] == ["web-a<br>terminating"]
    assert texts["Service"][0].startswith("web<br>")


def test_groups_and_mismatches_are_drawn_and_the_title_says_how_many_pods_there_are() -> None:
    scene = scenes()[1]
    node = next(iter(scene["nodes"]))
    group = {"node": node, "owner": "x", "name": "web", "kind": "ReplicaSet", "slot": 3, "count": 180,
             "look": "running", "looks": {"running": 180}}  # fmt: skip
    scene = {
        **scene,
        "groups": {f"{node}/x": group},
        "shown": {"pods": 3, "of": 183},
        "mismatches": {"m": {"service": "service-web", "pod": "pod-web-a", "kind": "no-endpoint", "why": ""}},
        "edges": {},
    }
    traces = {trace["name"]: trace for trace in figure_data(scene)}
    assert traces["group of Pods"]["text"] == ["×180"]
    assert traces["group of Pods"]["hovertext"] == ["ReplicaSet web ×180: 180 running"]
    assert traces["matches, and is no endpoint"]["x"].count(None) == 1
    assert "showing 3 of 183 Pods one by one" in figure(scene).layout.title.text
