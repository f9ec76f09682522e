"""What a kernel that ended left stopped on kind: put back, or said by the next lab and mended by a reset."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Any, cast

import pytest

from k8slab.cluster.contract import NodeAction, ProcessAction
from k8slab.cluster.kind.backend import open_kind
from k8slab.cluster.kind.cluster import KindCluster
from k8slab.guard import Guard
from k8slab.progress import CollectedProgress
from k8slab.session import restoring
from k8slab.session.introduction import introduction
from k8slab.session.session import Session
from tests.process.kind_standins import StandIns

FIRST, SECOND = "k8slab-lab-worker", "k8slab-lab-worker2"


def opened(progress: CollectedProgress | None = None) -> KindCluster:
    return open_kind("lab", 2, False, progress or CollectedProgress(), "A test.")


def a_kernel_does(*lines: str) -> None:
    """Run lines on the cluster in a process of their own, which then ends."""
    code = "\n".join(
        ("from k8slab.cluster.kind.backend import find_kind", "cluster = find_kind('lab')", *lines)
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def said_of(cluster: KindCluster) -> str:
    """What a lab on the cluster says when it opens."""
    chapter = SimpleNamespace(title="A chapter", goal="A goal.")
    session = SimpleNamespace(closed=False, cluster=cluster, chapter=chapter, namespace="lab")
    return introduction(cast(Session, session))


class OpenGuard:
    """Lets everything through, in front of an API server that calls every node Ready."""

    def __init__(self, cluster: KindCluster) -> None:
        self.cluster = cluster
        self.api = self

    def change_node(self, action: NodeAction, name: str) -> None:
        self.cluster.node(name, action)

    def change_process(self, name: str, action: ProcessAction) -> None:
        self.cluster.process(name, action)

    def list(self, plural: str) -> tuple[list[dict[str, Any]], str]:
        ready = {"conditions": [{"type": "Ready", "status": "True"}]}
        return [{"metadata": {"name": each.name}, "status": ready} for each in self.cluster.nodes()], "1"


def reset(cluster: KindCluster, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The part of `lab.reset()` that brings back; what it told."""
    monkeypatch.setattr(restoring, "answer_again", lambda guard, progress: None)
    progress = CollectedProgress()
    restoring.bring_back(cast(Guard, OpenGuard(cluster)), progress)
    return progress.lines


def test_nodes_that_were_left_stopped_are_said_and_brought_back_by_a_reset(
    stand_ins: StandIns, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened()
    a_kernel_does(
        "cluster.process('worker-1-agent', 'stop')",
        "cluster.node('worker-1', 'pause')",
        "cluster.node('worker-2', 'power_off')",
    )
    cluster = opened()
    assert f"Stopped at the moment: {FIRST} (paused), {SECOND} (powered off)." in said_of(cluster)
    told = reset(cluster, monkeypatch)
    assert f"✓ Letting go on what was paused: {FIRST}" in told
    assert f"✓ Starting what was stopped: {FIRST}-agent" in told
    assert f"✓ Powering on {SECOND}" in told
    assert {(each.power, each.agent, each.runtime) for each in cluster.nodes()} == {
        ("on", "running", "running")
    }
    assert "Stopped at the moment" not in said_of(cluster)


def test_a_kubelet_that_was_left_stopped_is_said(stand_ins: StandIns) -> None:
    opened()
    a_kernel_does("cluster.process('worker-2-agent', 'stop')")
    assert f"Stopped at the moment: {SECOND}-agent." in said_of(opened())


def test_a_component_comes_back_though_the_kubelet_was_stopped_too(stand_ins: StandIns) -> None:
    opened()
    a_kernel_does(
        "cluster.process('kube-scheduler', 'stop')", "cluster.process('control-plane-agent', 'stop')"
    )
    progress = CollectedProgress()
    opened(progress)
    assert "✓ Putting back kube-scheduler, which a lab that has ended stopped" in progress.lines
    parts = stand_ins.container("k8slab-lab-control-plane")["parts"]
    assert (parts["kube-scheduler"], parts["kubelet"]) == ("up", "up")


def test_a_control_plane_that_somebody_froze_goes_on(stand_ins: StandIns) -> None:
    opened()
    stand_ins.change_containers(
        lambda each: each.update(status="paused") if each["name"].endswith("plane") else None
    )
    opened()
    assert stand_ins.container("k8slab-lab-control-plane")["status"] == "running"
