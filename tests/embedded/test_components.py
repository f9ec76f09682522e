"""The control plane's processes as a learner meets them: stopped, started, and seen as Pods."""

from __future__ import annotations

import json

import pytest

from k8slab.errors import ClusterStateError
from k8slab.processes import ProcessIdentity
from tests.embedded.conftest import RunningCluster, until

COMPONENTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")


def test_a_stopped_scheduler_leaves_a_pod_without_a_node_until_it_is_started(
    cluster: RunningCluster, namespace: str
) -> None:
    stopped = cluster.cluster.process("kube-scheduler", "stop")
    assert stopped.state == "stopped" and stopped.pid is None
    try:
        cluster.kubectl(f"-n {namespace} run waiting --image=k8slab/demo:1")
        seen = cluster.kubectl(f"-n {namespace} get pod waiting -o jsonpath={{.spec.nodeName}}")
        assert seen == ""
    finally:
        started = cluster.cluster.process("kube-scheduler", "start")
    assert started.pid is not None and ProcessIdentity.of(started.pid) is not None
    until(
        lambda: cluster.kubectl(f"-n {namespace} get pod waiting -o jsonpath={{.spec.nodeName}}"),
        "the scheduler to place the Pod",
    )


def test_a_component_that_is_killed_from_outside_is_started_again(cluster: RunningCluster) -> None:
    def scheduler() -> tuple[int | None, int, str]:
        process = next(each for each in cluster.cluster.processes() if each.name == "kube-scheduler")
        return process.pid, process.restarts, process.state

    pid, restarts, _ = scheduler()
    assert pid is not None
    identity = ProcessIdentity.of(pid)
    assert identity is not None
    identity.send(9)
    until(
        lambda: scheduler()[0] not in (None, pid) and scheduler()[1] == restarts + 1,
        "another scheduler to run",
    )


def test_an_unknown_process_is_refused_by_name(cluster: RunningCluster) -> None:
    with pytest.raises(ClusterStateError, match="kube-sheduler"):
        cluster.cluster.process("kube-sheduler", "stop")


def test_the_components_are_mirror_pods_of_the_control_plane_node(cluster: RunningCluster) -> None:
    def pods() -> dict[str, dict[str, object]]:
        items = json.loads(cluster.kubectl("-n kube-system get pods -o json"))["items"]
        return {item["metadata"]["name"]: item for item in items}

    names = {f"{component}-control-plane" for component in COMPONENTS}
    until(lambda: names <= set(pods()), "the mirror Pods")
    restarts = next(each for each in cluster.cluster.processes() if each.name == "etcd").restarts
    before = pods()["etcd-control-plane"]
    cluster.kubectl("-n kube-system delete pod etcd-control-plane --wait=false")
    until(
        lambda: pods().get("etcd-control-plane", before)["metadata"]["uid"] != before["metadata"]["uid"],  # type: ignore[index]
        "another mirror Pod",
    )
    etcd = next(each for each in cluster.cluster.processes() if each.name == "etcd")
    assert etcd.restarts == restarts, "deleting a mirror Pod ends no process, as on kubeadm"


def test_logs_of_a_component_are_its_own(cluster: RunningCluster) -> None:
    until(
        lambda: (
            cluster.kubectl("-n kube-system logs kube-scheduler-control-plane --tail=5", check=False).count(
                "\n"
            )
            >= 1
        ),
        "log lines of the scheduler",
    )
