"""The async client survives an API server that is absent, silent, forgetful or in a bad mood."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from k8slab import api_watch
from k8slab.api_client import ApiClient, Change, Identity
from k8slab.errors import ApiError, ClusterStateError, ConflictError, NotFoundError
from tests.process.fake_api_server import FakeApiServer
from tests.promptness import within

PATH = "/api/v1/pods"


def client(port: int) -> ApiClient:
    nothing = Path("/nonexistent")
    return ApiClient(Identity(f"http://127.0.0.1:{port}", nothing, nothing, nothing), user_agent="test")


class Followed:
    """What a watch has told so far, and the collection that follows from it."""

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.objects: dict[str, str] = {}
        self.synced = 0

    async def follow(self, api: ApiClient) -> None:
        async for change in api.watch(PATH):
            self.changes.append(change)
            if change.verb == "synced":
                self.synced += 1
                continue
            metadata = change.object["metadata"]
            if change.verb == "deleted":
                del self.objects[metadata["uid"]]
            else:
                assert (metadata["uid"] in self.objects) == (change.verb == "modified")
                self.objects[metadata["uid"]] = metadata["resourceVersion"]

    async def until_equal(self, server: FakeApiServer, seconds: float = 60) -> None:
        async with asyncio.timeout(seconds):
            while not self.synced or self.objects != server.versions("pods"):
                await asyncio.sleep(0.01)


@asynccontextmanager
async def following(port: int) -> AsyncIterator[Followed]:
    followed = Followed()
    async with client(port) as api:
        task = asyncio.create_task(followed.follow(api))
        try:
            yield followed
            if task.done():
                task.result()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


async def test_a_list_and_then_its_changes() -> None:
    with FakeApiServer() as server:
        server.put("pods", "a", "1")
        async with following(server.port) as followed:
            await followed.until_equal(server)
            assert [change.verb for change in followed.changes] == ["added", "synced"]
            server.put("pods", "b", "2")
            server.put("pods", "a", "1", spec={"x": "ü" * 200_000})
            server.delete("pods", "b")
            await followed.until_equal(server)
            assert [change.verb for change in followed.changes[2:]] == ["added", "modified", "deleted"]
        assert server.asked("pods", watch=False) == 1


async def test_a_name_that_is_given_again_is_another_object() -> None:
    with FakeApiServer() as server:
        server.put("pods", "a", "1")
        async with following(server.port) as followed:
            await followed.until_equal(server)
            server.put("pods", "a", "2")
            await followed.until_equal(server)
            assert [change.verb for change in followed.changes[2:]] == ["deleted", "added"]


@pytest.mark.parametrize("pages", [0, 1, 3])
async def test_pages_make_one_list(pages: int) -> None:
    with FakeApiServer() as server:
        for number in range(7):
            server.put("pods", f"p{number}", str(number))
        server.page = pages
        async with client(server.port) as api:
            whole = await api.list(PATH)
        assert [item["metadata"]["uid"] for item in whole["items"]] == [str(n) for n in range(7)]


@pytest.mark.parametrize(
    "fault",
    [
        "eof",
        "in-band-410",
        "in-band-500",
        "truncated",
        "unknown",
        "duplicate",
        "split",
        "reset",
        "500",
        "403",
        "410",
    ],
)
async def test_after_any_fault_the_collection_is_right(fault: str) -> None:
    with FakeApiServer() as server:
        server.put("pods", "a", "1")
        server.put("pods", "gone", "9")
        async with following(server.port) as followed:
            await followed.until_equal(server)
            server.faults.extend([fault] * 2)
            server.cut()
            server.delete("pods", "gone")
            server.put("pods", "b", "2")
            await followed.until_equal(server)
            server.put("pods", "a", "1")
            await followed.until_equal(server)


async def test_a_forgotten_version_is_listed_again_and_deletions_are_seen() -> None:
    with FakeApiServer() as server:
        server.put("pods", "a", "1")
        server.put("pods", "b", "2")
        async with following(server.port) as followed:
            await followed.until_equal(server)
            server.faults.append("mute")
            server.cut()
            async with asyncio.timeout(60):
                while server.faults:
                    await asyncio.sleep(0.01)
            server.delete("pods", "b")
            server.put("pods", "c", "3")
            server.compact()
            server.cut()
            await followed.until_equal(server)
            assert followed.synced >= 2
            assert ("deleted", "2") in [
                (c.verb, c.object.get("metadata", {}).get("uid")) for c in followed.changes
            ]


async def test_a_server_that_is_absent_at_the_start_is_found_at_once() -> None:
    port = free_port()
    async with following(port) as followed:
        await asyncio.sleep(0.5)
        with FakeApiServer(port) as server:
            server.put("pods", "a", "1")
            with within(0.5):
                await followed.until_equal(server)


async def test_a_server_that_comes_back_on_its_port() -> None:
    port = free_port()
    async with following(port) as followed:
        with FakeApiServer(port) as server:
            server.put("pods", "a", "1")
            await followed.until_equal(server)
        with FakeApiServer(port) as server:
            # Another past: what was known of the first is gone.
            server.revision = 500
            server.compact()
            server.put("pods", "b", "2")
            await followed.until_equal(server)


async def test_a_silent_stream_is_opened_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_watch, "READ_TIMEOUT", 0.3)
    with FakeApiServer() as server:
        server.put("pods", "a", "1")
        async with following(server.port) as followed:
            await followed.until_equal(server)
            server.faults.append("silent")
            server.cut()
            async with asyncio.timeout(60):
                while server.faults:
                    await asyncio.sleep(0.01)
            server.put("pods", "b", "2")
            await followed.until_equal(server)
            assert followed.synced == 1


async def test_a_refusing_server_is_not_stormed() -> None:
    with FakeApiServer() as server:
        server.always = lambda path, watch: "500"
        began = time.monotonic()
        async with following(server.port):
            await asyncio.sleep(2)
            async with asyncio.timeout(60):
                while server.asked("pods") <= 3:
                    await asyncio.sleep(0.05)
        # At most six a second: a busy machine takes longer than two for the first four.
        assert server.asked("pods") < 6 * (time.monotonic() - began)


async def test_errors_are_the_servers_own_words() -> None:
    with FakeApiServer() as server:
        async with client(server.port) as api:
            server.faults.append("403")
            with pytest.raises(ApiError, match="fault 403") as caught:
                await api.get(PATH)
            assert (caught.value.status, caught.value.reason) == (403, "Forbidden")
    async with client(free_port()) as api:
        with pytest.raises(ApiError, match="did not answer") as caught:
            await api.get(PATH)
        assert (caught.value.status, caught.value.reason) == (0, "Unreachable")


def test_statuses_have_errors_of_their_own() -> None:
    body = json.dumps({"reason": "AlreadyExists", "message": "it is there"})
    assert isinstance(ApiError.from_response(409, body), ConflictError)
    assert isinstance(ApiError.from_response(404, "gone"), NotFoundError)


async def test_a_client_is_used_inside_its_context() -> None:
    with pytest.raises(ClusterStateError, match="not open"):
        await client(1).get(PATH)


def kubeconfig(**user: Any) -> str:
    return json.dumps(
        {
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
            "clusters": [
                {
                    "name": "k",
                    "cluster": {
                        "server": "https://127.7.255.1:6443/",
                        "certificate-authority": "/pki/ca.crt",
                    },
                }
            ],
            "users": [{"name": "u", "user": user}],
        }
    )


def test_a_kubeconfig_names_its_files(tmp_path: Path) -> None:
    path = tmp_path / "node.yaml"
    with pytest.raises(ClusterStateError, match="no kubeconfig"):
        Identity.from_kubeconfig(path)
    path.write_text(kubeconfig(**{"client-certificate": "node.crt", "client-key": "/pki/node.key"}))
    found = Identity.from_kubeconfig(path)
    assert found == Identity(
        "https://127.7.255.1:6443", Path("/pki/ca.crt"), tmp_path / "node.crt", Path("/pki/node.key")
    )
    path.write_text(kubeconfig(token="t"))
    with pytest.raises(ClusterStateError, match="client-certificate"):
        Identity.from_kubeconfig(path)
