"""Events, as the kubelet records them: counted when they repeat, bounded when they pour.

Source of the rules: client-go's tools/record/events_cache.go (v0.36): equal events raise a
count, an object may cause 25 at once and then one every five minutes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Literal

from k8slab.api_client import ApiClient
from k8slab.errors import ApiError, NotFoundError
from k8slab.node.container_status import timestamp
from k8slab.node.pod_spec import Pod

log = logging.getLogger(__name__)

REMEMBERED = 512
BURST = 25.0
REFILL_SECONDS = 300.0
RETRIES = 12
COMPONENT = "kubelet"

EventType = Literal["Normal", "Warning"]


@dataclass
class _Known:
    name: str
    count: int


class EventRecorder:
    """Writes Events about Pods and about the Node; recording never blocks and never fails.

    Args:
        client: a client of the API server.
        node: the node's name, which Events carry as their source's host.
    """

    def __init__(self, client: ApiClient, node: str) -> None:
        self._client = client
        self._node = node
        self._queue: asyncio.Queue[tuple[dict[str, Any], EventType, str, str]] = asyncio.Queue(2048)
        self._known: OrderedDict[tuple[str, ...], _Known] = OrderedDict()
        self._budget: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def pod(self, pod: Pod, kind: EventType, reason: str, message: str, container: str = "") -> None:
        """Record an Event about a Pod or one of its containers.

        Args:
            pod: the Pod.
            kind: `Normal` or `Warning`.
            reason: one word.
            message: a sentence.
            container: field path of the container, such as `spec.containers{web}`, or empty.
        """
        metadata = pod["metadata"]
        about = {
            "kind": "Pod",
            "apiVersion": "v1",
            "namespace": metadata["namespace"],
            "name": metadata["name"],
            "uid": metadata["uid"],
            "resourceVersion": metadata.get("resourceVersion", ""),
        }
        if container:
            about["fieldPath"] = container
        self._record(about, kind, reason, message)

    def node(self, kind: EventType, reason: str, message: str) -> None:
        """Record an Event about the Node itself; its uid is the name, as the kubelet writes it."""
        self._record(
            {"kind": "Node", "name": self._node, "uid": self._node, "apiVersion": "v1"}, kind, reason, message
        )

    def _record(self, about: dict[str, Any], kind: EventType, reason: str, message: str) -> None:
        if not self._within_budget(f"{about['kind']}/{about['uid']}"):
            return
        with contextlib.suppress(asyncio.QueueFull):
            self._queue.put_nowait((about, kind, reason, message))

    def _within_budget(self, about: str) -> bool:
        now = time.monotonic()
        tokens, since = self._budget.pop(about, (BURST, now))
        tokens = min(BURST, tokens + (now - since) / REFILL_SECONDS)
        allowed = tokens >= 1
        self._budget[about] = (tokens - allowed, now)
        if len(self._budget) > REMEMBERED:
            self._budget.popitem(last=False)
        return allowed

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
                    early = about["kind"] == "Node" and error.status == 404
                    if error.status not in (0, 429) and error.status < 500 and not early:
                        # The namespace is going, say: the kubelet drops such an Event as well.
                        log.info("event %s was refused: %s", reason, error)
                        break
                    await asyncio.sleep(min(10.0, 0.2 * 2**attempt))

    async def _send(self, about: dict[str, Any], kind: EventType, reason: str, message: str) -> None:
        namespace = about.get("namespace") or "default"
        path = f"/api/v1/namespaces/{namespace}/events"
        key = (about["uid"], about.get("fieldPath", ""), kind, reason, message)
        moment = timestamp(time.time())
        known = self._known.get(key)
        if known is not None:
            self._known.move_to_end(key)
            known.count += 1
            try:
                await self._client.patch(
                    f"{path}/{known.name}", {"count": known.count, "lastTimestamp": moment}
                )
                return
            except NotFoundError:
                # Events live for an hour; a new one starts with the count it has reached.
                log.debug("event %s has expired", known.name)
        name = f"{about['name']}.{time.time_ns():x}"
        count = known.count if known is not None else 1
        await self._client.create(
            path,
            {
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": {"name": name, "namespace": namespace},
                "involvedObject": about,
                "type": kind,
                "reason": reason,
                "message": message[:1024],
                "source": {"component": COMPONENT, "host": self._node},
                "reportingComponent": COMPONENT,
                "reportingInstance": self._node,
                "firstTimestamp": moment,
                "lastTimestamp": moment,
                "count": count,
            },
        )
        self._known[key] = _Known(name, count)
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
