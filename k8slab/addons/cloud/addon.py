"""The kit plays the cloud: every Service of type LoadBalancer gets an address of the cluster's own range.

What a cloud-controller-manager's service controller does, with its finalizer and its Events
(k8s.io/cloud-provider v0.36 controllers/service/controller.go). The network process listens on the addresses;
here they are given out, and stand in `services/status`, which is also where they are remembered.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from k8slab.addons.cloud import services as cloud_services
from k8slab.addons.cloud.addresses import AddressBook, NoAddressError
from k8slab.api_client import ApiClient
from k8slab.api_events import EventRecorder
from k8slab.errors import ApiError
from k8slab.folders import ClusterFolder
from k8slab.network.addresses import AddressPlan
from k8slab.work_queue import WorkQueue

log = logging.getLogger(__name__)

USER = "cloud-controller"
COMPONENT = "service-controller"
"""How the real one signs its Events."""

SERVICES = "/api/v1/services"


async def run(folder: ClusterFolder) -> None:
    """Give out LoadBalancer addresses until cancelled.

    Args:
        folder: the cluster's files.
    """
    settings = folder.settings()
    plan = AddressPlan(settings.octet, settings.port_offset)
    async with ApiClient.from_kubeconfig(folder.kubeconfig(USER), "k8slab-cloud-controller") as client:
        await CloudController(client, plan).run()


class CloudController:
    """Keeps the status of Services of type LoadBalancer as the address book says.

    Args:
        client: the API server, as the user `cloud-controller`.
        plan: the cluster's addresses.
    """

    def __init__(self, client: ApiClient, plan: AddressPlan) -> None:
        self._client = client
        self._book = AddressBook(plan.load_balancers, kept=frozenset({plan.ingress}))
        self._events = EventRecorder(client, COMPONENT)
        self._queue: WorkQueue[str] = WorkQueue()
        self._services: dict[str, dict[str, Any]] = {}
        self._ensured: dict[str, str] = {}
        """What each Service's load balancer was last set up for."""
        self._refused: set[str] = set()
        """Services that wait for an address that somebody else holds."""

    async def run(self) -> None:
        """Follow the Services for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._events.run())
            tasks.create_task(self._follow())
            tasks.create_task(self._queue.work(self._reconcile))

    async def _follow(self) -> None:
        complete = False
        async for change in self._client.watch(SERVICES):
            if change.verb == "synced":
                if not complete:
                    self._remember()
                    complete = True
                continue
            uid = change.object["metadata"]["uid"]
            if change.verb == "deleted":
                self._services.pop(uid, None)
                self._free(uid)
                continue
            self._services[uid] = change.object
            # Before the list is whole, a new Service might be given what another one holds.
            if complete:
                self._queue.add(uid)

    def _remember(self) -> None:
        """Take over what stands in the status of Services, the oldest first."""
        by_age = sorted(self._services.items(), key=lambda each: each[1]["metadata"]["creationTimestamp"])
        for uid, service in by_age:
            if cloud_services.wants_load_balancer(service):
                for standing in cloud_services.addresses_of(service)[:1]:
                    self._book.restore(uid, str(standing.get("ip") or ""))
            self._queue.add(uid)

    def _free(self, uid: str) -> None:
        """Take an address back, and see whether somebody waited for it."""
        self._ensured.pop(uid, None)
        self._refused.discard(uid)
        if self._book.release(uid):
            self._retry_refused()

    def _retry_refused(self) -> None:
        for uid in self._refused:
            self._queue.add(uid)

    async def _reconcile(self, uid: str) -> None:
        service = self._services.get(uid)
        if service is None:
            return
        if cloud_services.wants_load_balancer(service):
            await self._ensure(uid, service)
        elif cloud_services.needs_cleanup(service) or self._book.held(uid):
            await self._delete(uid, service)

    async def _ensure(self, uid: str, service: dict[str, Any]) -> None:
        request = cloud_services.request_of(service)
        anew = self._ensured.get(uid) != request or uid in self._refused
        if anew:
            self._events.record(service, "Normal", "EnsuringLoadBalancer", "Ensuring load balancer")
        held = self._book.held(uid)
        try:
            address = self._book.allot(uid, str(service["spec"].get("loadBalancerIP") or ""))
        except NoAddressError as error:
            if anew:
                self._failed(service, f"failed to ensure load balancer: {error}")
            self._ensured[uid] = request
            self._refused.add(uid)
            return
        self._refused.discard(uid)
        if held not in ("", address):
            self._retry_refused()
        standing = cloud_services.addresses_of(service) == [cloud_services.entry(address)]
        if not standing or not cloud_services.has_finalizer(service):
            path = cloud_services.status_path(service)
            try:
                await self._client.patch(path, cloud_services.ensured(service, address))
            except ApiError as error:
                if error.status != 404:
                    self._failed(service, f"failed to update load balancer status: {error}")
                raise
            log.info("%s: %s", path, address)
        if anew:
            self._events.record(service, "Normal", "EnsuredLoadBalancer", "Ensured load balancer")
        self._ensured[uid] = request

    def _failed(self, service: dict[str, Any], problem: str) -> None:
        text = f"Error syncing load balancer: {problem}"
        self._events.record(service, "Warning", "SyncLoadBalancerFailed", text)

    async def _delete(self, uid: str, service: dict[str, Any]) -> None:
        self._events.record(service, "Normal", "DeletingLoadBalancer", "Deleting load balancer")
        self._free(uid)
        await self._client.patch(cloud_services.status_path(service), cloud_services.released(service))
        self._events.record(service, "Normal", "DeletedLoadBalancer", "Deleted load balancer")
