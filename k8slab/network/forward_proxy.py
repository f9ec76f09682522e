"""The forward HTTP proxy of each Pod at the plain level, where programs share the host's network.

A program there cannot reach 10.K addresses nor ask the cluster's DNS. With `http_proxy` set to its own
proxy, on port 3128 of the Pod's twin, it reaches Services and Pods by name and address; the listener it comes
by says which Pod asks, and so which namespace a short name is looked for in. An endpoint that refuses, or the
lack of one, is a reset for the client, never an HTTP status that a server might have sent. Names that do not
exist are answered 502, addresses outside of the cluster 403.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from http import HTTPStatus
from urllib.parse import urlsplit

from k8slab.network.acceptor import Acceptor, listen_tcp
from k8slab.network.addresses import FORWARD_PROXY_PORT
from k8slab.network.dialler import DialError, Dialler, NotInClusterError
from k8slab.network.dns.names import Names, UnknownNameError
from k8slab.network.http_head import (
    CONNECTED,
    BadRequestError,
    RequestHead,
    host_and_port,
    read_head,
    say_and_close,
)
from k8slab.network.listening import Listening
from k8slab.network.pod_table import PodTable
from k8slab.network.splice import reset, splice

log = logging.getLogger(__name__)

KNOWN_SECONDS = 5.0
"""How long a request waits until the API shows whose it is."""

HOP_BY_HOP = frozenset({"connection", "keep-alive", "proxy-connection", "proxy-authorization"})
"""Headers meant for the proxy and not for the server (RFC 9110, 7.6.1)."""


class ForwardProxies:
    """Keeps one proxy listening for each Pod.

    Args:
        dialler: opens the connections behind.
        names: resolves the names.
        pods: says which namespace an address belongs to.
        acceptor: owns the connections; close it after the proxies.
    """

    def __init__(self, dialler: Dialler, names: Names, pods: PodTable, acceptor: Acceptor) -> None:
        self.dialler = dialler
        self.names = names
        self.pods = pods
        self.acceptor = acceptor
        self._listening: Listening[str] = Listening(self._serve, lambda pod: f"proxy of {pod}")
        self._changed = asyncio.Event()

    async def __aenter__(self) -> ForwardProxies:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._listening.close()

    def follow(self) -> None:
        """Listen for the Pods that the table knows and for those it expects. Returns at once.

        Call it once at the start, and again after each change of the table.
        """
        self.want(self.pods.addresses() | self.pods.expected())
        self._changed.set()
        self._changed = asyncio.Event()

    def want(self, addresses: frozenset[str]) -> None:
        """Listen for the Pods with these addresses and no others. Returns at once."""
        self._listening.want(addresses)

    async def _serve(self, pod: str) -> None:
        async def open_listener() -> socket.socket:
            return listen_tcp(*self.dialler.plan.twin_endpoint(pod, FORWARD_PROXY_PORT))

        async def handle(connection: socket.socket, peer: str) -> None:
            await self._handle(connection, pod)

        await self.acceptor.serve(f"forward proxy of Pod {pod}", open_listener, handle)

    async def _namespace(self, pod: str) -> str:
        """The namespace of the Pod that asks, as soon as it is known.

        Raises:
            UnknownNameError: the API shows no Pod with that address.
        """
        try:
            async with asyncio.timeout(KNOWN_SECONDS):
                while not (namespace := self.pods.namespace(pod)):
                    await self._changed.wait()
        except TimeoutError as error:
            raise UnknownNameError(f"No Pod of this cluster has the address {pod}.") from error
        return namespace

    async def _handle(self, connection: socket.socket, pod: str) -> None:
        try:
            head = await read_head(connection)
            if head is None:
                connection.close()
                return
            host, port, first = outgoing(head)
            # A Pod's own loopback is where its programs listen: at its address.
            own = host == "localhost" or host.startswith("127.")
            address = pod if own else self.names.resolve(host, await self._namespace(pod))
        except BadRequestError as error:
            await say_and_close(connection, HTTPStatus.BAD_REQUEST, str(error))
            return
        except UnknownNameError as error:
            await say_and_close(connection, HTTPStatus.BAD_GATEWAY, str(error))
            return
        try:
            target = await self.dialler.dial(address, port, pod)
        except NotInClusterError as error:
            await say_and_close(connection, HTTPStatus.FORBIDDEN, str(error))
            return
        except DialError as error:
            log.debug("Pod %s asked for %s: %s", pod, head.target, error)
            reset(connection)
            return
        try:
            loop = asyncio.get_running_loop()
            if head.method == "CONNECT":
                await loop.sock_sendall(connection, CONNECTED)
            await loop.sock_sendall(target, first)
        except BaseException:
            reset(target)
            raise
        await splice(connection, target)


def outgoing(head: RequestHead) -> tuple[str, int, bytes]:
    """Where a proxy request goes, and the first bytes to send there.

    A request with an absolute URI goes out in origin form and asks the server to close afterwards: one
    connection carries one request, so that the next one may go to another endpoint or another Service.
    A `Host` header of the client's own stays: without a proxy, the server would see it too.

    Returns:
        Host, port and bytes.

    Raises:
        BadRequestError: it is neither CONNECT nor a request with an absolute `http` URI.
    """
    if head.method == "CONNECT":
        host, port = host_and_port(head.target, default_port=443)
        return host, port, head.rest
    try:
        uri = urlsplit(head.target)
    except ValueError as error:
        raise BadRequestError(f"{head.target[:80]!r} is no URI: {error}.") from error
    if uri.scheme.lower() != "http" or not uri.netloc:
        raise BadRequestError(
            "This is the forward proxy of a Pod: wanted an absolute URI such as http://web/, "
            f"got {head.target[:80]!r}."
        )
    authority = uri.netloc.rpartition("@")[2]
    host, port = host_and_port(authority, default_port=80)
    path = (uri.path or "/") + (f"?{uri.query}" if uri.query else "")
    upgrades = bool(head.header("upgrade"))
    lines = [f"{head.method} {path} {head.version}"]
    if not head.header("host"):
        lines.append(f"Host: {authority}")
    lines += [f"{name}: {value}" for name, value in head.headers if name.lower() not in HOP_BY_HOP]
    lines.append("Connection: Upgrade" if upgrades else "Connection: close")
    return host, port, "\r\n".join((*lines, "", "")).encode("latin-1") + head.rest
