"""What our controllers are made of: the queue of objects to look at, and the Events they record."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from k8slab import work_queue
from k8slab.api_client import ApiClient
from k8slab.api_events import BURST, EventRecorder
from k8slab.errors import ApiError
from k8slab.work_queue import WorkQueue
from tests.process.lab_network import until


async def test_an_object_waits_once_and_comes_again_when_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work_queue, "FIRST_PAUSE", 0.01)
    queue: WorkQueue[str] = WorkQueue()
    seen: list[str] = []
    failures = {"refused": [500, 409, 0], "gone": [404]}

    async def reconcile(key: str) -> None:
        seen.append(key)
        if failures.get(key):
            raise ApiError(failures[key].pop(0), "Test", "the test")

    for key in ("a", "b", "a", "refused", "gone"):
        queue.add(key)
    working = asyncio.create_task(queue.work(reconcile))
    await until(lambda: seen.count("refused") == 4)
    assert seen[:4] == ["a", "b", "refused", "gone"]
    queue.add_after("later", 0.01)
    await until(lambda: seen[-1] == "later")
    assert seen.count("gone") == 1 and seen.count("a") == 1
    working.cancel()
    await asyncio.wait([working])


async def test_of_two_pauses_the_shorter_counts() -> None:
    queue: WorkQueue[str] = WorkQueue()
    seen: list[str] = []

    async def reconcile(key: str) -> None:
        seen.append(key)

    working = asyncio.create_task(queue.work(reconcile))
    for seconds in (600, 0.01, 0.02, 600):
        queue.add_after("a", seconds)
    await until(lambda: seen == ["a"])
    queue.add_after("a", 0.01)
    queue.add_after("b", 0.1)
    await until(lambda: seen[-1] == "b")
    assert seen == ["a", "a", "b"]
    working.cancel()
    await asyncio.wait([working])


class FakeApi:
    """Takes Events, after as many refusals as it is told."""

    def __init__(self) -> None:
        self.created: list[dict[str, Any]] = []
        self.counts: list[int] = []
        self.paths: list[str] = []
        self.refusals: list[int] = []

    async def create(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        if self.refusals:
            raise ApiError(self.refusals.pop(0), "Test", "the test")
        self.paths.append(path)
        self.created.append(body)
        return body

    async def patch(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        if self.refusals:
            raise ApiError(self.refusals.pop(0), "Test", "the test")
        self.counts.append(body["count"])
        return body


def item(name: str, namespace: str = "shop") -> dict[str, Any]:
    metadata = {"name": name, "uid": f"uid-{name}", "resourceVersion": "7"}
    if namespace:
        metadata["namespace"] = namespace
    return {"kind": "Thing", "apiVersion": "v1", "metadata": metadata}


async def test_equal_events_are_counted_and_a_flood_ends() -> None:
    api = FakeApi()
    recorder = EventRecorder(cast(ApiClient, api), "a-controller")
    running = asyncio.create_task(recorder.run())
    for _ in range(100):
        recorder.record(item("web"), "Normal", "Sync", "Scheduled for sync")
    recorder.record(item("class", ""), "Warning", "Odd", "x" * 5000)
    await until(lambda: len(api.created) == 2)
    assert api.counts == list(range(2, int(BURST) + 1))
    first, second = api.created
    assert first["involvedObject"] == {
        "kind": "Thing",
        "apiVersion": "v1",
        "namespace": "shop",
        "name": "web",
        "uid": "uid-web",
        "resourceVersion": "7",
    }
    assert (first["source"], first["type"], first["reason"]) == (
        {"component": "a-controller"},
        "Normal",
        "Sync",
    )
    assert api.paths == ["/api/v1/namespaces/shop/events", "/api/v1/namespaces/default/events"]
    assert len(second["message"]) == 1024
    running.cancel()
    await asyncio.wait([running])


async def test_an_event_is_tried_again_where_that_may_help() -> None:
    api = FakeApi()
    recorder = EventRecorder(cast(ApiClient, api), "a-controller")
    running = asyncio.create_task(recorder.run())
    api.refusals = [403]
    recorder.record(item("forbidden"), "Normal", "A", "a")
    recorder.record(item("taken"), "Normal", "A", "a")
    await until(lambda: api.created)
    api.refusals = [503]
    recorder.record(item("late"), "Normal", "A", "a")
    await until(lambda: len(api.created) == 2)
    assert [each["involvedObject"]["name"] for each in api.created] == ["taken", "late"]
    api.refusals = [0, 503]
    recorder.record(item("late"), "Normal", "A", "a")
    recorder.record(item("x" * 250), "Normal", "A", "a")
    await until(lambda: len(api.created) == 3)
    assert api.counts == [2], "an attempt that failed does not count"
    assert len(api.created[2]["metadata"]["name"]) <= 253
    running.cancel()
    await asyncio.wait([running])
