"""From an address of the cluster and a port to an open connection, tried once and never again.

    where a Service is knocked at   one of its endpoints, which is then dialled as below
    a Pod                           its true address on the switch's side; at the plain level its twin
    a node or the control plane     its twin

Anything that is not the cluster's own is refused: the lab network is no way out to other machines.
At the sandboxed level a Pod sees such a connection come from the gateway, as one that kube-proxy masquerades.
"""

from __future__ import annotations

import asyncio
import os
import socket
from ipaddress import IPv4Address
from typing import Literal, Protocol

from k8slab.errors import ClusterError
from k8slab.network.addresses import AddressPlan
from k8slab.network.services.table import Endpoint, Front, ServiceTable

CONNECT_SECONDS = 10.0
"""How long an endpoint may take to accept; the kernel itself would try for two minutes."""

IP_BIND_ADDRESS_NO_PORT = getattr(socket, "IP_BIND_ADDRESS_NO_PORT", 24)
"""Socket option (linux/in.h): choose the source port at connect, so that many fit on one address."""


class DialError(ClusterError):
    """No connection could be opened; the message says to where and why."""


class NotInClusterError(DialError):
    """The address is not one of this cluster's."""


class NoEndpointError(DialError):
    """No Service is at that address and port, or none of its endpoints may be used."""


class UnreachableError(DialError):
    """The endpoint was dialled and did not accept."""


class PodSide(Protocol):
    """Sockets on the Pods' side of the switch; `SwitchClient` is one."""

    async def listen(self, address: str, port: int) -> socket.socket:
        """A non-blocking TCP socket that listens there."""

    async def socket(self, kind: Literal["tcp", "udp"] = "tcp") -> socket.socket:
        """A non-blocking, unconnected socket made there."""


class Dialler:
    """Opens connections to addresses of one cluster.

    Args:
        plan: the cluster's addresses.
        table: its Services.
        pod_side: the switch's side at the sandboxed level; None at the plain level.
    """

    def __init__(self, plan: AddressPlan, table: ServiceTable, pod_side: PodSide | None) -> None:
        self.plan = plan
        self.table = table
        self.pod_side = pod_side

    async def dial(self, address: str, port: int, client: str = "") -> socket.socket:
        """Open a connection; the caller closes it.

        Args:
            address: a ClusterIP, or the address of a Pod, a node or the API server.
            port: the true port.
            client: address of the one who asks, if known, for session affinity; where the target is a
                twin, the connection comes from the client's twin, so that the program sees who asks.

        Returns:
            A non-blocking, connected TCP socket.

        Raises:
            NotInClusterError: the address belongs to something else.
            NoEndpointError: a ClusterIP without a ready endpoint at that port.
            UnreachableError: the endpoint refused, or did not answer within `CONNECT_SECONDS`.
        """
        endpoint = self.endpoint(Front(address, port), client)
        connection = await self._socket(endpoint.address)
        try:
            await self._connect(connection, endpoint, client)
        except BaseException:
            connection.close()
            raise
        return connection

    async def dial_datagrams(self, endpoint: Endpoint) -> socket.socket:
        """A UDP socket connected to an endpoint; the caller closes it.

        Raises:
            UnreachableError: the switch does not answer, or there is no way to the endpoint.
        """
        connection = await self._socket(endpoint.address, "udp")
        try:
            connection.connect(self._target(endpoint))
        except OSError as error:
            connection.close()
            raise UnreachableError(f"{endpoint.address}:{endpoint.port} is out of reach: {error}") from error
        return connection

    def endpoint(self, front: Front, client: str = "") -> Endpoint:
        """Where a client that knocks at a front is led to; an address that is no Service's leads to itself.

        Args:
            front: address, port and protocol.
            client: address of the one who asks, if known.

        Raises:
            NotInClusterError: the address belongs to something else.
            NoEndpointError: a Service's front without an endpoint that this client may use.
        """
        self._check(front.address)
        if self.table.rule(front) is None and IPv4Address(front.address) not in self.plan.services:
            return Endpoint(front.address, front.port)
        endpoint = self.table.choose(front, client)
        # A front behind a front could lead round in circles; kube-proxy rewrites a packet once, too.
        if endpoint is None or self.table.rule(Front(*endpoint, front.protocol)) is not None:
            raise NoEndpointError(f"No ready endpoint stands behind {front.address}:{front.port}.")
        self._check(endpoint.address)
        return endpoint

    def _check(self, address: str) -> None:
        if not self.plan.owns(address):
            raise NotInClusterError(
                f"{address} is no address of this cluster: the lab network reaches {self.plan.cluster} alone."
            )

    def _by_switch(self, address: str) -> bool:
        return self.pod_side is not None and IPv4Address(address) in self.plan.pods

    def _target(self, endpoint: Endpoint) -> tuple[str, int]:
        if self._by_switch(endpoint.address):
            return endpoint.address, endpoint.port
        return self.plan.twin_endpoint(endpoint.address, endpoint.port)

    async def _socket(self, address: str, kind: Literal["tcp", "udp"] = "tcp") -> socket.socket:
        if self.pod_side is not None and self._by_switch(address):
            try:
                return await self.pod_side.socket(kind)
            except ClusterError as error:
                raise UnreachableError(f"{address} is out of reach: {error}") from error
        made = socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM
        connection = socket.socket(socket.AF_INET, made)
        connection.setblocking(False)
        return connection

    async def _connect(self, connection: socket.socket, endpoint: Endpoint, client: str) -> None:
        place = f"{endpoint.address}:{endpoint.port}"
        loop = asyncio.get_running_loop()
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if not self._by_switch(endpoint.address) and self.plan.owns(client):
                connection.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
                connection.bind((self.plan.twin(client), 0))
            async with asyncio.timeout(CONNECT_SECONDS):
                await loop.sock_connect(connection, self._target(endpoint))
        except TimeoutError as error:
            raise UnreachableError(f"{place} did not answer within {CONNECT_SECONDS:.0f} s.") from error
        except OSError as error:
            # asyncio puts words of its own, with the twin in them, where the system's are wanted.
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise UnreachableError(f"{place} did not accept: {reason}.") from error
