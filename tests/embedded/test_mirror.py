"""The mirror of a real cluster: equal to it after any fault, and timing what it heals."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from k8slab.graph.pod_facts import printed_ready, printed_status
from k8slab.graph.scene import SceneBuilder
from k8slab.mirror.mirror import Mirror
from k8slab.mirror.timeline import Timeline
from tests.embedded.conftest import RunningCluster, until

MANIFEST = Path(__file__).parents[2] / "manifests" / "03-replicasets" / "web.yaml"

SIDECAR = """
apiVersion: v1
kind: Pod
metadata: {name: beside}
spec:
  terminationGracePeriodSeconds: 1
  initContainers:
  - {name: sidecar, image: "busybox:1.37", restartPolicy: Always, command: [sleep, "999"]}
  containers:
  - {name: main, image: "busybox:1.37", command: [sleep, "999"]}
"""


@pytest.fixture
def mirror(cluster: RunningCluster) -> Iterator[Mirror]:
    with Mirror(cluster.api, read_timeout=75) as mirror:
        mirror.wait_synced(30)
        yield mirror


@pytest.fixture
def web(cluster: RunningCluster, namespace: str) -> str:
    """ReplicaSet and Service web with three ready Pods; returns the ReplicaSet's uid."""
    cluster.kubectl(f"-n {namespace} apply -f {MANIFEST}")
    ready = "-o jsonpath={.status.readyReplicas}"
    until(lambda: cluster.kubectl(f"-n {namespace} get rs web {ready}") == "3", "three ready Pods")
    return cluster.kubectl(f"-n {namespace} get rs web -o jsonpath={{.metadata.uid}}")


def differences(cluster: RunningCluster, mirror: Mirror) -> str:
    """Where the mirror and a fresh list disagree, by uid and version; empty if they agree."""
    found = []
    for plural, kind in (("pods", "Pod"), ("services", "Service"), ("replicasets", "ReplicaSet")):
        objects, _ = cluster.api.list(plural)
        listed = {obj["metadata"]["uid"]: obj["metadata"]["resourceVersion"] for obj in objects}
        kept = mirror.store.objects(kind)
        known = {obj["metadata"]["uid"]: obj["metadata"]["resourceVersion"] for obj in kept}
        missing, stale = set(listed.items()) - set(known.items()), set(known.items()) - set(listed.items())
        found += [f"{kind} not mirrored: {sorted(missing)}"] if missing else []
        found += [f"{kind} mirrored but not there: {sorted(stale)}"] if stale else []
    return "; ".join(found)


def assert_equal_soon(cluster: RunningCluster, mirror: Mirror) -> None:
    def equal() -> bool:
        found = differences(cluster, mirror)
        assert not found, f"{found}; {mirror.status()}"
        return True

    until(equal, "the mirror to equal the cluster", 10)


def pid_of(cluster: RunningCluster, name: str) -> int:
    pid = next(each.pid for each in cluster.cluster.processes() if each.name == name)
    assert pid
    return pid


def test_the_mirror_equals_the_cluster_and_prints_what_kubectl_prints(
    cluster: RunningCluster, mirror: Mirror, namespace: str, web: str
) -> None:
    cluster.kubectl(f"-n {namespace} apply -f -", stdin=SIDECAR)
    printed = f"-n {namespace} get pod beside --no-headers"
    until(lambda: cluster.kubectl(printed).split()[1] == "2/2", "the sidecar and its neighbour", 20)
    assert_equal_soon(cluster, mirror)
    status = mirror.status()
    assert status.state == "live" and status.synced and status.relists == 0
    assert mirror.cluster == cluster.api.get("/api/v1/namespaces/kube-system")["metadata"]["uid"]
    lines = cluster.kubectl(f"-n {namespace} get pods --no-headers").splitlines()
    listed = {
        (name, ready, (word, int(restarts))) for name, ready, word, restarts, *_ in map(str.split, lines)
    }
    kept = mirror.store.objects("Pod", namespace)
    assert {(pod["metadata"]["name"], printed_ready(pod), printed_status(pod)) for pod in kept} == listed
    assert all("managedFields" not in pod["metadata"] for pod in kept)


def test_a_kill_is_timed_and_told(cluster: RunningCluster, mirror: Mirror, namespace: str, web: str) -> None:
    timeline, builder = Timeline(), SceneBuilder(namespace)
    mirror.listen(timeline.record)
    mirror.listen(builder.apply)
    until(lambda: len(timeline.lives(namespace)) == 3, "three Pods in the timeline", 10)
    victim = timeline.lives(namespace)[0]
    builder.announce("delete", victim.uid, time.time())
    cluster.kubectl(f"-n {namespace} delete pod {victim.name} --wait=false")

    def healed() -> bool:
        found = timeline.recovery(victim.uid)
        return found is not None and found.healed is not None

    until(healed, "the healing", 30)
    recovery = timeline.recovery(victim.uid)
    assert recovery is not None and recovery.heir is not None and recovery.healed is not None
    names = [name for name, _ in recovery.phases]
    assert names == ["replacement created", "scheduled", "process started", "ready", "in endpoints"]
    spans = [seconds for _, seconds in recovery.phases]
    assert spans[0] < spans[1] < spans[2] <= spans[3], spans
    uid = cluster.kubectl(f"-n {namespace} get pod {recovery.heir.name} -o jsonpath={{.metadata.uid}}")
    assert uid == recovery.heir.uid != victim.uid
    scene = builder.scene(time.time())
    assert scene["recovery"]["heir"] == recovery.heir.name
    told = [entry["text"] for entry in scene["story"]]
    assert told[0].startswith(f"You deleted {victim.name}. It has ")
    assert f"ReplicaSet web wants 3, saw 2 and created {recovery.heir.name}." in told
    assert f"The scheduler placed {recovery.heir.name} on {recovery.heir.node}." in told
    assert any(text.endswith("Service web now sends it requests.") for text in told)


# Python 3.11 leaves a socket to the garbage collector if it is reset right before the TLS handshake.
@pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")
def test_the_mirror_survives_the_death_of_the_api_server(
    cluster: RunningCluster, mirror: Mirror, namespace: str, web: str
) -> None:
    timeline = Timeline()
    mirror.listen(timeline.record)
    until(lambda: len(timeline.lives(namespace)) == 3, "three Pods in the timeline", 10)
    os.kill(pid_of(cluster, "kube-apiserver"), signal.SIGKILL)
    until(lambda: mirror.status().state != "live", "the loss to be noticed", 10)
    until(lambda: mirror.status().state == "live", "the API server to be back", 60)
    assert all(kind.state == "live" for kind in mirror.status().kinds), mirror.status()
    cluster.kubectl(f"-n {namespace} delete rs web --wait=false")
    until(lambda: not mirror.store.objects("Pod", namespace), "all Pods to have gone", 60)
    assert_equal_soon(cluster, mirror)
    assert all(life.gone is not None for life in timeline.lives(namespace)), "no deletion may be lost"
    assert mirror.status().replaced == 0


def test_an_api_server_that_says_nothing_is_noticed(cluster: RunningCluster) -> None:
    pid = pid_of(cluster, "kube-apiserver")
    with Mirror(cluster.api, ("pods", "nodes"), read_timeout=2) as mirror:
        mirror.wait_synced(30)
        os.kill(pid, signal.SIGSTOP)
        try:
            until(lambda: mirror.status().state == "stale", "the silence to be noticed", 20)
            assert mirror.status().last_event_age > 2
        finally:
            os.kill(pid, signal.SIGCONT)
        until(lambda: mirror.status().state == "live", "live again", 60)
