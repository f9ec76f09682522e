"""The scene: the format of docs/architecture.md, ghosts and heirs, differences, and speed."""

from __future__ import annotations

import json
import random
import re
import statistics
import time
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from k8slab.graph.ghosts import GHOST_SECONDS
from k8slab.graph.scene import SceneBuilder, difference, patched
from tests.unit.recorded_objects import START, Recording, kill, lesson

ARCHITECTURE = Path(__file__).parents[2] / "docs" / "architecture.md"


def built(**options: Any) -> tuple[SceneBuilder, Recording]:
    builder = SceneBuilder("lesson", "03 · ReplicaSets", "embedded", **options)
    builder.set_badge("live", START)
    return builder, lesson(builder.apply)


def mirror_pod(recording: Recording, component: str, ready: bool = True, listed: bool = False) -> str:
    metadata = {
        "name": f"{component}-control-plane",
        "namespace": "kube-system",
        "uid": f"mirror-{component}",
        "annotations": {"kubernetes.io/config.mirror": "1"},
        "labels": {"component": component},
    }
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": str(ready)}]}
    recording.put({"kind": "Pod", "metadata": metadata, "spec": {}, "status": status}, listed)
    return f"mirror-{component}"


def positions(scene: dict[str, Any]) -> dict[str, tuple[str, int]]:
    found = {uid: (pod["node"], pod["slot"]) for uid, pod in scene["pods"].items()}
    for section in ("nodes", "owners", "services", "components"):
        found |= {key: (section, entry["slot"]) for key, entry in scene[section].items()}
    return found


def test_the_scene_after_a_kill() -> None:
    builder, recording = built(played={"services": "played by k8slab"})
    builder.announce("delete", "pod-web-a", recording.now)
    heir = kill(recording)
    scene = builder.scene(recording.now)
    victim = scene["pods"]["pod-web-a"]
    assert (victim["look"], victim["status"], victim["heir"]) == ("terminating", "Terminating", heir)
    assert 29 < victim["grace_end"] - recording.now + 0.74 <= 30
    assert scene["pods"][heir]["look"] == "running" and scene["pods"][heir]["slot"] == 1
    owner = scene["owners"]["ReplicaSet-web"]
    assert (owner["wants"], owner["has"], owner["ready"], owner["terminating"]) == (3, 3, 3, 1)
    assert owner["note"] == "saw 2, made 1"
    service = scene["services"]["service-web"]
    assert (service["address"], service["ready"], service["total"]) == ("10.7.128.12:80", 3, 3)
    assert (service["played"], service["selector"]) == ("played by k8slab", "app=web")
    assert scene["edges"][f"service-web {heir}"]["state"] == "ready"
    assert scene["edges"]["service-web pod-web-a"]["state"] == "terminating"
    assert scene["nodes"]["node-worker-1"]["played"] == "kubelet played by k8slab"
    assert scene["recovery"]["healed"] == 0.74 and scene["recovery"]["heir"] == "web-x"
    assert scene["badge"] == {"state": "live", "since": START, "note": ""}
    json.dumps(scene)


def test_every_field_is_the_one_that_architecture_fixes() -> None:
    text = ARCHITECTURE.read_text()
    block = re.search(r'^\{"title".*?^```', text, re.M | re.S)
    assert block is not None
    builder, recording = built()
    mirror_pod(recording, "etcd")
    kill(recording)
    scene = builder.scene(recording.now)
    named = set(re.findall(r'"([a-z_]+)"', block[0]))
    used = set(scene)
    for section in ("nodes", "owners", "services", "pods", "edges", "components"):
        assert f'"{section}":' in block[0]
        for entry in scene[section].values():
            used |= set(entry)
    used |= set(scene["story"][0]) | set(scene["recovery"]) | set(scene["badge"])
    assert used <= named, f"not in docs/architecture.md: {used - named}"


def test_a_ghost_stays_six_seconds_and_its_slot_is_taken_again() -> None:
    builder, recording = built()
    heir = kill(recording, node="worker-1")
    assert builder.scene(recording.now)["pods"][heir]["slot"] == 1
    recording.wait(2)
    recording.drop("pod-web-a")
    ghost = builder.scene(recording.now + 1)["pods"]["pod-web-a"]
    assert (ghost["look"], ghost["status"], ghost["heir"], ghost["slot"]) == ("ghost", "gone", heir, 0)
    assert builder.scene(recording.now + GHOST_SECONDS - 0.1)["pods"]["pod-web-a"] == ghost
    faded = builder.scene(recording.now + GHOST_SECONDS + 0.1)
    assert "pod-web-a" not in faded["pods"]
    assert faded["pods"][heir]["slot"] == 1, "nobody moves because a ghost fades"
    assert faded["recovery"]["victim"] == "web-a", "the recovery stays to be read"
    recording.wait(GHOST_SECONDS + 1)
    recording.drop("pod-web-b")
    recording.pod("web-y", recording.objects["ReplicaSet-web"])
    recording.place("pod-web-y", "worker-1")
    assert builder.scene(recording.now)["pods"]["pod-web-y"]["slot"] == 0


def test_a_pod_killed_before_it_was_ever_drawn_leaves_a_ghost() -> None:
    builder, recording = built()
    recording.drop("pod-web-a")
    assert builder.scene(recording.now)["pods"]["pod-web-a"]["look"] == "ghost"


@given(st.randoms(use_true_random=False))
def test_a_status_change_never_moves_anything(chance: random.Random) -> None:
    builder, recording = built()
    mirror_pod(recording, "etcd")
    kill(recording)
    before = positions(builder.scene(recording.now))
    pods = [uid for uid, obj in recording.objects.items() if obj["kind"] == "Pod" and uid.startswith("pod")]
    for _ in range(20):
        recording.wait(0.1)
        uid = chance.choice(pods)
        match chance.randrange(5):
            case 0:
                recording.start(uid, ready=chance.random() < 0.5, restarts=chance.randrange(9))
            case 1:
                recording.start(uid, state={"waiting": {"reason": "CrashLoopBackOff"}})
            case 2:
                states = {pod: chance.choice(["ready", "not-ready", "terminating"]) for pod in pods}
                recording.endpoints("web", states)
            case 3:
                recording.node("worker-2", ready=chance.choice(["True", "Unknown", "False"]))
            case 4:
                mirror_pod(recording, "etcd", chance.random() < 0.5)
        if chance.random() < 0.5:
            assert positions(builder.scene(recording.now)) == before
    assert positions(builder.scene(recording.now)) == before


@given(st.randoms(use_true_random=False))
def test_differences_add_up_and_drawing_often_changes_nothing(chance: random.Random) -> None:
    """The same log gives the same scene, however often a view looked in between."""
    builder, recording = built()
    silent = SceneBuilder("lesson", "03 · ReplicaSets", "embedded")
    silent.set_badge("live", START)
    recording.listeners.append(silent.apply)
    for change in recording.changes:
        silent.apply(change)
    view = builder.scene(recording.now)

    def look() -> None:
        nonlocal view
        scene = builder.scene(recording.now)
        view = patched(view, json.loads(json.dumps(difference(view, scene))))
        assert {**view, "moment": 0} == {**scene, "moment": 0}

    serial = 0
    for _ in range(25):
        recording.wait(chance.choice([0.01, 0.3, 4]))
        alive = [uid for uid, obj in recording.objects.items() if obj["kind"] == "Pod"]
        match chance.randrange(5):
            case 0 if alive:
                recording.drop(chance.choice(alive))
            case 1 if alive:
                recording.delete(chance.choice(alive))
            case 2:
                serial += 1
                recording.pod(f"web-{serial}", recording.objects["ReplicaSet-web"])
            case 3 if alive:
                recording.place(chance.choice(alive), f"worker-{chance.randint(1, 3)}")
            case 4:
                recording.owner("ReplicaSet", "web", chance.randint(0, 5))
        if chance.random() < 0.6:
            look()
    look()
    assert silent.scene(recording.now) == builder.scene(recording.now)


def test_a_difference_is_small_and_empty_when_nothing_happened() -> None:
    builder, recording = built()
    old = builder.scene(recording.now)
    assert difference(old, builder.scene(recording.now + 1)) == {"set": {}, "drop": {}}
    recording.start("pod-web-a", ready=True, restarts=1)
    news = difference(old, builder.scene(recording.now))
    assert set(news["set"]) == {"pods", "story", "scene"}
    assert set(news["set"]["pods"]) == {"pod-web-a"}
    assert set(news["set"]["scene"]) == {"moment", "changes"}
    assert len(json.dumps(news)) < 1024


def test_old_revisions_are_hidden_and_a_deployment_sums_up() -> None:
    builder = SceneBuilder("lesson")
    recording = Recording(builder.apply)
    web = recording.owner("Deployment", "web", 2)
    old = recording.owner("ReplicaSet", "web-1", 1, owner=web)
    new = recording.owner("ReplicaSet", "web-2", 1, owner=web)
    leaving = recording.pod("web-1-a", old)
    staying = recording.pod("web-2-a", new)
    recording.start(staying, ready=True)
    owners = builder.scene(recording.now)["owners"]
    assert (owners["Deployment-web"]["has"], owners["Deployment-web"]["ready"]) == (2, 1)
    assert owners["ReplicaSet-web-1"]["owner"] == "Deployment-web"
    recording.owner("ReplicaSet", "web-1", 0, owner=web)
    recording.delete(leaving)
    assert "ReplicaSet-web-1" in builder.scene(recording.now)["owners"], "it still has a Pod"
    recording.drop(leaving)
    assert "ReplicaSet-web-1" in builder.scene(recording.now)["owners"], "its ghost is still there"
    assert "ReplicaSet-web-1" not in builder.scene(recording.now + 7)["owners"]
    recording.owner("ReplicaSet", "alone", 0)
    assert "ReplicaSet-alone" in builder.scene(recording.now)["owners"], "who scales to 0 wants to see it"


def test_a_released_pod_says_so_and_other_namespaces_stay_out() -> None:
    builder, recording = built()
    recording.change("pod-web-a", metadata={"labels": {}, "ownerReferences": []})
    solo = recording.pod("solo")
    elsewhere = {"kind": "Pod", "metadata": {"name": "x", "namespace": "other", "uid": "x"}, "status": {}}
    recording.put(elsewhere)
    scene = builder.scene(recording.now)
    assert scene["pods"]["pod-web-a"]["note"] == "its label app was removed"
    assert scene["pods"][solo]["note"] == "no owner"
    assert "x" not in scene["pods"]
    assert scene["changes"] == len(recording.changes)


def test_components_come_from_mirror_pods_and_nobody_knows_without_api_server() -> None:
    builder, recording = built()
    for name in ("kube-scheduler", "etcd", "kube-apiserver"):
        mirror_pod(recording, name, listed=True)
    ordinary = {
        "kind": "Pod",
        "metadata": {"name": "coredns", "namespace": "kube-system", "uid": "c"},
        "status": {},
    }
    recording.put(ordinary)
    components = builder.scene(recording.now)["components"]
    assert sorted(components, key=lambda name: components[name]["slot"]) == [
        "kube-apiserver",
        "etcd",
        "kube-scheduler",
    ]
    mirror_pod(recording, "kube-scheduler", ready=False)
    scene = builder.scene(recording.now)
    assert scene["components"]["kube-scheduler"]["state"] == "stopped"
    assert scene["story"][-1]["text"] == "kube-scheduler has stopped."
    builder.set_badge("stale", START)
    states = {entry["state"] for entry in builder.scene(recording.now)["components"].values()}
    assert states == {"unknown"}


def test_a_status_update_of_200_pods_takes_milliseconds() -> None:
    builder = SceneBuilder("lesson")
    recording = Recording(builder.apply)
    for number in range(10):
        recording.node(f"worker-{number}")
    web = recording.owner("ReplicaSet", "web", 200)
    recording.service("web")
    pods = [recording.pod(f"web-{number}", web) for number in range(200)]
    for number, uid in enumerate(pods):
        recording.place(uid, f"worker-{number % 10}")
        recording.start(uid, ready=True)
    recording.endpoints("web", dict.fromkeys(pods, "ready"))
    scene = builder.scene(recording.now)
    recording.listeners.clear()
    spans = []
    for number, uid in enumerate(pods[:40]):
        recording.start(uid, ready=True, restarts=number + 1)
        began = time.perf_counter()
        builder.apply(recording.changes[-1])
        newer = builder.scene(recording.now)
        news = difference(scene, newer)
        spans.append(time.perf_counter() - began)
        assert list(news["set"]["pods"]) == [uid]
        assert positions(newer) == positions(scene)
        scene = newer
    assert statistics.median(spans) <= 0.005, f"median {statistics.median(spans) * 1000:.1f} ms"
