"""The plotly figures: a constant shape, stable places, harmless text."""

from __future__ import annotations

import json
from typing import Any

import networkx
import pytest

from k8slab.graph.figure import figure, figure_data, scene_graph
from k8slab.graph.scene import SceneBuilder
from k8slab.graph.timeline_figure import PHASES, lives_figure, phases_of, replicas_figure, timeline_figure
from k8slab.mirror.timeline import Timeline
from tests.unit.recorded_objects import START, Recording, kill, lesson


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
    assert len(shapes[0]) == 16


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


def test_lives_are_cut_into_their_phases() -> None:
    timeline = Timeline()
    recording = lesson(timeline.record)
    kill(recording)
    recording.wait(1)
    recording.drop("pod-web-a")
    life = timeline.life("pod-web-a")
    assert life is not None
    spans = [
        (name, round(start - START, 2), round(end - START, 2)) for name, start, end in phases_of(life, 0)
    ]
    assert spans == [
        ("starting", 0.01, 0.21),
        ("not ready", 0.21, 0.61),
        ("ready", 0.61, 61.83),
        ("terminating", 61.83, 63.57),
    ]
    drawn = timeline_figure(timeline, "lesson")
    assert [trace.name for trace in drawn.data] == list(PHASES)
    assert list(drawn.layout.yaxis.ticktext) == ["web-a", "web-b", "web-c", "web-x"]
    terminating = drawn.data[-1]
    assert list(terminating.y) == ["pod-web-a"] and terminating.x[0] == pytest.approx(1.74)


def test_two_pods_of_one_name_have_two_rows() -> None:
    timeline = Timeline()
    recording = Recording(timeline.record)
    recording.pod("db-0", uid="first")
    recording.wait(1)
    recording.drop("first")
    recording.pod("db-0", uid="second")
    recording.wait(1)
    drawn = lives_figure(timeline.lives(), recording.now)
    assert list(drawn.data[0].y) == ["first", "second"]
    assert list(drawn.layout.yaxis.ticktext) == ["db-0", "db-0"]


def test_replicas_are_steps_to_the_end() -> None:
    timeline = Timeline()
    recording = lesson(timeline.record)
    kill(recording)
    drawn = replicas_figure(timeline.replicas("ReplicaSet-web"), recording.now, "ReplicaSet web")
    wants, has, ready = drawn.data
    assert [trace.name for trace in drawn.data] == ["wants", "has", "ready"]
    assert set(wants.y) == {3} and min(has.y[5:]) == 2 and ready.y[-1] == 3
    assert wants.x[-1] == pytest.approx(recording.now - START)
    assert ready.line.shape == "hv"


def test_empty_pictures_are_pictures_too() -> None:
    assert len(timeline_figure(Timeline()).data) == len(PHASES)
    assert len(replicas_figure([], START, "nothing").data) == 3
