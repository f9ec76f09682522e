"""A cluster whose parts stop and start as recorded changes, for the tests of chapter 01."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from k8slab.chapters.exercises import chapter
from tests.unit.recorded_chapter import Obj, RecordedChapter

NAMESPACE = "01-cluster-anatomy"
CHAPTER = chapter(NAMESPACE)
SCHEDULER, MANAGER, SERVER = "kube-scheduler", "kube-controller-manager", "kube-apiserver"


class Cluster(RecordedChapter):
    """Objects that change on command, with times of our own."""

    runtime = "k8slab://1.0"

    def __init__(self) -> None:
        super().__init__(NAMESPACE)
        self.restarts: dict[str, int] = {}
        for part in (SCHEDULER, MANAGER, SERVER):
            self.part(part, running=True, listed=True)
        for node in ("worker-1", "worker-2", "worker-3"):
            self.node(node)
        self.node("control-plane", taints=[{"effect": "NoSchedule", "key": "control-plane"}])

    def node(self, name: str, ready: bool = True, taints: list[Obj] | None = None) -> None:
        conditions = [{"type": "Ready", "status": str(ready)}]
        info = {"containerRuntimeVersion": self.runtime}
        status = {"conditions": conditions, "nodeInfo": info}
        self.put("Node", name, spec={"taints": taints or []}, status=status)

    def part(self, name: str, running: bool, listed: bool = False) -> None:
        """What the control plane's agent says of a part."""
        ended = datetime.fromtimestamp(int(self.now), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        state = {"running": {}} if running else {"terminated": {"finishedAt": ended}}
        metadata = {
            "namespace": "kube-system",
            "annotations": {"kubernetes.io/config.mirror": "x"},
            "labels": {"component": name},
        }
        status = {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": str(running)}],
            "containerStatuses": [{"state": state, "restartCount": self.restarts.get(name, 0)}],
        }
        spec = {"nodeName": "control-plane"}
        self.put("Pod", f"{name}-control-plane", listed, metadata=metadata, spec=spec, status=status)

    def stop(self, name: str) -> None:
        self.part(name, running=False)

    def start(self, name: str) -> None:
        self.restarts[name] = self.restarts.get(name, 0) + 1
        self.part(name, running=True)

    def deployment(self, name: str, replicas: int) -> None:
        self.put("Deployment", name, spec={"replicas": replicas})

    def replica_set(self, deployment: str) -> None:
        owner = [{"kind": "Deployment", "uid": f"Deployment-{deployment}", "controller": True}]
        self.put("ReplicaSet", f"{deployment}-1", metadata={"ownerReferences": owner}, spec={"replicas": 3})

    def pod(
        self, name: str, owner: str = "", node: str = "worker-1", ready: bool = True, **more: Any
    ) -> None:
        references = [{"kind": "ReplicaSet", "uid": f"ReplicaSet-{owner}-1", "controller": True}]
        metadata: Obj = {"ownerReferences": references if owner else []}
        if more.get("leaving"):
            metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        status: Obj = {"phase": "Pending", "conditions": more.get("conditions", [])}
        if node and ready:
            status = {
                "phase": "Running",
                "conditions": [{"type": "Ready", "status": "True"}],
                "containerStatuses": [
                    {"state": {"running": {}}, "started": True, "restartCount": more.get("restarts", 0)}
                ],
            }
        spec: Obj = {"containers": [{"name": "demo"}], **({"nodeName": node} if node else {})}
        self.put("Pod", name, metadata=metadata, spec=spec, status=status)


def web() -> Cluster:
    cluster = Cluster()
    cluster.deployment("web", 3)
    cluster.replica_set("web")
    for letter in "abc":
        cluster.pod(f"web-{letter}", "web")
    cluster.now += 20
    return cluster
