"""Deployments and their Pods as recorded changes, with times of our own, for the tests of chapter 04."""

from __future__ import annotations

from typing import Any

from k8slab.chapters.exercises import chapter
from tests.unit.recorded_chapter import Obj, RecordedChapter

NAMESPACE = "04-deployments"
CHAPTER = chapter(NAMESPACE)
BAD = "k8slab/demo:1.O"


class Cluster(RecordedChapter):
    """Objects that change on command, with times of our own."""

    def __init__(self) -> None:
        super().__init__(NAMESPACE)

    def deployment(self, name: str, image: str = "k8slab/demo:1", replicas: int = 4, **more: Any) -> None:
        spec: Obj = {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "strategy": more.get("strategy", {"rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}),
            "template": template(name, image, **more),
        }
        if more.get("paused"):
            spec["paused"] = True
        metadata = {"labels": more.get("labels", {"app": name})}
        listed, uid = more.get("listed", False), more.get("uid", "")
        self.put("Deployment", name, listed, uid=uid, metadata=metadata, spec=spec)

    def replica_set(self, deployment: str, number: int, image: str, replicas: int = 4, **more: Any) -> None:
        owner = [{"kind": "Deployment", "uid": f"Deployment-{deployment}", "controller": True}]
        shape = template(deployment, image, **more)
        shape["metadata"]["labels"] = {"app": deployment, "pod-template-hash": f"h{number}"}
        spec = {"replicas": replicas, "template": shape}
        self.put("ReplicaSet", f"{deployment}-{number}", metadata={"ownerReferences": owner}, spec=spec)

    def pod(self, name: str, ready: bool = True) -> None:
        """A Pod of the ReplicaSet whose name it begins with, such as `till-1-a`."""
        parent = name.rpartition("-")[0]
        owner = [{"kind": "ReplicaSet", "uid": f"ReplicaSet-{parent}", "controller": True}]
        status = {"phase": "Running", "conditions": [{"type": "Ready", "status": str(ready)}]}
        self.put("Pod", name, metadata={"ownerReferences": owner}, spec={"containers": [{}]}, status=status)


def template(name: str, image: str, **more: Any) -> Obj:
    container: Obj = {"name": "demo", "image": image}
    if more.get("ports", True):
        container["ports"] = [{"containerPort": 8080}]
    annotations = {"restartedAt": more["restarted"]} if "restarted" in more else {}
    return {
        "metadata": {"labels": {"app": name}, "annotations": annotations},
        "spec": {"containers": [container]},
    }


def four(name: str) -> Cluster:
    """A Deployment at version 1 with four ready Pods."""
    cluster = Cluster()
    cluster.deployment(name)
    cluster.replica_set(name, 1, "k8slab/demo:1")
    for letter in "abcd":
        cluster.pod(f"{name}-1-{letter}")
    cluster.now += 10
    return cluster


def trade(cluster: Cluster, name: str, new_first: bool) -> None:
    """Four Pods of version 2 take the places of four of version 1, one by one."""
    cluster.replica_set(name, 2, "k8slab/demo:2")
    for letter in "abcd":
        cluster.now += 1
        if new_first:
            cluster.pod(f"{name}-2-{letter}")
        cluster.now += 0.1
        cluster.drop_uid(f"Pod-{name}-1-{letter}")
        if not new_first:
            cluster.now += 0.1
            cluster.pod(f"{name}-2-{letter}")
    cluster.now += 1
