"""The mirror against an API server that fails in every way we know of."""

from __future__ import annotations

import os
import random
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from k8slab.cluster.api import KINDS, Api
from k8slab.mirror.changes import Change
from k8slab.mirror.connection import StoppableApi
from k8slab.mirror.mirror import Mirror
from k8slab.mirror.reflector import Reflector
from k8slab.mirror.status import Clock
from k8slab.mirror.store import Store
from tests.process.fake_api_server import FakeApiServer
from tests.process.watched_mirror import QUICK, Watched, until
from tests.promptness import within


@pytest.fixture
def server() -> Iterator[FakeApiServer]:
    with FakeApiServer() as fake:
        yield fake


@pytest.fixture
def watched(server: FakeApiServer, tmp_path: Path) -> Iterator[Watched]:
    server.put("pods", "web-a", "a")
    with Watched(server, tmp_path) as one:
        yield one


def watching(server: FakeApiServer, count: int = 1) -> None:
    until(lambda: server.asked("pods", watch=True) >= count, f"{count} watches")


def test_list_and_watch_reach_the_listener_in_order(watched: Watched) -> None:
    server = watched.server
    watching(server)
    server.put("pods", "web-a", "a", status={"phase": "Running"})
    server.put("pods", "web-b", "b")
    server.delete("pods", "web-a")
    until(lambda: watched.verbs("a")[-1:] == ["deleted"], "the deletion")
    watched.told("a", ["added", "modified", "deleted"])
    watched.told("b", ["added"])
    first = next(change for change in watched.changes if change.uid == "a")
    assert first.listed and not watched.changes[-1].listed
    assert watched.settled()
    status = watched.mirror.status()
    assert (status.synced, status.state, status.reconnects, status.relists) == (True, "live", 0, 0)
    assert status.last_event_age < 5


def test_pages_are_one_list(server: FakeApiServer, tmp_path: Path) -> None:
    server.page = 3
    for index in range(10):
        server.put("pods", f"web-{index}", str(index))
    with Watched(server, tmp_path) as watched:
        assert watched.settled()
        assert server.asked("pods", watch=False) == 4
        assert watched.mirror.status().relists == 0


def test_410_on_a_page_restarts_the_list(server: FakeApiServer, tmp_path: Path) -> None:
    server.page = 2
    for index in range(5):
        server.put("pods", f"web-{index}", str(index))
    server.faults.extend(["", "page-410"])
    with Watched(server, tmp_path) as watched:
        assert watched.settled()
        assert server.asked("pods", watch=False) == 2 + 3
        assert watched.mirror.status().relists == 0, "a list that did not end does not count"


@pytest.mark.parametrize("fault", ["410", "in-band-410"])
def test_410_means_one_relist_that_finds_what_was_missed(watched: Watched, fault: str) -> None:
    server = watched.server
    server.put("pods", "web-b", "b")
    until(watched.settled, "the first picture")
    with server.changed:
        server.faults.append(fault)
        server.delete("pods", "web-a")
        server.compact()
        server.changed.notify_all()
    if fault == "410":
        server.cut()
    until(lambda: watched.mirror.status().relists == 1, "the relist")
    until(watched.settled, "the picture after it")
    watching(server, 2)
    watched.told("a", ["added", "deleted"])
    assert watched.mirror.status().relists == 1


@pytest.mark.parametrize("fault", ["eof", "500", "429", "reset", "in-band-500", "truncated", "401", "403"])
def test_faults_heal(watched: Watched, fault: str) -> None:
    server = watched.server
    watching(server)
    server.faults.extend([fault] * 3)
    server.cut()
    server.put("pods", "web-b", "b")
    server.delete("pods", "web-a")
    until(lambda: not server.faults, "the faults")
    until(watched.settled, "the picture after them")
    until(lambda: watched.mirror.status().state == "live", "live")
    watched.told("a", ["added", "deleted"])
    assert watched.mirror.status().reconnects >= 1


@pytest.mark.parametrize("fault", ["silent", "mute"])
def test_a_silent_connection_is_noticed(server: FakeApiServer, tmp_path: Path, fault: str) -> None:
    server.put("pods", "web-a", "a")
    server.faults.extend(["", fault])
    with Watched(server, tmp_path, read_timeout=0.4) as watched:
        server.put("pods", "web-b", "b")
        until(lambda: watched.mirror.status().reconnects >= 1, "the silence to be noticed")
        until(watched.settled, "the picture after it")
        until(lambda: watched.mirror.status().state == "live", "live")


def test_the_state_says_stale_while_nobody_answers(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    watched.server.always = lambda path, watch: "reset"
    watched.server.cut()
    until(lambda: watched.mirror.status().state == "reconnecting", "reconnecting")
    lost = watched.mirror.status()
    assert "No connection" in lost.message
    monkeypatch.setattr("k8slab.mirror.mirror.STALE_AFTER", 0.0)
    assert watched.mirror.status().state == "stale"
    assert watched.mirror.status().since == lost.since
    watched.server.always = lambda path, watch: ""
    until(lambda: watched.mirror.status().state == "live", "live again")


@pytest.mark.parametrize("fault", ["duplicate", "split", "unknown"])
def test_odd_streams_do_no_harm(server: FakeApiServer, tmp_path: Path, fault: str) -> None:
    server.put("pods", "web-a", "a")
    server.faults.extend(["", fault])
    with Watched(server, tmp_path) as watched:
        watching(server)
        text = "schön 🚀 \u2028 done"
        server.put("pods", "web-b", "b", spec={"note": text})
        server.put("pods", "web-b", "b", spec={"note": text + "!"})
        server.delete("pods", "web-a")
        server.put("pods", "web-c", "c")
        until(lambda: watched.verbs("c") == ["added"], "the last event")
        assert watched.settled()
        watched.told("a", ["added", "deleted"])
        watched.told("b", ["added", "modified"])
        newest = watched.mirror.store.get("Pod", "web-b", "lesson")
        assert newest is not None and newest["spec"]["note"] == text + "!"
        assert watched.mirror.status().relists == 0


def test_a_name_that_came_back_during_an_outage_is_another_object(watched: Watched) -> None:
    server = watched.server
    with server.changed:
        server.put("pods", "web-a", "a2")
        server.compact()
        server.changed.notify_all()
    until(watched.settled, "the new object")
    until(lambda: watched.verbs("a2") == ["added"], "its change")
    watched.told("a", ["added", "deleted"])


def test_forbidden_names_the_verb_and_leaves_other_kinds_alone(server: FakeApiServer, tmp_path: Path) -> None:
    server.put("pods", "web-a", "a")
    server.always = lambda path, watch: "403" if path.endswith("/secrets") else ""
    with Mirror(Api(server.kubeconfig(tmp_path)), ("secrets", "pods"), clock=QUICK) as mirror:
        mirror.wait_synced(60)
        until(lambda: mirror.status().kinds[0].state == "forbidden", "the refusal")
        until(lambda: mirror.status().state == "live", "the Pods to be followed")
        status = mirror.status()
        assert status.synced
        assert "Secret (may not list" in status.message
        assert len(mirror.store.objects("Pod")) == 1


def test_a_rotated_token_is_read_again(server: FakeApiServer, tmp_path: Path) -> None:
    server.put("pods", "web-a", "a")
    with Watched(server, tmp_path) as watched:
        watching(server)
        server.kubeconfig(tmp_path, token="second")
        with server.changed:
            server.faults.append("401")
        server.cut()
        server.put("pods", "web-b", "b")
        until(watched.settled, "the picture with the new token")
        assert "Bearer second" in server.tokens
        assert server.tokens.count("Bearer first") <= 5


def test_another_cluster_at_the_same_address_is_noticed(tmp_path: Path) -> None:
    with FakeApiServer() as first:
        port = first.port
        first.put("pods", "web-a", "a")
        watched = Watched(first, tmp_path)
        watched.mirror.start()
        watched.mirror.wait_synced(10)
        assert watched.mirror.cluster == "cluster-1"
    with FakeApiServer(port, cluster="cluster-2") as second, watched.mirror as mirror:
        second.put("pods", "web-a", "z")
        watched.server = second
        until(lambda: mirror.status().replaced == 1, "the other cluster")
        until(watched.settled, "its objects")
        assert mirror.cluster == "cluster-2"
        assert "another cluster" in mirror.status().message
        until(lambda: watched.verbs("z") == ["added"], "the new object")
        watched.told("a", ["added", "deleted"])


def test_a_server_that_went_back_is_listed_again(watched: Watched) -> None:
    server = watched.server
    server.put("pods", "web-b", "b")
    until(watched.settled, "the first picture")
    with server.changed:
        server.revision = 50
        server.events.clear()
        server.objects["pods"].clear()
        server.put("pods", "web-c", "c")
    server.cut()
    until(watched.settled, "the older state")
    assert set(watched.versions()) == {"c"}


@pytest.mark.parametrize("fault", ["500", "429", "401", "403", "eof", "in-band-500", "reset", "410"])
def test_no_fault_floods_the_server(server: FakeApiServer, tmp_path: Path, fault: str) -> None:
    seconds, began = 0.0, time.monotonic()
    stopping = threading.Event()

    def wait(event: threading.Event, pause: float) -> bool:
        nonlocal seconds
        seconds += pause
        if seconds > 60:
            stopping.set()
        return event.is_set()

    clock = Clock(monotonic=lambda: began + seconds, wait=wait)
    api = StoppableApi(Api(server.kubeconfig(tmp_path)))
    on_watch = fault in ("eof", "in-band-500", "410")
    server.always = lambda path, watch: fault if watch or not on_watch else ""
    reflector = Reflector(api, KINDS["pods"], Store(), stopping, clock=clock, chance=random.Random(7))
    reflector.run()
    api.close()
    asked = server.asked("pods")
    # Each 410 costs a list and a watch; everything else one request.
    assert 3 <= asked <= (18 if fault == "410" else 12), f"{asked} requests in 60 s"


def threads_and_sockets() -> tuple[list[str], int]:
    names = [thread.name for thread in threading.enumerate() if thread.name.startswith("k8slab-mirror")]
    sockets = 0
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            sockets += os.readlink(f"/proc/self/fd/{descriptor}").startswith("socket:")
        except OSError:
            continue  # the descriptor of the listing itself
    return names, sockets


@pytest.mark.parametrize("fault", ["", "mute", "silent", "last answer"])
def test_stop_is_quick_and_leaves_nothing(tmp_path: Path, fault: str) -> None:
    with FakeApiServer() as server:
        api = Api(server.kubeconfig(tmp_path))
        for round_number in range(10):
            server.always = lambda path, watch: fault if watch else ""
            mirror = Mirror(api, ("pods", "nodes", "services"))
            mirror.start()
            mirror.start()
            if round_number % 2:
                mirror.wait_synced(10)
                until(lambda: server.asked("pods", watch=True) > 0, "a watch")
            with within(2):
                mirror.stop()
                mirror.stop()
            assert threads_and_sockets()[0] == []
            assert len(mirror._api.handles) == 0
    until(lambda: threads_and_sockets()[1] == 0 or not any_connected(server.port), "sockets to close")


def any_connected(port: int) -> bool:
    """Whether this process still holds a client socket to the port."""
    wanted = f":{port:04X}"
    lines = Path("/proc/self/net/tcp").read_text().splitlines()[1:]
    return any(line.split()[2].endswith(wanted) and line.split()[3] == "01" for line in lines)


def test_a_mirror_can_be_started_again(watched: Watched) -> None:
    watched.mirror.stop()
    watched.server.delete("pods", "web-a")
    watched.server.put("pods", "web-b", "b")
    watched.mirror.start()
    until(watched.settled, "the second picture")
    until(lambda: watched.verbs("a") == ["added", "deleted"], "the deletion in between")


def test_a_listener_that_comes_late_hears_of_everything_once(watched: Watched) -> None:
    late: list[Change] = []
    watched.server.put("pods", "web-b", "b")
    until(watched.settled, "both Pods")
    watched.mirror.listen(late.append)
    until(lambda: len(late) == 2, "the replay")
    watched.server.put("pods", "web-c", "c")
    until(lambda: len(late) == 3, "the change after it")
    assert [(change.uid, change.listed) for change in late] == [("a", True), ("b", True), ("c", False)]
    watched.mirror.unlisten(late.append)


def test_a_listener_that_fails_does_not_stop_the_others(watched: Watched) -> None:
    def careless(change: Change) -> None:
        raise RuntimeError("careless")

    watched.mirror.listen(careless)
    watched.server.put("pods", "web-b", "b")
    until(lambda: watched.verbs("b") == ["added"], "the change")
    until(lambda: watched.mirror._dispatcher.failures >= 2, "both failures to be counted")


def test_the_port_of_nobody_is_retried(tmp_path: Path) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
    fake = FakeApiServer(port)
    api = Api(fake.kubeconfig(tmp_path))
    fake._server.server_close()
    mirror = Mirror(api, ("pods",), clock=QUICK)
    mirror.start()
    until(lambda: mirror.status().reconnects >= 2, "two attempts")
    with FakeApiServer(port) as server:
        server.put("pods", "web-a", "a")
        mirror.wait_synced(10)
        until(lambda: len(mirror.store.objects("Pod")) == 1, "the Pod")
        mirror.stop()
