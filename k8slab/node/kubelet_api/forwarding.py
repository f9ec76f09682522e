"""The three ways in which a client asks a kubelet to forward ports, and what answers each.

kubectl of 1.31 and later tunnels SPDY through a WebSocket, which the API server passes on untouched since
the Node declares `ExtendWebSocketsToKubelet`; older ones upgrade the connection itself to SPDY; the Python
client sends numbered channels over a WebSocket, two for each port.
"""

from __future__ import annotations

import asyncio
import base64
import struct
from collections.abc import Sequence

from aiohttp import WSMsgType, web

from k8slab.node.kubelet_api.carriers import (
    TakenOverResponse,
    WebSocketCarrier,
    negotiated,
    upgraded,
    wants_spdy,
)
from k8slab.node.kubelet_api.port_forward import PROTOCOL, TUNNEL, Connect, PortForward, forward

CHANNEL_PROTOCOLS = ("v4.channel.k8s.io", "v4.base64.channel.k8s.io")


class BadForwardRequestError(Exception):
    """A request to forward ports that cannot be served.

    Args:
        status: HTTP status code.
        message: why not.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


async def forward_ports(request: web.Request, pod: str, connect: Connect) -> web.StreamResponse:
    """Answer a request to forward ports; returns when the client is gone.

    Args:
        request: the request.
        pod: what the Pod's sandbox is called.
        connect: opens a connection to a port of the Pod.

    Raises:
        BadForwardRequestError: it asks for nothing that is served.
    """
    if wants_spdy(request):
        protocol = negotiated(request, (PROTOCOL,))
        if not protocol:
            wanted = ", ".join(request.headers.getall("X-Stream-Protocol-Version", []))
            text = "unable to upgrade: unable to negotiate protocol: client supports"
            raise BadForwardRequestError(403, f"{text} [{wanted}], server accepts [{PROTOCOL}]")
        async with upgraded(request, protocol) as carrier:
            await PortForward(carrier, pod, connect).serve()
        return TakenOverResponse()
    if request.headers.get("Upgrade", "").lower() != "websocket":
        raise BadForwardRequestError(400, "Upgrade request required")
    wanted = request.headers.get("Sec-WebSocket-Protocol", "")
    if TUNNEL in [each.strip() for each in wanted.split(",")]:
        socket = _socket((TUNNEL,))
        await socket.prepare(request)
        await PortForward(WebSocketCarrier(socket), pod, connect).serve()
    else:
        ports = asked_ports(request.query.getall("port", []))
        socket = _socket(CHANNEL_PROTOCOLS)
        await socket.prepare(request)
        await _forward_channels(socket, ports, pod, connect)
    await socket.close()
    return socket


def _socket(protocols: Sequence[str]) -> web.WebSocketResponse:
    return web.WebSocketResponse(protocols=protocols, compress=False, max_msg_size=0, timeout=2.0)


def asked_ports(given: Sequence[str]) -> list[int]:
    """The ports in a request's query, as `NewV4Options` reads them. Pure.

    Raises:
        BadForwardRequestError: there is none, or one is no port.
    """
    if not given:
        raise BadForwardRequestError(400, 'query parameter "port" is required')
    ports = []
    for text in given:
        if not text:
            raise BadForwardRequestError(400, 'query parameter "port" cannot be empty')
        for port in text.split(","):
            if not (port.isascii() and port.isdigit() and int(port) < 1 << 16):
                raise BadForwardRequestError(400, f'unable to parse "{text}" as a port')
            if int(port) < 1:
                raise BadForwardRequestError(400, f'port "{text}" must be > 0')
            ports.append(int(port))
    return ports


class Channel:
    """One direction-less stream of numbered messages.

    Args:
        socket: carries the messages.
        number: its number.
        text: whether numbers are digits and bytes are base64, for clients without binary messages.
    """

    def __init__(self, socket: web.WebSocketResponse, number: int, text: bool) -> None:
        self.arrived: asyncio.Queue[bytes] = asyncio.Queue(maxsize=16)
        self._socket = socket
        self._number = number
        self._text = text
        self._wanted = True

    async def read(self) -> bytes:
        """What the client sent; empty when it is gone."""
        return await self.arrived.get()

    async def write(self, data: bytes) -> None:
        """Send to the client."""
        if self._text:
            await self._socket.send_str(str(self._number) + base64.b64encode(data).decode())
        else:
            await self._socket.send_bytes(bytes([self._number]) + data)

    async def finish(self) -> None:
        """These clients know no end of a single channel; the connection is closed with the last one."""

    def discard(self) -> None:
        """Nobody reads what the client sends from now on."""
        self._wanted = False
        while not self.arrived.empty():
            self.arrived.get_nowait()

    async def take(self, data: bytes) -> None:
        """Keep what arrived, for `read`."""
        if self._wanted:
            await self.arrived.put(data)


async def _forward_channels(
    socket: web.WebSocketResponse, ports: Sequence[int], pod: str, connect: Connect
) -> None:
    text = (socket.ws_protocol or "").startswith("v4.base64")
    channels = [Channel(socket, number, text) for number in range(2 * len(ports))]
    for number, channel in enumerate(channels):
        await channel.write(struct.pack("<H", ports[number // 2]))

    async def one(index: int) -> None:
        problem = await forward(channels[2 * index], ports[index], pod, connect)
        if problem:
            await channels[2 * index + 1].write(problem.encode())

    async def all_of_them() -> None:
        await asyncio.gather(*(one(index) for index in range(len(ports))))

    work = asyncio.create_task(all_of_them())
    receiving = asyncio.create_task(_receive(socket, channels, text))
    try:
        await asyncio.wait({work, receiving}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        work.cancel()
        receiving.cancel()
        await asyncio.gather(work, receiving, return_exceptions=True)


async def _receive(socket: web.WebSocketResponse, channels: Sequence[Channel], text: bool) -> None:
    async for message in socket:
        if text and message.type is WSMsgType.TEXT and message.data:
            number, data = int(message.data[:1]), base64.b64decode(message.data[1:])
        elif not text and message.type is WSMsgType.BINARY and message.data:
            number, data = message.data[0], bytes(message.data[1:])
        else:
            continue
        if number < len(channels) and number % 2 == 0 and data:
            await channels[number].take(data)
