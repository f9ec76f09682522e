"""From the backend that an Ingress names to an open connection to one of its Service's endpoints.

As ingress-nginx does, it goes by the EndpointSlices and not by the ClusterIP: headless Services are served,
and session affinity, traffic policies and hints of a Service do not count here.
"""

from __future__ import annotations

import asyncio
import random
from ipaddress import IPv4Address

from k8slab.errors import ClusterError
from k8slab.network.dialler import Dialler
from k8slab.network.http_head import LONGEST_HEAD
from k8slab.network.ingress.objects import Backend
from k8slab.network.services.objects import Key, ServicePort
from k8slab.network.services.table import Endpoint


class NoBackendError(ClusterError):
    """There is no such Service or port, or none of its endpoints is ready."""


class IngressBackends:
    """Opens connections to endpoints, each tried once.

    Args:
        dialler: opens them; its table says which endpoints are ready.
    """

    def __init__(self, dialler: Dialler) -> None:
        self.dialler = dialler

    async def connect(self, backend: Backend) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection to a ready endpoint of a Service, chosen at random; the caller closes it.

        Raises:
            NoBackendError: nothing ready is there.
            DialError: the endpoint did not accept.
        """
        endpoints = self.endpoints(backend)
        if not endpoints:
            raise NoBackendError(
                f"Service {backend.owner.namespace}/{backend.service} has no ready endpoint at port "
                f"{backend.port}."
            )
        endpoint = random.choice(endpoints)
        # It is the controller that connects: a program sees its address, and the client's in a header.
        connection = await self.dialler.dial(endpoint.address, endpoint.port, self.dialler.plan.ingress)
        try:
            return await asyncio.open_connection(sock=connection, limit=LONGEST_HEAD)
        except BaseException:
            connection.close()
            raise

    def endpoints(self, backend: Backend) -> list[Endpoint]:
        """The endpoints that may get a connection now; none if there is no such Service or port."""
        table, key = self.dialler.table, Key(backend.owner.namespace, backend.service)
        service = table.service(key)
        names = {port.name for port in service.ports if is_port(port, backend)} if service else set()
        found = {
            Endpoint(each.address, port.port)
            for part in table.slices(key)
            for port in part.ports
            if port.name in names and port.protocol == "TCP"
            for each in part.backends
            if each.usable and not self._is_front(each.address)
        }
        return sorted(found)

    def _is_front(self, address: str) -> bool:
        """Whether it is a Service's address, or the controller's own: that could lead round in circles."""
        plan = self.dialler.plan
        return plan.owns(address) and any(
            IPv4Address(address) in network for network in (plan.services, plan.load_balancers)
        )


def is_port(port: ServicePort, backend: Backend) -> bool:
    """Whether a backend means that port of its Service, by number or by name."""
    return port.protocol == "TCP" and backend.port in (port.port, port.name)
