"""The control plane in a learner's hands: stopped, started, reset, and what etcd keeps of a Pod.

The clusters are shared: whatever a test stops it starts again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from k8slab import Lab
from k8slab.cluster.answering import is_ready
from k8slab.cluster.api import KINDS
from k8slab.cluster.contract import CONTROL_PLANE
from k8slab.errors import ClusterStateError, CommandError, LabError
from k8slab.progress import SilentProgress
from k8slab.session.restoring import bring_back
from k8slab.session.stored import StoredObject, key_of, look_up
from tests.embedded.conftest import RunningCluster, until
from tests.promptness import within

CHAPTER = "03-replicasets"
HELD = 2.0

_POD = {"containers": [{"name": "demo", "image": "k8slab/demo:1"}]}
_NOWHERE = {**_POD, "nodeSelector": {"no": "where"}}


@pytest.fixture(scope="module")
def opened(cluster: RunningCluster) -> Iterator[Lab]:
    lab = Lab.open(CHAPTER, backend="embedded", name=cluster.cluster.name)
    yield lab
    lab.close()


@pytest.fixture
def lab(opened: Lab) -> Iterator[Lab]:
    """The chapter at its start, and at its start again; whatever was stopped runs."""
    try:
        yield opened
    finally:
        bring_back(opened._session.guard, SilentProgress())
        opened.reset()


@pytest.fixture
def web(lab: Lab) -> Lab:
    lab.apply("web.yaml").wait(30)
    until(lambda: len(ready(lab)) == 3, "three ready Pods")
    return lab


@contextmanager
def stopped(lab: Lab, name: str) -> Iterator[None]:
    """A component that is stopped for a while; started in any case."""
    with within(HELD):
        assert "is stopped" in repr(lab.components[name].stop())
    try:
        yield
    finally:
        with within(HELD):
            assert "runs" in repr(lab.components[name].start())


def ready(lab: Lab) -> set[str]:
    return {row.name for row in lab.pods("web") if row.ready == "1/1" and not row.leaving}


def state(lab: Lab, name: str) -> tuple[str, ...]:
    return next(row for row in lab.components.table() if row[0] == name)


def answers(lab: Lab) -> bool:
    try:
        lab.pods()
    except ClusterStateError:
        return False
    return True


def test_the_table_shows_each_process_with_pid_and_memory(lab: Lab) -> None:
    rows = list(lab.components.table())
    assert [row[0] for row in rows[:4]] == list(CONTROL_PLANE)
    for row in rows:
        assert row[1] == "running" and int(row[2]) > 1, row
        assert int(row[3].removesuffix(" MB")) > 0, row
    assert {"worker-1-agent", "worker-1-runtime", "network"} <= {row[0] for row in rows}


def test_without_a_scheduler_a_new_pod_has_no_node(web: Lab) -> None:
    with stopped(web, "kube-scheduler"):
        assert state(web, "kube-scheduler")[1:4] == ("stopped", "", "")
        assert "Stopped at the moment: kube-scheduler." in repr(web)
        web.kill(web.pods("web")[0], force=True)
        until(lambda: [row for row in web.pods("web") if not row.node], "a Pod without a node")
    until(lambda: len(ready(web)) == 3, "the Pod to get a node")
    assert "Stopped" not in repr(web)


def test_without_a_controller_manager_a_deleted_pod_is_not_replaced(web: Lab) -> None:
    with stopped(web, "kube-controller-manager"):
        victim = web.pods("web")[0]
        web.kill(victim, force=True)
        until(lambda: victim.uid not in {row.uid for row in web.pods("web")}, "the victim to be gone")
        web.kubectl("scale rs/web --replicas=5").wait(30)
        assert len(web.pods("web")) == 2
    until(lambda: len(ready(web)) == 5, "the ReplicaSet to be looked at again")


@pytest.mark.timeout(420)
@pytest.mark.parametrize("name", ["kube-apiserver", "etcd"])
def test_without_an_api_server_or_etcd_each_call_is_one_sentence_at_once(web: Lab, name: str) -> None:
    web.map()
    with stopped(web, name):
        for call in (
            lambda: web.pods(),
            lambda: web.events(),
            lambda: web.kill("x"),
            lambda: web.logs("x"),
            lambda: web.url("svc/web"),
            lambda: web.requests("svc/web"),
            lambda: web.apply("web.yaml"),
            lambda: web.kubectl("scale rs/web --replicas=5"),
            lambda: web.nodes["worker-1"].power_off(),
            lambda: web.components["kube-scheduler"].stop(),
        ):
            told = rf"{name} is stopped.*components\['{name}'\]\.start"
            with within(HELD), pytest.raises(ClusterStateError, match=told):
                call()
        kind = CommandError if name == "kube-apiserver" else ClusterStateError
        with pytest.raises(kind) as caught:
            web.kubectl("get pods")
        assert f"lab.components['{name}'].start()" in str(caught.value)
        assert "memcache.go" not in str(caught.value)
        for harmless in (web.stuck, web.stopwatch, web.graph, lambda: web.components, lambda: web):
            assert repr(harmless())
        until(
            lambda: web.map().picture()["scene"]["badge"]["state"] != "live",
            "the map to say that it is cut off",
        )
        assert Lab.open(CHAPTER, backend="embedded", name=web.cluster.name) is web, "still the same cluster"
    until(lambda: answers(web), "an answer")
    # Whoever lost the API server takes up its work again.
    web.kubectl("scale rs/web --replicas=4").wait(60)
    until(lambda: len(ready(web)) == 4, "a fourth Pod", 120)
    until(lambda: web.map().picture()["scene"]["badge"]["state"] == "live", "the map to be live again", 120)


def test_a_kubectl_line_right_after_the_start_waits_for_the_api_server(web: Lab) -> None:
    with stopped(web, "kube-apiserver"):
        pass
    running = web.kubectl("get pods")
    assert running.wait(60)
    assert "web-" in running.text


def test_reset_brings_back_whatever_was_stopped(web: Lab) -> None:
    web.nodes["worker-1"].power_off()
    web.nodes["worker-2"].kill_agent()
    for name in reversed(CONTROL_PLANE[1:]):
        web.components[name].kill()
    web.reset()
    assert not [row for row in web.components.table() if row[1] != "running"]
    assert {node.power for node in web.cluster.nodes()} == {"on"}
    nodes, _ = web._session.api.list("nodes")
    conditions = [each for node in nodes for each in node["status"]["conditions"] if each["type"] == "Ready"]
    assert {each["status"] for each in conditions} == {"True"}
    assert not list(web.pods())
    assert is_ready(web._session.api)


def test_a_reset_after_a_stopped_scheduler_is_as_quick_as_any(web: Lab) -> None:
    web.components["kube-scheduler"].stop()
    with within(10):
        web.reset()
    assert state(web, "kube-scheduler")[1] == "running"


def test_etcd_keeps_a_pod_as_bytes_under_its_key(web: Lab) -> None:
    row = web.pods("web")[0]

    def same_moment() -> StoredObject:
        """The Pod in etcd, when the API server shows the same version of it a moment later."""
        found = web.etcd(f"pod/{row.name}")
        pod = web._session.api.get(KINDS["pods"].path(CHAPTER, row.name))
        assert found.mod_revision == int(pod["metadata"]["resourceVersion"])
        return found

    seen = until(same_moment, "the version that the API server shows")
    assert seen.key == f"/registry/pods/{CHAPTER}/{row.name}"
    assert seen.stored.value.startswith(b"k8s\0")
    assert seen.mod_revision > seen.create_revision
    assert seen.version > 1
    assert seen.strings[:3] == ("v1", "Pod", row.name)
    assert {row.uid, "k8slab/demo:1"} <= set(seen.strings)
    with stopped(web, "kube-apiserver"):
        assert web.etcd(f"po/{row.name}").key == seen.key, "etcd answers without an API server"
    with pytest.raises(LabError, match="no key"):
        web.etcd("pod/nope")


def test_every_kind_of_the_lab_is_where_its_key_says(cluster: RunningCluster, namespace: str) -> None:
    made = {kind.kind: body(kind.kind, kind.prefix, namespace) for kind in KINDS.values() if kind.namespaced}
    items = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(made.values())})
    cluster.kubectl(f"-n {namespace} apply -f -", stdin=items)
    for kind in KINDS.values():
        names = {"Node": "worker-1", "Namespace": namespace, "StorageClass": "local-path"}
        name = names.get(kind.kind, "x")
        seen = look_up(cluster.cluster, namespace, f"{kind.plural}/{name}")
        assert seen.key == key_of(kind, namespace, name)
        if kind.kind == "Secret":
            assert b"hunter2" in seen.stored.value and "hunter2" not in repr(seen)
        else:
            assert kind.kind in seen.strings[:2]


def body(kind: str, prefix: str, namespace: str) -> dict[str, object]:
    """An object `x` of a kind, as small as the API server takes it."""
    template = {"metadata": {"labels": {"app": "x"}}, "spec": _POD}
    selected = {"selector": {"matchLabels": {"app": "x"}}, "template": template}
    job = {"template": {"spec": {**_POD, "restartPolicy": "Never"}}}
    specific: dict[str, dict[str, object]] = {
        "Pod": {"spec": _POD},
        "Service": {"spec": {"ports": [{"port": 80}]}},
        "ConfigMap": {"data": {"a": "b"}},
        "Secret": {"stringData": {"password": "hunter2"}},
        "Event": {
            "involvedObject": {"kind": "Pod", "name": "x", "namespace": namespace},
            "reason": "Tested",
        },
        "PersistentVolumeClaim": {
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
        },
        "ReplicationController": {"spec": {"replicas": 0, "selector": {"app": "x"}, "template": template}},
        "EndpointSlice": {"addressType": "IPv4", "endpoints": []},
        "StatefulSet": {"spec": {**selected, "replicas": 0, "serviceName": "x"}},
        "ReplicaSet": {"spec": {**selected, "replicas": 0}},
        "Deployment": {"spec": {**selected, "replicas": 0}},
        "DaemonSet": {"spec": {**selected, "template": {**template, "spec": _NOWHERE}}},
        "Job": {"spec": {**job, "suspend": True}},
        "CronJob": {"spec": {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": job}}},
        "ResourceQuota": {"spec": {"hard": {"pods": "50"}}},
        "HorizontalPodAutoscaler": {
            "spec": {
                "maxReplicas": 1,
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "x"},
            }
        },
        "Ingress": {"spec": {"defaultBackend": {"service": {"name": "x", "port": {"number": 80}}}}},
    }
    version = prefix.removeprefix("/apis/").removeprefix("/api/")
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "x"}, **specific[kind]}
