"""What a learner does to the nodes and parts of a kind cluster, against a played engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from k8slab.cluster.contract import CONTROL_PLANE
from k8slab.cluster.kind import parts as kind_parts
from k8slab.cluster.kind.backend import open_kind
from k8slab.cluster.kind.cluster import KindCluster
from k8slab.cluster.kind.journal import Held, KindJournal, kind_folder
from k8slab.errors import ClusterStateError, WaitTimeoutError
from k8slab.progress import CollectedProgress
from tests.process.kind_standins import StandIns

WORKER = "k8slab-lab-worker"


def opened(progress: CollectedProgress | None = None) -> KindCluster:
    return open_kind("lab", 1, False, progress or CollectedProgress(), "A test.")


def journal() -> KindJournal:
    found = KindJournal.read(kind_folder("lab") / "journal.json")
    assert found is not None
    return found


@pytest.fixture
def cluster(stand_ins: StandIns) -> Iterator[KindCluster]:
    yield opened()


def test_a_node_is_powered_off_and_on_by_the_id_of_its_container(
    cluster: KindCluster, stand_ins: StandIns
) -> None:
    off = cluster.node("worker-1", "power_off")
    assert (off.name, off.power, off.agent) == (WORKER, "off", "stopped")
    (stop,) = [words for words, _ in stand_ins.calls("docker") if words[0] == "stop"]
    assert stop[:3] == ["stop", "-t", "0"]
    assert stop[3] in journal().containers
    assert [(each.what, each.name) for each in journal().held] == [("node", WORKER)]
    assert cluster.node(WORKER, "power_on").power == "on"
    assert journal().held == ()


def test_a_node_that_boots_says_nothing_of_its_units_for_a_moment(
    cluster: KindCluster, stand_ins: StandIns
) -> None:
    cluster.node("worker-1", "power_off")
    stand_ins.change_containers(lambda each: each.update(boots=2))
    on = cluster.node("worker-1", "power_on")
    assert (on.power, on.agent, on.runtime) == ("on", "running", "running")
    stand_ins.change_containers(lambda each: each.update(boots=1))
    parts = {each.name: each for each in cluster.parts.all(fresh=True)}
    assert (parts[f"{WORKER}-agent"].state, parts[f"{WORKER}-agent"].exit_code) == ("stopped", None)


def test_a_node_whose_systemd_never_answers_is_said_and_stays_in_the_journal(
    cluster: KindCluster, stand_ins: StandIns, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.node("worker-1", "power_off")
    stand_ins.change_containers(lambda each: each.update(boots=10_000))
    monkeypatch.setattr(kind_parts, "CHANGE_SECONDS", 0.1)
    with pytest.raises(ClusterStateError, match=f"{WORKER} is on, and after .* its systemd says nothing"):
        cluster.node("worker-1", "power_on")
    assert [(each.what, each.name) for each in journal().held] == [("node", WORKER)]
    stand_ins.change_containers(lambda each: each.update(boots=0))
    assert cluster.node("worker-1", "power_on").agent == "running"
    assert journal().held == ()


def test_a_node_is_paused_and_goes_on(cluster: KindCluster, stand_ins: StandIns) -> None:
    assert cluster.node(WORKER, "pause").power == "paused"
    assert stand_ins.container(WORKER)["status"] == "paused"
    with pytest.raises(ClusterStateError, match="is paused"):
        cluster.process(f"{WORKER}-agent", "stop")
    assert cluster.node(WORKER, "power_on").power == "on"


def test_what_a_nodes_runtime_has_is_shown(cluster: KindCluster) -> None:
    found = {each.name: each for each in cluster.node_containers("control-plane")}
    assert set(found) == set(CONTROL_PLANE)
    assert found["etcd"].state == "running"
    assert cluster.node_containers("worker-1") == ()
    assert cluster.node_name("worker-1") == WORKER


def test_a_container_of_the_same_name_that_is_not_ours_is_not_touched(
    cluster: KindCluster, stand_ins: StandIns
) -> None:
    containers = stand_ins.state()["containers"]
    ours = next(each for each, facts in containers.items() if facts["name"] == WORKER)
    containers["b" * 64] = containers.pop(ours)
    stand_ins.change(containers=containers)
    with pytest.raises(ClusterStateError, match="There is no node"):
        cluster.node(WORKER, "power_off")
    assert stand_ins.container(WORKER)["status"] == "running"


def test_what_kind_cannot_is_refused_in_one_sentence(cluster: KindCluster) -> None:
    with pytest.raises(ClusterStateError, match="is the control plane"):
        cluster.node("control-plane", "power_off")
    with pytest.raises(ClusterStateError, match="would never come back"):
        cluster.node(WORKER, "remove")
    with pytest.raises(ClusterStateError, match="cannot add nodes"):
        cluster.add_node()


def test_the_parts_of_a_cluster_are_told(cluster: KindCluster) -> None:
    parts = {each.name: each for each in cluster.processes()}
    assert list(parts)[:4] == list(CONTROL_PLANE)
    assert {each.state for each in parts.values()} == {"running"}
    assert parts["etcd"].pid == 100
    assert parts[f"{WORKER}-agent"].pid == 77
    assert parts[f"{WORKER}-agent"].started == 1795824062.0
    assert all(each.foreign for each in parts.values())


def test_what_a_cluster_says_of_itself_needs_no_api_server(cluster: KindCluster, stand_ins: StandIns) -> None:
    assert cluster.info()["kubernetes"].startswith("v1.")
    cluster.process("kube-apiserver", "stop")
    before = len(stand_ins.calls("kubectl"))
    info = cluster.info()
    assert info["kubernetes"] == "(not told: kube-apiserver does not run)"
    assert info["nodes"] == ["k8slab-lab-control-plane", WORKER]
    assert len(stand_ins.calls("kubectl")) == before


@pytest.mark.parametrize("action", ["stop", "kill"])
def test_a_static_pod_is_stopped_by_its_manifest_and_put_back(
    cluster: KindCluster, stand_ins: StandIns, action: str
) -> None:
    assert cluster.process("kube-scheduler", action).state == "stopped"  # type: ignore[arg-type]
    assert stand_ins.container("k8slab-lab-control-plane")["parts"]["kube-scheduler"] == "aside"
    assert [each.name for each in journal().held] == ["kube-scheduler"]
    again = cluster.process("kube-scheduler", "start")
    assert (again.state, again.restarts) == ("running", 1)
    assert journal().held == ()


def scripts(stand_ins: StandIns) -> list[str]:
    """What was run by a shell on a node, in order."""
    return [words[-1] for words, _ in stand_ins.calls("docker") if words[2:4] == ["sh", "-c"]]


def test_a_static_pod_starts_without_the_kubelets_pause(cluster: KindCluster, stand_ins: StandIns) -> None:
    """A kubelet lets a container wait whose last run it finds ended (doBackOff), so that run is removed."""
    cluster.process("kube-scheduler", "stop")
    cluster.process("kube-scheduler", "start")
    (started,) = [each for each in scripts(stand_ins) if "crictl rm" in each]
    assert "--state Exited --name '^kube-scheduler$'" in started
    assert started.index("crictl rm") < started.index("mv ")


def test_a_static_pod_that_waits_for_its_next_try_goes_and_comes(
    cluster: KindCluster, stand_ins: StandIns
) -> None:
    stand_ins.change_containers(lambda each: each["parts"].update({"kube-scheduler": "crashed"}))
    assert {each.name: each.state for each in cluster.parts.all(fresh=True)}["kube-scheduler"] == "failed"
    assert cluster.process("kube-scheduler", "start").state == "running"
    (started,) = [each for each in scripts(stand_ins) if "crictl rm" in each]
    aside, back = started.index("mv /etc/kubernetes/manifests"), started.index("mv /etc/kubernetes/k8slab")
    assert aside < started.index("crictl rm") < back


def test_a_runtime_that_is_killed_leaves_its_containers(cluster: KindCluster, stand_ins: StandIns) -> None:
    assert cluster.process("worker-1-runtime", "kill").state == "stopped"
    assert "shims" not in stand_ins.container(WORKER)


def test_the_journal_says_so_before_a_manifest_moves(
    cluster: KindCluster, stand_ins: StandIns, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_ins.change(static_pods_hang=True)
    monkeypatch.setattr(kind_parts, "CHANGE_SECONDS", 0.1)
    with pytest.raises(WaitTimeoutError, match="etcd to be stopped"):
        cluster.process("etcd", "stop")
    assert [each.name for each in journal().held] == ["etcd"]


def test_a_kubelet_is_stopped_and_started(cluster: KindCluster, stand_ins: StandIns) -> None:
    assert cluster.process("worker-1-agent", "kill").state == "stopped"
    assert stand_ins.container(WORKER)["parts"]["kubelet"] == "down"
    assert cluster.nodes()[0].agent == "stopped"
    assert cluster.process(f"{WORKER}-agent", "start").state == "running"


def test_a_part_that_is_not_there_is_named(cluster: KindCluster) -> None:
    with pytest.raises(ClusterStateError, match="no process 'apiserver'") as caught:
        cluster.process("apiserver", "stop")
    assert "kube-apiserver" in caught.value.cure


def test_attaching_puts_back_what_a_dead_process_stopped(cluster: KindCluster, stand_ins: StandIns) -> None:
    code = (
        "from k8slab.cluster.kind.backend import find_kind\n"
        "found = find_kind('lab')\nfound.process('kube-apiserver', 'stop')"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    assert stand_ins.container("k8slab-lab-control-plane")["parts"]["kube-apiserver"] == "aside"
    progress = CollectedProgress()
    opened(progress)
    assert "✓ Putting back kube-apiserver, which a lab that has ended stopped" in progress.lines
    assert stand_ins.container("k8slab-lab-control-plane")["parts"]["kube-apiserver"] == "up"
    assert journal().held == ()


def test_attaching_leaves_what_a_living_process_stopped(cluster: KindCluster, stand_ins: StandIns) -> None:
    cluster.process("kube-scheduler", "stop")
    assert journal().held[0].pid == os.getpid()
    opened()
    assert stand_ins.container("k8slab-lab-control-plane")["parts"]["kube-scheduler"] == "aside"


def test_nodes_that_an_engine_restart_stopped_are_started_and_those_powered_off_are_not(
    stand_ins: StandIns,
) -> None:
    open_kind("lab", 2, False, CollectedProgress(), "A test.").node("worker-2", "power_off")
    stand_ins.change_containers(lambda each: each.update(status="exited"))
    progress = CollectedProgress()
    opened(progress)
    assert stand_ins.container("k8slab-lab-control-plane")["status"] == "running"
    assert stand_ins.container(WORKER)["status"] == "running"
    assert stand_ins.container(f"{WORKER}2")["status"] == "exited"
    assert any("which docker has stopped" in line for line in progress.lines)


def test_an_engine_that_is_gone_is_named(cluster: KindCluster, stand_ins: StandIns) -> None:
    stand_ins.change(refuse={"docker container inspect": "Cannot connect to the Docker daemon"})
    with pytest.raises(ClusterStateError, match="docker does not do what the lab asks"):
        cluster.nodes()


def test_the_uuid_is_confirmed_by_the_engine_alone(cluster: KindCluster, stand_ins: StandIns) -> None:
    assert cluster.supervised_uuid() == cluster.uuid
    stand_ins.change(containers={})
    assert cluster.supervised_uuid() == ""


def test_a_journal_of_the_first_version_can_be_read(stand_ins: StandIns) -> None:
    folder = kind_folder("lab")
    folder.mkdir(parents=True)
    old = {"name": "lab", "uuid": "u", "engine": "docker", "containers": ["x"], "seconds_to_ready": 1.0}
    (folder / "journal.json").write_text(json.dumps(old))
    assert journal().held == ()
    with_one = journal().with_held(Held("node", "a", "a", 1, 1)).with_held(Held("node", "a", "a", 2, 2))
    assert [each.pid for each in with_one.held] == [2]


# --- images -----------------------------------------------------------------------------------------


def test_the_demo_application_is_built_where_it_is_not_here_and_loaded(stand_ins: StandIns) -> None:
    images = stand_ins.state()["images"]
    stand_ins.change(images={name: label for name, label in images.items() if "demo" not in name})
    cluster = opened()
    builds = [words for words, _ in stand_ins.calls("docker") if words[0] == "build"]
    assert [words[words.index("--tag") + 1] for words in builds] == [
        f"docker.io/k8slab/demo:{version}" for version in (1, 2, 3)
    ]
    assert "COLOUR=green" in builds[1]
    assert "load image-archive" in stand_ins.verbs("kind")
    assert cluster.info()["demo_images"] == ["k8slab/demo:1", "k8slab/demo:2", "k8slab/demo:3"]
    assert not list(kind_folder("lab").glob("*.tar"))


def test_without_a_network_the_cluster_is_made_and_the_missing_image_is_told(stand_ins: StandIns) -> None:
    images = stand_ins.state()["images"]
    stand_ins.change(images={n: label for n, label in images.items() if "demo" not in n}, no_network=True)
    progress = CollectedProgress()
    assert opened(progress).info()["demo_images"] == []
    (told,) = [line for line in progress.lines if "K8SLAB_DEMO_BASE" in line]
    assert "failed to resolve source metadata" in told
    stand_ins.change(no_network=False)
    assert opened().info()["demo_images"]


@pytest.mark.parametrize(
    ("images", "variable", "taken"),
    [
        (
            ["kindest/node:v1.36.3", "kindest/node:v1.35.1", "kindest/node:v1.20.0"],
            "",
            "kindest/node:v1.36.3",
        ),
        ([], "", "kindest/node:v1.37.0@sha256:"),
        ([], "my/node:1", "my/node:1"),
    ],
)
def test_the_node_image(
    stand_ins: StandIns, monkeypatch: pytest.MonkeyPatch, images: list[str], variable: str, taken: str
) -> None:
    kept = {name: label for name, label in stand_ins.state()["images"].items() if "demo" in name}
    stand_ins.change(images=kept | dict.fromkeys(images, ""))
    if variable:
        monkeypatch.setenv("K8SLAB_KIND_IMAGE", variable)
    assert opened().info()["image"].startswith(taken)
