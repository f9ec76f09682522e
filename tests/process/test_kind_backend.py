"""The kind backend against programs that play kind, an engine and kubectl and record how they were called."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from k8slab.cluster import container_engine
from k8slab.cluster.contract import Cluster
from k8slab.cluster.kind.backend import find_kind, kind_can_run, open_kind
from k8slab.cluster.kind.cluster import KindCluster
from k8slab.cluster.kind.journal import KindJournal, kind_folder
from k8slab.errors import (
    ClusterError,
    ClusterStateError,
    LabError,
    MissingToolError,
    StopError,
)
from k8slab.progress import CollectedProgress
from tests.process.kind_standins import PINNED, StandIns


def opened(name: str = "lab", nodes: int = 1, progress: CollectedProgress | None = None) -> KindCluster:
    return open_kind(name, nodes, False, progress or CollectedProgress(), "A test.")


# --- which engine answers ---------------------------------------------------------------------------


def test_can_run_where_an_engine_answers_and_kind_is_there(stand_ins: StandIns) -> None:
    assert kind_can_run() == (True, "docker answers and kind is installed")


def test_cannot_run_without_any_engine(stand_ins: StandIns) -> None:
    (stand_ins.bin / "docker").unlink()
    runs, why = kind_can_run()
    assert not runs
    assert "docker: not installed" in why
    assert "podman: not installed" in why


def test_kind_is_fetched_where_it_is_not_there_and_the_message_names_every_way(stand_ins: StandIns) -> None:
    (stand_ins.bin / "kind").unlink()
    runs, why = kind_can_run()
    assert runs
    assert "kind is fetched, for kind is not on PATH" in why
    with pytest.raises(MissingToolError, match="kind could not be had") as caught:
        opened()
    for reason in ("not on PATH", "not in the cache", "cannot be downloaded", "no Go"):
        assert reason in caught.value.message


def test_a_kind_that_is_too_old_is_not_taken(stand_ins: StandIns) -> None:
    stand_ins.change(kind_version="v0.29.0")
    assert "v0.29.0; wanted is v0.30 or newer" in kind_can_run()[1]


@pytest.mark.parametrize(
    ("words", "seen"),
    [
        ("Cannot connect to the Docker daemon at unix:///var/run/docker.sock.", "installed, and not running"),
        ("permission denied while trying to connect to the docker API", "permission denied"),
        ("something odd", "`docker ps` ended with exit code 1: something odd"),
    ],
)
def test_an_engine_that_does_not_answer_says_why(stand_ins: StandIns, words: str, seen: str) -> None:
    stand_ins.change(refuse={"docker ps --quiet": words})
    runs, why = kind_can_run()
    assert not runs
    assert f"docker: {seen}" in why
    with pytest.raises(LabError, match="A kind cluster cannot be made") as caught:
        opened()
    assert "embedded" in caught.value.cure


def test_an_engine_that_hangs_counts_as_not_answering(
    stand_ins: StandIns, monkeypatch: pytest.MonkeyPatch
) -> None:
    (stand_ins.bin / "docker").write_text("#!/bin/sh\nexec /bin/sleep 60\n")
    monkeypatch.setattr(container_engine, "ANSWER_SECONDS", 0.2)
    runs, why = kind_can_run()
    assert not runs
    assert "docker: no answer within" in why


def test_podman_is_taken_where_docker_does_not_answer(stand_ins: StandIns) -> None:
    stand_ins.change(refuse={"docker ps --quiet": "Cannot connect"})
    stand_ins.install("podman")
    stand_ins.change(info={"host": {"cgroupVersion": "v2"}, "version": {"Version": "5.0.0"}})
    cluster = opened()
    assert cluster.info()["engine"] == "podman"
    asked = [env for words, env in stand_ins.calls("kind") if words != ["version"]]
    assert {env["KIND_EXPERIMENTAL_PROVIDER"] for env in asked} == {"podman"}


def test_an_engine_the_user_named_is_honoured(stand_ins: StandIns, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_ins.install("nerdctl")
    monkeypatch.setenv("KIND_EXPERIMENTAL_PROVIDER", "nerdctl")
    assert kind_can_run() == (True, "nerdctl answers and kind is installed")
    monkeypatch.setenv("KIND_EXPERIMENTAL_PROVIDER", "lxc")
    assert "lxc" in kind_can_run()[1]


# --- making, attaching, deleting --------------------------------------------------------------------


def test_create_uses_a_configuration_and_a_kubeconfig_of_our_own(stand_ins: StandIns) -> None:
    cluster = opened(nodes=3)
    (create,) = [words for words, _ in stand_ins.calls("kind") if words[:2] == ["create", "cluster"]]
    assert create[create.index("--name") + 1] == "k8slab-lab"
    assert create[create.index("--kubeconfig") + 1] == str(cluster.kubeconfig)
    configuration = json.loads(Path(create[create.index("--config") + 1]).read_text())
    assert [node["role"] for node in configuration["nodes"]] == ["control-plane", *["worker"] * 3]
    assert {node["image"] for node in configuration["nodes"]} == {PINNED}
    assert [node["labels"]["k8slab.dev/name"] for node in configuration["nodes"][1:]] == [
        "worker-1",
        "worker-2",
        "worker-3",
    ]
    assert cluster.kubeconfig.is_relative_to(os.environ["K8SLAB_STATE_DIR"])
    assert (cluster.kubeconfig.parent / "journal.json").stat().st_mode & 0o777 == 0o600


def test_the_ambient_kubeconfig_reaches_no_program(stand_ins: StandIns) -> None:
    opened().delete()
    for program in ("kind", "kubectl", "docker"):
        assert stand_ins.calls(program)
        assert all("KUBECONFIG" not in env for _, env in stand_ins.calls(program))
    for words, _ in stand_ins.calls("kubectl"):
        assert words[0] == "--kubeconfig"
        if words[1] == os.devnull:
            continue  # asked for its version: nothing is discovered
        assert words[words.index("--cache-dir") + 1].startswith(os.environ["K8SLAB_STATE_DIR"])


def test_the_cluster_keeps_the_contract(stand_ins: StandIns) -> None:
    cluster: Cluster = opened()
    assert (cluster.backend, cluster.name, cluster.owned) == ("kind", "lab", True)
    assert (cluster.isolation, cluster.context) == ("containers", "kind-k8slab-lab")
    assert cluster.kubectl == stand_ins.bin / "kubectl"
    info = cluster.info()
    assert info["kubernetes"] == "v1.37.0"
    assert info["nodes"] == ["lab-control-plane", "lab-worker"]
    assert info["seconds_to_ready"] >= 0
    assert {part.part for part in cluster.reality() if part.played} == {"nodes", "load balancers, Ingress"}
    assert cluster.url("10.96.0.10", 80) is None
    assert cluster.supervised_uuid() == cluster.uuid
    cluster.close()
    cluster.close()
    assert "k8slab-lab" in stand_ins.clusters()


def test_the_marker_in_the_cluster_carries_the_uuid_of_the_journal(stand_ins: StandIns) -> None:
    cluster = opened()
    (marker,) = [words for words, _ in stand_ins.calls("kubectl") if "k8slab-owner" in words]
    assert f"--from-literal=uuid={cluster.uuid}" in marker
    journal = KindJournal.read(kind_folder("lab") / "journal.json")
    assert journal is not None
    assert journal.uuid == cluster.uuid
    assert list(journal.containers) == list(stand_ins.state()["containers"])


def test_opening_again_attaches(stand_ins: StandIns) -> None:
    first, second = opened(), opened()
    assert first.uuid == second.uuid
    assert stand_ins.verbs("kind").count("create cluster") == 1


def test_attaching_writes_a_kubeconfig_that_was_removed_again(stand_ins: StandIns) -> None:
    opened().kubeconfig.unlink()
    assert opened().kubeconfig.exists()
    assert stand_ins.verbs("kind").count("export kubeconfig") == 1


def test_attaching_to_a_cluster_that_does_not_answer_says_so(stand_ins: StandIns) -> None:
    opened()
    stand_ins.change(refuse={"get --raw": "connection refused"})
    with pytest.raises(ClusterStateError, match="is there and does not answer") as caught:
        opened()
    assert "k8slab down" in caught.value.cure
    found = find_kind("lab")
    assert found is not None
    found.delete()
    assert stand_ins.clusters() == {}


def test_delete_removes_the_cluster_and_its_folder_and_may_be_called_twice(stand_ins: StandIns) -> None:
    cluster = opened()
    cluster.delete()
    cluster.delete()
    assert stand_ins.clusters() == {}
    assert not kind_folder("lab").exists()
    assert stand_ins.verbs("kind").count("delete cluster") == 1
    assert find_kind("lab") is None


def test_delete_that_leaves_containers_is_an_error(stand_ins: StandIns) -> None:
    cluster = opened()
    stand_ins.change(delete_keeps=True)
    with pytest.raises(StopError, match="still there"):
        cluster.delete()
    assert kind_folder("lab").exists()


def test_a_cluster_deleted_by_hand_is_made_again(stand_ins: StandIns) -> None:
    first = opened()
    stand_ins.change(containers={})
    assert opened().uuid != first.uuid


# --- strangers --------------------------------------------------------------------------------------


def test_a_stranger_of_the_same_name_is_left_alone(stand_ins: StandIns) -> None:
    stand_ins.stranger("k8slab-lab")
    with pytest.raises(ClusterStateError, match="did not make") as caught:
        opened()
    assert "kind delete cluster --name k8slab-lab" in caught.value.cure
    assert stand_ins.clusters() == {"k8slab-lab": ["k8slab-lab-control-plane"]}
    assert "delete cluster" not in stand_ins.verbs("kind")
    assert find_kind("lab") is None


def test_a_stranger_that_took_the_place_of_ours_is_not_deleted(stand_ins: StandIns) -> None:
    cluster = opened()
    stand_ins.change(containers={})
    stand_ins.stranger("k8slab-lab")
    for touch in (cluster.delete, opened):
        with pytest.raises(ClusterStateError, match="did not make"):
            touch()
    assert stand_ins.clusters() == {"k8slab-lab": ["k8slab-lab-control-plane"]}


def test_a_stranger_made_after_a_create_of_ours_was_killed_is_not_deleted(stand_ins: StandIns) -> None:
    kind_folder("lab").mkdir(parents=True)
    ports = {"k8slab-lab-control-plane": {"80/tcp": 40001}}
    KindJournal("lab", "u-1", "docker", ports=ports).write(kind_folder("lab") / "journal.json")
    stand_ins.stranger("k8slab-lab")
    with pytest.raises(ClusterStateError, match="did not make"):
        opened()
    assert stand_ins.clusters() == {"k8slab-lab": ["k8slab-lab-control-plane"]}


def test_a_stranger_made_while_we_were_about_to_is_not_deleted(stand_ins: StandIns) -> None:
    stand_ins.change(race=True)
    with pytest.raises(ClusterStateError, match="somebody else"):
        opened()
    assert "delete cluster" not in stand_ins.verbs("kind")
    assert not kind_folder("lab").exists()


def test_a_cluster_of_another_engine_is_not_taken_for_gone(stand_ins: StandIns) -> None:
    opened()
    stand_ins.install("podman")
    stand_ins.change(refuse={"docker ps --quiet": "Cannot connect"})
    with pytest.raises(ClusterStateError, match="made with docker"):
        opened()
    assert kind_folder("lab").exists()


# --- ports, names ---------------------------------------------------------------------------------


def test_a_port_that_was_taken_meanwhile_is_replaced(stand_ins: StandIns) -> None:
    stand_ins.change(busy_ports=1)
    progress = CollectedProgress()
    opened(progress=progress)
    assert any("trying again with others" in line for line in progress.lines)
    assert stand_ins.verbs("kind").count("create cluster") == 2


def test_ports_in_use_are_not_chosen_and_urls_lead_to_those_that_are(stand_ins: StandIns) -> None:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", 30306))
            listener.listen()
        except OSError:
            pass
        cluster = opened()
    journal = KindJournal.read(kind_folder("lab") / "journal.json")
    assert journal is not None
    control_plane, worker = (journal.ports[f"k8slab-lab-{name}"] for name in ("control-plane", "worker"))
    assert control_plane["30306/tcp"] != 30306
    spec = {"clusterIP": "10.96.0.7", "ports": [{"port": 80, "nodePort": 30306}]}
    inner = {"clusterIP": "10.96.0.8", "ports": [{"port": 80}]}
    stand_ins.change(services=[{"spec": spec}, {"spec": inner}])
    address = stand_ins.container("k8slab-lab-worker")["ip"]
    assert cluster.url("10.96.0.7", 80) == f"http://127.0.0.1:{control_plane['30306/tcp']}"
    assert cluster.url(address, 30306) == f"http://127.0.0.1:{worker['30306/tcp']}"
    assert cluster.url("127.0.0.1", 80) == f"http://127.0.0.1:{control_plane['80/tcp']}"
    assert cluster.url("10.96.0.8", 80) is None


def test_a_cgroup_v1_host_gets_the_patch(stand_ins: StandIns) -> None:
    stand_ins.change(info={**stand_ins.state()["info"], "CgroupVersion": "1"})
    configuration = json.loads((opened().kubeconfig.parent / "config.json").read_text())
    assert "failCgroupV1: false" in configuration["kubeadmConfigPatches"][0]


@pytest.mark.parametrize("name", ["", "Lab", "a/b", "-x", "x" * 21])
def test_a_name_that_does_not_fit_is_refused_before_anything_runs(stand_ins: StandIns, name: str) -> None:
    with pytest.raises(ClusterError, match="no name for a cluster"):
        opened(name)
    assert not (stand_ins.folder / "calls.jsonl").exists()


def test_fewer_than_one_worker_is_refused(stand_ins: StandIns) -> None:
    with pytest.raises(ClusterError, match="at least 1"):
        opened(nodes=0)
