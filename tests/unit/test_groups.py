"""A crowd of Pods: groups with the worst look, those that are not well apart, nothing moves, in time."""

from __future__ import annotations

import random
import statistics
import time
from typing import Any

from k8slab.graph.groups import GROUPED_ABOVE, KEPT, SINGLE_BELOW
from k8slab.graph.scene import SceneBuilder, difference
from tests.unit.recorded_objects import START, Object, Recording


def crowd(pods: int) -> tuple[SceneBuilder, Recording, Object]:
    builder = SceneBuilder("lesson")
    builder.set_badge("live", START)
    recording = Recording(builder.apply)
    for number in range(3):
        recording.node(f"worker-{number}")
    web = recording.owner("ReplicaSet", "web", pods)
    for number in range(pods):
        add(recording, web, number)
    return builder, recording, web


def add(recording: Recording, web: Object, number: int) -> None:
    uid = recording.pod(f"web-{number}", web)
    recording.place(uid, f"worker-{number % 3}")
    recording.start(uid, ready=True)


def places(scene: dict[str, Any]) -> dict[str, tuple[str, int]]:
    return {
        uid: (entry["node"], entry["slot"])
        for section in ("pods", "groups")
        for uid, entry in scene[section].items()
    }


def test_groups_come_above_200_and_go_below_150() -> None:
    builder, recording, web = crowd(GROUPED_ABOVE)
    scene = builder.scene(recording.now)
    assert (len(scene["pods"]), scene["groups"], scene["shown"]) == (200, {}, {"pods": 200, "of": 200})
    add(recording, web, 200)
    scene = builder.scene(recording.now)
    assert (scene["pods"], scene["edges"], scene["shown"]) == ({}, {}, {"pods": 0, "of": 201})
    assert scene["groups"]["node-worker-0/ReplicaSet-web"] == {
        "node": "node-worker-0",
        "owner": "ReplicaSet-web",
        "name": "web",
        "kind": "ReplicaSet",
        "slot": 0,
        "count": 67,
        "look": "running",
        "looks": {"running": 67},
    }
    for number in range(201 - SINGLE_BELOW):
        recording.drop(f"pod-web-{number}")
    recording.wait(10)
    assert builder.scene(recording.now)["groups"], "as long as there are 150"
    recording.drop("pod-web-190")
    recording.wait(10)
    scene = builder.scene(recording.now)
    assert scene["groups"] == {} and scene["shown"] == {"pods": 149, "of": 149}


def test_who_is_not_well_stands_alone_the_worst_first() -> None:
    builder, recording, _ = crowd(GROUPED_ABOVE + 20)
    for number in range(KEPT + 10):
        recording.start(f"pod-web-{number}", ready=False)
    scene = builder.scene(recording.now)
    assert len(scene["pods"]) == KEPT and scene["shown"] == {"pods": KEPT, "of": GROUPED_ABOVE + 20}
    assert sum(group["looks"].get("not-ready", 0) for group in scene["groups"].values()) == 10
    assert {group["look"] for group in scene["groups"].values()} == {"not-ready"}
    total = sum(group["count"] for group in scene["groups"].values()) + len(scene["pods"])
    assert total == GROUPED_ABOVE + 20
    recording.start("pod-web-200", state={"waiting": {"reason": "CrashLoopBackOff"}})
    scene = builder.scene(recording.now)
    assert scene["pods"]["pod-web-200"]["look"] == "failed" and len(scene["pods"]) == KEPT
    slots = [(pod["node"], pod["slot"]) for pod in scene["pods"].values()]
    slots += [(group["node"], group["slot"]) for group in scene["groups"].values()]
    assert len(set(slots)) == len(slots), "groups and who stands alone share the slots of a Node"
    recording.drop("pod-web-200")
    ghost = builder.scene(recording.now)["pods"]["pod-web-200"]
    assert ghost["look"] == "ghost"
    for number in range(KEPT + 10):
        recording.start(f"pod-web-{number}", ready=True)
    recording.wait(10)
    assert builder.scene(recording.now)["pods"] == {}


def test_a_status_moves_nothing_and_when_one_looks_does_not_matter() -> None:
    builder, recording, _ = crowd(GROUPED_ABOVE + 20)
    silent = SceneBuilder("lesson")
    silent.set_badge("live", START)
    for change in recording.changes:
        silent.apply(change)
    recording.listeners.append(silent.apply)
    chance = random.Random(7)
    before = places(builder.scene(recording.now))
    for _ in range(150):
        recording.wait(0.2)
        recording.start(f"pod-web-{chance.randrange(100)}", ready=chance.random() < 0.6)
        now = places(builder.scene(recording.now))
        assert all(now[uid] == place for uid, place in before.items() if uid in now)
        before = now
    assert silent.scene(recording.now) == builder.scene(recording.now)


def test_one_change_among_many_pods_is_drawn_in_time() -> None:
    for pods, limit in ((GROUPED_ABOVE, 5), (1500, 50)):
        builder, recording, _ = crowd(pods)
        old = builder.scene(recording.now)
        spans = []
        for number in range(15):
            recording.listeners = []
            recording.start(f"pod-web-{number}", ready=False, restarts=number)
            start = time.perf_counter()
            builder.apply(recording.changes[-1])
            new = builder.scene(recording.now)
            difference(old, new)
            spans.append((time.perf_counter() - start) * 1000)
            old = new
        assert statistics.median(spans) <= limit, f"{pods} Pods: {statistics.median(spans):.1f} ms"
