"""Small builders for recorded clusters: objects as the API server sends them, and the changes they make."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from k8slab.mirror.changes import Change, Listener

START = 1_700_000_000.0
"""The moment at which every recording begins: 2023-11-14T22:13:20Z."""

Object = dict[str, Any]


def stamp(moment: float) -> str:
    """A moment as the API writes it: whole seconds."""
    return datetime.fromtimestamp(int(moment), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def owned_by(owner: Object) -> list[Object]:
    metadata = owner["metadata"]
    return [{"kind": owner["kind"], "name": metadata["name"], "uid": metadata["uid"], "controller": True}]


class Recording:
    """A cluster that changes on command, and tells its changes to listeners.

    Args:
        listeners: called with every change.
    """

    def __init__(self, *listeners: Listener) -> None:
        self.listeners = list(listeners)
        self.now = START
        self.objects: dict[str, Object] = {}
        self.changes: list[Change] = []
        self._version = 0

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds

    def put(self, obj: Object, listed: bool = False) -> Object:
        """Create or replace an object."""
        self._version += 1
        uid = obj["metadata"]["uid"]
        obj = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self._version)}}
        before = self.objects.get(uid)
        self.objects[uid] = obj
        verb = "modified" if before else "added"
        self._tell(Change(self.now, obj["kind"], verb, before, obj, listed))  # type: ignore[arg-type]
        return obj

    def drop(self, uid: str, listed: bool = False) -> None:
        """Delete an object."""
        before = self.objects.pop(uid)
        self._tell(Change(self.now, before["kind"], "deleted", before, None, listed))

    def _tell(self, change: Change) -> None:
        self.changes.append(change)
        for listener in self.listeners:
            listener(change)

    def node(self, name: str, ready: str = "True", listed: bool = False, **metadata: Any) -> Object:
        """A Node."""
        annotations = {"k8slab.dev/played-by": "k8slab"}
        return self.put(
            {
                "kind": "Node",
                "metadata": {"name": name, "uid": f"node-{name}", "annotations": annotations, **metadata},
                "spec": {},
                "status": {"conditions": [{"type": "Ready", "status": ready, "message": "kubelet is ready"}]},
            },
            listed,
        )

    def owner(
        self, kind: str, name: str, replicas: int, owner: Object | None = None, listed: bool = False
    ) -> Object:
        """A controller."""
        metadata: Object = {"name": name, "namespace": "lesson", "uid": f"{kind}-{name}"}
        if owner:
            metadata["ownerReferences"] = owned_by(owner)
        return self.put({"kind": kind, "metadata": metadata, "spec": {"replicas": replicas}}, listed)

    def service(self, name: str, address: str = "10.7.128.12", listed: bool = False) -> Object:
        """A Service that selects app=<name>."""
        spec = {"clusterIP": address, "ports": [{"port": 80}], "selector": {"app": name}}
        metadata = {"name": name, "namespace": "lesson", "uid": f"service-{name}"}
        return self.put({"kind": "Service", "metadata": metadata, "spec": spec}, listed)

    def endpoints(self, service: str, states: dict[str, str], suffix: str = "1") -> Object:
        """An EndpointSlice: uid of the Pod to `ready`, `not-ready` or `terminating`."""
        metadata = {
            "name": f"{service}-{suffix}",
            "namespace": "lesson",
            "uid": f"slice-{service}-{suffix}",
            "labels": {"kubernetes.io/service-name": service},
        }
        endpoints = [
            {
                "addresses": ["10.7.0.9"],
                "conditions": {
                    "ready": state == "ready",
                    "serving": state in ("ready", "terminating"),
                    "terminating": state == "terminating",
                },
                "targetRef": {"kind": "Pod", "uid": uid},
            }
            for uid, state in states.items()
        ]
        return self.put({"kind": "EndpointSlice", "metadata": metadata, "endpoints": endpoints})

    def pod(
        self, name: str, owner: Object | None = None, listed: bool = False, uid: str = "", **more: Any
    ) -> str:
        """Create a Pod, pending and unplaced; returns its uid."""
        uid = uid or f"pod-{name}"
        metadata: Object = {
            "name": name,
            "namespace": "lesson",
            "uid": uid,
            "labels": {"app": "web"},
            "creationTimestamp": stamp(self.now),
        }
        if owner:
            metadata["ownerReferences"] = owned_by(owner)
        probe = {"httpGet": {"path": "/ready", "port": 8080}}
        spec = {"containers": [{"name": "web", "image": "k8slab/demo", "readinessProbe": probe}], **more}
        self.put({"kind": "Pod", "metadata": metadata, "spec": spec, "status": {"phase": "Pending"}}, listed)
        return uid

    def change(self, uid: str, listed: bool = False, **parts: Object) -> Object:
        """Change parts of an object, such as `status={...}`; what is not named stays."""
        obj = self.objects[uid]
        merged = {key: {**obj.get(key, {}), **value} for key, value in parts.items()}
        return self.put({**obj, **merged}, listed)

    def place(self, uid: str, node: str) -> None:
        """What the scheduler does."""
        condition = {"type": "PodScheduled", "status": "True", "lastTransitionTime": stamp(self.now)}
        self.change(uid, spec={"nodeName": node}, status={"conditions": [condition]})

    def start(self, uid: str, ready: bool = False, restarts: int = 0, **container: Any) -> None:
        """What a kubelet reports: the container runs, ready or not."""
        conditions = [
            one for one in self.objects[uid]["status"].get("conditions", ()) if one["type"] != "Ready"
        ]
        turn = {
            "type": "Ready",
            "status": "True" if ready else "False",
            "lastTransitionTime": stamp(self.now),
        }
        status = {
            "name": "web",
            "ready": ready,
            "restartCount": restarts,
            "state": {"running": {"startedAt": stamp(self.now)}},
            **container,
        }
        parts = {"phase": "Running", "podIP": "10.7.0.9", "conditions": [*conditions, turn]}
        self.change(uid, status={**parts, "containerStatuses": [status]})

    def delete(self, uid: str, grace: int = 30) -> None:
        """What the API server does with a graceful deletion."""
        metadata = {"deletionTimestamp": stamp(self.now + grace), "deletionGracePeriodSeconds": grace}
        self.change(uid, metadata=metadata)


def lesson(*listeners: Listener) -> Recording:
    """Chapter 03 before the kill: three nodes, ReplicaSet web with three ready Pods, Service web."""
    recording = Recording(*listeners)
    for name in ("worker-1", "worker-2", "worker-3"):
        recording.node(name, listed=True)
    web = recording.owner("ReplicaSet", "web", 3, listed=True)
    recording.service("web", listed=True)
    pods = []
    for number, letter in enumerate("abc", 1):
        recording.wait(0.01)
        pods.append(recording.pod(f"web-{letter}", web))
        recording.place(pods[-1], f"worker-{number}")
        recording.wait(0.2)
        recording.start(pods[-1])
        recording.wait(0.4)
        recording.start(pods[-1], ready=True)
        recording.endpoints("web", dict.fromkeys(pods, "ready"))
    recording.wait(60)
    return recording


def kill(recording: Recording, victim: str = "pod-web-a", heir: str = "web-x", node: str = "worker-3") -> str:
    """Delete a Pod as kubectl does, and let its ReplicaSet heal it; returns the heir's uid."""
    web = recording.objects["ReplicaSet-web"]
    others = [
        uid
        for uid, obj in recording.objects.items()
        if obj["kind"] == "Pod"
        and uid != victim
        and "deletionTimestamp" not in obj["metadata"]
        and obj["metadata"].get("ownerReferences")
    ]
    steady = dict.fromkeys(others, "ready")
    recording.delete(victim)
    recording.wait(0.02)
    uid = recording.pod(heir, web)
    recording.endpoints("web", {victim: "terminating", **steady})
    recording.wait(0.03)
    recording.place(uid, node)
    recording.wait(0.26)
    recording.start(uid)
    recording.endpoints("web", {victim: "terminating", **steady, uid: "not-ready"})
    recording.wait(0.39)
    recording.start(uid, ready=True)
    recording.wait(0.04)
    recording.endpoints("web", {victim: "terminating", **steady, uid: "ready"})
    return uid
