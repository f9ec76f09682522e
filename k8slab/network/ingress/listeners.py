"""The ingress controller's listeners: ports 80 and 443 of its address, on the host and among the Pods."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from k8slab.network.acceptor import Acceptor, listen_tcp
from k8slab.network.addresses import AddressPlan
from k8slab.network.dialler import PodSide
from k8slab.network.http_head import LONGEST_HEAD
from k8slab.network.ingress.messages import Client
from k8slab.network.ingress.proxy import IngressProxy
from k8slab.network.listening import Listening

log = logging.getLogger(__name__)

HTTP, HTTPS = 80, 443

HANDSHAKE_SECONDS = 10.0
"""How long a client may take for its TLS handshake."""

FLUSH_SECONDS = 10.0
"""How long a client may take to read what it was sent last."""


class Place(NamedTuple):
    """A port on one side: among the Pods (true address) or on the host (twin)."""

    port: int
    among_pods: bool


class IngressListeners:
    """Keeps the wanted ports listening.

    Args:
        plan: the cluster's addresses.
        pod_side: the switch's side at the sandboxed level; None at the plain level.
        acceptor: owns the connections; close it after the listeners.
        proxy: answers them.
        tls: the context to begin a handshake with, as of now; None without any certificate.
    """

    def __init__(
        self,
        plan: AddressPlan,
        pod_side: PodSide | None,
        acceptor: Acceptor,
        proxy: IngressProxy,
        tls: Callable[[], ssl.SSLContext | None],
    ) -> None:
        self.plan = plan
        self.pod_side = pod_side
        self.acceptor = acceptor
        self.proxy = proxy
        self.tls = tls
        self._listening = Listening(self._listen, self._name)

    async def __aenter__(self) -> IngressListeners:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._listening.close()

    def want(self, ports: tuple[int, ...]) -> None:
        """Listen on these ports and no others. Returns at once; established connections stay."""
        sides = (False,) if self.pod_side is None else (False, True)
        self._listening.want({Place(port, among_pods) for port in ports for among_pods in sides})

    def reopen_among_pods(self) -> None:
        """Close the listeners on the Pods' side and open them again: the switch was restarted."""
        self._listening.reopen(lambda place: place.among_pods)

    def _name(self, place: Place) -> str:
        return f"Ingress {self.plan.ingress}:{place.port}" + (" among the Pods" if place.among_pods else "")

    async def _listen(self, place: Place) -> None:
        async def handle(connection: socket.socket, peer: str) -> None:
            await self._serve(connection, Client(self.plan.client(peer), place.port))

        await self.acceptor.serve(self._name(place), self._opener(place), handle)

    def _opener(self, place: Place) -> Callable[[], Awaitable[socket.socket]]:
        async def open_listener() -> socket.socket:
            if place.among_pods and self.pod_side is not None:
                return await self.pod_side.listen(self.plan.ingress, place.port)
            return listen_tcp(*self.plan.twin_endpoint(self.plan.ingress, place.port))

        return open_listener

    async def _serve(self, connection: socket.socket, client: Client) -> None:
        context = self.tls() if client.port == HTTPS else None
        if client.port == HTTPS and context is None:
            # The last certificate went while this connection was on its way.
            return
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=LONGEST_HEAD)
        protocol = asyncio.StreamReaderProtocol(reader)
        try:
            transport, _ = await loop.connect_accepted_socket(
                lambda: protocol,
                connection,
                ssl=context,
                ssl_handshake_timeout=HANDSHAKE_SECONDS if context else None,
            )
        except (OSError, TimeoutError) as error:
            log.debug("a handshake with %s failed: %s", client.address, error)
            return
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        try:
            await self.proxy.serve(reader, writer, client)
            writer.close()
            # The acceptor resets what is open when this ends, and an answer may still be on its way.
            async with asyncio.timeout(FLUSH_SECONDS):
                await writer.wait_closed()
        except TimeoutError:
            log.debug("%s does not read its last answer", client.address)
        finally:
            writer.transport.abort()
