"""What the guard lets through while the API server cannot show its marker: starting what is stopped."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import urllib3

from k8slab.cluster.contract import ClusterProcess, ProcessAction
from k8slab.errors import ClusterStateError, GuardError
from k8slab.guard import Guard
from tests.unit.guarded_cluster import UUID, FakeApi, FakeCluster, write_kubeconfig

OTHER = "99999999-2222-3333-4444-555555555555"


def process(name: str, state: str = "running", started: float = 100.0) -> ClusterProcess:
    return ClusterProcess(name, "component", state, 7 if state == "running" else None, started, 0, None, "")


class SupervisedCluster(FakeCluster):
    """Has processes, and writes down what is done to them."""

    def __init__(self, folder: Path, owned: bool = True) -> None:
        super().__init__(folder, owned)
        self.confirmed = UUID
        self.running = {name: process(name) for name in ("etcd", "kube-apiserver", "kube-scheduler")}
        self.done: list[tuple[str, str]] = []

    def processes(self) -> tuple[ClusterProcess, ...]:
        return tuple(self.running.values())

    def process(self, name: str, action: ProcessAction) -> ClusterProcess:
        self.done.append((name, action))
        self.running[name] = process(name, "running" if action == "start" else "stopped", 200.0)
        return self.running[name]

    def supervised_uuid(self) -> str:
        return self.confirmed


class MuteApi(FakeApi):
    """Answers nothing, or refuses, while it is told to."""

    fault = ""

    def open(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
        timeout: tuple[float, float] = (5, 30),
    ) -> urllib3.BaseHTTPResponse:
        if self.fault == "refused":
            raise urllib3.exceptions.ProtocolError("connection refused")
        if self.fault == "forbidden":
            return urllib3.HTTPResponse(io.BytesIO(b"{}"), status=403, preload_content=False)
        return super().open(method, path, query, body, content_type, timeout)


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SupervisedCluster:
    monkeypatch.setenv("K8SLAB_STATE_DIR", str(tmp_path / "state"))
    return SupervisedCluster(tmp_path)


@pytest.fixture
def api(cluster: SupervisedCluster) -> MuteApi:
    return MuteApi(cluster.kubeconfig)


@pytest.fixture
def guard(cluster: SupervisedCluster, api: MuteApi) -> Guard:
    return Guard(cluster, api)


@pytest.mark.parametrize("stopped", ["etcd", "kube-apiserver"])
def test_what_is_stopped_may_be_started_while_nobody_answers(
    guard: Guard, cluster: SupervisedCluster, api: MuteApi, stopped: str
) -> None:
    cluster.running[stopped] = process(stopped, "stopped")
    guard.change_process(stopped, "start")
    assert cluster.done == [(stopped, "start")]
    assert api.requests == [], "an API server without etcd would let the question hang"


@pytest.mark.parametrize("fault", ["refused", "forbidden"])
def test_an_api_server_that_is_only_just_starting_holds_up_no_start(
    guard: Guard, cluster: SupervisedCluster, api: MuteApi, fault: str
) -> None:
    api.fault = fault
    guard.change_process("kube-scheduler", "start")
    assert cluster.done == [("kube-scheduler", "start")]


@pytest.mark.parametrize("action", ["stop", "kill"])
def test_nothing_is_stopped_while_the_marker_cannot_be_read(
    guard: Guard, cluster: SupervisedCluster, action: ProcessAction
) -> None:
    cluster.running["etcd"] = process("etcd", "stopped")
    with pytest.raises(ClusterStateError, match=r"etcd is stopped.*lab\.components\['etcd'\]\.start\(\)"):
        guard.change_process("kube-scheduler", action)
    with pytest.raises(ClusterStateError, match="etcd is stopped"):
        guard.delete_pod("ch", "web-1", "uid-1")
    assert cluster.done == []


@pytest.mark.parametrize("confirmed", [OTHER, ""])
def test_a_supervisor_of_another_cluster_starts_nothing(
    guard: Guard, cluster: SupervisedCluster, confirmed: str
) -> None:
    cluster.running["kube-apiserver"] = process("kube-apiserver", "stopped")
    cluster.confirmed = confirmed
    with pytest.raises(GuardError, match=confirmed or "none"):
        guard.change_process("kube-apiserver", "start")
    assert cluster.done == []


def test_a_marker_of_another_cluster_is_believed_before_the_supervisor(
    guard: Guard, cluster: SupervisedCluster, api: MuteApi
) -> None:
    api.marker = {"metadata": {"uid": "m"}, "data": {"uuid": OTHER}}
    with pytest.raises(GuardError, match=OTHER):
        guard.change_process("kube-scheduler", "start")
    assert cluster.done == []


def test_a_cluster_that_k8slab_did_not_make_is_started_by_nobody(tmp_path: Path) -> None:
    cluster = SupervisedCluster(tmp_path, owned=False)
    cluster.running["etcd"] = process("etcd", "stopped")
    with pytest.raises(GuardError, match="was not made by k8slab"):
        Guard(cluster, MuteApi(cluster.kubeconfig)).change_process("etcd", "start")
    assert cluster.done == []


def test_another_server_in_the_kubeconfig_is_refused_all_the_same(
    guard: Guard, cluster: SupervisedCluster
) -> None:
    cluster.running["etcd"] = process("etcd", "stopped")
    write_kubeconfig(cluster.kubeconfig, "https://elsewhere:6443")
    with pytest.raises(GuardError, match="another server"):
        guard.change_process("etcd", "start")
    assert cluster.done == []


def test_only_an_api_server_older_than_its_etcd_is_started_anew(
    guard: Guard, cluster: SupervisedCluster, api: MuteApi
) -> None:
    assert guard.restart_api_server().started == 100.0
    assert cluster.done == []
    api.fault = "refused"
    cluster.running["etcd"] = replace(process("etcd"), started=150.0)
    guard.restart_api_server()
    assert cluster.done == [("kube-apiserver", "kill"), ("kube-apiserver", "start")]
    guard.restart_api_server()
    assert len(cluster.done) == 2, "it is younger than etcd by now"
