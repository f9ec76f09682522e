"""Cluster DNS for sandboxed Pods (plays CoreDNS): UDP and TCP, on the tenth address of the Service range."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import Literal, Protocol

from k8slab.errors import ClusterError
from k8slab.network.acceptor import FIRST_RETRY, LONGEST_RETRY, Acceptor
from k8slab.network.dns_message import LONGEST_TCP, BadQueryError, Query, respond
from k8slab.network.names import Names
from k8slab.network.splice import reset

log = logging.getLogger(__name__)

DNS_PORT = 53
IDLE_SECONDS = 10.0
"""How long a TCP client may be silent."""


class DatagramSide(Protocol):
    """Sockets on the Pods' side of the switch; `SwitchClient` is one."""

    async def listen(self, address: str, port: int) -> socket.socket:
        """A non-blocking TCP socket that listens there."""

    async def socket(self, kind: Literal["tcp", "udp"] = "tcp") -> socket.socket:
        """A non-blocking, unconnected socket made there."""


class DnsServer:
    """Answers the Pods' questions about names.

    Args:
        names: knows the names.
        address: where to listen.
        side: makes the sockets.
        acceptor: owns the TCP connections.
        port: 53, except in tests.
    """

    def __init__(
        self, names: Names, address: str, side: DatagramSide, acceptor: Acceptor, port: int = DNS_PORT
    ) -> None:
        self.names = names
        self.address = address
        self.side = side
        self.acceptor = acceptor
        self.port = port

    async def serve(self) -> None:
        """Serve until cancelled."""
        async with asyncio.TaskGroup() as both:
            both.create_task(self._serve_datagrams())
            both.create_task(self.acceptor.serve("cluster DNS over TCP", self._open, self._handle))

    async def _open(self) -> socket.socket:
        return await self.side.listen(self.address, self.port)

    async def _serve_datagrams(self) -> None:
        delay, told = FIRST_RETRY, ""
        while True:
            try:
                server = await self.side.socket("udp")
                with server:
                    server.bind((self.address, self.port))
                    delay, told = FIRST_RETRY, ""
                    await self._answer_datagrams(server)
            except (OSError, ClusterError) as error:
                if str(error) != told:
                    told = str(error)
                    log.warning("cluster DNS cannot be served, trying again until it can: %s", error)
            await asyncio.sleep(delay)
            delay = min(LONGEST_RETRY, delay * 2)

    async def _answer_datagrams(self, server: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            message, asker = await loop.sock_recvfrom(server, 4096)
            try:
                answer = respond(Query.parse(message), self.names.lookup)
            except BadQueryError as error:
                log.debug("a datagram from %s is no query: %s", asker, error)
                continue
            try:
                await loop.sock_sendto(server, answer, asker)
            except OSError as error:
                # UDP promises nothing; one asker that is gone must not end it for the others.
                log.debug("no answer reached %s: %s", asker, error)

    async def _handle(self, connection: socket.socket, client: str) -> None:
        """Answer the queries of one TCP connection, each behind its length in two bytes."""
        loop = asyncio.get_running_loop()
        data = b""
        try:
            async with asyncio.timeout(IDLE_SECONDS) as patience:
                while part := await loop.sock_recv(connection, 4096):
                    data += part
                    while len(data) >= 2 and len(data) >= (end := 2 + int.from_bytes(data[:2])):
                        answer = respond(Query.parse(data[2:end]), self.names.lookup, LONGEST_TCP)
                        await loop.sock_sendall(connection, len(answer).to_bytes(2) + answer)
                        data = data[end:]
                        patience.reschedule(loop.time() + IDLE_SECONDS)
            connection.close()
        except (TimeoutError, BadQueryError) as error:
            log.debug("DNS over TCP with %s ends: %s", client, error or "it was silent")
            reset(connection)
