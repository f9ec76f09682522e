"""The listeners of Services, which play kube-proxy's rules.

For each ClusterIP and port with a ready endpoint one listens on the twin of the ClusterIP, for programs of
this host; at the sandboxed level a second one listens on the ClusterIP itself, on the Pods' side of the
switch. Without a ready endpoint there is no listener, so the kernel refuses the connection, as
kube-proxy's REJECT rule does.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from k8slab.network.acceptor import Acceptor, listen_tcp, report_end
from k8slab.network.dialler import DialError, Dialler
from k8slab.network.services import Front
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
    """

    def __init__(self, dialler: Dialler, acceptor: Acceptor) -> None:
        self.dialler = dialler
        self.acceptor = acceptor
        self._tasks: dict[Place, asyncio.Task[None]] = {}

    async def __aenter__(self) -> ServiceListeners:
        return self

    async def __aexit__(self, *error: object) -> None:
        tasks = list(self._tasks.values())
        self.want(frozenset())
        await asyncio.gather(*tasks, return_exceptions=True)

    def want(self, fronts: frozenset[Front]) -> None:
        """Listen on these fronts and no others. Returns at once; established connections stay."""
        sides = (False,) if self.dialler.pod_side is None else (False, True)
        wanted = {Place(front, among_pods) for front in fronts for among_pods in sides}
        for place in self._tasks.keys() - wanted:
            self._tasks.pop(place).cancel()
        for place in wanted - self._tasks.keys():
            self._start(place)

    def reopen_among_pods(self) -> None:
        """Close the listeners on the Pods' side and open them again: the switch was restarted."""
        for place in [place for place in self._tasks if place.among_pods]:
            self._tasks.pop(place).cancel()
            self._start(place)

    def _start(self, place: Place) -> None:
        front = place.front
        name = f"Service {front.address}:{front.port}" + (" among the Pods" if place.among_pods else "")

        async def handle(connection: socket.socket, peer: str) -> None:
            await self._join(front, connection, self._client(peer))

        serving = self.acceptor.serve(name, self._opener(place), handle)
        task = asyncio.get_running_loop().create_task(serving, name=name)
        task.add_done_callback(report_end)
        self._tasks[place] = task

    def _opener(self, place: Place) -> Callable[[], Awaitable[socket.socket]]:
        front, pod_side = place.front, self.dialler.pod_side

        async def open_listener() -> socket.socket:
            if place.among_pods and pod_side is not None:
                return await pod_side.listen(front.address, front.port)
            return listen_tcp(*self.dialler.plan.twin_endpoint(front.address, front.port))

        return open_listener

    def _client(self, peer: str) -> str:
        """The cluster address of a client that came from a twin; its own address otherwise."""
        try:
            return self.dialler.plan.original(peer)
        except ValueError:
            return peer

    async def _join(self, front: Front, connection: socket.socket, client: str) -> None:
        try:
            endpoint = await self.dialler.dial(front.address, front.port, client)
        except DialError as error:
            log.debug("a client of %s:%d is reset: %s", front.address, front.port, error)
            reset(connection)
            return
        await splice(connection, endpoint)
