"""The table of processes, what is said of each act, the panel, and reading what etcd keeps."""

from __future__ import annotations

import base64
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from k8slab.cluster.api import KINDS
from k8slab.cluster.contract import ClusterProcess, StoredValue
from k8slab.cluster.etcd_answer import stored_value
from k8slab.errors import ClusterStateError, LabError
from k8slab.guard import Guard
from k8slab.session.components import Components
from k8slab.session.stored import ENVELOPE, StoredObject, key_of, kind_named, look_up, strings_of
from k8slab.widgets.component_panel import ComponentPanel, ComponentState
from tests.unit.guarded_cluster import FakeApi, FakeCluster
from tests.unit.test_guard_without_api_server import SupervisedCluster, process


def field(number: int, content: bytes) -> bytes:
    """One length-delimited protobuf field of fewer than 128 bytes."""
    assert len(content) < 128
    return bytes([number << 3 | 2, len(content)]) + content


def envelope(kind: str, *strings: str) -> bytes:
    meta = b"".join(field(number, text.encode()) for number, text in enumerate(strings, 1))
    return ENVELOPE + field(1, field(1, b"v1") + field(2, kind.encode())) + field(2, field(1, meta))


class EtcdCluster(FakeCluster):
    """Has one key in its etcd."""

    value = envelope("Pod", "web", "03-replicasets")

    def stored(self, key: str) -> StoredValue | None:
        return StoredValue(key, self.value, 10, 12, 3) if key.endswith("/web") else None


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K8SLAB_STATE_DIR", str(tmp_path / "state"))


def components(cluster: FakeCluster) -> Components:
    return Components(Guard(cluster, FakeApi(cluster.kubeconfig)))


def test_the_table_has_the_control_plane_first_and_memory_where_it_can_be_read(tmp_path: Path) -> None:
    cluster = SupervisedCluster(tmp_path)
    mine = ClusterProcess("addons", "addon", "running", os.getpid(), 1.0, 2, None, "")
    cluster.running = {"addons": mine, **cluster.running, "etcd": process("etcd", "stopped")}
    rows = list(components(cluster).table())
    assert [row[0] for row in rows] == ["etcd", "kube-apiserver", "kube-scheduler", "addons"]
    assert rows[0] == ("etcd", "stopped", "", "", "0")
    assert rows[-1][3].endswith(" MB") and rows[-1][4] == "2"
    assert "<table" in components(cluster)._repr_html_()
    assert "kube-apiserver" not in repr(components(cluster)["etcd"])


@pytest.mark.usefixtures("state")
def test_each_act_says_what_happened_and_what_to_watch(tmp_path: Path) -> None:
    cluster = SupervisedCluster(tmp_path)
    scheduler = components(cluster)["kube-scheduler"]
    assert "is stopped: its process 7 is gone" in repr(scheduler.stop())
    assert "is stopped already" in repr(scheduler.stop())
    assert "runs again, with pid 7. Pods that wait" in repr(scheduler.start())
    assert "runs already, with pid 7" in repr(scheduler.start())
    assert "SIGKILL" in repr(scheduler.kill())
    assert [action for _, action in cluster.done] == ["stop", "start", "kill"]


def test_an_unknown_name_and_a_backend_without_processes_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ClusterStateError, match=r"'kube-sheduler'.*There are: etcd"):
        components(SupervisedCluster(tmp_path))["kube-sheduler"].stop()
    with pytest.raises(ClusterStateError, match="no processes in hand"):
        components(FakeCluster(tmp_path))["etcd"].stop()
    assert "no processes in hand" in repr(components(FakeCluster(tmp_path)))


# --- etcd -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "key"),
    [
        ("po", "/registry/pods/ns/x"),
        ("pods", "/registry/pods/ns/x"),
        ("Deployment", "/registry/deployments/ns/x"),
        ("svc", "/registry/services/specs/ns/x"),
        ("no", "/registry/minions/x"),
        ("rc", "/registry/controllers/ns/x"),
        ("ing", "/registry/ingress/ns/x"),
        ("ns", "/registry/namespaces/x"),
    ],
)
def test_a_kind_is_found_by_each_of_its_names(word: str, key: str) -> None:
    assert key_of(kind_named(word), "ns", "x") == key


def test_every_kind_of_the_lab_has_a_key() -> None:
    keys = {key_of(kind_named(kind.kind), "ns", "x") for kind in KINDS.values()}
    assert len(keys) == len(KINDS)


def test_what_etcd_holds_is_shown_in_a_few_lines(tmp_path: Path) -> None:
    seen = look_up(EtcdCluster(tmp_path), "03-replicasets", "pod/web")
    assert (seen.key, seen.size) == ("/registry/pods/03-replicasets/web", len(EtcdCluster.value))
    assert (seen.create_revision, seen.mod_revision, seen.version) == (10, 12, 3)
    assert seen.strings == ("v1", "Pod", "web", "03-replicasets")
    assert "6b 38 73 00" in repr(seen) and "k8s\\0" in repr(seen)
    many = StoredObject(
        StoredValue("/k", ENVELOPE + b"".join(field(1, b"name%d" % n) for n in range(60)), 1, 1, 1), "Pod"
    )
    assert len(repr(many).splitlines()) <= 26 and "and 42 more" in repr(many)


def test_the_values_of_a_secret_are_not_shown() -> None:
    seen = StoredObject(StoredValue("/k", envelope("Secret", "password", "hunter2"), 1, 1, 1), "Secret")
    assert seen.strings == ()
    for shown in (repr(seen), seen._repr_html_()):
        assert "hunter2" not in shown and "not shown" in shown


def test_unknown_kinds_names_and_keys_say_so(tmp_path: Path) -> None:
    cluster = EtcdCluster(tmp_path)
    for wrong, words in (
        ("gadget/x", "no kind"),
        ("pod/nope", "no key /registry/pods/ns/nope"),
        ("web", "kind/name"),
        ("pod/../secrets", "kind/name"),
        ("pod/", "kind/name"),
    ):
        with pytest.raises(LabError, match=words):
            look_up(cluster, "ns", wrong)
    with pytest.raises(ClusterStateError, match="etcd is out of reach"):
        look_up(FakeCluster(tmp_path), "ns", "pod/web")


def test_strings_come_in_order_and_nothing_breaks_the_reader() -> None:
    text = field(1, b"first") + bytes([0x10, 0x05]) + field(3, b"two\nlines") + field(4, b"\xff\xfe\x00")
    assert list(strings_of(ENVELOPE + text)) == ["first", "two lines"]
    assert list(strings_of(ENVELOPE + b"\xff\xff\xff")) == []
    assert list(strings_of(b'{"kind": "Widget"}')) == ['{"kind": "Widget"}']
    for cut in range(len(text)):
        list(strings_of(ENVELOPE + text[:cut]))


def test_an_answer_of_the_gateway_is_read() -> None:
    def coded(text: str) -> str:
        return base64.b64encode(text.encode()).decode()

    entry = {"key": coded("/registry/x"), "value": coded("hello"), "create_revision": "3",
             "mod_revision": "9", "version": "2"}  # fmt: skip
    assert stored_value({"kvs": [entry], "count": "1"}) == StoredValue("/registry/x", b"hello", 3, 9, 2)
    assert stored_value({"header": {}}) is None


# --- the panel --------------------------------------------------------------------------------------


def wait(condition: Callable[[], Any], seconds: float = 30.0) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.01)
    raise AssertionError("the condition did not come true")


class Played:
    """Components whose state a test decides."""

    def __init__(self) -> None:
        self.running = {"etcd": True, "kube-scheduler": True}
        self.threads: set[str] = set()
        self.refusal = ""
        self.held: threading.Event | None = None
        self.looks = 0

    def look(self) -> list[ComponentState]:
        self.threads.add(threading.current_thread().name)
        seen = [
            ComponentState(name, runs, "running, pid 7" if runs else "stopped by you")
            for name, runs in self.running.items()
        ]
        held, self.held = self.held, None
        if held is not None:
            held.wait(30)
        self.looks += 1
        return seen

    def act(self, name: str, action: str) -> str:
        self.threads.add(threading.current_thread().name)
        if self.refusal:
            raise LabError(self.refusal)
        self.running[name] = action == "start"
        return f"{name}: {action} done <img src=x>"


@pytest.fixture
def played() -> Played:
    return Played()


@pytest.fixture
def panel(played: Played) -> Iterator[ComponentPanel]:
    before = set(threading.enumerate())
    opened = ComponentPanel(tuple(played.running), played.look, played.act)
    yield opened
    opened.close()
    wait(lambda: set(threading.enumerate()) <= before)


def press(button: Any) -> None:
    message = {"method": "custom", "content": {"event": "click"}}
    button.comm.handle_msg({"content": {"data": message}, "buffers": []})


def test_a_button_stops_and_starts_beside_the_drawer(panel: ComponentPanel, played: Played) -> None:
    button = panel.buttons["kube-scheduler"]
    wait(lambda: not button.disabled and button.tooltip == "Stop kube-scheduler")
    press(button)
    wait(lambda: button.description == "Start" and not button.disabled)
    assert "stopped by you" in panel.states["kube-scheduler"].value
    assert "stop done &lt;img" in panel.result.value
    assert panel.buttons["etcd"].description == "Stop"
    press(button)
    wait(lambda: button.tooltip == "Stop kube-scheduler" and not button.disabled)
    assert played.threads <= {"k8slab-components-look", "k8slab-components-act"}


def test_a_refusal_is_a_sentence_and_a_change_from_elsewhere_is_seen(
    panel: ComponentPanel, played: Played
) -> None:
    wait(lambda: not panel.buttons["etcd"].disabled)
    played.refusal = "The guard says no."
    press(panel.buttons["etcd"])
    wait(lambda: "The guard says no." in panel.result.value and "k8p-bad" in panel.result.value)
    assert panel.buttons["etcd"].description == "Stop"
    played.running["etcd"] = False
    wait(lambda: panel.buttons["etcd"].description == "Start")


def test_a_look_from_before_a_button_s_work_does_not_undo_it(panel: ComponentPanel, played: Played) -> None:
    button = panel.buttons["kube-scheduler"]
    wait(lambda: not button.disabled and not panel._looking)
    held = played.held = threading.Event()
    panel.look()
    wait(lambda: played.held is None)  # that look has seen the scheduler run, and is slow
    press(button)
    wait(lambda: button.description == "Start" and not button.disabled)
    looks = played.looks
    held.set()
    wait(lambda: played.looks > looks and not panel._looking)
    assert not panel._states["kube-scheduler"].running
