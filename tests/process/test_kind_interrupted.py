"""A create of a kind cluster that fails, is interrupted or is killed, and the try after it, which works."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from k8slab.cluster.kind import cluster as kind_cluster
from k8slab.cluster.kind.backend import open_kind
from k8slab.cluster.kind.cluster import KindCluster
from k8slab.cluster.kind.journal import KindJournal, kind_folder
from k8slab.errors import (
    CommandError,
    WaitTimeoutError,
)
from k8slab.progress import CollectedProgress
from tests.process.kind_standins import StandIns


def opened(name: str = "lab", nodes: int = 1, progress: CollectedProgress | None = None) -> KindCluster:
    return open_kind(name, nodes, False, progress or CollectedProgress(), "A test.")


@pytest.mark.parametrize("step", range(7))
def test_a_create_that_fails_at_any_step_leaves_nothing(stand_ins: StandIns, step: int) -> None:
    stand_ins.change(fails_at=step)
    progress = CollectedProgress()
    with pytest.raises(CommandError, match="failed to init node with kubeadm") as caught:
        opened(progress=progress)
    assert "k8slab doctor" in caught.value.cure
    assert [line[0] for line in progress.lines if "kind: " in line] == ["✓"] * step + ["✗"]
    assert stand_ins.clusters() == {}
    assert not kind_folder("lab").exists()


def test_each_step_of_kind_is_told(stand_ins: StandIns) -> None:
    progress = CollectedProgress()
    opened(progress=progress)
    assert [line for line in progress.lines if line.startswith("✓ kind")] == [
        "✓ kind: Ensuring node image (kindest/node:v1.37.0)",
        "✓ kind: Preparing nodes",
        "✓ kind: Writing configuration",
        "✓ kind: Starting control-plane",
        "✓ kind: Installing CNI",
        "✓ kind: Installing StorageClass",
        "✓ kind: Joining worker nodes",
    ]


def test_nodes_that_are_not_ready_in_time_are_an_error_that_shows_them(
    stand_ins: StandIns, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kind_cluster, "READY_SECONDS", 0.0)
    stand_ins.change(unready_nodes=["k8slab-lab-worker"])
    with pytest.raises(WaitTimeoutError, match=r"k8slab-lab-worker NotReady \(NodeStatusUnknown\)"):
        opened()
    assert stand_ins.clusters() == {}


def test_a_node_that_registers_late_is_waited_for(stand_ins: StandIns) -> None:
    stand_ins.change(late_nodes={"k8slab-lab-worker2": 3})
    opened(nodes=2)
    looks = [words for words, _ in stand_ins.calls("kubectl") if words[-3:] == ["nodes", "--output", "json"]]
    assert len(looks) == 4


@pytest.mark.parametrize(("number", "step"), [(signal.SIGINT, 1), (signal.SIGINT, 4), (signal.SIGKILL, 3)])
def test_whatever_ends_a_create_the_next_one_works(
    stand_ins: StandIns, end_create: Callable[[int], str], number: int, step: int
) -> None:
    stand_ins.change(hangs_at=step)
    errors = end_create(number)
    if number == signal.SIGINT:
        assert "KeyboardInterrupt" in errors
        assert stand_ins.clusters() == {}
        assert not kind_folder("lab").exists()
    else:
        assert stand_ins.clusters() == {"k8slab-lab": ["k8slab-lab-control-plane", "k8slab-lab-worker"]}
    stand_ins.change(hangs_at=None)
    cluster = opened()
    assert cluster.uuid
    # kind of the killed one is gone, and so is the lock that it left beside the kubeconfig.
    assert not cluster.kubeconfig.with_name("kubeconfig.lock").exists()


def test_whatever_ends_a_create_after_any_of_its_commands_the_next_one_works(
    stand_ins: StandIns, end_create: Callable[[int], str]
) -> None:
    opened().delete()
    calls = (stand_ins.folder / "calls.jsonl").read_text().splitlines()
    opening = next(i for i, line in enumerate(calls) if '"delete", "cluster"' in line)
    # Interrupted and killed by turns, over the whole of a create.
    for turn, number in enumerate(range(2, opening + 1, max(1, opening // 7))):
        (stand_ins.folder / "calls.jsonl").unlink()
        stand_ins.change(hangs_after=number)
        end = (signal.SIGINT, signal.SIGKILL)[turn % 2]
        end_create(end)
        stand_ins.change(hangs_after=None)
        seen = calls[number - 1]
        if end == signal.SIGINT:
            # It is whole and stays, with what was not loaded yet; or nothing of it is there.
            whole = KindJournal.read(kind_folder("lab") / "journal.json")
            assert bool(stand_ins.clusters()) is bool(whole and whole.containers), seen
        cluster = opened()
        assert cluster.info()["seconds_to_ready"] is not None, seen
        cluster.delete()
        assert stand_ins.clusters() == {}, seen
        assert not kind_folder("lab").exists(), seen
