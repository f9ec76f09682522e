"""The graph: edges by uid, in whatever order things arrive; status as kubectl prints it."""

from __future__ import annotations

import random
from typing import Any

import networkx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8slab.graph.endpoints import Endpoints
from k8slab.graph.model import Model, build
from k8slab.graph.pod_facts import pod_facts, printed_ready, printed_status
from k8slab.mirror.changes import Change, Listener
from tests.unit.recorded_objects import Recording, kill, lesson


def edges(graph: Any) -> set[tuple[str, str, str, str]]:
    return {
        (start, end, data["relation"], data.get("state", "")) for start, end, data in graph.edges(data=True)
    }


def following(model: Model) -> Listener:
    def listener(change: Change) -> None:
        model.apply(change)

    return listener


def test_the_graph_holds_what_the_api_says() -> None:
    recording = lesson()
    heir = kill(recording)
    graph = build(recording.objects.values())
    assert isinstance(graph, networkx.DiGraph)
    assert graph.nodes[heir]["facts"].status == "Running"
    assert ("node-worker-3", heir, "runs", "") in edges(graph)
    assert ("ReplicaSet-web", heir, "owns", "") in edges(graph)
    assert (heir, f"{heir}/web", "contains", "") in edges(graph)
    assert ("service-web", heir, "sends", "ready") in edges(graph)
    assert ("service-web", "pod-web-a", "sends", "terminating") in edges(graph)


@given(st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(chance: random.Random) -> None:
    recording = lesson()
    kill(recording)
    objects = list(recording.objects.values())
    expected = build(objects)
    chance.shuffle(objects)
    graph = build(objects)
    assert edges(graph) == edges(expected)
    assert set(graph.nodes) == set(expected.nodes)


@given(st.randoms(use_true_random=False), st.integers(0, 60))
def test_following_changes_is_the_same_as_building_anew(chance: random.Random, steps: int) -> None:
    model = Model()
    recording = lesson(following(model))
    heir = kill(recording)
    pods = ["pod-web-a", "pod-web-b", "pod-web-c", heir]
    for _ in range(steps):
        uid = chance.choice(list(recording.objects))
        obj = recording.objects[uid]
        match chance.randrange(4):
            case 0:
                recording.drop(uid)
                if obj["kind"] in ("Node", "Service", "ReplicaSet"):
                    recording.put(obj)
            case 1 if obj["kind"] == "Pod":
                recording.place(uid, f"worker-{chance.randint(1, 4)}")
            case 2:
                states = {pod: chance.choice(["ready", "not-ready", "terminating"]) for pod in pods}
                recording.endpoints("web", states, suffix=chance.choice("12"))
            case 3 if obj["kind"] == "Pod":
                references = obj["metadata"].get("ownerReferences")
                recording.change(
                    uid,
                    metadata={
                        "ownerReferences": []
                        if references
                        else [
                            {"kind": "ReplicaSet", "name": "web", "uid": "ReplicaSet-web", "controller": True}
                        ]
                    },
                )
        if not recording.objects:
            break
    expected = build(recording.objects.values())
    assert edges(model.graph) == edges(expected)
    assert set(model.graph.nodes) == set(expected.nodes)


def test_what_a_change_touches_is_named() -> None:
    model = Model()
    recording = lesson(following(model))
    recording.listeners.clear()
    recording.start("pod-web-a", ready=False)
    assert model.apply(recording.changes[-1]) == {
        "pod-web-a",
        "ReplicaSet-web",
        "service-web",
        "node-worker-1",
    }
    recording.drop("node-worker-1")
    assert model.apply(recording.changes[-1]) == {"node-worker-1", "pod-web-a"}
    assert model.node_of("pod-web-a") == ""


def slice_of(suffix: str, *endpoints: dict[str, Any]) -> dict[str, Any]:
    labels = {"kubernetes.io/service-name": "web"}
    metadata = {"namespace": "lesson", "name": f"web-{suffix}", "uid": suffix, "labels": labels}
    return {"kind": "EndpointSlice", "metadata": metadata, "endpoints": list(endpoints)}


def test_slices_are_merged_and_silence_means_ready() -> None:
    endpoints = Endpoints()
    endpoints.apply(None, slice_of("1", {"targetRef": {"uid": "a"}, "conditions": {}}))
    leaving = {"ready": False, "serving": True, "terminating": True}
    second = slice_of("2", {"targetRef": {"uid": "b"}, "conditions": leaving})
    endpoints.apply(None, second)
    assert endpoints.of(("lesson", "web")) == {"a": "ready", "b": "terminating"}
    endpoints.apply(None, slice_of("3", {"targetRef": {"uid": "b"}, "conditions": {"ready": True}}))
    assert endpoints.of(("lesson", "web"))["b"] == "ready"
    endpoints.apply(slice_of("3"), None)
    endpoints.apply(second, slice_of("2"))
    assert endpoints.of(("lesson", "web")) == {"a": "ready"}
    assert endpoints.services_of("b") == set()


def container(state: dict[str, Any], ready: bool = False, restarts: int = 0, **more: Any) -> dict[str, Any]:
    return {"name": "web", "ready": ready, "restartCount": restarts, "state": state, **more}


RUNNING: dict[str, Any] = {"running": {}}
DONE = {"terminated": {"exitCode": 0, "reason": "Completed"}}
READY = [{"type": "Ready", "status": "True"}]

# What printPod of Kubernetes 1.36.3 prints for each of these, worked out by hand from its source.
PRINTED = [
    ({"phase": "Pending"}, {}, "Pending"),
    (
        {"phase": "Pending", "conditions": [{"type": "PodScheduled", "reason": "SchedulingGated"}]},
        {},
        "SchedulingGated",
    ),
    (
        {"phase": "Pending", "containerStatuses": [container({"waiting": {"reason": "ContainerCreating"}})]},
        {},
        "ContainerCreating",
    ),
    (
        {"phase": "Running", "containerStatuses": [container(RUNNING, True)], "conditions": READY},
        {},
        "Running",
    ),
    (
        {
            "phase": "Running",
            "containerStatuses": [container({"waiting": {"reason": "CrashLoopBackOff"}}, restarts=3)],
        },
        {},
        "CrashLoopBackOff",
    ),
    (
        {"phase": "Running", "containerStatuses": [container({"terminated": {"exitCode": 3}})]},
        {},
        "ExitCode:3",
    ),
    (
        {
            "phase": "Running",
            "containerStatuses": [container({"terminated": {"exitCode": 137, "signal": 9}})],
        },
        {},
        "Signal:9",
    ),
    (
        {
            "phase": "Running",
            "containerStatuses": [container({"terminated": {"exitCode": 137, "reason": "OOMKilled"}})],
        },
        {},
        "OOMKilled",
    ),
    (
        {
            "phase": "Running",
            "containerStatuses": [container(DONE), container(RUNNING, True)],
            "conditions": READY,
        },
        {},
        "Running",
    ),
    ({"phase": "Running", "containerStatuses": [container(DONE), container(RUNNING, True)]}, {}, "NotReady"),
    ({"phase": "Succeeded", "containerStatuses": [container(DONE)]}, {}, "Completed"),
    ({"phase": "Failed", "reason": "Evicted"}, {}, "Evicted"),
    (
        {"phase": "Running", "containerStatuses": [container(RUNNING, True)]},
        {"deletionTimestamp": "2026-01-01T00:00:00Z"},
        "Terminating",
    ),
    ({"phase": "Running", "reason": "NodeLost"}, {"deletionTimestamp": "2026-01-01T00:00:00Z"}, "Unknown"),
    (
        {"phase": "Succeeded", "containerStatuses": [container(DONE)]},
        {"deletionTimestamp": "2026-01-01T00:00:00Z"},
        "Completed",
    ),
    (
        {
            "phase": "Pending",
            "initContainerStatuses": [container({"waiting": {"reason": "PodInitializing"}})],
        },
        {},
        "Init:0/2",
    ),
    ({"phase": "Pending", "initContainerStatuses": [container(DONE), container(RUNNING)]}, {}, "Init:1/2"),
    (
        {
            "phase": "Pending",
            "initContainerStatuses": [container({"terminated": {"exitCode": 1, "reason": "Error"}})],
        },
        {},
        "Init:Error",
    ),
    (
        {
            "phase": "Pending",
            "initContainerStatuses": [container({"waiting": {"reason": "CrashLoopBackOff"}})],
        },
        {},
        "Init:CrashLoopBackOff",
    ),
]


@pytest.mark.parametrize(("status", "metadata", "printed"), PRINTED, ids=[row[2] for row in PRINTED])
def test_status_is_what_kubectl_prints(
    status: dict[str, Any], metadata: dict[str, Any], printed: str
) -> None:
    spec = {"initContainers": [{"name": "web"}, {"name": "second"}]}
    assert printed_status({"metadata": metadata, "spec": spec, "status": status})[0] == printed


def test_restarts_of_sidecars_count_and_those_of_init_containers_do_not() -> None:
    spec = {"initContainers": [{"name": "init"}, {"name": "side", "restartPolicy": "Always"}]}
    status = {
        "phase": "Running",
        "initContainerStatuses": [
            {**container(DONE, restarts=5), "name": "init"},
            {**container(RUNNING, True, restarts=2), "name": "side", "started": True},
        ],
        "containerStatuses": [container(RUNNING, True, restarts=3)],
    }
    assert printed_status({"metadata": {}, "spec": spec, "status": status}) == ("Running", 5)


def test_looks_keep_terminating_failing_and_waiting_apart() -> None:
    recording = Recording()
    uid = recording.pod("web")
    looks = [pod_facts(recording.objects[uid]).look]
    recording.start(uid)
    looks.append(pod_facts(recording.objects[uid]).look)
    recording.start(uid, ready=True)
    looks.append(pod_facts(recording.objects[uid]).look)
    recording.start(uid, state={"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}})
    facts = pod_facts(recording.objects[uid])
    looks.append(facts.look)
    recording.delete(uid)
    looks.append(pod_facts(recording.objects[uid]).look)
    assert looks == ["starting", "not-ready", "running", "failed", "terminating"]
    assert (facts.trouble, facts.containers[0].state) == ("no such image", "waiting: ImagePullBackOff")


def test_a_model_never_needs_the_clock_of_a_change() -> None:
    recording = lesson()
    model = Model()
    for change in recording.changes:
        model.apply(Change(0.0, change.kind, change.verb, change.before, change.after))
    assert edges(model.graph) == edges(build(recording.objects.values()))


@pytest.mark.parametrize(
    ("first", "main", "ready"),
    [
        ({"started": True, "ready": True, "state": RUNNING}, {"ready": True, "state": RUNNING}, "2/2"),
        ({"started": True, "ready": True, "state": RUNNING}, {"ready": False, "state": RUNNING}, "1/2"),
        ({"started": True, "ready": False, "state": RUNNING}, {"ready": True, "state": RUNNING}, "1/2"),
        ({"started": False, "ready": False, "state": RUNNING}, {"ready": False, "state": {}}, "0/2"),
        ({"started": True, "ready": True, "state": RUNNING}, {"ready": True, "state": {}}, "1/2"),
    ],
)
def test_ready_counts_sidecars_as_kubectl_does(
    first: dict[str, Any], main: dict[str, Any], ready: str
) -> None:
    spec = {
        "initContainers": [{"name": "beside", "restartPolicy": "Always"}],
        "containers": [{"name": "main"}],
    }
    status = {
        "initContainerStatuses": [{"name": "beside", **first}],
        "containerStatuses": [{"name": "main", **main}],
    }
    assert printed_ready({"metadata": {}, "spec": spec, "status": status}) == ready
