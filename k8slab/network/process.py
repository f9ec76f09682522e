"""The lab network of one cluster: egress, Services, DNS and forward proxies over one table that watches feed.

It plays kube-proxy and konnectivity, reads from the API server alone and writes nothing there. Each change is
applied the moment it arrives: an endpoint that starts to terminate gets no connection from then on.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol

from k8slab.api_client import Change
from k8slab.folders import ClusterFolder
from k8slab.network.acceptor import Acceptor, report_end
from k8slab.network.addresses import AddressPlan
from k8slab.network.dialler import Dialler
from k8slab.network.dns_server import DnsServer
from k8slab.network.egress import Egress
from k8slab.network.forward_proxy import ForwardProxies
from k8slab.network.listeners import ServiceListeners
from k8slab.network.names import Names
from k8slab.network.pod_table import PodTable
from k8slab.network.service_objects import Key
from k8slab.network.services import ServiceTable
from k8slab.network.switch_client import SwitchClient

log = logging.getLogger(__name__)

SERVICES = "/api/v1/services"
ENDPOINT_SLICES = "/apis/discovery.k8s.io/v1/endpointslices"
PODS = "/api/v1/pods"

SWITCH_RETRY = 0.2
"""Seconds between two looks for the switch while there is none."""


class Watcher(Protocol):
    """What the network needs of the API server; `ApiClient` is one."""

    def watch(self, path: str) -> AsyncIterator[Change]:
        """List a collection and follow it for ever."""


def raise_descriptor_limit() -> int:
    """Allow as many open files as the host permits (two per connection); returns how many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


class LabNetwork:
    """Everything the network process serves.

    Args:
        folder: the cluster's files; its settings say which addresses and which level of isolation.
        api: where Services, EndpointSlices and Pods are watched.
    """

    def __init__(self, folder: ClusterFolder, api: Watcher) -> None:
        settings = folder.settings()
        self.folder = folder
        self.api = api
        self.plan = AddressPlan(settings.octet, settings.port_offset)
        self.sandboxed = settings.isolation == "sandboxed"
        self.table = ServiceTable()
        self.pods = PodTable(self.plan)
        self.names = Names(self.plan, self.table)
        self._told: set[str] = set()

    async def run(self) -> None:
        """Serve until cancelled; then every listener and every connection is closed."""
        async with SwitchClient(self.folder.switch_socket) as switch, Acceptor() as acceptor:
            dialler = Dialler(self.plan, self.table, switch if self.sandboxed else None)
            egress = Egress(self.folder.egress_socket, dialler, acceptor)
            async with (
                ServiceListeners(dialler, acceptor) as listeners,
                ForwardProxies(dialler, self.names, self.pods, acceptor) as proxies,
                asyncio.TaskGroup() as tasks,
            ):
                # The API server needs it first, and it needs nobody.
                tasks.create_task(egress.serve())
                tasks.create_task(self._say_ready(egress))
                tasks.create_task(self._follow_services(listeners))
                tasks.create_task(self._follow_slices(listeners))
                if self.sandboxed:
                    dns = DnsServer(self.names, self.plan.dns_service, switch, acceptor)
                    tasks.create_task(self._follow_switch(listeners, dns))
                else:
                    tasks.create_task(self._follow_pods(proxies))

    async def _say_ready(self, egress: Egress) -> None:
        await egress.listening.wait()
        print("ready", flush=True)

    async def _follow_services(self, listeners: ServiceListeners) -> None:
        async for change in self.api.watch(SERVICES):
            self._apply(change, self.table.put_service, self.table.drop_service)
            if change.verb in ("added", "modified"):
                self._tell_unserved(change.object)
            listeners.want(self.table.fronts())

    async def _follow_slices(self, listeners: ServiceListeners) -> None:
        async for change in self.api.watch(ENDPOINT_SLICES):
            self._apply(change, self.table.put_slice, self.table.drop_slice)
            listeners.want(self.table.fronts())

    async def _follow_pods(self, proxies: ForwardProxies) -> None:
        proxies.follow()
        async for change in self.api.watch(PODS):
            self._apply(change, self.pods.put, self.pods.drop)
            proxies.follow()

    def _apply(
        self, change: Change, put: Callable[[dict[str, Any]], None], drop: Callable[[dict[str, Any]], None]
    ) -> None:
        if change.verb == "synced":
            return
        (drop if change.verb == "deleted" else put)(change.object)

    def _tell_unserved(self, item: dict[str, Any]) -> None:
        """Say once what a Service asks for and does not get here: nothing is left out silently."""
        key = Key(item["metadata"]["namespace"], item["metadata"]["name"])
        wishes = [f"port {port.port}/{port.protocol}" for port in self.table.unserved(key)]
        spec = item.get("spec") or {}
        if spec.get("type") in ("NodePort", "LoadBalancer"):
            wishes.append(f"type {spec['type']} beyond its ClusterIP")
        for wish in wishes:
            text = f"Service {key.namespace}/{key.name}: {wish} is not served by the lab network"
            if text not in self._told:
                self._told.add(text)
                log.warning("%s", text)

    async def _follow_switch(self, listeners: ServiceListeners, dns: DnsServer) -> None:
        """Serve DNS beside the switch, and move everything to the new one when the switch is restarted.

        A socket keeps its old namespace alive, and so would go on listening where no Pod is any more.
        """
        while True:
            line = await self._switch_line()
            serving = asyncio.create_task(dns.serve(), name="cluster DNS")
            serving.add_done_callback(report_end)
            try:
                with line:
                    # The switch sends nothing unasked: whatever ends this is its end.
                    await asyncio.get_running_loop().sock_recv(line, 1)
            except ConnectionError as error:
                log.debug("the connection to the switch broke: %s", error)
            finally:
                serving.cancel()
                await asyncio.gather(serving, return_exceptions=True)
            log.warning("the switch has ended; its listeners are opened again when it is back")
            listeners.reopen_among_pods()

    async def _switch_line(self) -> socket.socket:
        loop = asyncio.get_running_loop()
        while True:
            line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            line.setblocking(False)
            try:
                await loop.sock_connect(line, str(self.folder.switch_socket))
            except (FileNotFoundError, ConnectionError):
                # It starts beside us; until then there is no Pod that could miss it.
                line.close()
                await asyncio.sleep(SWITCH_RETRY)
            except BaseException:
                line.close()
                raise
            else:
                return line
