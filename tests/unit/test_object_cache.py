"""Objects that Pods name, each watched as long as somebody needs it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from k8slab.api_watch import Change
from k8slab.node.object_cache import ObjectCache, ReleasedError

SETTINGS = ("configmap", "shop", "settings")


class RefusingClient:
    """Answers no watch until it is told to, as the API server does a node that may not look."""

    def __init__(self) -> None:
        self.allowed = asyncio.Event()

    async def watch(self, path: str, **selectors: str) -> AsyncIterator[Change]:
        await self.allowed.wait()
        yield Change("added", {"metadata": {"name": "settings"}, "data": {"a": "1"}})
        yield Change("synced", {})
        await asyncio.Event().wait()


def nothing() -> None:
    """Nobody wants to hear of changes."""


async def test_who_waits_for_an_object_that_is_let_go_is_told() -> None:
    client: Any = RefusingClient()
    cache = ObjectCache(client)
    cache.hold("u1", [SETTINGS], nothing)
    waiting = asyncio.create_task(cache.get(SETTINGS))
    await asyncio.sleep(0)
    cache.release("u1")
    with pytest.raises(ReleasedError, match="configmap/shop/settings"):
        await asyncio.wait_for(waiting, 5)
    await cache.close()


async def test_others_who_need_it_go_on_waiting_and_get_it() -> None:
    client: Any = RefusingClient()
    cache = ObjectCache(client)
    for user in ("u1", "u2"):
        cache.hold(user, [SETTINGS], nothing)
    waiting = asyncio.create_task(cache.get(SETTINGS))
    cache.release("u1")
    client.allowed.set()
    found = await asyncio.wait_for(waiting, 5)
    assert found is not None and found["data"] == {"a": "1"}
    await cache.close()
