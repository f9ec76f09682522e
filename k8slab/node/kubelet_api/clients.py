"""The clients of exec and attach: over a WebSocket with numbered channels, or over SPDY with named streams.

Source: k8s.io/cri-streaming/pkg/streaming/remotecommand/{websocket,httpstream}.go and the constants of
apimachinery's pkg/util/remotecommand (v0.36).
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Protocol

from aiohttp import WSMsgType, web

from k8slab.node.kubelet_api.carriers import TakenOverResponse, negotiated, upgraded, wants_spdy
from k8slab.node.kubelet_api.spdy_streams import Carrier, RefusedStreamError, SpdyConnection, SpdyStream

log = logging.getLogger(__name__)

STDIN, STDOUT, STDERR, ERROR, RESIZE = range(5)
CLOSE = 255
"""In v5 a message on this channel names a channel that its sender has closed."""

NAMES = {"stdin": STDIN, "stdout": STDOUT, "stderr": STDERR, "error": ERROR, "resize": RESIZE}
PROTOCOLS = (
    *("v5.channel.k8s.io", "v4.channel.k8s.io", "v4.base64.channel.k8s.io"),
    *("channel.k8s.io", "base64.channel.k8s.io"),
)
SPDY_PROTOCOL = "v4.channel.k8s.io"
CREATION_SECONDS = 30.0
"""How long a SPDY client may take to open its streams; `DefaultStreamCreationTimeout`."""

CLOSING_SECONDS = 2.0

Status = Mapping[str, Any]


class NoCommonProtocolError(Exception):
    """A client speaks nothing that is served; the text is the kubelet's."""


@dataclass(frozen=True)
class Wanted:
    """Which streams a client asks for.

    Args:
        stdin: whether it sends input.
        stdout: whether it wants output.
        stderr: whether it wants the other output; never with a terminal, which has one only.
        tty: whether it wants a terminal.
    """

    stdin: bool
    stdout: bool
    stderr: bool
    tty: bool

    @staticmethod
    def of(query: Mapping[str, str]) -> Wanted:
        """What a request's query asks for."""
        tty = query.get("tty") == "1"
        stderr = query.get("error") == "1" and not tty
        return Wanted(query.get("input") == "1", query.get("output") == "1", stderr, tty)

    @property
    def nothing(self) -> bool:
        """Whether it asks for no stream at all, which is refused."""
        return not (self.stdin or self.stdout or self.stderr)


class StreamClient(Protocol):
    """Somebody who joined a program's streams."""

    def incoming(self) -> AsyncIterator[tuple[int, bytes]]:
        """What the client sends: channel and bytes; no bytes on STDIN mean that no more input comes."""

    async def send(self, channel: int, data: bytes) -> None:
        """Send output; raises ConnectionError if the client is gone."""

    async def conclude(self, status: Status) -> None:
        """Say how it ended; raises ConnectionError if the client is gone."""


class WebSocketClient:
    """A client that sends and gets numbered messages.

    Args:
        socket: the WebSocket, prepared.
    """

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self._socket = socket
        protocol = socket.ws_protocol or ""
        self._text = "base64" in protocol
        self._tells_status = protocol.startswith(("v4", "v5"))

    async def incoming(self) -> AsyncIterator[tuple[int, bytes]]:
        """What the client sends, until it is gone."""
        async for message in self._socket:
            if message.type is WSMsgType.BINARY and message.data and not self._text:
                channel, data = message.data[0], bytes(message.data[1:])
            elif message.type is WSMsgType.TEXT and message.data and self._text:
                channel, data = int(message.data[0]), base64.b64decode(message.data[1:])
            else:
                continue
            if channel == CLOSE:
                if data[:1] == bytes([STDIN]):
                    yield STDIN, b""
            elif data:
                yield channel, data

    async def send(self, channel: int, data: bytes) -> None:
        """Send output."""
        if self._text:
            await self._socket.send_str(str(channel) + base64.b64encode(data).decode())
        else:
            await self._socket.send_bytes(bytes([channel]) + data)

    async def conclude(self, status: Status) -> None:
        """Say how it ended; to clients from before v4 in words, and only of a failure."""
        if self._tells_status:
            await self.send(ERROR, json.dumps(status).encode())
        elif status["status"] != "Success":
            await self.send(ERROR, str(status["message"]).encode())


class SpdyClient:
    """A client that opens a stream for each kind of data.

    Args:
        carrier: carries the SPDY connection.
        wanted: the streams it asked for.
    """

    def __init__(self, carrier: Carrier, wanted: Wanted) -> None:
        kinds = {
            "stdin": wanted.stdin,
            "stdout": wanted.stdout,
            "stderr": wanted.stderr,
            "resize": wanted.tty,
        }
        self._missing = {"error", *(name for name, asked in kinds.items() if asked)}
        self._streams: dict[int, SpdyStream] = {}
        self._complete = asyncio.Event()
        self._connection = SpdyConnection(carrier, self._opened)

    def _opened(self, stream: SpdyStream) -> None:
        kind = stream.headers.get("streamtype", "")
        if kind not in self._missing:
            raise RefusedStreamError(f'unexpected stream type: "{kind}"')
        self._missing.discard(kind)
        self._streams[NAMES[kind]] = stream
        if not self._missing:
            self._complete.set()

    @asynccontextmanager
    async def served(self) -> AsyncIterator[SpdyClient]:
        """Serve the connection; the streams are there once the context is entered.

        Raises:
            ConnectionError: the client went away, or did not open them in time.
        """
        serving = asyncio.create_task(self._connection.serve())
        opening = asyncio.create_task(self._complete.wait())
        try:
            done, _ = await asyncio.wait(
                {serving, opening}, timeout=CREATION_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            if opening not in done:
                raise ConnectionResetError("timed out waiting for client to create streams")
            yield self
            with suppress(ConnectionError):
                for stream in self._streams.values():
                    await stream.finish()
                    stream.discard()
                await self._connection.close()
                await asyncio.wait({serving}, timeout=CLOSING_SECONDS)
        finally:
            for task in (serving, opening):
                task.cancel()
            await asyncio.gather(serving, opening, return_exceptions=True)

    async def incoming(self) -> AsyncIterator[tuple[int, bytes]]:
        """What the client sends, until it is gone."""
        arrived: asyncio.Queue[tuple[int, bytes]] = asyncio.Queue(maxsize=4)

        async def pump(channel: int) -> None:
            stream = self._streams[channel]
            while data := await stream.read():
                await arrived.put((channel, data))
            await arrived.put((channel, b""))

        channels = [channel for channel in (STDIN, RESIZE) if channel in self._streams]
        pumps = [asyncio.create_task(pump(channel)) for channel in channels]
        gone = asyncio.create_task(self._connection.ended.wait())
        getting = asyncio.create_task(arrived.get())
        try:
            while True:
                await asyncio.wait({getting, gone}, return_when=asyncio.FIRST_COMPLETED)
                if not getting.done():
                    return
                channel, data = getting.result()
                getting = asyncio.create_task(arrived.get())
                if data or channel == STDIN:
                    yield channel, data
        finally:
            for task in (*pumps, gone, getting):
                task.cancel()
            await asyncio.gather(*pumps, gone, getting, return_exceptions=True)

    async def send(self, channel: int, data: bytes) -> None:
        """Send output; kinds that were not asked for are left out."""
        stream = self._streams.get(channel)
        if stream is not None and data:
            await stream.write(data)

    async def conclude(self, status: Status) -> None:
        """Say how it ended."""
        await self._streams[ERROR].write(json.dumps(status).encode())


@asynccontextmanager
async def joined(
    request: web.Request, wanted: Wanted
) -> AsyncIterator[tuple[StreamClient, web.StreamResponse]]:
    """Answer a request with the connection that it asks for.

    Args:
        request: it asks for a WebSocket or for SPDY.
        wanted: which streams it asks for.

    Yields:
        The client, and the response to return to aiohttp afterwards.

    Raises:
        NoCommonProtocolError: it speaks nothing that is served.
        ConnectionError: it is gone.
    """
    if wants_spdy(request):
        protocol = negotiated(request, (SPDY_PROTOCOL,))
        if not protocol:
            asked = " ".join(request.headers.getall("X-Stream-Protocol-Version", []))
            text = "unable to upgrade: unable to negotiate protocol: client supports"
            raise NoCommonProtocolError(f"{text} [{asked}], server accepts [{SPDY_PROTOCOL}]")
        async with upgraded(request, protocol) as carrier, SpdyClient(carrier, wanted).served() as client:
            yield client, TakenOverResponse()
        return
    asked = request.headers.get("Sec-WebSocket-Protocol", "")
    if asked and not set(PROTOCOLS) & {each.strip() for each in asked.split(",")}:
        raise NoCommonProtocolError(
            f"requested protocol(s) are not supported: [{asked}]; supports {PROTOCOLS}"
        )
    socket = web.WebSocketResponse(
        protocols=PROTOCOLS, compress=False, max_msg_size=0, timeout=CLOSING_SECONDS
    )
    await socket.prepare(request)
    over_socket = WebSocketClient(socket)
    # An empty message on the first channel that is written to tells the client that the line is open.
    await over_socket.send(STDOUT if wanted.stdout else STDERR if wanted.stderr else ERROR, b"")
    yield over_socket, socket
    await socket.close()
