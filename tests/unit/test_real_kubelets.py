"""What a lab does where a real kubelet keeps the control plane: on kind."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from k8slab.cluster.answering import check_answers
from k8slab.errors import ClusterStateError
from k8slab.guard import Guard
from k8slab.progress import SilentProgress
from k8slab.session.components import act, state_in_words
from k8slab.session.restoring import answer_again, settle
from tests.unit.guarded_cluster import FakeApi
from tests.unit.test_guard_without_api_server import SupervisedCluster, process

MANAGER = "kube-controller-manager"


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SupervisedCluster:
    monkeypatch.setenv("K8SLAB_STATE_DIR", str(tmp_path / "state"))
    made = SupervisedCluster(tmp_path)
    made.running[MANAGER] = process(MANAGER)
    return made


def test_a_static_pod_that_came_back_is_asked_whether_it_serves_though_it_counts_no_restart(
    cluster: SupervisedCluster,
) -> None:
    api = FakeApi(cluster.kubeconfig)
    api.status = 500
    young = process("kube-apiserver", started=time.time() - 3)
    cluster.running["kube-apiserver"] = young
    check_answers(cluster, api)
    cluster.running["kube-apiserver"] = replace(young, foreign=True)
    with pytest.raises(ClusterStateError, match="is not ready yet"):
        check_answers(cluster, api)
    api.status = 200
    check_answers(cluster, api)


def test_one_that_gave_up_and_waits_for_its_next_try_is_started_with_the_api_server(
    cluster: SupervisedCluster,
) -> None:
    """kube-controller-manager ends itself without its lease, and the kubelet tries ever more rarely."""
    cluster.running[MANAGER] = process(MANAGER, "failed", started=300.0)
    guard = Guard(cluster, FakeApi(cluster.kubeconfig))
    settle(guard)
    assert cluster.done == [(MANAGER, "stop"), (MANAGER, "start")]
    cluster.done.clear()
    cluster.running[MANAGER] = process(MANAGER, "failed", started=300.0)
    answer_again(guard, SilentProgress())
    assert cluster.done == [(MANAGER, "stop"), (MANAGER, "start")]
    cluster.done.clear()
    answer_again(guard, SilentProgress())
    assert cluster.done == []


def test_an_api_server_that_gave_up_without_etcd_is_started_with_it(cluster: SupervisedCluster) -> None:
    cluster.running["etcd"] = process("etcd", "stopped")
    cluster.running["kube-apiserver"] = process("kube-apiserver", "failed")
    said = act(Guard(cluster, FakeApi(cluster.kubeconfig)), "etcd", "start")
    assert cluster.done[:2] == [("etcd", "start"), ("kube-apiserver", "start")]
    assert "cannot answer yet" not in said


def test_no_exit_code_is_made_up_where_the_runtime_tells_none(cluster: SupervisedCluster) -> None:
    ended = process("etcd", "failed")
    cluster.running["etcd"] = ended
    with pytest.raises(ClusterStateError, match="etcd has ended and is being started again"):
        check_answers(cluster, FakeApi(cluster.kubeconfig))
    assert state_in_words(ended) == "ended; it is started again"
    assert "exit code 2" in state_in_words(replace(ended, exit_code=2))
