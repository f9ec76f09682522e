"""UDP Services: each client's datagrams go to one endpoint, and what that answers goes back to the client.

It is what conntrack does for kube-proxy: a client (address and port) keeps its endpoint as long as datagrams
pass, and is led to another one when its endpoint is not usable any more (pkg/proxy/conntrack/cleanup.go).
An endpoint that this process is itself, as the cluster's DNS, is answered without a socket.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from k8slab.network.acceptor import keep_open
from k8slab.network.dialler import DialError, Dialler
from k8slab.network.services.fronts import Front
from k8slab.network.services.table import Endpoint

log = logging.getLogger(__name__)

UNREPLIED_SECONDS = 30.0
REPLIED_SECONDS = 120.0
"""How long a silent client keeps its endpoint, before and after that has answered: Linux's
`nf_conntrack_udp_timeout` and `nf_conntrack_udp_timeout_stream`."""

SWEEP_SECONDS = 10.0
"""How often silent clients are looked for, while there are clients at all."""

MOST_FLOWS = 1024
"""Clients of one front that are remembered; with one more, the one that was silent longest is forgotten."""

LONGEST_DATAGRAM = 65_535
BURST = 64
"""Answers that one endpoint may send before others get a turn."""

Peer = tuple[str, int]
Responder = Callable[[bytes], bytes | None]
"""Answers a datagram on the spot; None if it deserves no answer."""


@dataclass
class _Flow:
    endpoint: Endpoint
    connection: socket.socket
    last: float
    replied: bool = False


class DatagramRelay:
    """Relays the datagrams of one front.

    Args:
        front: where the clients send.
        dialler: knows the endpoints and opens the sockets.
        responders: endpoints that are answered here.
        client_of: the cluster address of a client that came from an address.
    """

    def __init__(
        self,
        front: Front,
        dialler: Dialler,
        responders: Mapping[Endpoint, Responder],
        client_of: Callable[[str], str],
    ) -> None:
        self.front = front
        self.dialler = dialler
        self.responders = responders
        self.client_of = client_of
        self._flows: OrderedDict[Peer, _Flow] = OrderedDict()
        self._sweeping: asyncio.TimerHandle | None = None

    async def serve(self, name: str, open_socket: Callable[[], Awaitable[socket.socket]]) -> None:
        """Relay until cancelled.

        Args:
            name: what the front is called in the log.
            open_socket: makes the bound, non-blocking socket that clients send to.
        """
        await keep_open(name, open_socket, self._relay)

    async def _relay(self, server: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        try:
            while True:
                data, peer = await loop.sock_recvfrom(server, LONGEST_DATAGRAM)
                try:
                    await self._forward(server, data, peer)
                except (OSError, DialError) as error:
                    # UDP promises nothing; one client's trouble must not end it for the others.
                    log.debug("a datagram from %s to %s is lost: %s", peer, self.front, error)
        finally:
            if self._sweeping is not None:
                self._sweeping.cancel()
                self._sweeping = None
            for peer in list(self._flows):
                self._forget(peer)

    async def _forward(self, server: socket.socket, data: bytes, peer: Peer) -> None:
        flow = self._flows.get(peer)
        if flow is None or flow.endpoint not in self.dialler.table.endpoints(self.front):
            self._forget(peer)
            endpoint = self.dialler.endpoint(self.front, self.client_of(peer[0]))
            if (respond := self.responders.get(endpoint)) is not None:
                if (answer := respond(data)) is not None:
                    server.sendto(answer, peer)
                return
            flow = await self._open(server, peer, endpoint)
        flow.last = asyncio.get_running_loop().time()
        self._flows.move_to_end(peer)
        flow.connection.send(data)

    async def _open(self, server: socket.socket, peer: Peer, endpoint: Endpoint) -> _Flow:
        loop = asyncio.get_running_loop()
        connection = await self.dialler.dial_datagrams(endpoint)
        flow = self._flows[peer] = _Flow(endpoint, connection, loop.time())
        loop.add_reader(connection, self._back, server, peer, flow)
        if len(self._flows) > MOST_FLOWS:
            self._forget(next(iter(self._flows)))
        if self._sweeping is None:
            self._sweeping = loop.call_later(SWEEP_SECONDS, self._sweep)
        return flow

    def _back(self, server: socket.socket, peer: Peer, flow: _Flow) -> None:
        try:
            for _ in range(BURST):
                answer = flow.connection.recv(LONGEST_DATAGRAM)
                flow.replied, flow.last = True, asyncio.get_running_loop().time()
                server.sendto(answer, peer)
        except BlockingIOError:
            return
        except OSError as error:
            # Nobody listens there: the next datagram chooses anew.
            log.debug("%s does not take datagrams: %s", flow.endpoint, error)
            self._forget(peer)

    def _forget(self, peer: Peer) -> None:
        flow = self._flows.pop(peer, None)
        if flow is not None:
            asyncio.get_running_loop().remove_reader(flow.connection)
            flow.connection.close()

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        for peer, flow in list(self._flows.items()):
            patience = REPLIED_SECONDS if flow.replied else UNREPLIED_SECONDS
            if loop.time() - flow.last > patience:
                self._forget(peer)
        self._sweeping = loop.call_later(SWEEP_SECONDS, self._sweep) if self._flows else None
