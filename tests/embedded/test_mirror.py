"""The mirror of a real cluster: equal to it after any fault, and timing what it heals."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import urllib3

from k8slab.cluster.api import KINDS, Api
from k8slab.cluster.embedded.control_plane import ETCD_PORT
from k8slab.cluster.embedded.identities import plan_of
from k8slab.errors import ApiError
from k8slab.graph.pod_facts import printed_ready, printed_status
from k8slab.graph.scene import SceneBuilder
from k8slab.mirror.mirror import Mirror
from k8slab.mirror.status import Clock
from k8slab.mirror.stopwatch import Recovery
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

GATED: dict[str, dict[str, Any]] = {
    "configmaps": {"data": {"key": "value"}},
    "pods": {
        "spec": {
            "schedulingGates": [{"name": "k8slab.dev/never"}],
            "containers": [{"name": "main", "image": "busybox:1.37"}],
        }
    },
}
"""What the churn makes: nothing of it ever runs."""


@pytest.fixture
def one_level(cluster: RunningCluster) -> None:
    if cluster.isolation == "plain" and shutil.which("bwrap"):
        pytest.skip("the control plane is the same at both levels: once is enough")


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


def differences(cluster: RunningCluster, mirror: Mirror, namespace: str, plurals: Sequence[str]) -> str:
    """Where the mirror and a fresh list disagree, by uid and version; empty if they agree."""
    found = []
    for plural in plurals:
        kind = KINDS[plural].kind
        objects, _ = cluster.api.list(plural, namespace)
        listed = {obj["metadata"]["uid"]: obj["metadata"]["resourceVersion"] for obj in objects}
        kept = mirror.store.objects(kind, namespace)
        known = {obj["metadata"]["uid"]: obj["metadata"]["resourceVersion"] for obj in kept}
        missing, stale = set(listed.items()) - set(known.items()), set(known.items()) - set(listed.items())
        found += [f"{kind} not mirrored: {sorted(missing)}"] if missing else []
        found += [f"{kind} mirrored but not there: {sorted(stale)}"] if stale else []
    return "; ".join(found)


def assert_equal_soon(
    cluster: RunningCluster,
    mirror: Mirror,
    namespace: str = "",
    plurals: Sequence[str] = ("pods", "services", "replicasets"),
) -> None:
    def equal() -> bool:
        found = differences(cluster, mirror, namespace, plurals)
        assert not found, f"{found}; {mirror.status()}"
        return True

    until(equal, "the mirror to equal the cluster")


def pid_of(cluster: RunningCluster, name: str) -> int:
    pid = next(each.pid for each in cluster.cluster.processes() if each.name == name)
    assert pid
    return pid


def test_the_mirror_equals_the_cluster_and_prints_what_kubectl_prints(
    cluster: RunningCluster, mirror: Mirror, namespace: str, web: str
) -> None:
    cluster.kubectl(f"-n {namespace} apply -f -", stdin=SIDECAR)
    printed = f"-n {namespace} get pod beside --no-headers"
    until(lambda: cluster.kubectl(printed).split()[1] == "2/2", "the sidecar and its neighbour")
    assert_equal_soon(cluster, mirror)
    status = mirror.status()
    assert status.state == "live" and status.synced and status.relists == 0
    assert mirror.cluster == cluster.api.get("/api/v1/namespaces/kube-system")["metadata"]["uid"]

    def printed_alike() -> bool:
        lines = cluster.kubectl(f"-n {namespace} get pods --no-headers").splitlines()
        listed = {
            (name, ready, (word, int(restarts))) for name, ready, word, restarts, *_ in map(str.split, lines)
        }
        kept = mirror.store.objects("Pod", namespace)
        shown = {(pod["metadata"]["name"], printed_ready(pod), printed_status(pod)) for pod in kept}
        assert shown == listed, (shown, listed)
        return True

    until(printed_alike, "the mirror's Pods to read as kubectl's")
    kept = mirror.store.objects("Pod", namespace)
    assert all("managedFields" not in pod["metadata"] for pod in kept)


def test_a_kill_is_timed_and_told(cluster: RunningCluster, mirror: Mirror, namespace: str, web: str) -> None:
    timeline, builder = Timeline(), SceneBuilder(namespace)
    mirror.listen(timeline.record)
    mirror.listen(builder.apply)
    until(lambda: len(timeline.lives(namespace)) == 3, "three Pods in the timeline")
    victim = timeline.lives(namespace)[0]
    builder.announce("delete", victim.uid, time.time())
    cluster.kubectl(f"-n {namespace} delete pod {victim.name} --wait=false")

    def healed() -> Recovery | None:
        """The recovery with all its phases: Pods and endpoints are told by two watches, in either order."""
        found = timeline.recovery(victim.uid)
        assert found is not None and found.healed is not None, found
        names = [name for name, _ in found.phases]
        assert names == ["replacement created", "scheduled", "process started", "ready", "in endpoints"]
        return found

    recovery = until(healed, "the healing")
    assert recovery is not None and recovery.heir is not None
    spans = [seconds for _, seconds in recovery.phases]
    assert spans[0] < spans[1] < spans[2] <= spans[3], spans
    uid = cluster.kubectl(f"-n {namespace} get pod {recovery.heir.name} -o jsonpath={{.metadata.uid}}")
    assert uid == recovery.heir.uid != victim.uid
    heir = recovery.heir.name
    until(
        lambda: (builder.scene(time.time())["recovery"] or {}).get("heir") == heir,
        "the picture to show its heir",
    )

    def told_to_the_end() -> list[str]:
        texts = [str(entry["text"]) for entry in builder.scene(time.time())["story"]]
        assert any(text.endswith("Service web now sends it requests.") for text in texts), texts
        return texts

    told = until(told_to_the_end, "the story")
    assert told[0].startswith(f"You deleted {victim.name}. It has ")
    assert f"ReplicaSet web wants 3, saw 2 and created {recovery.heir.name}." in told
    assert f"The scheduler placed {recovery.heir.name} on {recovery.heir.node}." in told


# Python 3.11 leaves a socket to the garbage collector if it is reset right before the TLS handshake.
@pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")
@pytest.mark.usefixtures("one_level")
@pytest.mark.timeout(420)
def test_the_mirror_survives_the_death_of_the_api_server(
    cluster: RunningCluster, mirror: Mirror, namespace: str, web: str
) -> None:
    timeline = Timeline()
    mirror.listen(timeline.record)
    until(lambda: len(timeline.lives(namespace)) == 3, "three Pods in the timeline")
    os.kill(pid_of(cluster, "kube-apiserver"), signal.SIGKILL)
    until(lambda: mirror.status().state != "live", "the loss to be noticed", 30)

    def all_live() -> bool:
        status = mirror.status()
        assert status.state == "live" and all(kind.state == "live" for kind in status.kinds), status
        return True

    until(all_live, "the API server to be back", 120)
    cluster.kubectl(f"-n {namespace} delete rs web --wait=false")
    until(lambda: not mirror.store.objects("Pod", namespace), "all Pods to have gone", 120)
    assert_equal_soon(cluster, mirror)
    # The timeline is told right after the store, by another thread than this one.
    until(lambda: all(life.gone is not None for life in timeline.lives(namespace)), "every deletion", 20)
    assert mirror.status().replaced == 0


class Churn:
    """ConfigMaps and Pods of a namespace that come, change and go at random, through any outage.

    Args:
        cluster: where.
        namespace: in which namespace.
        seed: of what happens.
    """

    def __init__(self, cluster: RunningCluster, namespace: str, seed: int) -> None:
        self.done = 0
        self._api = Api(cluster.cluster.kubeconfig)
        self._namespace = namespace
        self._chance = random.Random(seed)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="churn")

    def __enter__(self) -> Churn:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._ending.set()
        self._thread.join()

    def more(self, count: int = 25) -> None:
        """Wait for so many further changes."""
        wanted = self.done + count
        until(lambda: self.done >= wanted, f"{count} changes", 60)

    def _run(self) -> None:
        while not self._ending.is_set():
            try:
                self._step()
            except (urllib3.exceptions.HTTPError, OSError):
                self._ending.wait(0.05)

    def _step(self) -> None:
        plural = self._chance.choice(["configmaps", "pods"])
        name = f"{plural}-{self._chance.randrange(12)}"
        body = {"metadata": {"name": name, "labels": {"step": str(self.done)}}, **GATED[plural]}
        path = KINDS[plural].path(self._namespace)
        steps: list[tuple[str, str, Any, str]] = [
            ("POST", path, body, "application/json"),
            ("PATCH", f"{path}/{name}", {"metadata": body["metadata"]}, "application/merge-patch+json"),
            ("DELETE", f"{path}/{name}", {"gracePeriodSeconds": 0}, "application/json"),
        ]
        method, at, content, media = self._chance.choice(steps)
        response = self._api.open(method, at, body=content, content_type=media, timeout=(1, 3))
        response.drain_conn()
        response.release_conn()
        self.done += response.status < 400


# Python 3.11 leaves a socket to the garbage collector if it is reset right before the TLS handshake.
@pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")
@pytest.mark.usefixtures("one_level")
@pytest.mark.timeout(420)
def test_after_real_churn_and_real_faults_the_mirror_equals_the_cluster(
    cluster: RunningCluster, namespace: str
) -> None:
    """kill -9, a compaction of etcd behind the mirror's back, and an API server that is held still."""
    gate = threading.Event()
    gate.set()

    def wait(event: threading.Event, seconds: float) -> bool:
        while not gate.is_set() and not event.wait(0.05):
            pass
        return event.wait(min(seconds, 1.0))

    kinds, clock = ("configmaps", "pods"), Clock(wait=wait)
    with (
        Mirror(cluster.api, kinds, namespace, read_timeout=2, clock=clock) as mirror,
        Churn(cluster, namespace, seed=len(cluster.isolation)) as churn,
    ):
        mirror.wait_synced(30)
        churn.more()
        gate.clear()
        kill_api_server(cluster)
        until(lambda: mirror.status().state != "live", "the loss to be noticed", 30)
        churn.more()
        _, now = cluster.api.list("configmaps", namespace)
        compact(cluster, now)
        kill_api_server(cluster)  # one that has just started remembers nothing of before
        before = mirror.status()
        gate.set()
        until(lambda: mirror.status().relists >= before.relists + len(kinds), "every kind to be listed anew")
        until(lambda: mirror.status().state == "live", "live again")
        pid = pid_of(cluster, "kube-apiserver")
        os.kill(pid, signal.SIGSTOP)
        try:
            until(lambda: mirror.status().state == "stale", "the silence to be noticed")
            assert mirror.status().last_event_age > 2
        finally:
            os.kill(pid, signal.SIGCONT)
        churn.more()
        churn.__exit__()
        assert_equal_soon(cluster, mirror, namespace, kinds)
        until(lambda: mirror.status().state == "live", "live once more")
        assert mirror.status().replaced == 0


def compact(cluster: RunningCluster, revision: str) -> None:
    """Make etcd forget what was before a revision, over the JSON gateway it serves beside gRPC."""
    folder, plan = cluster.folder, plan_of(cluster.cluster.settings)
    with urllib3.PoolManager(
        ca_certs=str(folder.certificate("etcd-ca")),
        cert_file=str(folder.certificate("etcd-client")),
        key_file=str(folder.key("etcd-client")),
    ) as pool:
        url = f"https://{plan.twin(plan.api_server)}:{ETCD_PORT}/v3/kv/compaction"
        answer = pool.request("POST", url, json={"revision": revision, "physical": True}, timeout=30)
    assert answer.status == 200, answer.data


def kill_api_server(cluster: RunningCluster) -> None:
    """kill -9, and wait until another process answers in its stead."""
    before = pid_of(cluster, "kube-apiserver")
    os.kill(before, signal.SIGKILL)

    def answers() -> bool:
        with contextlib.suppress(urllib3.exceptions.HTTPError, ApiError):
            return pid_of(cluster, "kube-apiserver") != before and cluster.api.read("/readyz") == b"ok"
        return False

    until(answers, "the API server to be back", 120)
