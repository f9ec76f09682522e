"""The Pods of simulated nodes: taken up, made Ready, completed and let go, by a handful of writers.

However many Pods there are, there is one watch, one queue, and a fixed number of connections: no task, file
or timer belongs to a single Pod.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

from k8slab.api_client import STRATEGIC_MERGE, ApiClient
from k8slab.errors import ApiError, ClusterStateError, ConflictError, NotFoundError
from k8slab.node.node_events import EventRecorder
from k8slab.node.pods import pod_spec
from k8slab.node.pods.pod_addresses import PodAddresses
from k8slab.node.pods.pod_spec import Pod
from k8slab.node.simulated.status import MARK, completes, pod_status

log = logging.getLogger(__name__)

WRITERS = 8
JOB_SECONDS = 1.0
"""How long a Job's Pod takes to complete."""

RETRY_SECONDS = 1.0
METADATA_ONLY = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
"""The answer to a write is not looked at; this is its shortest form."""

NOT_HERE = (
    "This node is simulated and runs no Pods but those of namespaces labelled k8slab.dev/simulated=true; "
    "remove the toleration or the nodeName."
)


class SimulatedPods:
    """Plays the Pods that are bound to simulated nodes.

    Args:
        client: a client of the API server.
        hosts: address of each simulated node by its name.
        events: records Events.
    """

    def __init__(self, client: ApiClient, hosts: Mapping[str, str], events: EventRecorder) -> None:
        self.pods: dict[str, Pod] = {}
        self._client = client
        self._hosts = hosts
        self.events = events
        self._ranges: dict[str, PodAddresses] = {}
        self._waiting: dict[str, set[str]] = {}
        self._namespaces: dict[str, bool] = {}
        self._namespaces_known = asyncio.Event()
        self._queue: deque[str] = deque()
        self._queued: set[str] = set()
        self._work = asyncio.Condition()
        self._due: list[tuple[float, str, bool]] = []
        self._done: set[str] = set()

    async def run(self) -> None:
        """Play until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow_namespaces())
            group.create_task(self._follow_pods())
            group.create_task(self._keep_time())
            for _ in range(WRITERS):
                group.create_task(self._write())

    async def node_has_range(self, name: str, podcidr: str) -> None:
        """Learn from which range a node's Pods take their addresses."""
        if name in self._ranges and self._ranges[name].podcidr == podcidr:
            return
        addresses = self._ranges[name] = PodAddresses(podcidr)
        for uid, pod in self.pods.items():
            if pod["spec"]["nodeName"] == name and (pod.get("status") or {}).get("podIP"):
                addresses.adopt(uid, pod["status"]["podIP"])
        for uid in self._waiting.pop(name, set()):
            await self._put(uid)

    # -- watching ------------------------------------------------------------------------------

    async def _follow_namespaces(self) -> None:
        async for change in self._client.watch("/api/v1/namespaces"):
            if change.verb == "synced":
                self._namespaces_known.set()
            elif change.verb != "deleted":
                metadata = change.object["metadata"]
                self._namespaces[metadata["name"]] = (metadata.get("labels") or {}).get(MARK) == "true"

    async def _follow_pods(self) -> None:
        await self._namespaces_known.wait()
        async for change in self._client.watch("/api/v1/pods"):
            if change.verb == "synced":
                continue
            pod = change.object
            node, uid = pod["spec"].get("nodeName", ""), pod["metadata"]["uid"]
            if node not in self._hosts:
                continue
            if change.verb == "deleted":
                self._forget(uid, node)
                continue
            known = uid in self.pods
            self.pods[uid] = _slim(pod)
            addresses = self._ranges.get(node)
            address = (pod.get("status") or {}).get("podIP")
            if not known and addresses is not None and address:
                addresses.adopt(uid, address)
            if self._wants_work(uid, self.pods[uid]):
                await self._put(uid)

    def _forget(self, uid: str, node: str) -> None:
        self.pods.pop(uid, None)
        self._done.discard(uid)
        if node in self._ranges:
            self._ranges[node].give_back(uid)

    def _wants_work(self, uid: str, pod: Pod) -> bool:
        if pod_spec.is_deleted(pod):
            return True
        status = pod.get("status") or {}
        if pod_spec.is_terminal(status.get("phase")):
            return False
        generation = pod["metadata"].get("generation", 0)
        ready = any(each["type"] == "Ready" and each["status"] == "True" for each in status["conditions"])
        return not ready or status.get("observedGeneration", 0) != generation or uid in self._done

    # -- writing -------------------------------------------------------------------------------

    async def _put(self, uid: str) -> None:
        if uid in self._queued:
            return
        self._queued.add(uid)
        self._queue.append(uid)
        async with self._work:
            self._work.notify()

    async def _keep_time(self) -> None:
        """Put Pods into the queue whose moment has come."""
        while True:
            now = time.monotonic()
            while self._due and self._due[0][0] <= now:
                _, uid, completed = heapq.heappop(self._due)
                if completed and uid in self.pods:
                    self._done.add(uid)
                await self._put(uid)
            await asyncio.sleep(0.2)

    async def _write(self) -> None:
        while True:
            async with self._work:
                await self._work.wait_for(lambda: self._queue)
            uid = self._queue.popleft()
            self._queued.discard(uid)
            pod = self.pods.get(uid)
            if pod is None:
                continue
            try:
                await self._bring_on(uid, pod)
            except (NotFoundError, ConflictError) as error:
                log.debug("%s is gone: %s", pod_spec.name_of(pod), error)
            except ApiError as error:
                log.warning("%s: %s", pod_spec.name_of(pod), error)
                heapq.heappush(self._due, (time.monotonic() + RETRY_SECONDS, uid, False))

    async def _bring_on(self, uid: str, pod: Pod) -> None:
        metadata, node = pod["metadata"], pod["spec"]["nodeName"]
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
        if pod_spec.is_deleted(pod):
            options = {"gracePeriodSeconds": 0, "preconditions": {"uid": uid}}
            await self._send("DELETE", path, {"kind": "DeleteOptions", "apiVersion": "v1", **options})
            return
        if not self._namespaces.get(metadata["namespace"], False):
            self.events.pod(pod, "Warning", "FailedCreatePodSandBox", NOT_HERE)
            return
        addresses = self._ranges.get(node)
        if addresses is None:
            self._waiting.setdefault(node, set()).add(uid)
            return
        try:
            address = (pod.get("status") or {}).get("podIP") or addresses.take(uid)
        except ClusterStateError as error:
            self.events.pod(pod, "Warning", "FailedCreatePodSandBox", str(error))
            return
        done = uid in self._done
        status = pod_status(pod, address, self._hosts[node], time.time(), done=done)
        await self._send("PATCH", f"{path}/status", {"metadata": {"uid": uid}, "status": status})
        if completes(pod) and not done:
            heapq.heappush(self._due, (time.monotonic() + JOB_SECONDS, uid, True))

    async def _send(self, method: str, path: str, body: dict[str, Any]) -> None:
        content = STRATEGIC_MERGE if method == "PATCH" else "application/json"
        await self._client.request(method, path, {}, body, content, accept=METADATA_ONLY)


def _slim(pod: Pod) -> Pod:
    """What is needed of a Pod, of which there are thousands."""
    metadata, spec, status = pod["metadata"], pod["spec"], pod.get("status") or {}
    keys = ("name", "namespace", "uid", "generation", "deletionTimestamp", "ownerReferences")
    containers = {
        kind: [
            {key: each[key] for key in ("name", "image", "restartPolicy") if key in each}
            for each in spec[kind]
        ]
        for kind in ("containers", "initContainers")
        if spec.get(kind)
    }
    conditions = [
        {key: each[key] for key in ("type", "status", "lastTransitionTime") if key in each}
        for each in status.get("conditions") or []
    ]
    kept = {
        key: status[key] for key in ("phase", "podIP", "startTime", "observedGeneration") if key in status
    }
    gates = {"readinessGates": spec["readinessGates"]} if spec.get("readinessGates") else {}
    return {
        "metadata": {key: metadata[key] for key in keys if key in metadata},
        "spec": {"nodeName": spec["nodeName"], **containers, **gates},
        "status": {**kept, "conditions": conditions},
    }
