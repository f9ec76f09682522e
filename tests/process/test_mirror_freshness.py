"""What the mirror says of itself is true: how fresh the picture is, since when, and of which cluster."""

from __future__ import annotations

import gc
import json
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from k8slab.cluster.api import Api
from k8slab.cluster.embedded.certificates import CertificateAuthority
from k8slab.errors import StopError
from k8slab.graph.scene import SceneBuilder
from k8slab.mirror.changes import Change
from k8slab.mirror.mirror import Mirror
from tests.process.fake_api_server import FakeApiServer
from tests.process.watched_mirror import QUICK, Watched, until

READ_TIMEOUT = 1.5
"""A server that says something every 0.05 s is not taken for silent, even on a busy machine."""


@pytest.fixture
def server() -> Iterator[FakeApiServer]:
    with FakeApiServer() as fake:
        fake.put("pods", "web-a", "a")
        yield fake


@pytest.fixture
def watched(server: FakeApiServer, tmp_path: Path) -> Iterator[Watched]:
    with Watched(server, tmp_path, read_timeout=READ_TIMEOUT) as one:
        until(lambda: server.asked("pods", watch=True) > 0, "the watch")
        until(lambda: one.mirror.status().state == "live", "the mirror to be live")
        yield one


def test_a_silent_watch_is_noticed_and_the_moment_it_says_is_true(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    stale_after = READ_TIMEOUT + 3
    monkeypatch.setattr("k8slab.mirror.mirror.STALE_AFTER", stale_after)
    server, mirror = watched.server, watched.mirror
    began = mirror.status()
    assert began.state == "live" and began.since <= time.time()
    server.freeze()
    until(lambda: mirror.status().state != "live", "the silence to be noticed")
    noticed, lost = time.time(), mirror.status()
    assert (lost.state, lost.message[:13]) == ("reconnecting", "No connection")
    # Not before it last spoke, and as long before the silence was noticed as silence takes to be noticed.
    assert server.spoke - 0.05 <= lost.since <= noticed - READ_TIMEOUT + 0.05, (
        "the server was last heard then"
    )
    until(lambda: mirror.status().state == "stale", "stale")
    assert mirror.status().since == lost.since and time.time() - lost.since >= stale_after
    server.delete("pods", "web-a")
    thawed = time.time()
    server.thaw()
    until(lambda: mirror.status().state == "live", "live again")
    assert thawed <= mirror.status().since <= time.time()
    until(watched.settled, "the deletion that was missed")
    watched.told("a", ["added", "deleted"])


def test_live_is_since_the_last_kind_was_heard(server: FakeApiServer, tmp_path: Path) -> None:
    server.always = lambda path, watch: "mute" if path.endswith("/services") else ""
    with Mirror(Api(server.kubeconfig(tmp_path)), ("pods", "services"), clock=QUICK) as mirror:
        until(lambda: mirror.status().kinds[0].state == "live", "the Pods")
        assert mirror.status().state == "reconnecting"
        late = time.time()
        server.always = lambda path, watch: ""
        server.cut()
        until(lambda: mirror.status().state == "live", "the Services")
        assert mirror.status().since >= late


def test_what_may_be_read_no_more_is_not_called_live(watched: Watched) -> None:
    asked = len(watched.server.requests)
    watched.server.always = lambda path, watch: "403"
    watched.server.cut()
    until(lambda: watched.mirror.status().kinds[0].state == "forbidden", "the refusal")
    status = watched.mirror.status()
    # The picture is as old as what was heard last, before the first request that was refused.
    refused = time.time() - time.monotonic() + watched.server.requests[asked][0]
    assert status.state in ("reconnecting", "stale") and status.since <= refused + 0.05
    assert "does not let this user see: Pod (may not" in status.message


def test_a_mirror_that_was_stopped_does_not_call_itself_live(watched: Watched) -> None:
    watched.mirror.stop()
    status = watched.mirror.status()
    assert status.state == "stale" and status.since <= time.time()
    assert status.message == "The cluster is not followed now."


def test_further_kinds_are_followed_while_it_runs(watched: Watched) -> None:
    server, mirror = watched.server, watched.mirror
    server.put("secrets", "key", "s", data={"password": "c2VjcmV0"})
    states: set[str] = set()
    server.always = lambda path, watch: "mute" if path.endswith("/secrets") else ""
    mirror.follow(("pods", "secrets", "secrets"))
    states.add(mirror.status().state)
    assert len(mirror.status().kinds) == 2, "what is followed already is passed over"
    server.always = lambda path, watch: ""
    server.cut()
    mirror.wait_synced(10)
    assert states == {"live"}, "a kind whose first list is on its way is no lost connection"
    until(lambda: watched.verbs("s") == ["added"], "the Secret")
    assert "data" not in mirror.store.objects("Secret")[0]
    mirror.stop()
    mirror.follow(("services",))
    server.put("services", "web", "w")
    mirror.start()
    mirror.wait_synced(10)
    until(lambda: watched.verbs("w") == ["added"], "what was named while it stood still")
    with pytest.raises(KeyError):
        mirror.follow(("nonsense",))
    mirror.stop()
    mirror.start()
    mirror.wait_synced(10)


def test_following_races_with_stopping_and_another_cluster(watched: Watched) -> None:
    server, mirror = watched.server, watched.mirror
    plurals = ("services", "secrets", "configmaps", "events", "jobs", "cronjobs", "nodes", "replicasets")

    def follow() -> None:
        for plural in plurals:
            mirror.follow((plural,))
            mirror.status()

    def restart() -> None:
        for _ in range(4):
            mirror.stop()
            mirror.start()

    for plural in plurals:
        server.put(plural, "one", f"old-{plural}")
    workers = [threading.Thread(target=follow), threading.Thread(target=restart)]
    for worker in workers:
        worker.start()
    server.become("cluster-2", 70)
    for plural in plurals:
        server.put(plural, "one", f"new-{plural}")
    server.cut()
    for worker in workers:
        worker.join()
    until(lambda: mirror.status().state == "live" and mirror.status().synced, "all kinds")
    until(lambda: mirror.cluster == "cluster-2", "the new cluster to be known")
    wanted = {f"new-{plural}" for plural in plurals}
    until(lambda: {obj["metadata"]["uid"] for obj in mirror.store.everything()} == wanted, "its objects")
    names = [thread.name for thread in threading.enumerate() if thread.name.startswith("k8slab-mirror-")]
    assert sorted(names) == sorted(f"k8slab-mirror-{name}" for name in ("pods", "changes", *plurals))


def test_another_cluster_is_told_on_the_map(watched: Watched) -> None:
    builder, mirror = SceneBuilder("lesson"), watched.mirror
    mirror.listen(builder.apply)
    until(lambda: len(builder.scene(time.time())["pods"]) == 1, "the Pod on the map")
    watched.server.become("cluster-2", 5000)
    watched.server.put("pods", "web-z", "z")
    watched.server.cut()
    until(lambda: mirror.status().replaced == 1 and mirror.status().state == "live", "the other cluster")
    until(watched.settled, "its objects")
    until(lambda: watched.verbs("z") == ["added"], "its Pod")
    status = mirror.status()
    builder.set_badge(status.state, status.since, status.message)
    scene = builder.scene(time.time() + 60)
    assert scene["badge"]["state"] == "live" and "another cluster" in scene["badge"]["note"]
    assert set(scene["pods"]) == {"z"}, "nothing of the cluster before is left"


def test_a_watch_that_outlives_its_cluster_brings_nothing_back(watched: Watched) -> None:
    """Through a tunnel an old connection can stay open while new ones reach another cluster."""
    server, mirror = watched.server, watched.mirror
    mirror.follow(("services",))
    until(lambda: server.asked("services", watch=True) > 0, "a second watch")
    server.become("cluster-2", 5000)
    server.put("pods", "web-z", "z")
    with server.changed:
        server.faults.append("reset")
    mirror.follow(("secrets",))
    until(lambda: mirror.cluster == "cluster-2", "the other cluster")
    until(watched.settled, "its objects alone")
    until(lambda: mirror.status().synced, "every kind to be listed anew")


def authority(folder: Path, name: str) -> tuple[CertificateAuthority, ssl.SSLContext]:
    made = CertificateAuthority(name)
    pair = made.server("api", ["127.0.0.1"])
    (folder / f"{name}.pem").write_text(made.pair.certificate)
    (folder / f"{name}-server.pem").write_text(pair.certificate + pair.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / f"{name}-server.pem")
    return made, context


def secure_kubeconfig(folder: Path, name: str, made: CertificateAuthority, server: FakeApiServer) -> Path:
    user = made.client("reader")
    (folder / f"{name}-client.pem").write_text(user.certificate)
    (folder / f"{name}-client.key").write_text(user.key)
    path = server.kubeconfig(folder)
    config = json.loads(path.read_text())
    config["clusters"][0]["cluster"] = {
        "server": f"https://127.0.0.1:{server.port}",
        "certificate-authority": str(folder / f"{name}.pem"),
    }
    config["users"][0]["user"] = {
        "client-certificate": str(folder / f"{name}-client.pem"),
        "client-key": str(folder / f"{name}-client.key"),
    }
    path.write_text(json.dumps(config))
    return path


# The handshake that the mirror refuses leaves its socket to the garbage collector in Python 3.11.
@pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")
@pytest.mark.parametrize("same_port", [True, False])
def test_a_cluster_made_anew_with_another_authority_is_followed(tmp_path: Path, same_port: bool) -> None:
    first, first_tls = authority(tmp_path, "first")
    second, second_tls = authority(tmp_path, "second")
    with FakeApiServer(tls=first_tls) as old:
        old.put("pods", "web-a", "a")
        api = Api(secure_kubeconfig(tmp_path, "first", first, old))
        mirror = Mirror(api, ("pods",), clock=QUICK)
        mirror.start()
        mirror.wait_synced(10)
        port = old.port if same_port else 0
    with FakeApiServer(port, "cluster-2", second_tls) as new:
        new.put("pods", "web-b", "b")
        if same_port:
            until(lambda: "certificate" in mirror.status().message.lower(), "the authority to be refused")
        assert [pod["metadata"]["uid"] for pod in mirror.store.objects("Pod")] == ["a"]
        secure_kubeconfig(tmp_path, "second", second, new)
        until(lambda: mirror.status().state == "live", "the new kubeconfig to be read")
        until(lambda: [pod["metadata"]["uid"] for pod in mirror.store.objects("Pod")] == ["b"], "its Pod")
        assert mirror.status().replaced == 1
        mirror.stop()
    gc.collect()


def test_a_slow_listener_costs_no_memory_and_learns_the_last_state(watched: Watched) -> None:
    server, mirror = watched.server, watched.mirror
    awake = threading.Event()
    heard: dict[str, Change] = {}

    def slow(change: Change) -> None:
        awake.wait(30)
        heard[change.uid] = change

    mirror.listen(slow)
    depth = 0
    for number in range(10_000):
        server.put("pods", f"web-{number % 50}", str(number % 50), status={"step": number})
        depth = max(depth, len(mirror._dispatcher._queue))
    until(watched.settled, "the store, which waits for nobody")
    assert mirror.status().state == "live"
    assert depth <= 2_000 + 100, f"{depth} changes waited"
    awake.set()
    last = server.versions("pods")

    def told() -> bool:
        known = {uid: one.after["metadata"]["resourceVersion"] for uid, one in heard.items() if one.after}
        return known == last

    until(told, "the last state of every Pod")
    assert mirror._dispatcher.merged > 5_000


def test_a_listener_that_never_returns_is_named(watched: Watched) -> None:
    stuck, called = threading.Event(), threading.Event()

    def never(change: Change) -> None:
        called.set()
        stuck.wait(10)

    watched.mirror.listen(never)
    assert called.wait(10)
    with pytest.raises(StopError, match="k8slab-mirror-changes"):
        watched.mirror.stop()
    stuck.set()
