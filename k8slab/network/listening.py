"""Keeping exactly the wanted places listening, one task each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable, Set
from typing import Any, Generic, TypeVar

from k8slab.network.acceptor import report_end

PlaceT = TypeVar("PlaceT", bound=Hashable)


class Listening(Generic[PlaceT]):
    """The tasks that listen, by where they do.

    Args:
        serve: listens at a place until cancelled.
        name: what a place is called in messages.
    """

    def __init__(
        self, serve: Callable[[PlaceT], Coroutine[Any, Any, None]], name: Callable[[PlaceT], str]
    ) -> None:
        self._serve = serve
        self._name = name
        self._tasks: dict[PlaceT, asyncio.Task[None]] = {}

    def want(self, places: Set[PlaceT]) -> None:
        """Listen at these places and at no others. Returns at once."""
        for place in self._tasks.keys() - places:
            self._tasks.pop(place).cancel()
        for place in places - self._tasks.keys():
            self._start(place)

    def reopen(self, concerned: Callable[[PlaceT], bool]) -> None:
        """Stop listening at the places concerned, and begin anew there."""
        for place in [place for place in self._tasks if concerned(place)]:
            self._tasks.pop(place).cancel()
            self._start(place)

    async def close(self) -> None:
        """Listen nowhere; returns when every task has ended."""
        tasks = list(self._tasks.values())
        self.want(frozenset())
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, place: PlaceT) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(place), name=self._name(place))
        task.add_done_callback(report_end)
        self._tasks[place] = task
