"""Cluster DNS (plays CoreDNS): UDP and TCP on port 53 of the control-plane node.

It is the endpoint of the Service `kube-system/kube-dns`, by which Pods ask it; without that Service they ask
in vain, as in life.
"""

from __future__ import annotations

import asyncio
import logging
import socket

from k8slab.network.acceptor import Acceptor, keep_open, listen_tcp
from k8slab.network.addresses import DNS_PORT
from k8slab.network.dns.message import LONGEST_TCP, BadQueryError, Query, respond
from k8slab.network.dns.names import Names
from k8slab.network.services.listeners import bound
from k8slab.network.services.table import Endpoint
from k8slab.network.splice import reset

log = logging.getLogger(__name__)

IDLE_SECONDS = 10.0
"""How long a TCP client may be silent."""


class DnsServer:
    """Answers questions about names.

    Args:
        names: knows the names.
        acceptor: owns the TCP connections.
    """

    def __init__(self, names: Names, acceptor: Acceptor) -> None:
        self.names = names
        self.acceptor = acceptor
        self.endpoint = Endpoint(names.plan.node(0), DNS_PORT)
        self._place = names.plan.twin_endpoint(*self.endpoint)

    async def serve(self) -> None:
        """Serve on the node's twin until cancelled."""
        async with asyncio.TaskGroup() as both:
            both.create_task(keep_open("cluster DNS", self._open_datagrams, self._answer_datagrams))
            both.create_task(self.acceptor.serve("cluster DNS over TCP", self._open, self._handle))

    def answer(self, message: bytes) -> bytes | None:
        """The answer to a datagram; None if it is no query."""
        try:
            return respond(Query.parse(message), self.names.lookup)
        except BadQueryError as error:
            log.debug("a datagram is no query: %s", error)
            return None

    async def _open(self) -> socket.socket:
        return listen_tcp(*self._place)

    async def _open_datagrams(self) -> socket.socket:
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.setblocking(False)
        return bound(server, self._place)

    async def _answer_datagrams(self, server: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            message, asker = await loop.sock_recvfrom(server, 4096)
            answer = self.answer(message)
            try:
                if answer is not None:
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
