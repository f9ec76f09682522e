"""Recorded Services and Pods of chapter 05: objects that change on command, with times of our own."""

from __future__ import annotations

from typing import Any

from k8slab.chapters.exercises import chapter
from tests.unit.recorded_chapter import Obj, RecordedChapter

NAMESPACE = "05-services"
CHAPTER = chapter(NAMESPACE)


class Cluster(RecordedChapter):
    """Objects that change on command, with times of our own."""

    def __init__(self) -> None:
        super().__init__(NAMESPACE)

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
