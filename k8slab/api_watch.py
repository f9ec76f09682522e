"""Following one collection of the API server: list, watch, and again, whatever happens in between.

The rules are those of client-go's reflector (tools/cache/reflector.go) as far as they matter to
few objects: bookmarks, a read timeout, relist and compare on 410, uid as identity, a pause that
grows while the server refuses.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import aiohttp

from k8slab.errors import ApiError

if TYPE_CHECKING:
    from k8slab.api_client import ApiClient

log = logging.getLogger(__name__)

READ_TIMEOUT = 75.0
"""Seconds without a byte after which a watch counts as dead; a bookmark comes about every 60 s."""

FIRST_DELAY = 0.05
LONGEST_DELAY = 2.0
EAGER_SECONDS = 20.0
"""How long a server that refuses connections is asked every `FIRST_DELAY` seconds before the delay grows."""

HEALTHY_SECONDS = 5.0
"""A watch that lived this long ends a series of failures."""


Verb = Literal["added", "modified", "deleted", "synced"]


@dataclass(frozen=True)
class Change:
    """One thing that a watch saw.

    Args:
        verb: `added`, `modified`, `deleted`; `synced` marks the end of a list: what came before is the whole.
        object: the object as it is now (for `deleted`, as it was last); empty for `synced`.
    """

    verb: Verb
    object: dict[str, Any]


class Backoff:
    """The pauses between attempts: short while a server is only absent, doubling to 2 s otherwise."""

    def __init__(self) -> None:
        self._delay = FIRST_DELAY
        self._since = 0.0

    def reset(self) -> None:
        """Forget past failures."""
        self._delay, self._since = FIRST_DELAY, 0.0

    def next(self, absent: bool) -> float:
        """Seconds to pause after one more failure.

        Args:
            absent: the connection was refused, which costs next to nothing to find out.
        """
        now = time.monotonic()
        self._since = self._since or now
        if absent and now - self._since < EAGER_SECONDS:
            return FIRST_DELAY
        delay = self._delay * random.uniform(1.0, 1.5)
        self._delay = min(LONGEST_DELAY, self._delay * 2)
        return min(delay, LONGEST_DELAY)


def unreachable(error: BaseException) -> ApiError:
    """The error that says that no answer came from the API server, and why."""
    detail = str(error) or type(error).__name__
    return ApiError(0, "Unreachable", f"The API server did not answer: {detail}.")


class _Expired(Exception):
    """The server has forgotten the version a watch asked for."""


async def follow(client: ApiClient, path: str, selectors: dict[str, str]) -> AsyncIterator[Change]:
    """Yield what happens to a collection, for ever; see `ApiClient.watch`."""
    follower = _Follower(client, path, selectors)
    backoff = Backoff()
    while True:
        began = time.monotonic()
        seen = 0
        problem: ApiError | None = None
        try:
            if not follower.version:
                for change in await follower.relist():
                    yield change
            stream = follower.stream()
            try:
                async for change in stream:
                    seen += 1
                    yield change
            finally:
                await stream.aclose()
        except _Expired:
            follower.version = ""
        except ApiError as error:
            problem = error
            if error.status == 410:
                follower.version = ""
        lived = time.monotonic() - began
        if lived >= HEALTHY_SECONDS:
            backoff.reset()
        if problem is None and (seen or lived >= 1.0):
            continue
        if problem is not None and problem.status not in (0, 410):
            # A node may be told of a Pod a moment before it may read what the Pod names.
            log.info("watch of %s: %s", path, problem)
        await asyncio.sleep(backoff.next(absent=problem is not None and problem.status == 0 and lived < 1.0))


class _Follower:
    """What is known of a collection: each object by uid, and the version up to which that holds."""

    def __init__(self, client: ApiClient, path: str, selectors: dict[str, str]) -> None:
        self.client = client
        self.path = path
        self.selectors = selectors
        self.version = ""
        self.objects: dict[str, dict[str, Any]] = {}

    async def relist(self) -> list[Change]:
        """List the collection and tell how it differs from what was known."""
        whole = await self.client.list(self.path, **self.selectors)
        items = whole["items"]
        # Objects inside a list carry neither kind nor apiVersion; the list's own kind says them.
        kind = str(whole.get("kind", "")).removesuffix("List")
        for item in items:
            item.setdefault("kind", kind)
            item.setdefault("apiVersion", whole.get("apiVersion", ""))
        now = {item["metadata"]["uid"]: item for item in items}
        changes = [Change("deleted", old) for uid, old in self.objects.items() if uid not in now]
        for uid, item in now.items():
            old = self.objects.get(uid)
            if old is None:
                changes.append(Change("added", item))
            elif old["metadata"]["resourceVersion"] != item["metadata"]["resourceVersion"]:
                changes.append(Change("modified", item))
        self.objects = now
        self.version = whole["metadata"]["resourceVersion"]
        changes.append(Change("synced", {}))
        return changes

    async def stream(self) -> AsyncGenerator[Change, None]:
        """Watch from the known version until the server closes the stream."""
        query = {
            **self.selectors,
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": self.version,
            # The spread keeps the watches of a cluster from ending all at once.
            "timeoutSeconds": str(random.randint(240, 480)),
        }
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=READ_TIMEOUT)
        try:
            async with self.client.session.get(
                self.client.identity.server + self.path, params=query, timeout=timeout
            ) as response:
                if response.status >= 400:
                    raise ApiError.from_response(response.status, await response.read())
                # readline() of aiohttp refuses lines over 128 KiB; a Pod may be longer.
                rest = b""
                async for data in response.content.iter_any():
                    *lines, rest = (rest + data).split(b"\n")
                    for line in lines:
                        change = self._take(line)
                        if change is not None:
                            yield change
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise unreachable(error) from error

    def _take(self, line: bytes) -> Change | None:
        """Take one line of the stream into account; None if it changes nothing."""
        if not line.strip():
            return None
        try:
            event: dict[str, Any] = json.loads(line)
        except ValueError as error:
            raise ApiError(
                0, "Unreachable", f"A watch of {self.path} sent a line that is no JSON."
            ) from error
        verb, item = event.get("type"), event.get("object") or {}
        if verb == "ERROR":
            if item.get("code") == 410:
                raise _Expired
            raise ApiError(
                int(item.get("code") or 500),
                str(item.get("reason", "")),
                str(item.get("message", "")),
            )
        if verb not in ("ADDED", "MODIFIED", "DELETED", "BOOKMARK"):
            return None
        metadata = item["metadata"]
        version = str(metadata.get("resourceVersion") or self.version)
        if _is_older(version, self.version):
            # Versions of one kind of object can be compared since Kubernetes 1.35.
            return None
        self.version = version
        if verb == "BOOKMARK":
            return None
        uid = metadata["uid"]
        old = self.objects.get(uid)
        if verb == "DELETED":
            return Change("deleted", item) if self.objects.pop(uid, None) else None
        self.objects[uid] = item
        if old is None:
            return Change("added", item)
        if old["metadata"]["resourceVersion"] == version:
            return None
        return Change("modified", item)


def _is_older(version: str, known: str) -> bool:
    return version.isdigit() and known.isdigit() and int(version) < int(known)
