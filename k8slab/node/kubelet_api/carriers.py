"""What carries a SPDY connection to a kubelet: WebSocket messages, or the bare connection after a 101."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import WSMsgType, web

CHUNK = 1 << 16
LARGEST_WAITING = 1 << 18
SPDY = "SPDY/3.1"


class WebSocketCarrier:
    """Bytes in binary messages, whatever their bounds.

    Args:
        socket: the WebSocket.
    """

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self._socket = socket

    async def receive(self) -> bytes:
        """The next bytes; empty at the end."""
        while True:
            message = await self._socket.receive()
            if message.type is not WSMsgType.BINARY:
                return b""
            if message.data:
                return bytes(message.data)

    async def send(self, data: bytes) -> None:
        """Send bytes; raises ConnectionError if nobody is there."""
        await self._socket.send_bytes(data)


class UpgradedCarrier:
    """The bare connection.

    Args:
        reader: gives what the client sends.
        writer: takes what it is sent.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def receive(self) -> bytes:
        """The next bytes; empty at the end."""
        return await self._reader.read(CHUNK)

    async def send(self, data: bytes) -> None:
        """Send bytes; raises ConnectionError if nobody is there."""
        self._writer.write(data)
        await self._writer.drain()


class TakenOverResponse(web.StreamResponse):
    """Stands for an answer that was given already, on a connection that is no longer HTTP's."""

    async def prepare(self, request: web.BaseRequest) -> None:
        """Nothing is left to be sent."""

    async def write_eof(self, data: bytes = b"") -> None:
        """Nothing is left to be sent."""


def wants_spdy(request: web.Request) -> bool:
    """Whether a request asks for its connection to become a SPDY one."""
    return SPDY.lower() in request.headers.get("Upgrade", "").lower()


def negotiated(request: web.Request, served: tuple[str, ...]) -> str:
    """The first of a SPDY client's protocols that is served; empty if there is none."""
    lines = request.headers.getall("X-Stream-Protocol-Version", [])
    wanted = [each.strip() for line in lines for each in line.split(",")]
    return next((each for each in wanted if each in served), "")


@asynccontextmanager
async def upgraded(request: web.Request, protocol: str) -> AsyncIterator[UpgradedCarrier]:
    """Take a request's connection away from HTTP and make it a SPDY one; it is closed at the end.

    Args:
        request: it asks for the upgrade.
        protocol: which of its protocols was chosen.

    Raises:
        ConnectionError: the client is gone.
    """
    transport, http = request.transport, request.protocol
    if transport is None:
        raise ConnectionResetError("the client is gone")
    reader = asyncio.StreamReader(LARGEST_WAITING)
    spdy = asyncio.StreamReaderProtocol(reader)
    transport.set_protocol(spdy)
    spdy.connection_made(transport)
    head = f"Connection: Upgrade\r\nUpgrade: {SPDY}\r\nX-Stream-Protocol-Version: {protocol}"
    transport.write(f"HTTP/1.1 101 Switching Protocols\r\n{head}\r\n\r\n".encode())
    writer = asyncio.StreamWriter(transport, spdy, reader, asyncio.get_running_loop())
    try:
        yield UpgradedCarrier(reader, writer)
    finally:
        # HTTP's side must learn of the end, or it would keep the connection in its books.
        closed = transport.is_closing()
        transport.set_protocol(http)
        transport.close()
        if closed:
            http.connection_lost(None)
