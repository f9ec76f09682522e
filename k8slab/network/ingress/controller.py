"""The ingress controller: follows Ingresses, their classes and their Secrets, and answers for them.

It plays a controller such as ingress-nginx, with a user of its own. It writes the address into the status of
the Ingresses that are of its class, and takes back what it wrote from those that no longer are.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from k8slab.api_client import MERGE, ApiClient
from k8slab.api_events import EventRecorder
from k8slab.network.acceptor import Acceptor
from k8slab.network.dialler import Dialler
from k8slab.network.ingress.backends import IngressBackends
from k8slab.network.ingress.certificates import Certificates
from k8slab.network.ingress.listeners import HTTP, HTTPS, IngressListeners
from k8slab.network.ingress.objects import CONTROLLER, Backend, Ingress, Owner, oddities
from k8slab.network.ingress.proxy import IngressProxy
from k8slab.network.ingress.routes import Routes
from k8slab.network.ingress.table import IngressTable, missing_services
from k8slab.work_queue import WorkQueue

log = logging.getLogger(__name__)

USER = "ingress-controller"

NETWORKING = "/apis/networking.k8s.io/v1"
INGRESSES = f"{NETWORKING}/ingresses"
INGRESS_CLASSES = f"{NETWORKING}/ingressclasses"
SECRETS = "/api/v1/secrets"
TLS_SECRETS = "type=kubernetes.io/tls"
"""Field selector: no other Secret is read."""

PATIENCE_SECONDS = 1.5
"""How long after an Ingress its Services and Secrets may come: a manifest often holds them all."""


class IngressController:
    """Answers for the Ingresses of class `k8slab` on one address.

    Args:
        client: the API server, as the user `ingress-controller`.
        dialler: opens connections to endpoints; its table says which are ready.
        acceptor: owns the connections of clients; close it after the controller.
    """

    def __init__(self, client: ApiClient, dialler: Dialler, acceptor: Acceptor) -> None:
        self._client = client
        self._plan = dialler.plan
        self._services = dialler.table
        self._events = EventRecorder(client, USER)
        self._table = IngressTable()
        self._routes = Routes()
        self._certificates = Certificates()
        self._statuses: WorkQueue[Owner] = WorkQueue()
        self._told: dict[str, dict[str, list[tuple[str, str]]]] = {}
        """What was said of each Ingress (by uid) and still holds, by subject, so that it is said once."""
        self._seen: dict[str, int] = {}
        """The generation up to which each Ingress (by uid) was taken in."""
        self._to_look_over: set[Owner] = set()
        self._changed = asyncio.Event()
        self._synced: set[str] = set()
        backends = IngressBackends(dialler)
        proxy = IngressProxy(lambda host, path: self._routes.match(host, path), backends, self._missed)
        self.listeners = IngressListeners(
            self._plan, dialler.pod_side, acceptor, proxy, lambda: self._certificates.front
        )

    async def run(self) -> None:
        """Answer for Ingresses until cancelled."""
        table = self._table
        async with self.listeners, asyncio.TaskGroup() as tasks:
            tasks.create_task(self._events.run())
            tasks.create_task(self._statuses.work(self._write_status))
            tasks.create_task(self._rebuild())
            tasks.create_task(self._follow(INGRESS_CLASSES, "", self._put_class, table.drop_class))
            tasks.create_task(self._follow(SECRETS, TLS_SECRETS, table.put_secret, table.drop_secret))
            tasks.create_task(self._follow(INGRESSES, "", table.put_ingress, table.drop_ingress))

    async def _follow(
        self, path: str, selector: str, put: Callable[[Any], None], drop: Callable[[Any], None]
    ) -> None:
        async for change in self._client.watch(path, field_selector=selector):
            if change.verb == "synced":
                self._synced.add(path)
            elif change.verb == "deleted":
                drop(change.object)
                uid = change.object["metadata"]["uid"]
                self._seen.pop(uid, None)
                self._told.pop(uid, None)
            else:
                put(change.object)
            self._changed.set()

    def _put_class(self, item: dict[str, Any]) -> None:
        self._table.put_class(item)
        spec = item.get("spec") or {}
        if spec.get("controller") == CONTROLLER and spec.get("parameters"):
            self._events.record(item, "Warning", "ParametersIgnored", "spec.parameters have no effect here")

    async def _rebuild(self) -> None:
        """Make the routes anew after each change; changes that come together are one."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            if len(self._synced) < 3:
                # Without its class an Ingress would look like another controller's.
                continue
            ours = self._table.ours()
            self._routes = self._table.routes()
            self._certificates = Certificates(ours, self._table.secrets)
            ports = (HTTP, HTTPS) if self._certificates.front is not None else (HTTP,)
            self.listeners.want(ports if ours else ())
            for owner in self._table.owners():
                self._statuses.add(owner)

    async def _write_status(self, owner: Owner) -> None:
        """Bring an Ingress's status in order, and say by Events what is to be said about it."""
        ingress = self._table.ingress(owner)
        if ingress is None:
            return
        status = (ingress.item.get("status") or {}).get("loadBalancer") or {}
        standing = status.get("ingress") or []
        address = {"ip": self._plan.ingress}
        if not self._table.is_ours(ingress):
            if standing == [address]:
                await self._patch(ingress, [])
            return
        self._introduce(ingress)
        self._look_soon(owner)
        if standing != [address]:
            await self._patch(ingress, [address])

    def _introduce(self, ingress: Ingress) -> None:
        """Say once per change of its spec that an Ingress is taken in, and what of it has no effect."""
        metadata = ingress.item["metadata"]
        uid, generation = metadata["uid"], int(metadata.get("generation") or 0)
        if self._seen.get(uid) == generation:
            return
        self._seen[uid] = generation
        # The words of ingress-nginx (internal/ingress/controller/store).
        self._events.record(ingress.item, "Normal", "Sync", "Scheduled for sync")
        self._tell(ingress, "oddities", oddities(ingress))

    def _look_soon(self, owner: Owner) -> None:
        """Have an Ingress looked over a little later, for what it names and is not there."""
        if not self._to_look_over:
            asyncio.get_running_loop().call_later(PATIENCE_SECONDS, self._look_over)
        self._to_look_over.add(owner)

    def _look_over(self) -> None:
        owners, self._to_look_over = self._to_look_over, set()
        for owner in owners:
            ingress = self._table.ingress(owner)
            if ingress is not None and self._table.is_ours(ingress):
                self._tell(ingress, "TLS", self._certificates.troubles.get(owner, []))
                self._tell(ingress, "Services", missing_services(ingress, self._services))

    def _missed(self, backend: Backend) -> None:
        """A request found nothing ready behind a backend: if its Service is gone, that is to be said."""
        self._look_soon(backend.owner)

    def _tell(self, ingress: Ingress, subject: str, warnings: list[tuple[str, str]]) -> None:
        """Record each warning once for as long as it holds."""
        told = self._told.setdefault(ingress.item["metadata"]["uid"], {})
        for reason, message in warnings:
            if (reason, message) not in told.get(subject, ()):
                self._events.record(ingress.item, "Warning", reason, message)
        told[subject] = warnings

    async def _patch(self, ingress: Ingress, addresses: list[dict[str, str]]) -> None:
        metadata = ingress.item["metadata"]
        path = f"{NETWORKING}/namespaces/{metadata['namespace']}/ingresses/{metadata['name']}/status"
        body = {"metadata": {"uid": metadata["uid"]}, "status": {"loadBalancer": {"ingress": addresses}}}
        await self._client.patch(path, body, MERGE)
        log.info("Ingress %s/%s: %s", *ingress.owner, addresses or "no address")
