"""How the engines differ from docker as it was yesterday, and an engine that was restarted."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from k8slab.cluster import container_engine
from k8slab.cluster.container_engine import find_engine
from k8slab.cluster.kind import backend as kind
from k8slab.cluster.kind import cures as kind_cures
from k8slab.cluster.kind import faults as kind_faults
from k8slab.cluster.kind.backend import open_kind
from k8slab.cluster.kind.cluster import KindCluster
from k8slab.cluster.kind.cures import engine_cure
from k8slab.cluster.kind.faults import facts_of, faults
from k8slab.cluster.kind.journal import kind_lock
from k8slab.errors import ClusterStateError
from k8slab.progress import CollectedProgress, Step
from tests.process.kind_standins import NODE_IMAGE, PINNED, StandIns


class Waiting(CollectedProgress):
    """Says when somebody is told that it waits for another process."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = threading.Event()

    @contextmanager
    def step(self, text: str) -> Iterator[Step]:
        if "Waiting for another process" in text:
            self.begun.set()
        with super().step(text) as step:
            yield step


def opened(progress: CollectedProgress | None = None, nodes: int = 2) -> KindCluster:
    return open_kind("lab", nodes, False, progress or CollectedProgress())


@pytest.fixture
def nerdctl(stand_ins: StandIns) -> StandIns:
    """nerdctl alone."""
    (stand_ins.bin / "docker").unlink()
    stand_ins.install("nerdctl")
    return stand_ins


@pytest.fixture
def podman(stand_ins: StandIns, monkeypatch: pytest.MonkeyPatch) -> StandIns:
    """podman alone, on a host whose inotify limits are high enough."""
    monkeypatch.setattr(kind_faults, "INOTIFY", {})
    (stand_ins.bin / "docker").unlink()
    stand_ins.install("podman")
    return stand_ins


@pytest.mark.parametrize(
    ("program", "words", "cure"),
    [
        (
            "docker",
            "failed to connect to the docker API at unix:///var/run/docker.sock; check if the path is correct"
            " and if the daemon is running: dial unix /var/run/docker.sock: connect: no such file",
            "systemctl start docker",
        ),
        (
            "docker",
            "Cannot connect to the Docker daemon at unix:///var/run/docker.sock."
            " Is the docker daemon running?",
            "systemctl start docker",
        ),
        (
            "podman",
            "Cannot connect to Podman. Please verify your connection to the Linux system using"
            " `podman system connection list`, or try `podman machine init` and `podman machine start`",
            "podman machine start",
        ),
        (
            "nerdctl",
            'time="2026-11-29T05:00:00Z" level=fatal msg="cannot access containerd socket'
            ' \\"/run/containerd/containerd.sock\\": no such file or directory"',
            "systemctl start containerd",
        ),
        (
            "nerdctl",
            'level=fatal msg="rootless containerd not running? (hint: use `containerd-rootless-setuptool.sh'
            ' install` to start rootless containerd): stat /run/user/1000/containerd-rootless: no such file"',
            "containerd-rootless-setuptool.sh",
        ),
        (
            "docker",
            "permission denied while trying to connect to the Docker daemon socket at"
            " unix:///var/run/docker.sock",
            "usermod -aG docker",
        ),
        (
            "nerdctl",
            'level=fatal msg="cannot access containerd socket \\"/run/containerd/containerd.sock\\":'
            ' permission denied"',
            "containerd-rootless-setuptool.sh",
        ),
    ],
)
def test_each_engines_own_words_have_its_own_cure(
    stand_ins: StandIns, program: str, words: str, cure: str
) -> None:
    (stand_ins.bin / "docker").unlink()
    stand_ins.install(program)
    stand_ins.change(refuse={f"{program} ps --quiet": words})
    engine, seen = find_engine()
    assert engine is None
    assert "permission denied" in seen or f"{program}: installed, and not running" in seen
    assert cure in engine_cure(seen)


def test_nerdctls_age_is_its_own_and_not_containerds(nerdctl: StandIns) -> None:
    engine, _ = find_engine()
    assert engine is not None
    nerdctl.change(info={**nerdctl.state()["info"], "ServerVersion": "1.6.20~ds1"})
    assert (facts_of(engine).version, facts_of(engine).containerd) == ("2.3.0", "1.6.20~ds1")
    (fault,) = [each for each in faults(engine) if each.blocking]
    assert (fault.seen, fault.cure) == ("containerd 1.6.20~ds1", "Update containerd to 1.7 or newer.")


def test_a_node_that_nerdctl_stops_with_a_complaint_is_off(nerdctl: StandIns) -> None:
    cluster = opened()
    nerdctl.change(stop_complains=True)
    assert cluster.node("worker-1", "power_off").power == "off"


def test_podman_is_told_about_a_folder_that_it_does_not_make(
    podman: StandIns, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(kind_faults, "MODULES", tmp_path / "modules")
    engine, _ = find_engine()
    assert engine is not None
    (fault,) = [each for each in faults(engine) if each.blocking]
    assert (fault.subject, fault.cure) == ("kernel modules", kind_cures.MODULES_CURE)


def test_podman_has_its_own_structure_of_facts(podman: StandIns) -> None:
    engine, _ = find_engine()
    assert engine is not None
    facts = facts_of(engine)
    assert (facts.version, facts.cgroup, facts.root) == ("5.4.2", 2, "/nowhere/podman")
    assert not facts.rootless


def test_dockers_name_for_podman_is_not_taken_for_docker(stand_ins: StandIns) -> None:
    stand_ins.install("podman")
    stand_ins.change(shim="podman version 5.4.2")
    engine, _ = find_engine()
    assert engine is not None
    assert engine.name == "podman"


def test_what_an_engine_logs_is_told_in_its_words_alone(nerdctl: StandIns) -> None:
    words = (
        'time="2026-11-29T09:08:30Z" level=fatal msg="no buildkit host is available: exec: \\"buildctl\\":'
        ' executable file not found in $PATH\\nfailed to ping"'
    )
    nerdctl.change(refuse={"nerdctl build --tag": words}, images={PINNED: "", NODE_IMAGE: ""})
    progress = CollectedProgress()
    opened(progress)
    (said,) = [line for line in progress.lines if "could not be had" in line]
    assert 'had: no buildkit host is available: exec: "buildctl": executable file not found in $PATH.' in said


def test_a_node_that_was_removed_by_hand_does_not_hide_the_others_from_nerdctl(nerdctl: StandIns) -> None:
    cluster = opened()
    state = nerdctl.state()
    gone = next(i for i, each in state["containers"].items() if each["name"].endswith("worker2"))
    del state["containers"][gone]
    nerdctl.write(state)
    assert [each.name for each in cluster.nodes()] == ["k8slab-lab-worker"]
    assert cluster.supervised_uuid() == cluster.uuid


def test_a_strangers_cluster_is_refused_with_the_line_that_deletes_it_with_its_engine(
    nerdctl: StandIns,
) -> None:
    nerdctl.stranger("k8slab-lab")
    with pytest.raises(ClusterStateError) as caught:
        opened()
    line = "KIND_EXPERIMENTAL_PROVIDER=nerdctl kind delete cluster --name k8slab-lab"
    assert f"`{line}`" in caught.value.cure


def test_whoever_waits_for_another_kernel_is_told_and_attaches(
    stand_ins: StandIns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kind, "UNTOLD_SECONDS", 0.01)
    progress, made = Waiting(), list[KindCluster]()
    other = threading.Thread(target=lambda: made.append(opened(progress)))
    with kind_lock("lab"):
        other.start()
        assert progress.begun.wait(60)
        assert not stand_ins.verbs("kind").count("create cluster")
    other.join(60)
    assert opened().uuid == made[0].uuid
    assert stand_ins.verbs("kind").count("create cluster") == 1


def test_containers_that_kind_cannot_delete_are_removed_by_the_engine(nerdctl: StandIns) -> None:
    cluster = opened()
    nerdctl.change(refuse={"kind delete cluster": "ERROR: failed to delete cluster: failed to stop nodes"})
    cluster.delete()
    assert nerdctl.clusters() == {}
    assert "rm --force" in nerdctl.verbs("nerdctl")


def test_a_node_that_does_not_come_back_after_its_engines_restart_is_said(
    stand_ins: StandIns, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened()
    monkeypatch.setattr(kind, "ANSWER_SECONDS", 0.0)
    stand_ins.change(unready_nodes=["k8slab-lab-worker2"])
    progress = CollectedProgress()
    opened(progress)
    (said,) = [line for line in progress.lines if "not Ready:" in line]
    assert "k8slab-lab-worker2 NotReady" in said
    assert "`k8slab down`" in said


def test_a_node_that_is_not_ready_because_of_a_learner_is_not_waited_for(stand_ins: StandIns) -> None:
    cluster = opened()
    cluster.node("worker-1", "power_off")
    cluster.process("worker-2-agent", "stop")
    progress = CollectedProgress()
    opened(progress)
    assert not [line for line in progress.lines if "Ready" in line]


def test_images_are_built_without_attestations(stand_ins: StandIns) -> None:
    assert container_engine.environment()["BUILDX_NO_DEFAULT_ATTESTATIONS"] == "1"
