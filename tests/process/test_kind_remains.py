"""What an engine brings forth of a create that was given up, after everything seemed to be gone."""

from __future__ import annotations

from typing import Any

import pytest

from k8slab.cluster.kind.backend import open_kind
from k8slab.cluster.kind.cluster import KindCluster
from k8slab.cluster.kind.command import Kind
from k8slab.cluster.kind.journal import kind_folder
from k8slab.cluster.kind.remains import remembered
from k8slab.errors import ClusterStateError, CommandError
from k8slab.progress import CollectedProgress
from tests.process.kind_standins import StandIns

LATE = "k8slab-lab-worker2"


def opened(progress: CollectedProgress | None = None) -> KindCluster:
    return open_kind("lab", 2, False, progress or CollectedProgress())


@pytest.fixture
def given_up(stand_ins: StandIns) -> StandIns:
    """A create that failed while the engine was still making one of its nodes."""
    stand_ins.change(fails_at=1, late=LATE)
    with pytest.raises(CommandError):
        opened()
    assert stand_ins.clusters() == {}
    assert not kind_folder("lab").exists()
    stand_ins.change(fails_at=None, late="")
    return stand_ins


def shown_now(stand_ins: StandIns) -> None:
    """The engine has made it."""
    state = stand_ins.state()
    state["containers"].update(state.pop("unfinished"))
    stand_ins.write(state)


def test_a_node_that_turns_up_later_is_known_as_ours(given_up: StandIns) -> None:
    shown_now(given_up)
    assert given_up.clusters() == {"k8slab-lab": [LATE]}
    assert len(opened().nodes()) == 2
    assert not remembered(kind_folder("lab"))


def test_a_node_that_turns_up_while_the_next_is_made_is_removed_and_the_next_succeeds(
    given_up: StandIns,
) -> None:
    progress = CollectedProgress()
    assert len(opened(progress).nodes()) == 2
    assert any("still busy with an earlier try" in line for line in progress.lines)
    assert not remembered(kind_folder("lab"))


def test_a_node_that_turns_up_just_before_the_next_is_made_is_no_stranger(
    given_up: StandIns, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = Kind.create

    def late(self: Kind, *arguments: Any) -> None:
        if "unfinished" in given_up.state():
            shown_now(given_up)
        create(self, *arguments)

    monkeypatch.setattr(Kind, "create", late)
    assert len(opened().nodes()) == 2
    assert given_up.verbs("kind").count("create cluster") == 3


def test_a_strangers_cluster_is_none_of_it(given_up: StandIns) -> None:
    given_up.stranger("k8slab-lab")
    with pytest.raises(ClusterStateError, match="did not make"):
        opened()
    assert given_up.clusters() == {"k8slab-lab": ["k8slab-lab-control-plane"]}
