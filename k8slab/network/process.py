"""The lab network of one cluster: egress, Services, DNS and forward proxies over one table that watches feed.

It plays kube-proxy, CoreDNS and konnectivity, learns from the API server alone and writes nothing there but
Events. Each change is applied the moment it arrives: an endpoint that starts to terminate gets no connection
from then on.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol

from k8slab.api_client import ApiClient, Change
from k8slab.folders import ClusterFolder
from k8slab.network.acceptor import Acceptor
from k8slab.network.addresses import API_SERVER_PORT, KUBELET_PORT, AddressPlan
from k8slab.network.dialler import Dialler
from k8slab.network.dns.names import Names
from k8slab.network.dns.server import DnsServer
from k8slab.network.egress import Egress
from k8slab.network.forward_proxy import ForwardProxies
from k8slab.network.ingress.controller import IngressController
from k8slab.network.pod_table import PodTable
from k8slab.network.services.endpoint_slices import SERVICE_NAME_LABEL
from k8slab.network.services.listeners import ServiceListeners
from k8slab.network.services.notices import Recorder, ServiceNotices
from k8slab.network.services.objects import Key
from k8slab.network.services.table import Front, ServiceTable
from k8slab.network.switch_client import SwitchClient

log = logging.getLogger(__name__)

SERVICES = "/api/v1/services"
ENDPOINT_SLICES = "/apis/discovery.k8s.io/v1/endpointslices"
PODS = "/api/v1/pods"
NODES = "/api/v1/nodes"
NAMESPACES = "/api/v1/namespaces"

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
        api: where Services, EndpointSlices, Nodes, namespaces and Pods are watched.
        ingress_api: the API server as the user `ingress-controller`; without it no Ingress is answered for.
        events: where it is said what is not served, beside the log.
    """

    def __init__(
        self,
        folder: ClusterFolder,
        api: Watcher,
        ingress_api: ApiClient | None = None,
        *,
        events: Recorder | None = None,
    ) -> None:
        settings = folder.settings()
        self.folder = folder
        self.api = api
        self.ingress_api = ingress_api
        self.plan = AddressPlan(settings.octet, settings.port_offset)
        self.sandboxed = settings.isolation == "sandboxed"
        self.table = ServiceTable(self.plan)
        self.pods = PodTable(self.plan)
        self.names = Names(self.plan, self.table)
        self.notices = ServiceNotices(events)

    async def run(self) -> None:
        """Serve until cancelled; then every listener and every connection is closed."""
        async with SwitchClient(self.folder.switch_socket) as switch, Acceptor() as acceptor:
            dialler = Dialler(self.plan, self.table, switch if self.sandboxed else None)
            egress = Egress(self.folder.egress_socket, dialler, acceptor)
            dns = DnsServer(self.names, acceptor)
            async with (
                ServiceListeners(dialler, acceptor, {dns.endpoint: dns.answer}) as listeners,
                ForwardProxies(dialler, self.names, self.pods, acceptor) as proxies,
                asyncio.TaskGroup() as tasks,
            ):
                # The API server needs it first, and it needs nobody.
                tasks.create_task(egress.serve())
                tasks.create_task(self._say_ready(egress))
                tasks.create_task(dns.serve())
                tasks.create_task(self._follow_services(listeners))
                tasks.create_task(self._follow_slices(listeners))
                tasks.create_task(self._follow_nodes(listeners, proxies))
                tasks.create_task(self._follow_namespaces())
                reopen = [listeners.reopen_among_pods]
                if self.ingress_api is not None:
                    ingress = IngressController(self.ingress_api, dialler, acceptor)
                    tasks.create_task(ingress.run())
                    reopen.append(ingress.listeners.reopen_among_pods)
                if self.sandboxed:
                    tasks.create_task(self._follow_switch(reopen))
                else:
                    tasks.create_task(self._follow_pods(proxies))

    async def _say_ready(self, egress: Egress) -> None:
        await egress.listening.wait()
        print("ready", flush=True)

    async def _follow_services(self, listeners: ServiceListeners) -> None:
        async for change in self.api.watch(SERVICES):
            if change.verb in ("added", "modified"):
                self.notices.know(change.object)
            elif change.verb == "deleted":
                self.notices.forget(change.object)
            self._apply(change, self.table.put_service, self.table.drop_service)
            self._serve(listeners)
            if change.verb != "synced":
                self._tell(Key(change.object["metadata"]["namespace"], change.object["metadata"]["name"]))

    async def _follow_slices(self, listeners: ServiceListeners) -> None:
        async for change in self.api.watch(ENDPOINT_SLICES):
            self._apply(change, self.table.put_slice, self.table.drop_slice)
            self._serve(listeners)
            if change.verb != "synced":
                metadata = change.object["metadata"]
                self._tell(
                    Key(metadata["namespace"], (metadata.get("labels") or {}).get(SERVICE_NAME_LABEL, ""))
                )

    async def _follow_nodes(self, listeners: ServiceListeners, proxies: ForwardProxies) -> None:
        self._serve(listeners)
        async for change in self.api.watch(NODES):
            if change.verb == "synced":
                continue
            take = self.table.drop_node if change.verb == "deleted" else self.table.put_node
            # Most changes of a Node only say that it is alive.
            if take(change.object):
                self.pods.give_out(self.table.nodes.pod_ranges())
                self._serve(listeners)
                if not self.sandboxed:
                    proxies.follow()

    async def _follow_namespaces(self) -> None:
        async for change in self.api.watch(NAMESPACES):
            self._apply(change, self.table.put_namespace, self.table.drop_namespace)

    def _serve(self, listeners: ServiceListeners) -> None:
        """Listen where the table says, and at the control plane's and the kubelets' ports among the Pods."""
        doors = {Front(address, KUBELET_PORT) for address in self.table.nodes.addresses().values()}
        doors.add(Front(self.plan.api_server, API_SERVER_PORT))
        listeners.want(self.table.fronts(), frozenset(doors))

    def _tell(self, key: Key) -> None:
        """Say what a Service asks for and does not get here: nothing is left out silently."""
        self.notices.tell(key, self.table.unserved(key))

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

    async def _follow_switch(self, reopen: list[Callable[[], None]]) -> None:
        """Move everything that listens among the Pods to the new switch when it is restarted.

        A socket keeps its old namespace alive, and so would go on listening where no Pod is any more.
        """
        while True:
            with await self._switch_line() as line:
                try:
                    # The switch sends nothing unasked: whatever ends this is its end.
                    await asyncio.get_running_loop().sock_recv(line, 1)
                except ConnectionError as error:
                    log.debug("the connection to the switch broke: %s", error)
            log.warning("the switch has ended; its listeners are opened again when it is back")
            for each in reopen:
                each()

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
