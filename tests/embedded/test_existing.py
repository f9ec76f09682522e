"""An embedded cluster attached by a kubeconfig as if somebody else had made it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from k8slab import Lab
from k8slab.errors import GuardError, LabError
from tests.embedded.conftest import RunningCluster, until
from tests.embedded.recording_proxy import RecordingProxy

CHAPTER = "03-replicasets"


@pytest.fixture
def sandbox(cluster: RunningCluster, namespace: str) -> str:
    cluster.kubectl(f"label namespace {namespace} k8slab.dev/sandbox=true")
    cluster.kubectl(f"-n {namespace} create configmap theirs --from-literal=a=b")
    return namespace


def attach(proxy: RecordingProxy, namespaces: list[str], typed: str = "") -> Lab:
    return Lab.open(
        CHAPTER,
        backend="existing",
        context="theirs",
        kubeconfig=proxy.kubeconfig,
        namespaces=namespaces,
        typed=typed,
    )


def acts(lab: Lab) -> tuple[Callable[[], object], ...]:
    """What changes something, one of each sort."""
    return (
        lambda: lab.apply("web.yaml").wait(30),
        lambda: lab.kubectl("delete pod web").wait(30),
        lambda: lab.kubectl("create configmap x").wait(30),
        lambda: lab.kubectl("run -it x --image=y").wait(30),
        lambda: lab.kubectl("cordon worker-1").wait(30),
        lambda: lab.kubectl("delete namespace default").wait(30),
        lambda: lab.nodes["worker-1"].power_off(),
        lambda: lab.components["etcd"].stop(),
        lambda: lab.reset(),
    )


def test_without_the_keys_nothing_but_reads_leaves_the_process(
    cluster: RunningCluster, proxy: RecordingProxy, sandbox: str
) -> None:
    cluster.kubectl(f"-n {sandbox} run web --image=k8slab/demo:1")
    for namespaces, typed, missing in (
        ([], "", "only reads it"),
        ([sandbox], "", "typed once more"),
        ([sandbox], "their", "typed once more"),
        (["default"], "theirs", "label"),
    ):
        lab = attach(proxy, namespaces, typed)
        try:
            for act in acts(lab):
                with pytest.raises(LabError):
                    act()
            with pytest.raises(GuardError, match=missing):
                lab._session.guard.check_cluster(namespaces[0] if namespaces else sandbox)
            assert "web" in str(lab.pods()) or namespaces != [sandbox]
            assert lab.kubectl("get nodes").wait(30)
        finally:
            lab.close()
    assert proxy.changes == []


def test_with_the_keys_a_chapter_runs_there_and_removes_only_what_it_made(
    cluster: RunningCluster, proxy: RecordingProxy, sandbox: str
) -> None:
    lab = attach(proxy, [sandbox], "theirs")
    try:
        lab.apply("web.yaml").wait(30)
        lab.kubectl("create configmap mine --from-literal=a=b").wait(30)
        until(lambda: [pod.ready for pod in lab.pods("app=web")] == ["1/1"] * 3, "3 ready Pods")
        made = cluster.kubectl(f"-n {sandbox} get all,configmaps -l k8slab.dev/made-by=k8slab -o name")
        assert {"replicaset.apps/web", "service/web", "configmap/mine"} <= set(made.split())
        victim = lab.pods("app=web")[0]
        lab.kill(victim)
        until(lambda: victim.name not in str(lab.pods("app=web")), f"{victim.name} to be gone")
        with pytest.raises(GuardError, match="everybody's"):
            lab.kubectl("create configmap x -n default").wait(30)
        with pytest.raises(GuardError):
            lab.kubectl("create configmap x -n kube-system").wait(30)
        lab.reset()
        left = cluster.kubectl(f"-n {sandbox} get replicasets,services,configmaps -o name").split()
        assert left == ["configmap/kube-root-ca.crt", "configmap/theirs"]
        cluster.kubectl(f"label namespace {sandbox} k8slab.dev/sandbox-")
        with pytest.raises(GuardError, match="label"):
            lab.apply("web.yaml").wait(30)
    finally:
        lab.close()
    outside = [path for _, path in proxy.changes if f"/namespaces/{sandbox}/" not in path]
    assert outside == []


def test_a_namespace_that_was_made_anew_is_another_one(
    cluster: RunningCluster, proxy: RecordingProxy, sandbox: str
) -> None:
    lab = attach(proxy, [sandbox], "theirs")
    try:
        lab.kubectl("create configmap mine").wait(30)
        cluster.kubectl(f"delete namespace {sandbox}", timeout=150)
        cluster.kubectl(f"create namespace {sandbox}")
        cluster.kubectl(f"label namespace {sandbox} k8slab.dev/sandbox=true")
        with pytest.raises(GuardError, match="made anew"):
            lab.kubectl("create configmap mine").wait(30)
    finally:
        lab.close()
