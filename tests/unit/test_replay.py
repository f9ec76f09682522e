"""Replay: a recorded lesson as frames, the same for the same log, with the learner's acts in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from k8slab.graph.difference import patched
from k8slab.graph.ghosts import GHOST_SECONDS
from k8slab.graph.replay import GATHERED, Replay, replay
from k8slab.graph.scene import SceneBuilder
from k8slab.mirror.recording import About, Recording
from k8slab.mirror.timeline import Timeline
from tests.unit.recorded_objects import kill, lesson

ABOUT = About("03 · ReplicaSets", "lesson", "embedded", {"services": "played by k8slab"})


def recorded(limit: int = 10_000) -> tuple[Timeline, float, float]:
    """A lesson with one kill by the learner: its timeline, when it began and when the Pod was killed."""
    timeline = Timeline(limit)
    recording = lesson(timeline.record)
    since = recording.now
    recording.wait(5)
    killed = recording.now
    timeline.announce("delete", "pod-web-a", killed)
    kill(recording)
    recording.wait(30)
    recording.drop("pod-web-a")
    return timeline, since, killed


def as_bytes(found: Replay) -> bytes:
    return json.dumps(found.as_json()).encode()


def last(found: Replay) -> dict[str, Any]:
    scene = found.start
    for frame in found.frames:
        scene = patched(scene, frame)
    return scene


def test_the_same_log_gives_the_same_bytes_also_from_a_file(tmp_path: Path) -> None:
    timeline, since, _ = recorded()
    about = About(ABOUT.title, ABOUT.namespace, ABOUT.backend, ABOUT.played, since, since + 120)
    recording = timeline.recording(about)
    recording.save(tmp_path / "one.jsonl")
    loaded = Recording.load(tmp_path / "one.jsonl")
    loaded.save(tmp_path / "two.jsonl")
    assert (tmp_path / "one.jsonl").read_bytes() == (tmp_path / "two.jsonl").read_bytes()
    found = as_bytes(replay(recording)[0])
    assert found == as_bytes(replay(recording)[0]) == as_bytes(replay(loaded)[0])


def test_a_replay_starts_with_what_was_there_and_tells_what_the_learner_did() -> None:
    timeline, since, killed = recorded()
    found, end = replay(timeline.recording(About(namespace="lesson", since=since)))
    assert [pod["name"] for pod in found.start["pods"].values()] == ["web-a", "web-b", "web-c"]
    assert found.start["story"] == [] and found.start["moment"] == since
    told = list(found.sentences())
    assert told[0]["text"].startswith("You deleted web-a.") and told[0]["tone"] == "you"
    assert told[0]["moment"] == killed
    assert last(found) == {**end, "moment": last(found)["moment"], "changes": last(found)["changes"]}


def test_the_frames_are_the_scenes_that_were_live_then() -> None:
    timeline, since, _ = recorded()
    recording = timeline.recording(About(ABOUT.title, "lesson", "embedded", {}, since))
    found, _ = replay(recording)
    moments = [frame["moment"] for frame in found.frames]
    assert moments == sorted(moments)
    builder = SceneBuilder("lesson", ABOUT.title, "embedded")
    builder.set_badge("live", since)
    for change in recording.baseline:
        builder.apply(change)
    scene, waiting = found.start, list(timeline.changes(since))
    builder.announce("delete", "pod-web-a", waiting[0].moment)
    for frame in found.frames:
        while waiting and waiting[0].moment <= frame["moment"] + 0.0005:
            builder.apply(waiting.pop(0))
        scene = patched(scene, frame)
        now = builder.scene(frame["moment"] + 0.0005)
        for section in ("pods", "owners", "services", "edges", "nodes"):
            assert scene[section] == now[section]


def test_changes_close_together_are_one_frame_and_a_ghost_fades_by_recorded_time() -> None:
    timeline, since, _ = recorded()
    found, end = replay(timeline.recording(About(namespace="lesson", since=since)))
    gaps = [b["moment"] - a["moment"] for a, b in zip(found.frames, found.frames[1:], strict=False)]
    assert len(found.frames) < len(timeline.changes(since)) and min(gaps) > 0
    gone = timeline.changes()[-1].moment
    assert abs(found.frames[-1]["moment"] - gone - GHOST_SECONDS) < 0.01
    assert found.frames[-1]["drop"]["pods"] == ["pod-web-a"]
    assert "pod-web-a" not in end["pods"] and GATHERED < 0.1


def test_what_is_no_longer_kept_is_part_of_the_start_and_counted() -> None:
    timeline, _, _ = recorded(limit=6)
    found, end = replay(timeline.recording(About(namespace="lesson")))
    whole, complete = replay(recorded()[0].recording(About(namespace="lesson")))
    assert found.missing == timeline.count - 6 and whole.missing == 0
    assert {uid: pod["look"] for uid, pod in end["pods"].items()} == {
        uid: pod["look"] for uid, pod in complete["pods"].items()
    }
    assert set(found.start["nodes"]) == set(complete["nodes"])


def test_how_fresh_the_picture_was_is_replayed_too() -> None:
    timeline, since, killed = recorded()
    for state, moment in (("live", since - 1), ("stale", killed + 10), ("stale", killed + 11)):
        timeline.freshness(state, moment, moment)
    recording = timeline.recording(About(namespace="lesson", since=since))
    found, _ = replay(recording)
    badges = [
        frame["set"]["scene"]["badge"] for frame in found.frames if "badge" in frame["set"].get("scene", {})
    ]
    assert found.start["badge"]["state"] == "live"
    assert [badge["state"] for badge in badges] == ["stale"]


def test_other_namespaces_stay_out_of_a_recording() -> None:
    timeline = Timeline()
    recording = lesson(timeline.record)
    secret = {"name": "other", "namespace": "elsewhere", "uid": "u-other"}
    recording.put({"kind": "Pod", "metadata": secret, "spec": {}, "status": {}})
    assert "elsewhere" not in "".join(timeline.recording(About(namespace="lesson")).lines())


def test_a_file_without_a_first_line_replays_as_well(tmp_path: Path) -> None:
    timeline, _, _ = recorded()
    lines = list(timeline.recording(About()).lines())
    (tmp_path / "old.jsonl").write_text("\n".join(lines[1:]) + "\n")
    found, _ = replay(Recording.load(tmp_path / "old.jsonl"))
    assert found.start["title"] == "lesson"
    assert any(told["text"].startswith("You deleted web-a.") for told in found.sentences())
