"""The API server's way to Pods, nodes and Services (plays konnectivity): HTTP CONNECT over a unix socket.

The API server sends `CONNECT address:port HTTP/1.1` and takes any answer but 200 for a failed dial
(apiserver/pkg/server/egressselector, EgressSelectorConfiguration with `proxyProtocol: HTTPConnect` over UDS).
It refuses bytes that follow the 200 before it has sent some, which an HTTP or TLS server never does.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from http import HTTPStatus
from pathlib import Path

from k8slab.network.acceptor import Acceptor, listen_unix
from k8slab.network.dialler import DialError, Dialler, NoEndpointError, NotInClusterError
from k8slab.network.http_head import CONNECTED, BadRequestError, host_and_port, read_head, say_and_close
from k8slab.network.splice import splice

log = logging.getLogger(__name__)


class Egress:
    """Serves CONNECT requests to addresses of the cluster.

    Args:
        path: the unix socket (`ClusterFolder.egress_socket`).
        dialler: opens the connections.
        acceptor: owns them.
    """

    def __init__(self, path: Path, dialler: Dialler, acceptor: Acceptor) -> None:
        self.path = path
        self.dialler = dialler
        self.acceptor = acceptor
        self.listening = asyncio.Event()

    async def serve(self) -> None:
        """Serve until cancelled; `listening` is set once the API server may connect."""
        try:
            await self.acceptor.serve(f"egress {self.path}", self._open, self._handle)
        finally:
            self.path.unlink(missing_ok=True)

    async def _open(self) -> socket.socket:
        listener = listen_unix(self.path)
        self.listening.set()
        return listener

    async def _handle(self, connection: socket.socket, client: str) -> None:
        try:
            head = await read_head(connection)
            if head is None:
                connection.close()
                return
            if head.method != "CONNECT":
                raise BadRequestError(f"The egress knows CONNECT alone, not {head.method}.")
            address, port = host_and_port(head.target, default_port=443)
        except BadRequestError as error:
            await say_and_close(connection, HTTPStatus.BAD_REQUEST, str(error))
            return
        try:
            target = await self.dialler.dial(address, port)
        except DialError as error:
            log.debug("CONNECT %s: %s", head.target, error)
            await say_and_close(connection, status_of(error), str(error))
            return
        try:
            loop = asyncio.get_running_loop()
            await loop.sock_sendall(connection, CONNECTED)
            await loop.sock_sendall(target, head.rest)
        except BaseException:
            target.close()
            raise
        await splice(connection, target)


def status_of(error: DialError) -> HTTPStatus:
    """The HTTP status that says why a dial failed."""
    if isinstance(error, NotInClusterError):
        return HTTPStatus.FORBIDDEN
    return HTTPStatus.SERVICE_UNAVAILABLE if isinstance(error, NoEndpointError) else HTTPStatus.BAD_GATEWAY
