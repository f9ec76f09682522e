"""Nodes that a user may not see: the names that Pods give are known, and such Pods are not called waiting."""

from __future__ import annotations

from typing import Any, cast

import pytest

from k8slab.graph.entries import node_entry
from k8slab.graph.scene import SceneBuilder
from k8slab.mirror.changes import Change
from k8slab.mirror.mirror import Mirror
from k8slab.mirror.status import ConnectionState, KindStatus
from k8slab.mirror.store import Store
from k8slab.mirror.unseen_nodes import UnseenNodes


class FakeStatus:
    def __init__(self, state: ConnectionState, synced: bool) -> None:
        self.kinds = (KindStatus("Node", synced, state, 0.0, 0.0, 0, 0, ""),)


class FakeMirror:
    """A store, and a state of the Nodes."""

    def __init__(self, state: ConnectionState = "forbidden", synced: bool = False) -> None:
        self.changes: list[Change] = []
        self.store = Store(self.changes.append)
        self._status = FakeStatus(state, synced)

    def status(self) -> FakeStatus:
        return self._status


def pod(name: str, node: str = "") -> dict[str, Any]:
    spec = {"containers": [{"name": "c", "image": "i"}], **({"nodeName": node} if node else {})}
    metadata = {"name": name, "namespace": "here", "uid": name, "resourceVersion": "1"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": spec,
        "status": {"phase": "Running"},
    }


def hear(mirror: FakeMirror, *pods: dict[str, Any]) -> None:
    unseen = UnseenNodes(cast(Mirror, mirror))
    for each in pods:
        mirror.store.apply("Pod", "added", each, 1.0)
        unseen.heard(Change(1.0, "Pod", "added", None, each))


def test_a_pod_on_a_node_that_may_not_be_seen_is_drawn_on_its_name() -> None:
    mirror = FakeMirror()
    hear(mirror, pod("a", "worker-1"), pod("b", "worker-1"), pod("c"))
    (node,) = mirror.store.objects("Node")
    entry = node_entry(node, 0, {})
    assert (entry["name"], entry["status"], entry["played"]) == ("worker-1", "state not to be seen", "")
    builder = SceneBuilder("here")
    for change in mirror.changes:
        builder.apply(change)
    scene = builder.scene(2.0)
    places = {each["name"]: each["node"] for each in scene["pods"].values()}
    (uid,) = scene["nodes"]
    assert places == {"a": uid, "b": uid, "c": ""}


@pytest.mark.parametrize(("state", "synced"), [("live", True), ("reconnecting", False), ("forbidden", True)])
def test_where_nodes_are_or_were_seen_nothing_is_put_in_their_place(
    state: ConnectionState, synced: bool
) -> None:
    mirror = FakeMirror(state, synced)
    hear(mirror, pod("a", "worker-1"))
    assert mirror.store.objects("Node") == []


def test_the_real_nodes_take_the_place_of_the_names() -> None:
    mirror = FakeMirror()
    hear(mirror, pod("a", "worker-1"))
    real = {"metadata": {"name": "worker-1", "uid": "u", "resourceVersion": "7"}}
    mirror.store.replace("Node", [real], 2.0)
    assert [each["metadata"]["uid"] for each in mirror.store.objects("Node")] == ["u"]
