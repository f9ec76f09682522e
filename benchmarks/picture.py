"""What a change costs the kernel until it is a message: recorded objects, no cluster, no browser."""

from __future__ import annotations

import json
import random
import time
from typing import Any

from benchmarks.figures import Measurement
from k8slab.graph.difference import difference
from k8slab.graph.scene import SceneBuilder
from k8slab.mirror.changes import Change

NAMESPACE = "web"
NODES = 10
PODS = 200
CROWD = 5_000
STATUS_MS, TOPOLOGY_MS, CROWD_MS = 5.0, 50.0, 300.0
BYTES = 1_000.0

Object = dict[str, Any]


def measure(changes: int) -> list[Measurement]:
    """Follow changes of status and of topology and take the difference of the scenes, as the map does.

    Args:
        changes: samples of each.
    """
    crowd = Picture(PODS)
    status, sizes, moved = crowd.statuses(changes)
    topology = crowd.replacements(max(10, changes // 5))
    thousands = Picture(CROWD)
    many, _, many_moved = thousands.statuses(changes)
    few, lots = {"pods": PODS, "nodes": NODES}, {"pods": CROWD, "nodes": NODES}
    none_moves = {"positions moved": 0.0}
    return [
        Measurement(
            f"status of one of {PODS} Pods → message, in the kernel",
            "ms",
            tuple(status),
            few,
            {"p95": STATUS_MS, **none_moves},
            {"positions moved": float(moved)},
        ),
        Measurement("that message", "bytes", tuple(sizes), few, {"p95": BYTES}),
        Measurement(
            f"one of {PODS} Pods replaced → message, in the kernel",
            "ms",
            tuple(topology),
            few,
            {"p95": TOPOLOGY_MS},
        ),
        Measurement(
            f"status of one of {CROWD:,} Pods → message, in the kernel",
            "ms",
            tuple(many),
            lots,
            {"p95": CROWD_MS, **none_moves},
            {"positions moved": float(many_moved)},
        ),
    ]


class Picture:
    """A namespace of so many Pods of one ReplicaSet behind one Service, as the map follows it.

    Args:
        pods: how many.
    """

    def __init__(self, pods: int) -> None:
        self._moment = 1_800_000_000.0
        self._chance = random.Random(5)
        self._builder = SceneBuilder(NAMESPACE)
        self._version = 0
        self._pods: dict[str, Object] = {}
        for index in range(NODES):
            self._add("Node", _node(index))
        self._add("ReplicaSet", _replicaset(pods))
        self._add("Service", _service())
        for index in range(pods):
            pod = _pod(index)
            self._pods[pod["metadata"]["uid"]] = pod
            self._add("Pod", pod)
        slices = [list(self._pods)[start : start + 100] for start in range(0, pods, 100)]
        for index, uids in enumerate(slices):
            self._add("EndpointSlice", _slice(index, [self._pods[uid] for uid in uids]))
        self._builder.set_badge("live", self._moment)
        self._scene = self._builder.scene(self._moment)

    def statuses(self, changes: int) -> tuple[list[float], list[float], int]:
        """Make one Pod after the other fail or recover.

        Returns:
            Milliseconds of each, bytes of each message, and how many positions changed in all.
        """
        spans, sizes = [], []
        before = _positions(self._scene)
        for _ in range(changes):
            uid = self._chance.choice(list(self._pods))
            known = self._pods[uid]
            changed = _with_status(known, failing=not _fails(known), version=self._next())
            self._pods[uid] = changed
            took, message = self._follow([Change(self._moment, "Pod", "modified", known, changed)])
            spans.append(took)
            sizes.append(float(len(json.dumps(message, separators=(",", ":")).encode())))
        after = _positions(self._scene)
        moved = sum(after[key] != place for key, place in before.items() if key in after)
        return spans, sizes, moved

    def replacements(self, changes: int) -> list[float]:
        """Delete a Pod and add one, again and again; milliseconds of each."""
        spans = []
        for index in range(changes):
            _, gone = self._pods.popitem()
            came = _pod(100_000 + index)
            self._pods[came["metadata"]["uid"]] = came
            took, _ = self._follow(
                [
                    Change(self._moment, "Pod", "deleted", gone, None),
                    Change(self._moment, "Pod", "added", None, came),
                ]
            )
            spans.append(took)
        return spans

    def _follow(self, changes: list[Change]) -> tuple[float, dict[str, Any]]:
        self._moment += 0.05
        started = time.perf_counter()
        for change in changes:
            self._builder.apply(change)
        scene = self._builder.scene(self._moment)
        message = difference(self._scene, scene)
        took = 1000 * (time.perf_counter() - started)
        self._scene = scene
        return took, message

    def _add(self, kind: str, obj: Object) -> None:
        self._builder.apply(Change(self._moment, kind, "added", None, obj, listed=True))

    @property
    def scene(self) -> dict[str, Any]:
        """The scene after the last change."""
        return self._scene

    def status_message(self) -> dict[str, Any]:
        """Change the status of one Pod; what the map would send."""
        uid = self._chance.choice(list(self._pods))
        known = self._pods[uid]
        self._pods[uid] = changed = _with_status(known, failing=not _fails(known), version=self._next())
        return self._follow([Change(self._moment, "Pod", "modified", known, changed)])[1]

    def _next(self) -> str:
        self._version += 1
        return str(self._version)


def _positions(scene: dict[str, Any]) -> dict[str, Any]:
    sections = ("nodes", "owners", "services", "pods", "groups")
    return {
        f"{section} {uid}": (entry["slot"], entry.get("node", ""))
        for section in sections
        for uid, entry in scene[section].items()
    }


def _meta(kind: str, name: str, **more: Any) -> Object:
    namespace = {} if kind == "Node" else {"namespace": NAMESPACE}
    metadata = {"name": name, "uid": f"{kind.lower()}-{name}", "resourceVersion": "1", **namespace, **more}
    return {"kind": kind, "metadata": {"creationTimestamp": "2027-01-15T08:00:00Z", **metadata}}


def _node(index: int) -> Object:
    status = {"conditions": [{"type": "Ready", "status": "True"}]}
    return {**_meta("Node", f"worker-{index}"), "spec": {}, "status": status}


def _replicaset(pods: int) -> Object:
    return {**_meta("ReplicaSet", "web"), "spec": {"replicas": pods}, "status": {"replicas": pods}}


def _service() -> Object:
    spec = {"clusterIP": "10.7.128.12", "ports": [{"port": 80}], "selector": {"app": "web"}}
    return {**_meta("Service", "web"), "spec": spec}


def _pod(index: int) -> Object:
    owner = {"kind": "ReplicaSet", "name": "web", "uid": "replicaset-web", "controller": True}
    made = _meta("Pod", f"web-{index:06d}", labels={"app": "web"}, ownerReferences=[owner])
    spec = {"nodeName": f"worker-{index % NODES}", "containers": [{"name": "demo", "image": "k8slab/demo:1"}]}
    return _with_status({**made, "spec": spec}, failing=False, version="1")


def _fails(pod: Object) -> bool:
    return "waiting" in pod["status"]["containerStatuses"][0]["state"]


def _with_status(pod: Object, failing: bool, version: str) -> Object:
    state = {"waiting": {"reason": "CrashLoopBackOff"}} if failing else {"running": {}}
    ready = "False" if failing else "True"
    status = {
        "phase": "Running",
        "podIP": "10.7.16.4",
        "conditions": [{"type": "Ready", "status": ready}, {"type": "PodScheduled", "status": "True"}],
        "containerStatuses": [{"name": "demo", "ready": not failing, "restartCount": 0, "state": state}],
    }
    return {**pod, "metadata": {**pod["metadata"], "resourceVersion": version}, "status": status}


def _slice(index: int, pods: list[Object]) -> Object:
    made = _meta("EndpointSlice", f"web-{index}", labels={"kubernetes.io/service-name": "web"})
    endpoints = [
        {
            "addresses": ["10.7.16.4"],
            "conditions": {"ready": True, "serving": True, "terminating": False},
            "targetRef": {"kind": "Pod", "name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]},
        }
        for pod in pods
    ]
    return {**made, "endpoints": endpoints}
