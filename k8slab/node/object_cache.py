"""ConfigMaps and Secrets that the node's Pods use, each watched by name.

A node may read only what its Pods name (NodeRestriction), so there is one watch an object and
none of all. The first look-up of a name waits until it was listed; later ones answer at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from k8slab.api_client import ApiClient

Reference = tuple[str, str, str]
"""Kind (`configmap` or `secret`), namespace and name."""

PLURALS = {"configmap": "configmaps", "secret": "secrets"}


class ReleasedError(Exception):
    """An object that nobody needs any more; nothing will be known of it."""


class ObjectCache:
    """The objects that are in use, and who is to hear of their changes.

    Args:
        client: a client of the API server.
    """

    def __init__(self, client: ApiClient) -> None:
        self._client = client
        self._watched: dict[Reference, _Watched] = {}

    def hold(self, user: str, references: Iterable[Reference], changed: Callable[[], None]) -> None:
        """Say which objects a user needs from now on; others it needed are let go.

        Args:
            user: the user's name, such as a Pod's uid.
            references: what it needs.
            changed: called when one of them appeared, changed or vanished.
        """
        wanted = set(references)
        for reference in wanted:
            watched = self._watched.get(reference)
            if watched is None:
                watched = self._watched[reference] = _Watched(self._client, reference)
            watched.users[user] = changed
        for reference in [each for each, watched in self._watched.items() if user in watched.users]:
            if reference not in wanted:
                self._let_go(user, reference)

    def release(self, user: str) -> None:
        """Let go of everything a user needed."""
        self.hold(user, (), lambda: None)

    async def get(self, reference: Reference) -> dict[str, Any] | None:
        """The object as it is now, or None if there is none; it must be held.

        Waits until the API server said whether it exists.

        Raises:
            ReleasedError: it was let go meanwhile.
        """
        watched = self._watched[reference]
        await watched.synced.wait()
        if not watched.users:
            raise ReleasedError("/".join(reference))
        return watched.object

    async def close(self) -> None:
        """Stop all watches."""
        tasks = [watched.task for watched in self._watched.values()]
        self._watched.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _let_go(self, user: str, reference: Reference) -> None:
        watched = self._watched[reference]
        watched.users.pop(user, None)
        if not watched.users:
            watched.task.cancel()
            watched.synced.set()
            del self._watched[reference]


class _Watched:
    """One object that is watched by name."""

    def __init__(self, client: ApiClient, reference: Reference) -> None:
        self.users: dict[str, Callable[[], None]] = {}
        self.object: dict[str, Any] | None = None
        self.synced = asyncio.Event()
        self.task = asyncio.create_task(self._follow(client, reference))

    async def _follow(self, client: ApiClient, reference: Reference) -> None:
        kind, namespace, name = reference
        path = f"/api/v1/namespaces/{namespace}/{PLURALS[kind]}"
        async for change in client.watch(path, field_selector=f"metadata.name={name}"):
            if change.verb == "synced":
                self.synced.set()
                continue
            self.object = None if change.verb == "deleted" else change.object
            if self.object is not None and self.object.get("immutable"):
                # Nothing can change any more, so a kubelet stops watching and keeps what it has:
                # pkg/kubelet/util/manager/watch_based_manager.go.
                self._tell()
                self.synced.set()
                return
            self._tell()

    def _tell(self) -> None:
        if self.synced.is_set():
            for changed in list(self.users.values()):
                changed()
