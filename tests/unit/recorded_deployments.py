"""Deployments and their Pods as recorded changes, with times of our own, for the tests of chapter 04."""

from __future__ import annotations

from typing import Any

from k8slab.chapters.checks import CheckResult
from k8slab.chapters.evidence import Evidence
from k8slab.chapters.exercises import chapter
from k8slab.mirror.changes import Change
from k8slab.mirror.timeline import Timeline

NAMESPACE = "04-deployments"
CHAPTER = chapter(NAMESPACE)
BAD = "k8slab/demo:1.O"
Obj = dict[str, Any]


class Cluster:
    """Objects that change on command, with times of our own."""

    def __init__(self) -> None:
        self.timeline = Timeline()
        self.present: dict[str, Obj] = {}
        self.now = 1000.0

    def put(self, kind: str, name: str, uid: str = "", listed: bool = False, **parts: Any) -> Obj:
        uid = uid or f"{kind}-{name}"
        before = self.present.get(uid)
        metadata = {"name": name, "namespace": NAMESPACE, "uid": uid, **parts.pop("metadata", {})}
        after = {"kind": kind, "metadata": metadata, **parts}
        self.present[uid] = after
        verb: Any = "modified" if before else "added"
        self.timeline.record(Change(self.now, kind, verb, before, after, listed))
        return after

    def drop(self, uid: str) -> None:
        before = self.present.pop(uid)
        self.timeline.record(Change(self.now, before["kind"], "deleted", before, None))

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
        self.put(
            "Deployment", name, more.get("uid", ""), more.get("listed", False), metadata=metadata, spec=spec
        )

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

    def evidence(self, since: float = 0) -> Evidence:
        objects: dict[str, list[Obj]] = {}
        for each in self.present.values():
            objects.setdefault(each["kind"], []).append(each)
        return Evidence(NAMESPACE, objects, self.timeline, since, self.now)

    def check(self, id: str, since: float = 0) -> CheckResult:
        return CHAPTER.exercise(id).check(self.evidence(since))

    def red(self, id: str, *words: str, since: float = 0) -> None:
        """A check is red, says these words, and leads on."""
        result = self.check(id, since)
        assert not result, result.message
        assert result.message.endswith("?"), result.message
        for word in words:
            assert word in result.message, (word, result.message)

    def judge(self, id: str, asked: float) -> Any:
        return CHAPTER.prediction(id).judge(self.evidence(), asked)


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
        cluster.drop(f"Pod-{name}-1-{letter}")
        if not new_first:
            cluster.now += 0.1
            cluster.pod(f"{name}-2-{letter}")
    cluster.now += 1
