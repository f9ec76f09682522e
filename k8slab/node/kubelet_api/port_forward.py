"""`kubectl port-forward`: TCP connections to a Pod, several at a time in one connection of the client's.

Texts and rules are those of k8s.io/cri-streaming/pkg/streaming/portforward (v0.36): httpstream.go for SPDY,
bare or tunnelled through a WebSocket, and websocket.go for a WebSocket with numbered channels.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol

from k8slab.node.kubelet_api.spdy_streams import Carrier, RefusedStreamError, SpdyConnection, SpdyStream

log = logging.getLogger(__name__)

PROTOCOL = "portforward.k8s.io"
TUNNEL = f"SPDY/3.1+{PROTOCOL}"
CREATION_SECONDS = 30.0
"""How long one half of a pair waits for the other; `DefaultStreamCreationTimeout`."""

CHUNK = 1 << 15

Connect = Callable[[int], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]
"""Opens a connection to a port of the Pod; raises OSError."""


class DataStream(Protocol):
    """One forwarded connection, as the client sees it."""

    async def read(self) -> bytes:
        """What the client sent; empty when it sends no more."""

    async def write(self, data: bytes) -> None:
        """Send to the client; raises ConnectionError if it does not want it."""

    async def finish(self) -> None:
        """Tell the client that the Pod sends no more."""

    def discard(self) -> None:
        """Nobody reads what the client sends from now on."""


class Pair:
    """The two streams of one forwarded connection: its data, and what went wrong."""

    def __init__(self) -> None:
        self.data: SpdyStream | None = None
        self.error: SpdyStream | None = None
        self.complete = asyncio.Event()

    def add(self, stream: SpdyStream) -> str:
        """Take a stream in; says what is wrong, or nothing."""
        kind = stream.headers["streamtype"]
        if (self.error if kind == "error" else self.data) is not None:
            return f"{kind} stream already assigned"
        if kind == "error":
            self.error = stream
        else:
            self.data = stream
        if self.data is not None and self.error is not None:
            self.complete.set()
        return ""


class PortForward:
    """Forwards the ports of one Pod over one SPDY connection.

    Args:
        carrier: carries the SPDY connection.
        pod: what its sandbox is called.
        connect: opens a connection to a port of the Pod.
    """

    def __init__(self, carrier: Carrier, pod: str, connect: Connect) -> None:
        self._pod = pod
        self._connect = connect
        self._pairs: dict[str, Pair] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._connection = SpdyConnection(carrier, self._opened)

    async def serve(self) -> None:
        """Forward until the client is gone."""
        try:
            await self._connection.serve()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _opened(self, stream: SpdyStream) -> None:
        check_headers(stream)
        identity = request_id(stream)
        pair = self._pairs.get(identity)
        if pair is None:
            pair = self._pairs[identity] = Pair()
            self._spawn(self._forward_pair(identity, pair))
        problem = pair.add(stream)
        if problem:
            raise RefusedStreamError(f"error processing stream for request {identity}: {problem}")

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _forward_pair(self, identity: str, pair: Pair) -> None:
        try:
            async with asyncio.timeout(CREATION_SECONDS):
                await pair.complete.wait()
        except TimeoutError:
            log.info("request %s: timed out waiting for streams", identity)
            if pair.error is not None:
                with suppress(ConnectionError):
                    await pair.error.write(f"(request={identity}) timed out waiting for streams".encode())
            return
        finally:
            del self._pairs[identity]
        data, error = pair.data, pair.error
        if data is None or error is None:
            return
        # The client is gone: everything is taken down anyway.
        with suppress(ConnectionError):
            problem = await forward(data, int(data.headers["port"]), self._pod, self._connect)
            if problem:
                log.info("%s", problem)
                await error.write(problem.encode())
                await data.reset()
            await data.finish()
            await error.finish()


async def forward(stream: DataStream, port: int, pod: str, connect: Connect) -> str:
    """Forward one connection until both directions have ended, each by itself, or one of them broke.

    Args:
        stream: the client's side.
        port: the Pod's port.
        pod: what the Pod's sandbox is called.
        connect: opens a connection to it.

    Returns:
        What went wrong, in the kubelet's words, or nothing.
    """
    prefix = f"error forwarding port {port} to pod {pod}, uid : "
    try:
        reader, writer = await connect(port)
    except OSError as error:
        stream.discard()
        return f"{prefix}{error}"
    up = asyncio.create_task(_to_pod(stream, writer))
    down = asyncio.create_task(_to_client(stream, reader))
    ended = False
    try:
        await asyncio.gather(up, down)
        ended = True
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        return f"{prefix}{reason}" if _is_the_pods(error) else ""
    finally:
        up.cancel()
        down.cancel()
        await asyncio.gather(up, down, return_exceptions=True)
        if not ended:
            # What a program does not read would otherwise be kept for it as long as it lives.
            writer.transport.abort()
        writer.close()
    return ""


class ClientGaveUpError(ConnectionError):
    """The client closed its end of one forwarded connection; that is no trouble of the Pod's."""


def _is_the_pods(error: OSError) -> bool:
    return not isinstance(error, ClientGaveUpError)


async def _to_pod(stream: DataStream, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await stream.read():
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except (BrokenPipeError, ConnectionResetError) as error:
        # The program reads no more; what it still sends is worth having.
        log.debug("a forwarded connection's program reads no more: %s", error)
        stream.discard()


async def _to_client(stream: DataStream, reader: asyncio.StreamReader) -> None:
    while data := await reader.read(CHUNK):
        try:
            await stream.write(data)
        except ConnectionError as error:
            raise ClientGaveUpError(str(error)) from error
    try:
        await stream.finish()
    except ConnectionError as error:
        raise ClientGaveUpError(str(error)) from error
    # Once it sends no more, kubectl is done with the connection; what the client still sends is read away.
    stream.discard()


def check_headers(stream: SpdyStream) -> None:
    """Refuse a stream without a port or a known type.

    Raises:
        RefusedStreamError: what it lacks.
    """
    port, kind = stream.headers.get("port", ""), stream.headers.get("streamtype", "")
    if not port:
        raise RefusedStreamError('"port" header is required')
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 1 << 16):
        raise RefusedStreamError(f'unable to parse "{port}" as a port')
    if not kind:
        raise RefusedStreamError('"streamType" header is required')
    if kind not in ("data", "error"):
        raise RefusedStreamError(f'invalid stream type "{kind}"')


def request_id(stream: SpdyStream) -> str:
    """Which forwarded connection a stream belongs to; very old clients number them by their streams."""
    given = stream.headers.get("requestid")
    if given:
        return given
    return str(stream.number if stream.headers["streamtype"] == "error" else stream.number - 2)
