"""The listeners of Services, which play kube-proxy's rules.

For each front with a ready endpoint one listens on the twin of its address, for programs of this host; at
the sandboxed level a second one listens on the address itself, on the Pods' side of the switch. Without a
ready endpoint there is no listener, so the kernel refuses the connection, as kube-proxy's REJECT rule does.

*Doors* are ports that programs of this host already listen on at the twin, as the API server and the
kubelets do: they are opened on the Pods' side alone, and lead straight there.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from k8slab.network.acceptor import Acceptor, listen_tcp
from k8slab.network.dialler import DialError, Dialler
from k8slab.network.http_head import BadRequestError, read_head
from k8slab.network.listening import Listening
from k8slab.network.services.datagram_relay import DatagramRelay, Responder
from k8slab.network.services.health_checks import HealthChecks
from k8slab.network.services.table import Endpoint, Front
from k8slab.network.splice import reset, splice

log = logging.getLogger(__name__)


class Place(NamedTuple):
    """A front on one side: among the Pods (true address) or on the host (twin)."""

    front: Front
    among_pods: bool


class ServiceListeners:
    """Keeps exactly the wanted fronts listening.

    Args:
        dialler: opens the connection behind; its `pod_side` is where true addresses are listened on.
        acceptor: owns the connections; close it after the listeners.
        responders: endpoints of UDP ports that this process is itself.
    """

    def __init__(
        self, dialler: Dialler, acceptor: Acceptor, responders: Mapping[Endpoint, Responder] | None = None
    ) -> None:
        self.dialler = dialler
        self.acceptor = acceptor
        self.responders = responders or {}
        self._health = HealthChecks(dialler.table)
        self._listening = Listening(self._listen, _name)

    async def __aenter__(self) -> ServiceListeners:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._listening.close()

    def want(self, fronts: frozenset[Front], doors: frozenset[Front] = frozenset()) -> None:
        """Listen on these and at the nodes' ports for health checks. Returns at once; connections stay.

        Args:
            fronts: where Services are knocked at, on both sides.
            doors: what the Pods reach at its true address beside them.
        """
        sides = (False,) if self.dialler.pod_side is None else (False, True)
        everywhere = fronts | self._health.fronts()
        wanted = {Place(front, among_pods) for front in everywhere for among_pods in sides}
        if self.dialler.pod_side is not None:
            wanted |= {Place(door, True) for door in doors}
        self._listening.want(wanted)

    def reopen_among_pods(self) -> None:
        """Close the listeners on the Pods' side and open them again: the switch was restarted."""
        self._listening.reopen(lambda place: place.among_pods)

    async def _listen(self, place: Place) -> None:
        front = place.front

        async def handle(connection: socket.socket, peer: str) -> None:
            await self._join(front, connection, self.dialler.plan.client(peer))

        if front.protocol == "UDP":
            relay = DatagramRelay(front, self.dialler, self.responders, self.dialler.plan.client)
            await relay.serve(_name(place), self._opener(place))
        else:
            await self.acceptor.serve(_name(place), self._opener(place), handle)

    def _opener(self, place: Place) -> Callable[[], Awaitable[socket.socket]]:
        front = place.front
        pod_side = self.dialler.pod_side if place.among_pods else None

        async def open_socket() -> socket.socket:
            if front.protocol == "UDP":
                if pod_side is not None:
                    return bound(await pod_side.socket("udp"), (front.address, front.port))
                datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                datagrams.setblocking(False)
                return bound(datagrams, self.dialler.plan.twin_endpoint(front.address, front.port))
            if pod_side is not None:
                return await pod_side.listen(front.address, front.port)
            return listen_tcp(*self.dialler.plan.twin_endpoint(front.address, front.port))

        return open_socket

    async def _join(self, front: Front, connection: socket.socket, client: str) -> None:
        if self.dialler.table.rule(front) is None and (said := self._health.answer(front)) is not None:
            await _say(connection, said)
            return
        try:
            endpoint = await self.dialler.dial(front.address, front.port, client)
        except DialError as error:
            log.debug("a client of %s:%d is reset: %s", front.address, front.port, error)
            reset(connection)
            return
        await splice(connection, endpoint)


def _name(place: Place) -> str:
    front = place.front
    protocol = "/UDP" if front.protocol == "UDP" else ""
    return f"Service {front.address}:{front.port}{protocol}" + (" among the Pods" if place.among_pods else "")


async def _say(connection: socket.socket, response: bytes) -> None:
    try:
        if await read_head(connection) is not None:
            await asyncio.get_running_loop().sock_sendall(connection, response)
    except BadRequestError as error:
        log.debug("a health check is no HTTP request: %s", error)
    connection.close()


def bound(datagrams: socket.socket, place: tuple[str, int]) -> socket.socket:
    """Bind a UDP socket, or close it if that fails.

    Raises:
        OSError: the kernel refused, such as EADDRINUSE.
    """
    try:
        datagrams.bind(place)
    except BaseException:
        datagrams.close()
        raise
    return datagrams
