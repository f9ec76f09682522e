"""The real program kind against played engines: what it makes of our configuration, and what it prints.

Runs where a kind is on PATH or in the cache, and where CI requires it kind is fetched; no container engine
is needed, and no container runs. Everything else about kind is tested against a stand-in of it.
"""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from k8slab.cluster.container_engine import ENGINES, Engine, EngineName
from k8slab.cluster.kind import program as kind_program
from k8slab.cluster.kind.backend import open_kind
from k8slab.cluster.kind.command import Kind
from k8slab.cluster.kind.configuration import choose_ports, kind_configuration, node_names
from k8slab.cluster.kind.journal import KindJournal, kind_folder
from k8slab.errors import CommandError
from k8slab.progress import CollectedProgress, TextProgress
from tests.process.kind_standins import DOCKER_INFO, StandIns
from tests.tiers import is_required


@pytest.fixture(scope="module")
def real_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real kind."""
    found = kind_program.find_without_fetching()
    if isinstance(found, list) and is_required("process"):
        with pytest.MonkeyPatch.context() as patch:
            # Go's own cache of modules is in the home, which is the test run's own.
            patch.setenv("GOMODCACHE", str(tmp_path_factory.mktemp("modules")))
            patch.setenv("GOFLAGS", "-modcacherw")
            found = kind_program.locate_kind(TextProgress())
    if isinstance(found, list):
        pytest.skip(f"{'; '.join(found)}: python -m k8slab.cluster.kind.program fetches one")
    return found.program


@pytest.fixture(autouse=True)
def real_kind(real_program: Path, stand_ins: StandIns) -> None:
    """The stand-in of kind gives way to the real one."""
    (stand_ins.bin / "kind").unlink()
    (stand_ins.bin / "kind").symlink_to(real_program)


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, stand_ins: StandIns) -> Engine:
    """One engine after the other, each alone on this machine."""
    name: EngineName = request.param
    (stand_ins.bin / "docker").unlink()
    stand_ins.install(name)
    return Engine(name, stand_ins.bin / name)


def test_it_makes_and_deletes_a_cluster_of_ours(stand_ins: StandIns, tmp_path: Path, engine: Engine) -> None:
    stand_ins.change(info=DOCKER_INFO | {"CgroupVersion": "1"})
    progress = CollectedProgress()
    cluster = open_kind("lab", 1, False, progress)
    steps = [line.removeprefix("✓ kind: ") for line in progress.lines if line.startswith("✓ kind: ")]
    assert steps[0].startswith("Ensuring node image (")
    assert steps[1:] == [
        "Preparing nodes",
        "Writing configuration",
        "Starting control-plane",
        "Installing CNI",
        "Installing StorageClass",
        "Joining worker nodes",
    ]
    journal = KindJournal.read(kind_folder("lab") / "journal.json")
    assert journal is not None
    assert len(journal.containers) == 2
    for node, ports in journal.ports.items():
        shown = stand_ins.container(node)["ports"]
        assert {key: shown[key] for key in ports} == ports
    labels = [
        "k8slab.dev/name=worker-1",
        "topology.kubernetes.io/region=lab",
        "topology.kubernetes.io/zone=lab-a",
    ]
    written = (tmp_path / "k8slab-lab-worker-kubeadm.conf").read_text()
    assert all(label in written for label in labels)
    assert "failCgroupV1: false" in written
    assert stand_ins.container("k8slab-lab-worker")["loaded"] == 1
    assert f"127.0.0.1:{stand_ins.container('k8slab-lab-control-plane')['ports']['6443/tcp']}" in (
        cluster.kubeconfig.read_text()
    )
    assert cluster.kubeconfig.stat().st_mode & 0o777 == 0o600
    other_commands_know_it(Kind(engine, stand_ins.bin / "kind"), stand_ins, cluster.kubeconfig, tmp_path)
    assert cluster.node("worker-1", "pause").power == "paused"
    assert cluster.node("worker-1", "power_off").power == "off"
    assert cluster.node("worker-1", "power_on").power == "on"
    cluster.delete()
    assert stand_ins.clusters() == {}
    assert not stand_ins.state().get("volumes")


def other_commands_know_it(kind: Kind, stand_ins: StandIns, kubeconfig: Path, folder: Path) -> None:
    """Listing, kubeconfig, loading and logs of the cluster of ours, by kind's own commands."""
    nodes = sorted(stand_ins.clusters()["k8slab-lab"])
    assert kind._run("get", "clusters", timeout=60).split() == ["k8slab-lab"]
    assert sorted(kind._run("get", "nodes", "--name", "k8slab-lab", timeout=60).split()) == nodes
    kind.export_kubeconfig("k8slab-lab", folder / "again")
    assert (folder / "again").read_text() == kubeconfig.read_text()
    (folder / "archive").write_text("an archive")
    kind.load_archive("k8slab-lab", folder / "archive")
    assert [stand_ins.container(each)["loaded"] for each in nodes] == [2, 2]
    kind._run("export", "logs", folder / "logs", "--name", "k8slab-lab", timeout=60)
    assert {each.name for each in (folder / "logs").iterdir() if each.is_dir()} == set(nodes)


def test_a_create_that_fails_at_its_first_node_leaves_no_volume(stand_ins: StandIns, engine: Engine) -> None:
    stand_ins.change(refuse={f"{engine.name} run --name": "Error: statfs /lib/modules: no such file"})
    with pytest.raises(CommandError) as caught:
        open_kind("lab", 1, False, CollectedProgress())
    assert "sudo mkdir -p /lib/modules" in caught.value.cure
    assert stand_ins.clusters() == {}
    assert not stand_ins.state().get("volumes")
    assert ("volume rm" in " ".join(stand_ins.verbs(engine.name))) == (engine.name == "podman")


def test_its_words_for_a_cluster_that_is_there_are_known(stand_ins: StandIns, tmp_path: Path) -> None:
    stand_ins.stranger("k8slab-lab")
    kind = _kind(stand_ins)
    with pytest.raises(CommandError, match=re.escape("node(s) already exist")):
        _create(kind, tmp_path)


def test_its_words_for_a_port_in_use_are_known_and_lead_to_another_try(stand_ins: StandIns) -> None:
    stand_ins.change(busy_ports=1)
    progress = CollectedProgress()
    open_kind("lab", 1, False, progress)
    assert "a port was taken meanwhile; trying again with others" in progress.lines
    assert "✗ kind: Preparing nodes" in "\n".join(progress.lines)


def test_a_configuration_that_it_refuses_is_told(stand_ins: StandIns, tmp_path: Path) -> None:
    configuration = tmp_path / "config.json"
    configuration.write_text(
        '{"kind": "Cluster", "apiVersion": "kind.x-k8s.io/v1alpha4", "nodes": [{"role": "x"}]}'
    )
    with pytest.raises(CommandError, match="is not a valid node role"):
        _kind(stand_ins).create("k8slab-lab", configuration, tmp_path / "k", "u", 60, lambda mark, text: None)


def test_a_lock_that_a_killed_one_left_is_no_obstacle(stand_ins: StandIns, tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    lock = tmp_path / "kubeconfig.lock"
    lock.touch()
    kind = _kind(stand_ins)
    with pytest.raises(CommandError, match="failed to lock config file"):
        kind._run("delete", "cluster", "--name", "x", "--kubeconfig", kubeconfig, timeout=60)
    kind.delete("x", kubeconfig)
    assert not lock.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_what_a_killed_one_left_is_cleared_by_the_next(
    stand_ins: StandIns, end_create: Callable[[int], str], number: int
) -> None:
    stand_ins.change(slow_start=60)
    end_create(number)
    assert bool(stand_ins.clusters()) is (number == signal.SIGKILL)
    stand_ins.change(slow_start=0)
    assert open_kind("lab", 1, False, CollectedProgress()).nodes()


def _kind(stand_ins: StandIns) -> Kind:
    return Kind(Engine("docker", stand_ins.bin / "docker"), stand_ins.bin / "kind")


def _create(kind: Kind, folder: Path) -> None:
    names = node_names("k8slab-lab", 1)
    configuration = folder / "config.json"
    configuration.write_text(json.dumps(kind_configuration(names, choose_ports(names))))
    kind.create("k8slab-lab", configuration, folder / "kubeconfig", "u-1", 60, lambda mark, text: None)
