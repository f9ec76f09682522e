"""The guard before somebody else's cluster: its keys, whose it is at the moment of a change, its pace."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from k8slab.attached_changes import CHANGES_A_SECOND, Pace
from k8slab.cluster.api import Api
from k8slab.cluster.existing.backend import ExistingCluster, Keys
from k8slab.cluster.existing.contexts import Context
from k8slab.errors import ApiError, GuardError, NotFoundError
from k8slab.guard import Guard
from tests.unit.guarded_cluster import write_kubeconfig


class Answer:
    """What the API server answers to a change."""

    status = 200
    data = b"{}"

    def read(self, **given: Any) -> None:
        """Everything is there already."""

    def release_conn(self) -> None:
        """Nothing is held."""


class Server:
    """Namespaces with uids and labels, and a list of what else was sent."""

    def __init__(self) -> None:
        self.uids = {"kube-system": "k-1", "play": "p-1", "other": "o-1", "default": "d-1"}
        self.labels = {"k8slab.dev/sandbox": "true"}
        self.refused: dict[str, ApiError] = {}
        self.changes: list[tuple[str, str]] = []

    def get(self, path: str, query: Any = None) -> dict[str, Any]:
        name = path.rpartition("/")[2]
        if name in self.refused:
            raise self.refused[name]
        return {"metadata": {"name": name, "uid": self.uids[name], "labels": self.labels}}

    def open(self, method: str, path: str, *given: Any, **more: Any) -> Answer:
        self.changes.append((method, path))
        return Answer()


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def guarded(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Guard]:
    """Makes the guard of a lab with these keys, which has just been opened."""
    monkeypatch.setenv("K8SLAB_STATE_DIR", str(tmp_path))
    monkeypatch.setattr("k8slab.guard.checked_body", lambda answer: answer.data)

    def make(namespaces: tuple[str, ...] = ("play",), typed: str = "theirs") -> Guard:
        context = Context("theirs", "https://192.0.2.1:6443", "play", "a token")
        keys = Keys(namespaces, typed)
        copy = tmp_path / "kubeconfig"
        write_kubeconfig(copy, "https://192.0.2.1:6443")
        copy.write_text(copy.read_text().replace("name: c\n", "name: theirs\n"))
        (tmp_path / "ca.crt").write_text("authority")
        cluster = ExistingCluster(context, copy, Path("/y"), keys, "v1.36.3", "kubeadm")
        guard = Guard(cluster, cast(Api, server))
        guard.remember_cluster()
        return guard

    return make


def test_with_its_keys_one_act_is_one_request_by_uid(guarded: Callable[..., Guard], server: Server) -> None:
    guarded().delete_pod("play", "web", "uid-1")
    assert server.changes == [("DELETE", "/api/v1/namespaces/play/pods/web")]


@pytest.mark.parametrize(
    ("namespaces", "typed", "labels", "said"),
    [
        ((), "theirs", {}, "only reads it"),
        (("other",), "theirs", {}, "not among those"),
        (("play",), "", {}, "nothing was typed"),
        (("play",), "THEIRS", {}, "'THEIRS' was typed"),
        (("play",), "theirs", {"k8slab.dev/sandbox": "false"}, "has k8slab.dev/sandbox=false"),
        (("play",), "theirs", {"k8slab.dev/sandbox": "True"}, "has k8slab.dev/sandbox=True"),
        (("play",), "theirs", {"k8slab.dev/sandbox": ""}, "has to carry the label"),
    ],
)
def test_each_missing_key_is_named_and_nothing_is_sent(
    guarded: Callable[..., Guard],
    server: Server,
    namespaces: tuple[str, ...],
    typed: str,
    labels: dict[str, str],
    said: str,
) -> None:
    guard = guarded(namespaces, typed)
    server.labels = labels or server.labels
    acts: tuple[Callable[[], Any], ...] = (
        lambda: guard.delete_pod("play", "web", "u"),
        lambda: guard.label_pod("play", "web", "u", "a", "b"),
        lambda: guard.change_object("play", "replicasets", "web", "u", {"spec": {}}, "scale"),
        lambda: guard.empty("play", "pods"),
        lambda: guard.delete_object("play", "services", "web"),
        lambda: guard.check_traffic("play"),
        lambda: guard.check("play", ["delete", "pod", "web"]),
        lambda: guard.check("play", ["get", "--raw", "/api/v1/namespaces/play/pods/web/proxy/"]),
    )
    for act in acts:
        with pytest.raises(GuardError, match=said):
            act()
    assert server.changes == []


def test_default_is_nobodys_sandbox(guarded: Callable[..., Guard], server: Server) -> None:
    guard = guarded(("default",))
    with pytest.raises(GuardError, match="everybody's"):
        guard.delete_pod("default", "web", "u")
    assert server.changes == []


@pytest.mark.parametrize("changed", ["kube-system", "play"])
def test_another_cluster_behind_the_same_address_gets_nothing_from_the_first_change_on(
    guarded: Callable[..., Guard], server: Server, changed: str
) -> None:
    guard = guarded()
    server.uids[changed] = "another"
    for _ in range(2):
        with pytest.raises(GuardError, match="Another cluster"):
            guard.delete_pod("play", "web", "u")
    assert server.changes == []


def test_who_may_not_see_kube_system_is_held_to_the_namespace(
    guarded: Callable[..., Guard], server: Server
) -> None:
    server.refused["kube-system"] = ApiError(403, "Forbidden", "no")
    guard = guarded()
    guard.delete_pod("play", "web", "u")
    server.uids["play"] = "another"
    with pytest.raises(GuardError, match="made anew"):
        guard.delete_pod("play", "web", "u")
    assert len(server.changes) == 1


@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        ("kube-system", ApiError(500, "InternalError", "etcd is away"), "cannot be read: etcd is away"),
        ("play", ApiError(403, "Forbidden", "no right"), "cannot be read: no right"),
        ("play", NotFoundError(404, "NotFound", "gone"), "There is no namespace play"),
    ],
)
def test_who_cannot_be_asked_gets_nothing(
    guarded: Callable[..., Guard], server: Server, name: str, error: ApiError, said: str
) -> None:
    guard = guarded()
    server.refused[name] = error
    with pytest.raises(GuardError, match=said):
        guard.delete_pod("play", "web", "u")
    assert server.changes == []


def test_every_act_is_written_down_with_its_context_and_answer(
    guarded: Callable[..., Guard], tmp_path: Path
) -> None:
    guarded().delete_pod("play", "web", "uid-1")
    act, answer = map(json.loads, (tmp_path / "actions.jsonl").read_text().splitlines())
    assert (act["context"], act["namespace"], act["action"]) == ("theirs", "play", "DELETE")
    assert "uid-1" in act["what"]
    assert (answer["act"], answer["answer"]) == (act["act"], "done")


def test_no_more_than_ten_acts_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = {"now": 0.0}

    def sleep(seconds: float) -> None:
        moments["now"] += seconds

    monkeypatch.setattr("k8slab.attached_changes.time.monotonic", lambda: moments["now"])
    monkeypatch.setattr("k8slab.attached_changes.time.sleep", sleep)
    pace, times = Pace(CHANGES_A_SECOND), []
    for _ in range(35):
        pace.wait()
        times.append(moments["now"])
        moments["now"] += 0.01
    for first, eleventh in zip(times, times[10:], strict=False):
        assert eleventh - first >= 1.0 - 1e-9
    assert times[9] < 0.1, "the first ten are not held up"
