"""The node's own object: registering it, keeping its status and its lease.

Source of the rules: pkg/kubelet/kubelet_node_status.go of Kubernetes 1.36 and component-helpers'
apimachinery/lease/controller.go. Other than a kubelet, this one registers again when its Node was
deleted while it ran, and repairs a status that somebody else overwrote at once.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from k8slab.api_client import ApiClient
from k8slab.errors import ApiError, ConflictError, NotFoundError
from k8slab.folders import ClusterFolder, ClusterSettings
from k8slab.network.addresses import KUBELET_PORT
from k8slab.node import node_facts
from k8slab.node.clock import clock_named
from k8slab.node.images.store import ImageStore
from k8slab.node.node_events import EventRecorder
from k8slab.node.pods.status_writer import covers

log = logging.getLogger(__name__)

REPORT_SECONDS = 300.0
"""An unchanged status is written all the same so often (`nodeStatusReportFrequency`)."""

FIRST_RETRY = 0.05
LONGEST_RETRY = 2.0
PLAYED_BY = "k8slab.dev/played-by"


class AgentNode:
    """Keeps one Node object true.

    Args:
        client: a client of the API server, as this node.
        folder: the cluster's folder.
        settings: the cluster's settings.
        name: the node's name.
        address: its address.
        problems: tells why the node is not ready; empty if it is.
        events: records Events.
        images: the images that the node has; None for a node without a container runtime of its own.
    """

    def __init__(
        self,
        client: ApiClient,
        folder: ClusterFolder,
        settings: ClusterSettings,
        name: str,
        address: str,
        problems: Callable[[], Sequence[str]],
        events: EventRecorder,
        images: ImageStore | None = None,
    ) -> None:
        self.name = name
        self.node: dict[str, Any] = {}
        self.registered = asyncio.Event()
        self._client = client
        self._folder = folder
        self._address = address
        self._problems = problems
        self._events = events
        self._images = images
        if images is not None:
            images.changed = self.refresh
        host = node_facts.HostResources.measured(folder.path)
        # The number of nodes at the start counts: a machine does not shrink when another is added.
        self._capacity = node_facts.capacity(host, max(1, len(settings.nodes)))
        self.allocatable = node_facts.allocatable(self._capacity)
        boot = node_facts.boot_id(folder.node(name))
        self._info = node_facts.node_info(settings.kubernetes, settings.uuid, name, boot)
        self._clock = clock_named(settings.clock)
        self._wake = asyncio.Event()
        self._reported = 0.0
        self._path = f"/api/v1/nodes/{name}"

    def refresh(self) -> None:
        """Have the status compared and written now."""
        self._wake.set()

    # -- the object ----------------------------------------------------------------------------

    def _labels(self) -> dict[str, str]:
        architecture = self._info["architecture"]
        return {
            "kubernetes.io/hostname": self.name,
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": architecture,
            "beta.kubernetes.io/os": "linux",
            "beta.kubernetes.io/arch": architecture,
            **node_facts.zone_labels(self.name),
        }

    def _status(self, old: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        conditions = node_facts.node_conditions(
            self._problems(),
            node_facts.free_memory() < node_facts.LEAST_FREE,
            shutil.disk_usage(self._folder.path).free < node_facts.LEAST_FREE,
            old,
            time.time(),
            node_facts.free_pids() < node_facts.LEAST_PIDS,
        )
        return {
            "addresses": [
                {"type": "InternalIP", "address": self._address},
                {"type": "Hostname", "address": self.name},
            ],
            "capacity": self._capacity,
            "allocatable": self.allocatable,
            "conditions": conditions,
            "daemonEndpoints": {"kubeletEndpoint": {"Port": KUBELET_PORT}},
            "declaredFeatures": list(node_facts.DECLARED_FEATURES),
            "images": list(self._images.status()) if self._images is not None else [],
            "nodeInfo": self._info,
        }

    async def register(self) -> None:
        """Create the Node, or take up the one that is there; retried until it succeeded."""
        delay, since = FIRST_RETRY, time.monotonic()
        while True:
            try:
                await self._register_once()
                break
            except ApiError as error:
                # A server that is starting is asked often; it costs next to nothing.
                eager = error.status in (0, 403, 503) and time.monotonic() - since < 20
                delay = FIRST_RETRY if eager else min(LONGEST_RETRY, delay * 2)
                if not eager:
                    log.warning("registering the node: %s", error)
                await asyncio.sleep(delay)
        self._reported = time.monotonic()
        self.registered.set()
        log.info("registered as node %s", self.name)

    async def _register_once(self) -> None:
        metadata = {"name": self.name, "labels": self._labels(), "annotations": self._annotations()}
        body = {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "status": self._status([])}
        try:
            self.node = await self._client.create("/api/v1/nodes", body)
            self._tell_changes([], self.node["status"]["conditions"])
        except ConflictError:
            found = await self._client.get(self._path)
            self._tell_reboot(found)
            patch = {"metadata": {"labels": self._labels(), "annotations": self._annotations()}}
            if not covers(found, patch):
                found = await self._client.patch(self._path, patch)
            self.node = await self._write_status(found)

    def _annotations(self) -> dict[str, str]:
        return {
            PLAYED_BY: "k8slab",
            # A kubelet that leaves attaching volumes to the controller-manager says so.
            "volumes.kubernetes.io/controller-managed-attach-detach": "true",
        }

    # -- status --------------------------------------------------------------------------------

    async def keep_status(self) -> None:
        """Compare the Node's status with what is true at every heartbeat, and when asked; for ever."""
        while True:
            try:
                async with asyncio.timeout(self._clock.heartbeat):
                    await self._wake.wait()
            except TimeoutError:
                log.debug("time to compare the status")
            self._wake.clear()
            try:
                await self._compare()
            except ApiError as error:
                log.warning("status of the node: %s", error)
                await asyncio.sleep(FIRST_RETRY)
                self._wake.set()

    async def _compare(self) -> None:
        current = self.node or await self._client.get(self._path)
        wanted = self._status(current.get("status", {}).get("conditions") or [])
        due = time.monotonic() - self._reported >= REPORT_SECONDS
        if not due and covers(current.get("status"), _without_heartbeats(wanted)):
            return
        try:
            self.node = await self._write_status(current)
            self._reported = time.monotonic()
        except NotFoundError:
            await self.register()

    async def _write_status(self, current: dict[str, Any]) -> dict[str, Any]:
        before = current.get("status", {}).get("conditions") or []
        status = self._status(before)
        stored = await self._client.patch(f"{self._path}/status", {"status": status})
        self._tell_changes(before, status["conditions"])
        return stored

    def _tell_changes(self, before: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]]) -> None:
        was = {each["type"]: each["status"] for each in before}
        for condition in now:
            kind, status = condition["type"], condition["status"]
            # A kubelet that starts unready does not say so (nodestatus/setters.go, ReadyCondition).
            if was.get(kind) != status and (kind in was or kind != "Ready" or status == "True"):
                self._tell(_TOLD[kind, status])

    def _tell_reboot(self, found: Mapping[str, Any]) -> None:
        before, now = found.get("status", {}).get("nodeInfo", {}).get("bootID"), self._info["bootID"]
        if before and before != now:
            self._events.node("Warning", "Rebooted", f"Node {self.name} has been rebooted, boot id: {now}")

    def _tell(self, state: str) -> None:
        self._events.node("Normal", state, f"Node {self.name} status is now: {state}")

    async def follow(self, changed: Callable[[dict[str, Any]], None]) -> None:
        """Watch the Node itself: its Pod range, its deletion, what others write to its status.

        Args:
            changed: called with each new state of the Node.
        """
        async for change in self._client.watch("/api/v1/nodes", field_selector=f"metadata.name={self.name}"):
            if change.verb == "deleted":
                log.warning("the node was deleted; registering it again")
                await self.register()
            elif change.verb in ("added", "modified"):
                before, after = (
                    bool(each["spec"].get("unschedulable")) for each in (self.node, change.object)
                )
                if before != after:
                    self._tell("NodeNotSchedulable" if after else "NodeSchedulable")
                self.node = change.object
                changed(change.object)
                wanted = self._status(change.object.get("status", {}).get("conditions") or [])
                if not covers(change.object.get("status"), _without_heartbeats(wanted)):
                    self.refresh()

    # -- lease ---------------------------------------------------------------------------------

    async def keep_lease(self) -> None:
        """Renew the node's lease at every heartbeat, for ever."""
        path = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
        lease: dict[str, Any] | None = None
        delay = FIRST_RETRY
        while True:
            try:
                lease = await self._renew(path, lease)
                delay = FIRST_RETRY
                await asyncio.sleep(self._clock.heartbeat)
            except ApiError as error:
                lease = None
                log.debug("lease: %s", error)
                await asyncio.sleep(delay)
                delay = min(LONGEST_RETRY, delay * 2)

    async def _renew(self, path: str, lease: dict[str, Any] | None) -> dict[str, Any]:
        spec = {
            "holderIdentity": self.name,
            "leaseDurationSeconds": self._clock.lease,
            "renewTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        }
        if lease is None:
            try:
                lease = await self._client.get(f"{path}/{self.name}")
            except NotFoundError:
                metadata: dict[str, Any] = {"name": self.name, "namespace": "kube-node-lease"}
                metadata["ownerReferences"] = self._owner()
                body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata}
                return await self._client.create(path, {**body, "spec": spec})
        owned = {**lease["metadata"], "ownerReferences": self._owner()}
        return await self._client.replace(f"{path}/{self.name}", {**lease, "metadata": owned, "spec": spec})

    def _owner(self) -> list[dict[str, Any]]:
        uid = self.node.get("metadata", {}).get("uid")
        return [{"apiVersion": "v1", "kind": "Node", "name": self.name, "uid": uid}] if uid else []


_TOLD = {
    ("MemoryPressure", "True"): "NodeHasInsufficientMemory",
    ("MemoryPressure", "False"): "NodeHasSufficientMemory",
    ("DiskPressure", "True"): "NodeHasDiskPressure",
    ("DiskPressure", "False"): "NodeHasNoDiskPressure",
    ("PIDPressure", "True"): "NodeHasInsufficientPID",
    ("PIDPressure", "False"): "NodeHasSufficientPID",
    ("Ready", "True"): "NodeReady",
    ("Ready", "False"): "NodeNotReady",
}
"""Reasons of the events about conditions: pkg/kubelet/nodestatus/setters.go."""


def _without_heartbeats(status: dict[str, Any]) -> dict[str, Any]:
    """A status without the moments that change at each look."""
    keep = ("type", "status", "reason", "message")
    conditions = [{key: each[key] for key in keep} for each in status["conditions"]]
    return {**status, "conditions": conditions}
