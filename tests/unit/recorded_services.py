"""Recorded Services and Pods of chapter 05: objects that change on command, with times of our own."""

from __future__ import annotations

from typing import Any

from k8slab.chapters.checks import CheckResult
from k8slab.chapters.evidence import Evidence
from k8slab.chapters.exercises import chapter
from k8slab.mirror.changes import Change
from k8slab.mirror.timeline import Timeline

NAMESPACE = "05-services"
CHAPTER = chapter(NAMESPACE)
Obj = dict[str, Any]


class Cluster:
    """Objects that change on command, with times of our own."""

    def __init__(self) -> None:
        self.timeline = Timeline()
        self.present: dict[str, Obj] = {}
        self.now = 1000.0

    def put(self, kind: str, name: str, listed: bool = False, **parts: Any) -> Obj:
        uid = f"{kind}-{name}"
        before = self.present.get(uid)
        metadata = {"name": name, "namespace": NAMESPACE, "uid": uid, **parts.pop("metadata", {})}
        after = {"kind": kind, "metadata": metadata, **parts}
        self.present[uid] = after
        verb: Any = "modified" if before else "added"
        self.timeline.record(Change(self.now, kind, verb, before, after, listed))
        return after

    def drop(self, kind: str, name: str) -> None:
        before = self.present.pop(f"{kind}-{name}")
        self.timeline.record(Change(self.now, kind, "deleted", before, None))

    def deployment(self, name: str, replicas: int, labels: Obj | None = None) -> None:
        template = {"metadata": {"labels": labels or {"app": name}}}
        self.put("Deployment", name, spec={"replicas": replicas, "template": template})

    def replica_set(self, name: str, deployment: str) -> None:
        owner = [{"kind": "Deployment", "uid": f"Deployment-{deployment}", "controller": True}]
        self.put("ReplicaSet", name, metadata={"ownerReferences": owner}, spec={"replicas": 3})

    def pod(self, name: str, owner: str = "", ready: bool = True, **more: Any) -> None:
        labels = more.get("labels", {"app": name.split("-")[0]})
        references = [{"kind": "ReplicaSet", "uid": f"ReplicaSet-{owner}", "controller": True}]
        metadata: Obj = {"labels": labels, "ownerReferences": references if owner else []}
        if more.get("leaving"):
            metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        status = {
            "podIP": more.get("ip", f"10.7.0.{len(name)}"),
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": str(ready)}],
            "containerStatuses": [{"state": {"running": {}}, "restartCount": more.get("restarts", 0)}],
        }
        spec = {"nodeName": "worker-1", "containers": [{"name": "demo"}]}
        self.put("Pod", name, metadata=metadata, spec=spec, status=status)

    def service(self, name: str, selector: Obj | None, labels: Obj | None = None, **spec: Any) -> None:
        whole = {"clusterIP": "10.7.128.9", **({"selector": selector} if selector else {}), **spec}
        self.put("Service", name, metadata={"labels": labels or {}}, spec=whole)

    def list_pods(self, service: str, *pods: str, waiting: tuple[str, ...] = ()) -> None:
        ends = [
            {
                "addresses": ["10.7.0.1"],
                "conditions": {"ready": pod not in waiting},
                "targetRef": {"uid": f"Pod-{pod}"},
            }
            for pod in (*pods, *waiting)
        ]
        labels = {"kubernetes.io/service-name": service}
        self.put("EndpointSlice", f"{service}-1", metadata={"labels": labels}, endpoints=ends)

    def by_hand(self, *addresses: str, port: int = 3306, listed: bool = False, **more: Any) -> None:
        labels = more.get("labels", {"kubernetes.io/service-name": "by-hand"})
        conditions = more.get("conditions", {})
        ends = [{"addresses": [each], "conditions": conditions} for each in addresses]
        self.put(
            "EndpointSlice",
            "by-hand-1",
            listed,
            metadata={"labels": labels},
            endpoints=ends,
            ports=[{"port": port}],
        )

    def evidence(self, since: float = 0) -> Evidence:
        objects: dict[str, list[Obj]] = {}
        for each in self.present.values():
            objects.setdefault(each["kind"], []).append(each)
        return Evidence(NAMESPACE, objects, self.timeline, since, self.now)

    def check(self, id: str, since: float = 0) -> CheckResult:
        return CHAPTER.exercise(id).check(self.evidence(since))

    def red(self, id: str, *words: str, since: float = 0) -> str:
        """The message of a check that is red, says these words, and leads on."""
        result = self.check(id, since)
        assert not result, result.message
        assert result.message.endswith("?"), result.message
        for word in words:
            assert word in result.message, (word, result.message)
        return result.message
