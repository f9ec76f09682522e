"""The queue of a controller: objects that are to be looked at, each at most once, again later if it fails.

The rules are those of client-go's util/workqueue (v0.36) as far as one worker needs them: an object that is
added while it waits waits once, and one that fails comes again after a pause that doubles.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from k8slab.errors import ApiError

log = logging.getLogger(__name__)

Key = TypeVar("Key")

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 30.0
"""Seconds until an object that failed is looked at again: the first pause, and the longest after doubling."""


class WorkQueue(Generic[Key]):
    """Keys of objects in the order in which they were added; for one event loop and one worker."""

    def __init__(self) -> None:
        self._waiting: dict[Key, None] = {}
        self._failures: dict[Key, int] = {}
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._arrived = asyncio.Event()

    def add(self, key: Key) -> None:
        """Have an object looked at; one that waits already is not added twice."""
        self._waiting[key] = None
        self._arrived.set()

    def add_after(self, key: Key, seconds: float) -> None:
        """Have an object looked at after a pause; of two pauses the one that ends first counts."""
        loop = asyncio.get_running_loop()
        timer = self._timers.get(key)
        if timer is not None:
            if timer.when() <= loop.time() + seconds:
                return
            timer.cancel()
        self._timers[key] = loop.call_later(seconds, self._due, key)

    def _due(self, key: Key) -> None:
        del self._timers[key]
        self.add(key)

    async def work(self, reconcile: Callable[[Key], Awaitable[None]]) -> None:
        """Look at one object after the other, for ever.

        Args:
            reconcile: brings one object in order; where the API server refuses that (`ApiError`), the
                object comes again, unless it is gone (404).
        """
        while True:
            while not self._waiting:
                self._arrived.clear()
                await self._arrived.wait()
            key = next(iter(self._waiting))
            del self._waiting[key]
            try:
                await reconcile(key)
            except ApiError as error:
                if error.status == 404:
                    self._failures.pop(key, None)
                    continue
                failures = self._failures[key] = self._failures.get(key, 0) + 1
                pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(failures - 1, 10))
                log.info("looking at %s again in %.1f s: %s", key, pause, error)
                self.add_after(key, pause)
            else:
                self._failures.pop(key, None)
