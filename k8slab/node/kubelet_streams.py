"""exec and attach over WebSocket, subprotocols v4 and v5.channel.k8s.io.

Each message starts with the number of its channel. Source: the constants of apimachinery's
pkg/util/remotecommand and kubelet's pkg/cri/streaming/remotecommand/websocket.go (v0.36).
"""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import AbstractAsyncContextManager

from aiohttp import WSMsgType, web

from k8slab.node.container_streams import ContainerStreams
from k8slab.node.runtime_client import RuntimeClient, RuntimeGoneError, RuntimeRefusedError

log = logging.getLogger(__name__)

PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
STDIN, STDOUT, STDERR, ERROR, RESIZE = range(5)
CLOSE = 255
"""In v5 a message on this channel names a channel that its sender has closed."""


async def converse(
    request: web.Request,
    streams: AbstractAsyncContextManager[ContainerStreams],
    runtime: RuntimeClient,
    resized: str,
) -> web.StreamResponse:
    """Join a client's WebSocket to a program's streams until one of them ends.

    Args:
        request: the client's request.
        streams: gives the program's streams.
        runtime: the node's runtime, for changes of the terminal's size.
        resized: what to resize if the streams are no command's: the container's id.
    """
    socket = web.WebSocketResponse(protocols=PROTOCOLS, compress=False, max_msg_size=0, timeout=2.0)
    await socket.prepare(request)
    wants_output = request.query.get("output") == "1" or request.query.get("error") == "1"
    # An empty message tells the client that the line is open.
    await socket.send_bytes(bytes([STDOUT if wants_output else ERROR]))
    try:
        async with streams as opened:
            await _join(socket, opened, runtime, resized, wants_stdin=request.query.get("input") == "1")
    except RuntimeRefusedError as error:
        await _conclude(socket, _failure(str(error), "InternalError", 500))
    except RuntimeGoneError as error:
        await _conclude(socket, _failure(str(error), "ServiceUnavailable", 503))
    except ConnectionError as error:
        log.info("the client of %s is gone: %s", request.path, error)
    await socket.close()
    return socket


async def _join(
    socket: web.WebSocketResponse,
    streams: ContainerStreams,
    runtime: RuntimeClient,
    resized: str,
    wants_stdin: bool,
) -> None:
    if not wants_stdin:
        streams.close_stdin()
    receiving = asyncio.create_task(_receive(socket, streams, runtime, resized, wants_stdin))
    channels = [STDOUT, STDERR]

    async def send_all() -> None:
        pairs = zip(streams.outputs, channels, strict=False)
        await asyncio.gather(*(_send(socket, streams, descriptor, channel) for descriptor, channel in pairs))

    sending = asyncio.create_task(send_all())
    try:
        await asyncio.wait({receiving, sending}, return_when=asyncio.FIRST_COMPLETED)
        if not sending.done():
            # The client is gone; closing the streams tells the program.
            return
        await sending
        await _conclude(socket, exit_status(await streams.exit_code if streams.number else 0))
    finally:
        receiving.cancel()
        sending.cancel()
        await asyncio.gather(receiving, sending, return_exceptions=True)


async def _send(
    socket: web.WebSocketResponse, streams: ContainerStreams, descriptor: int, channel: int
) -> None:
    while data := await streams.read(descriptor):
        await socket.send_bytes(bytes([channel]) + data)


async def _receive(
    socket: web.WebSocketResponse,
    streams: ContainerStreams,
    runtime: RuntimeClient,
    resized: str,
    wants_stdin: bool,
) -> None:
    async for message in socket:
        if message.type is not WSMsgType.BINARY or not message.data:
            continue
        channel, data = message.data[0], message.data[1:]
        if channel == STDIN and wants_stdin and data:
            await streams.write(data)
        elif channel == CLOSE and data[:1] == bytes([STDIN]):
            streams.close_stdin()
        elif channel == RESIZE and data:
            await _resize(data, streams, runtime, resized)


async def _resize(data: bytes, streams: ContainerStreams, runtime: RuntimeClient, resized: str) -> None:
    try:
        size = json.loads(data)
        rows, columns = int(size["Height"]), int(size["Width"])
    except (ValueError, KeyError, TypeError):
        log.info("a client sent a terminal size that is none: %r", data[:80])
        return
    target = {"exec": streams.number} if streams.number else {"container": resized}
    try:
        await runtime.ask("resize", rows=rows, columns=columns, **target)
    except (RuntimeRefusedError, RuntimeGoneError) as error:
        log.info("resizing a terminal: %s", error)


async def _conclude(socket: web.WebSocketResponse, status: dict[str, object]) -> None:
    await socket.send_bytes(bytes([ERROR]) + json.dumps(status).encode())


def exit_status(code: int) -> dict[str, object]:
    """The Status that tells a client how a command ended. Pure."""
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: exit status {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


def _failure(message: str, reason: str, code: int) -> dict[str, object]:
    return {"metadata": {}, "status": "Failure", "message": message, "reason": reason, "code": code}
