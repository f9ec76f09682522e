"""Events, as a controller or a kubelet records them about the objects it looks after.

Source of the rules: client-go's tools/record/events_cache.go (v0.36): equal events raise a count, an object
may cause 25 at once and then one every five minutes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import uuid
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from k8slab.api_client import ApiClient
from k8slab.errors import ApiError, NotFoundError

log = logging.getLogger(__name__)

REMEMBERED = 512
"""Events whose counts are kept, and objects whose budget is."""
BURST = 25.0
REFILL_SECONDS = 300.0
RETRIES = 12
"""How often a server that does not take an Event is asked (tools/record/event.go, `maxTriesPerEvent`)."""
LONGEST_NAME = 253
"""Characters the name of an object may have."""
LONGEST_MESSAGE = 1024
"""Characters a message may have (k8s.io/kubernetes/pkg/apis/core/validation/events.go)."""

EventType = Literal["Normal", "Warning"]


@dataclass
class _Known:
    name: str
    count: int


class EventRecorder:
    """Writes Events about objects of the API; recording never blocks and never fails.

    Args:
        client: a client of the API server, whose user may create and patch Events.
        component: who says so, such as `service-controller`; `kubectl describe` shows it under From.
        host: the node it says so from; empty for a controller.
    """

    def __init__(self, client: ApiClient, component: str, host: str = "") -> None:
        self._client = client
        self._component = component
        self._host = host
        self._queue: asyncio.Queue[tuple[dict[str, Any], EventType, str, str]] = asyncio.Queue(2048)
        self._known: OrderedDict[tuple[str, ...], _Known] = OrderedDict()
        self._budget: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def record(
        self, item: Mapping[str, Any], kind: EventType, reason: str, message: str, field_path: str = ""
    ) -> None:
        """Record an Event about an object; `run` sends it.

        Args:
            item: the object, with `kind`, `apiVersion` and its metadata.
            kind: `Normal` or `Warning`.
            reason: one word.
            message: a sentence.
            field_path: the part of the object that it is about, such as `spec.containers{web}`, or empty.
        """
        metadata = item["metadata"]
        about = {
            "kind": item["kind"],
            "apiVersion": item["apiVersion"],
            "name": metadata["name"],
            "uid": metadata["uid"],
            "resourceVersion": metadata.get("resourceVersion", ""),
        }
        if metadata.get("namespace"):
            about["namespace"] = metadata["namespace"]
        if field_path:
            about["fieldPath"] = field_path
        if not self._within_budget(about["uid"]):
            return
        with contextlib.suppress(asyncio.QueueFull):
            self._queue.put_nowait((about, kind, reason, message[:LONGEST_MESSAGE]))

    async def run(self) -> None:
        """Send what was recorded, for ever, in the order of recording."""
        while True:
            about, kind, reason, message = await self._queue.get()
            for attempt in range(RETRIES):
                try:
                    await self._send(about, kind, reason, message)
                    break
                except ApiError as error:
                    # Right after its start the API server has not yet made the namespace `default`.
                    early = error.status == 404 and "namespace" not in about
                    if error.status not in (0, 429) and error.status < 500 and not early:
                        # The namespace is going, say: client-go drops such an Event as well.
                        log.info("event %s about %s was refused: %s", reason, about["name"], error)
                        break
                    await asyncio.sleep(min(10.0, 0.2 * 2**attempt))

    def _within_budget(self, about: str) -> bool:
        now = time.monotonic()
        tokens, since = self._budget.pop(about, (BURST, now))
        tokens = min(BURST, tokens + (now - since) / REFILL_SECONDS)
        allowed = tokens >= 1
        self._budget[about] = (tokens - allowed, now)
        if len(self._budget) > REMEMBERED:
            self._budget.popitem(last=False)
        return allowed

    async def _send(self, about: dict[str, Any], kind: EventType, reason: str, message: str) -> None:
        # Events about an object without a namespace stand in `default`, as client-go writes them.
        namespace = about.get("namespace") or "default"
        path = f"/api/v1/namespaces/{namespace}/events"
        key = (about["uid"], about.get("fieldPath", ""), kind, reason, message)
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        known = self._known.get(key)
        count = known.count + 1 if known is not None else 1
        if known is not None:
            self._known.move_to_end(key)
            try:
                await self._client.patch(f"{path}/{known.name}", {"count": count, "lastTimestamp": moment})
                # Not before: an attempt that failed is made again.
                known.count = count
                return
            except NotFoundError:
                # Events live for an hour; a new one starts with the count it has reached.
                log.debug("event %s has expired", known.name)
        name = f"{about['name']}.{time.time_ns():x}"
        if len(name) > LONGEST_NAME:
            # As client-go's tools/internal/events, GenerateEventName.
            name = str(uuid.uuid4())
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": namespace},
            "involvedObject": about,
            "type": kind,
            "reason": reason,
            "message": message,
            "source": {"component": self._component} | ({"host": self._host} if self._host else {}),
            "reportingComponent": self._component,
            "reportingInstance": self._host,
            "firstTimestamp": moment,
            "lastTimestamp": moment,
            "count": count,
        }
        await self._client.create(path, event)
        self._known[key] = _Known(name, count)
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
