"""From an address of the cluster and a port to an open connection, tried once and never again.

    a ClusterIP      one of its Service's endpoints, which is then dialled as below
    a Pod            its true address on the switch's side; at the plain level its twin
    a node or the control plane   its twin

Anything that is not the cluster's own is refused: the lab network is no way out to other machines.
At the sandboxed level a Pod sees such a connection come from the gateway, as one that kube-proxy masquerades.
"""

from __future__ import annotations

import asyncio
import os
import socket
from ipaddress import IPv4Address
from typing import Protocol

from k8slab.errors import ClusterError
from k8slab.network.addresses import AddressPlan
from k8slab.network.services import Front, ServiceTable

CONNECT_SECONDS = 10.0
"""How long an endpoint may take to accept; the kernel itself would try for two minutes."""

IP_BIND_ADDRESS_NO_PORT = getattr(socket, "IP_BIND_ADDRESS_NO_PORT", 24)
"""Socket option (linux/in.h): choose the source port at connect, so that many fit on one address."""


class DialError(ClusterError):
    """No connection could be opened; the message says to where and why."""


class NotInClusterError(DialError):
    """The address is not one of this cluster's."""


class NoEndpointError(DialError):
    """No Service has that ClusterIP and port, or none of its endpoints is ready."""


class UnreachableError(DialError):
    """The endpoint was dialled and did not accept."""


class PodSide(Protocol):
    """Sockets on the Pods' side of the switch; `SwitchClient` is one."""

    async def listen(self, address: str, port: int) -> socket.socket:
        """A non-blocking TCP socket that listens there."""

    async def socket(self) -> socket.socket:
        """A non-blocking, unconnected TCP socket made there."""


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
        self._check(address)
        if IPv4Address(address) in self.plan.services:
            front = Front(address, port)
            endpoint = self.table.choose(front, client)
            if endpoint is None:
                raise NoEndpointError(f"No ready endpoint stands behind {address}:{port}.")
            address, port = endpoint
            self._check(address)
        connection = await self._socket(address, port)
        try:
            await self._connect(connection, address, port, client)
        except BaseException:
            connection.close()
            raise
        return connection

    def _check(self, address: str) -> None:
        if not self.plan.owns(address):
            raise NotInClusterError(
                f"{address} is no address of this cluster: the lab network reaches {self.plan.cluster} alone."
            )

    def _by_switch(self, address: str) -> bool:
        return self.pod_side is not None and IPv4Address(address) in self.plan.pods

    async def _socket(self, address: str, port: int) -> socket.socket:
        if self.pod_side is not None and self._by_switch(address):
            try:
                return await self.pod_side.socket()
            except ClusterError as error:
                raise UnreachableError(f"{address}:{port} is out of reach: {error}") from error
        connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        connection.setblocking(False)
        return connection

    async def _connect(self, connection: socket.socket, address: str, port: int, client: str) -> None:
        by_switch = self._by_switch(address)
        target = (address, port) if by_switch else self.plan.twin_endpoint(address, port)
        loop = asyncio.get_running_loop()
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if not by_switch and self.plan.owns(client):
                connection.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
                connection.bind((self.plan.twin(client), 0))
            async with asyncio.timeout(CONNECT_SECONDS):
                await loop.sock_connect(connection, target)
        except TimeoutError as error:
            seconds = f"{CONNECT_SECONDS:.0f} s"
            raise UnreachableError(f"{address}:{port} did not answer within {seconds}.") from error
        except OSError as error:
            # asyncio puts words of its own, with the twin in them, where the system's are wanted.
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise UnreachableError(f"{address}:{port} did not accept: {reason}.") from error
