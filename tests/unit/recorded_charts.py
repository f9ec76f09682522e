"""One chart of each kind, from recorded changes: a kill, and a rollout of a Deployment."""

from __future__ import annotations

from typing import Any

from k8slab.graph.chart import Chart
from k8slab.graph.chart_lives import lives_chart
from k8slab.graph.chart_memory import MemorySample, memory_chart
from k8slab.graph.chart_owners import owners_of
from k8slab.graph.chart_recoveries import recoveries_chart
from k8slab.graph.chart_replicas import owner_named, replicas_chart
from k8slab.graph.chart_requests import requests_chart
from k8slab.mirror.timeline import Timeline
from tests.unit.recorded_objects import START, Recording, kill, lesson

SECOND = int(START)
REVISION = "deployment.kubernetes.io/revision"


def killed() -> tuple[Timeline, Recording]:
    """Chapter 03 with one kill, a restart, and the victim's end."""
    timeline = Timeline()
    recording = lesson(timeline.record)
    kill(recording)
    recording.wait(2)
    recording.drop("pod-web-a")
    recording.start("pod-web-b", ready=True, restarts=1)
    recording.wait(3)
    return timeline, recording


def rolled_out() -> tuple[Timeline, Recording]:
    """A Deployment of two whose Pods are replaced one by one: three at a time, with the surge."""
    timeline = Timeline()
    recording = Recording(timeline.record)
    deployment = recording.owner("Deployment", "web", 2)
    old = _replica_set(recording, deployment, "web-1", 2, "1")
    for letter in "ab":
        _ready(recording, f"web-1-{letter}", old)
    recording.wait(5)
    new = _replica_set(recording, deployment, "web-2", 1, "2")
    for count, letter in enumerate("ab", 1):
        _replica_set(recording, deployment, "web-2", count, "2")
        _ready(recording, f"web-2-{letter}", new)
        _replica_set(recording, deployment, "web-1", 2 - count, "1")
        recording.delete(f"pod-web-1-{letter}")
        recording.wait(2)
        recording.drop(f"pod-web-1-{letter}")
    recording.wait(2)
    return timeline, recording


def _replica_set(recording: Recording, deployment: Any, name: str, replicas: int, revision: str) -> Any:
    made = recording.owner("ReplicaSet", name, replicas, deployment)
    return recording.change(made["metadata"]["uid"], metadata={"annotations": {REVISION: revision}})


def _ready(recording: Recording, name: str, owner: Any) -> None:
    uid = recording.pod(name, owner)
    recording.wait(0.1)
    recording.place(uid, "worker-1")
    recording.wait(0.3)
    recording.start(uid)
    recording.wait(0.5)
    recording.start(uid, ready=True)
    recording.wait(0.5)


def requests() -> Chart:
    """Ten seconds of twenty requests; web-a leaves after five, in which five fail."""
    seconds = [(SECOND + i, 20 - 5 * (i == 5), 5 * (i == 5)) for i in range(10)]
    pods = [
        (SECOND + i, {"web-a": 10, "web-b": 10} if i < 5 else {"web-b": 20 - 5 * (i == 5)}) for i in range(10)
    ]
    sentence = "svc/web: 200 requests sent, 195 answered, 5 failed; stopped."
    counts = {"web-a": 50, "web-b": 145}
    return requests_chart("svc/web", sentence, seconds, counts, {"HTTP 503": 5}, pods, START)


def memory() -> Chart:
    """Nine samples of four processes and two nodes."""
    samples = [
        MemorySample(
            START + 2 * i,
            {
                "etcd": 50.0 + i,
                "kube-apiserver": 220.0,
                "kube-scheduler": 45.0,
                "kube-controller-manager": 70.0,
            },
            {"worker-1": 30.0, "worker-2": 31.0 + i},
        )
        for i in range(9)
    ]
    return memory_chart(samples, "Memory of the cluster default")


def charts() -> list[Chart]:
    """Lives, replicas, requests, recoveries, memory."""
    timeline, recording = killed()
    rollout, rolled = rolled_out()
    owners = owners_of(rollout.changes())
    web = owner_named(owners, "Deployment", "web")
    assert web is not None
    parts = [(each, rollout.replicas(each.uid)) for each in owners.values() if each.owner == web.uid]
    recoveries = timeline.recoveries("lesson")
    return [
        lives_chart(
            timeline.lives("lesson"),
            recording.now,
            "03 · ReplicaSets: lives of the Pods",
            owners_of(timeline.changes()),
            recoveries,
            START + 60,
        ),
        replicas_chart(web, rollout.replicas(web.uid), rolled.now, parts, START),
        requests(),
        recoveries_chart(recoveries, "03 · ReplicaSets: recoveries", START),
        memory(),
    ]
