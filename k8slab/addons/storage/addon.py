"""The storage provisioner: a folder on a node for each claim of its classes, gone by the reclaim policy.

It follows the protocol of the external provisioners and holds no state: killed at any moment, it finds in the
API what is to be done, and a volume's name says whether it was made already. Source of the protocol:
controller/controller.go of sig-storage-lib-external-provisioner; `storage_plan` has the decisions.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Literal

from k8slab.addons.storage import plan
from k8slab.addons.storage.disk import DiskError, NodeDisks
from k8slab.addons.storage.nodes import StorageNode, choose_node
from k8slab.addons.storage.plan import PROVISIONER
from k8slab.api_client import MERGE, ApiClient
from k8slab.api_events import EventRecorder
from k8slab.errors import ConflictError, LabError, NotFoundError
from k8slab.folders import ClusterFolder
from k8slab.work_queue import WorkQueue

log = logging.getLogger(__name__)

USER = "storage-provisioner"
FIRST_PAUSE = 15.0
LONGEST_PAUSE = 1000.0
"""Seconds until a claim or volume that failed is tried again; the pause doubles (its rate limiter)."""

CLAIMS = "/api/v1/persistentvolumeclaims"
VOLUMES = "/api/v1/persistentvolumes"
CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
NODES = "/api/v1/nodes"

Key = tuple[Literal["claim", "volume"], str]
"""A claim by uid or a volume by name."""


class UnusableNodeError(LabError):
    """A claim's node that cannot be used now; another one may do."""


class Provisioner:
    """Makes and removes the volumes of one cluster.

    Args:
        client: a client of the API server, as the provisioner's own user.
        disks: the nodes' disks.
    """

    def __init__(self, client: ApiClient, disks: NodeDisks) -> None:
        self._client = client
        self._disks = disks
        self._events = EventRecorder(client, PROVISIONER)
        self._queue: WorkQueue[Key] = WorkQueue()
        self._failures: dict[Key, int] = {}
        self._claims: dict[str, dict[str, Any]] = {}
        self._volumes: dict[str, dict[str, Any]] = {}
        self._classes: dict[str, dict[str, Any]] = {}
        self._nodes: dict[str, StorageNode] = {}

    async def run(self) -> None:
        """Provision until cancelled."""
        listed = [asyncio.Event() for _ in range(4)]
        async with asyncio.TaskGroup() as group:
            group.create_task(self._events.run())
            group.create_task(self._follow(CLASSES, self._class_changed, listed[0]))
            group.create_task(self._follow(NODES, self._node_changed, listed[1]))
            group.create_task(self._follow(VOLUMES, self._volume_changed, listed[2]))
            group.create_task(self._follow(CLAIMS, self._claim_changed, listed[3]))
            for each in listed:
                await each.wait()
            await self._queue.work(self._reconcile)

    # -- what happens outside ------------------------------------------------------------------

    async def _follow(
        self, path: str, changed: Callable[[dict[str, Any], bool], None], listed: asyncio.Event
    ) -> None:
        async for change in self._client.watch(path):
            if change.verb == "synced":
                listed.set()
            else:
                changed(change.object, change.verb == "deleted")

    def _class_changed(self, item: dict[str, Any], gone: bool) -> None:
        _keep(self._classes, item["metadata"]["name"], item, gone)
        self._again("claim")

    def _node_changed(self, item: dict[str, Any], gone: bool) -> None:
        node = StorageNode.of(item)
        before = self._nodes.get(node.name)
        _keep(self._nodes, node.name, node, gone)
        if gone or before is None or before.ready != node.ready:
            self._again("claim")
            self._again("volume")

    def _volume_changed(self, item: dict[str, Any], gone: bool) -> None:
        name = item["metadata"]["name"]
        _keep(self._volumes, name, item, gone)
        self._add(("volume", name))

    def _claim_changed(self, item: dict[str, Any], gone: bool) -> None:
        uid = item["metadata"]["uid"]
        before = self._claims.get(uid)
        _keep(self._claims, uid, item, gone)
        if before is not None and plan.selected_node(before) != plan.selected_node(item):
            self._failures.pop(("claim", uid), None)
        self._add(("claim", uid))

    def _add(self, key: Key) -> None:
        """Have something looked at, unless it failed and waits for its next turn."""
        if key not in self._failures:
            self._queue.add(key)

    def _again(self, kind: Literal["claim", "volume"]) -> None:
        """Give everything of a kind that failed another chance: its circumstances have changed."""
        for key in [each for each in self._failures if each[0] == kind]:
            del self._failures[key]
            self._queue.add(key)

    # -- the work ------------------------------------------------------------------------------

    async def _reconcile(self, key: Key) -> None:
        kind, name = key
        known: dict[str, dict[str, Any]] = self._claims if kind == "claim" else self._volumes
        item = known.get(name)
        if item is None:
            self._failures.pop(key, None)
            return
        done = await (self._reconcile_claim(item) if kind == "claim" else self._reconcile_volume(item))
        if done:
            self._failures.pop(key, None)
            return
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        self._queue.add_after(key, min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(failures - 1, 10)))

    async def _reconcile_claim(self, claim: dict[str, Any]) -> bool:
        """Make a claim's volume if it wants one; False if that failed and is to be tried again."""
        name = plan.volume_name(claim)
        if not plan.is_for_us(claim) or name in self._volumes:
            return True
        storage_class = self._classes.get(plan.class_of(claim))
        if storage_class is None:
            log.info("%s: storageClass %r not found", name, plan.class_of(claim))
            return False
        if storage_class["provisioner"] != PROVISIONER or plan.waits_for_consumer(claim, storage_class):
            return True
        if plan.is_block(claim):
            text = f"{PROVISIONER} does not support block volume provisioning"
            self._events.record(claim, "Warning", "ProvisioningFailed", text)
            return True
        return await self._provision(claim, storage_class)

    async def _provision(self, claim: dict[str, Any], storage_class: dict[str, Any]) -> bool:
        metadata = claim["metadata"]
        selected = plan.selected_node(claim)
        if selected and selected not in self._nodes and not await self._exists(selected):
            self._events.record(claim, "Warning", "ProvisioningFailed", f'nodes "{selected}" not found')
            await self._reschedule(claim)
            return True
        about = f"{metadata['namespace']}/{metadata['name']}"
        text = f'External provisioner is provisioning volume for claim "{about}"'
        self._events.record(claim, "Normal", "Provisioning", text)
        problem = plan.refusal(claim, storage_class)
        if problem:
            self._failed(claim, problem)
            return False
        try:
            node = self._usable_node(selected, storage_class)
            volume = plan.persistent_volume(claim, storage_class, node)
            await asyncio.to_thread(self._disks.make, node.name, volume["spec"]["local"]["path"])
        except (UnusableNodeError, DiskError) as error:
            self._failed(claim, str(error))
            if selected:
                # The scheduler will choose again, perhaps another node.
                await self._reschedule(claim)
            return bool(selected)
        try:
            self._volumes[volume["metadata"]["name"]] = await self._client.create(VOLUMES, volume)
        except ConflictError:
            log.info("%s was made by an earlier attempt", volume["metadata"]["name"])
            return True
        text = f"Successfully provisioned volume {volume['metadata']['name']}"
        self._events.record(claim, "Normal", "ProvisioningSucceeded", text)
        return True

    def _usable_node(self, selected: str, storage_class: dict[str, Any]) -> StorageNode:
        if not selected:
            used = [plan.node_of(each) for each in self._volumes.values() if plan.is_ours(each)]
            there = [each for each in self._nodes.values() if self._disks.has(each.name)]
            found = choose_node(there, storage_class, used)
            if found is None:
                raise UnusableNodeError("no node is ready and open for a volume of this class")
            return found
        node = self._nodes.get(selected)
        if node is None or not node.ready:
            raise UnusableNodeError(f"node {selected} is not ready: its disk cannot be reached")
        return node

    def _failed(self, claim: dict[str, Any], problem: str) -> None:
        self._events.record(claim, "Warning", "ProvisioningFailed", plan.failure(claim, problem))

    async def _exists(self, node: str) -> bool:
        try:
            self._nodes[node] = StorageNode.of(await self._client.get(f"{NODES}/{node}"))
        except NotFoundError:
            return False
        return True

    async def _reschedule(self, claim: dict[str, Any]) -> None:
        """Take the selected node from a claim, which tells the scheduler to choose again."""
        metadata = claim["metadata"]
        path = f"/api/v1/namespaces/{metadata['namespace']}/persistentvolumeclaims/{metadata['name']}"
        body = {
            "metadata": {
                "annotations": {plan.SELECTED_NODE: None},
                "resourceVersion": metadata["resourceVersion"],
            }
        }
        self._claims[metadata["uid"]] = await self._client.patch(path, body, MERGE)

    async def _reconcile_volume(self, volume: dict[str, Any]) -> bool:
        """Keep a volume's finalizer right and delete what is to go; False if that is to be tried again."""
        if not plan.is_ours(volume):
            return True
        name = volume["metadata"]["name"]
        path = f"{VOLUMES}/{name}"
        patch = plan.finalizer_patch(volume)
        if patch is not None:
            volume = self._volumes[name] = await self._client.patch(path, patch)
        if not plan.is_to_be_deleted(volume):
            return True
        try:
            await self._delete_data(volume)
        except (DiskError, UnusableNodeError) as error:
            self._events.record(volume, "Warning", "VolumeFailedDelete", str(error))
            return False
        options = {"kind": "DeleteOptions", "apiVersion": "v1"}
        uid = {"preconditions": {"uid": volume["metadata"]["uid"]}}
        await self._client.delete(path, {**options, **uid})
        if plan.FINALIZER in (volume["metadata"].get("finalizers") or []):
            await self._client.patch(path, plan.without_finalizer())
        return True

    async def _delete_data(self, volume: dict[str, Any]) -> None:
        name, hostname = volume["metadata"]["name"], plan.node_of(volume)
        node = next((each for each in self._nodes.values() if each.hostname == hostname), None)
        if node is not None and not node.ready:
            raise UnusableNodeError(
                f"node {node.name} is not ready: its disk cannot be reached, and {name} waits for it"
            )
        where = node.name if node is not None else hostname
        if not plan.is_safe(where, volume):
            raise DiskError(
                f"{name} is not a folder that {PROVISIONER} made; its data is left alone. "
                "Delete the PersistentVolume by hand once its finalizer is removed."
            )
        if node is None:
            # A node that was removed took its disk along; what may be left of it here goes as well.
            log.info("%s lay on node %s, which is gone", name, hostname)
            if not self._disks.has(where):
                return
        await asyncio.to_thread(self._disks.remove, where, volume["spec"]["local"]["path"])


def _keep(table: dict[str, Any], key: str, value: Any, gone: bool) -> None:
    if gone:
        table.pop(key, None)
    else:
        table[key] = value


async def provide_storage(folder: ClusterFolder) -> None:
    """Provision the volumes of a cluster until cancelled.

    Args:
        folder: the cluster's folder, in which the nodes' disks lie.
    """
    async with ApiClient.from_kubeconfig(folder.kubeconfig(USER), user_agent=f"k8slab-{USER}") as client:
        await Provisioner(client, NodeDisks(folder)).run()
