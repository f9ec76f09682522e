"""The forms in which clients of exec and attach send and get their channels."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from aiohttp import WSMessage, WSMsgType, web

from k8slab.node.kubelet_api.clients import (
    ERROR,
    RESIZE,
    STDIN,
    STDOUT,
    SpdyClient,
    Wanted,
    WebSocketClient,
)
from k8slab.node.kubelet_api.spdy import FrameWriter
from k8slab.node.kubelet_api.streams import exit_status, internal_error


class ScriptedSocket:
    """A WebSocket whose client says what it is told to, and that keeps what it is sent."""

    def __init__(self, protocol: str | None, *messages: bytes | str) -> None:
        self.ws_protocol = protocol
        self.sent: list[bytes | str] = []
        self._messages = messages

    async def __aiter__(self) -> AsyncIterator[WSMessage]:
        for data in self._messages:
            kind = WSMsgType.TEXT if isinstance(data, str) else WSMsgType.BINARY
            yield cast(WSMessage, Message(kind, data))

    async def send_bytes(self, data: bytes) -> None:
        self.sent.append(data)

    async def send_str(self, data: str) -> None:
        self.sent.append(data)


class Message:
    def __init__(self, kind: WSMsgType, data: bytes | str) -> None:
        self.type = kind
        self.data = data


def client(protocol: str | None, *messages: bytes | str) -> tuple[WebSocketClient, ScriptedSocket]:
    socket = ScriptedSocket(protocol, *messages)
    return WebSocketClient(cast(web.WebSocketResponse, cast(Any, socket))), socket


async def incoming(joined: WebSocketClient) -> list[tuple[int, bytes]]:
    return [each async for each in joined.incoming()]


FAILED = exit_status(3, ["sh", "-c", "exit 3"])
WORDS = "command terminated with non-zero exit code: error executing command [sh -c exit 3], exit code 3"


@pytest.mark.parametrize("protocol", ["v5.channel.k8s.io", "v4.channel.k8s.io", "channel.k8s.io", None])
def test_binary_messages(protocol: str | None) -> None:
    said = (b"\x00input", b"", b"\x00", "text is not for this protocol", b'\x04{"Width":80,"Height":24}')
    joined, socket = client(protocol, *said, b"\xff\x00", b"\xff\x01")

    async def talk() -> list[tuple[int, bytes]]:
        await joined.send(STDOUT, b"\xff\x00output")
        await joined.conclude(exit_status(0))
        await joined.conclude(FAILED)
        return await incoming(joined)

    told = asyncio.run(talk())
    # The last is v5's: the client has closed its input. A closed output is nobody's business.
    assert told == [(STDIN, b"input"), (RESIZE, b'{"Width":80,"Height":24}'), (STDIN, b"")]
    assert socket.sent[0] == b"\x01\xff\x00output"
    if protocol and protocol.startswith("v"):
        assert socket.sent[1] == b'\x03{"metadata": {}, "status": "Success"}'
        assert b'"reason": "ExitCode", "message": "3"' in cast(bytes, socket.sent[2])
    else:
        # Before v4 a client is told of a failure alone, and in words.
        assert socket.sent[1:] == [b"\x03" + WORDS.encode()]


@pytest.mark.parametrize("protocol", ["v4.base64.channel.k8s.io", "base64.channel.k8s.io"])
def test_messages_of_text(protocol: str) -> None:
    joined, socket = client(protocol, "0aW5wdXQ=", b"\x00bytes are not for this protocol", "0")

    async def talk() -> list[tuple[int, bytes]]:
        await joined.send(STDOUT, b"\xff\x00")
        await joined.send(ERROR, b"")
        return await incoming(joined)

    assert asyncio.run(talk()) == [(STDIN, b"input")]
    assert socket.sent == ["1/wA=", "3"]


def test_which_streams_a_query_asks_for() -> None:
    assert Wanted.of({"input": "1", "output": "1", "error": "1"}) == Wanted(True, True, True, False)
    # A terminal has one output only.
    assert Wanted.of({"output": "1", "error": "1", "tty": "1"}) == Wanted(False, True, False, True)
    assert Wanted.of({"tty": "1", "error": "1"}).nothing
    assert not Wanted.of({"input": "1"}).nothing


def test_how_a_program_that_could_not_be_joined_is_told() -> None:
    status = internal_error("error executing command in container: no")
    assert status["message"] == "Internal error occurred: error executing command in container: no"
    assert (status["status"], status["reason"], status["code"]) == ("Failure", "InternalError", 500)


class SilentCarrier:
    """A client that opens its streams, says one word, and then nothing."""

    def __init__(self) -> None:
        writer = FrameWriter()
        self._frames = [
            writer.open(1, {"streamtype": "error"}),
            writer.open(3, {"streamtype": "stdin"}),
            writer.data(3, b"word"),
        ]

    async def receive(self) -> bytes:
        if not self._frames:
            await asyncio.Event().wait()
        return self._frames.pop(0)

    async def send(self, data: bytes) -> None:
        return None


async def test_a_listener_that_is_cancelled_leaves_no_task_behind() -> None:
    spdy, heard = SpdyClient(SilentCarrier(), Wanted(True, False, False, False)), asyncio.Event()

    async def listen() -> None:
        async for channel, data in spdy.incoming():
            assert (channel, data) == (STDIN, b"word")
            heard.set()

    async with spdy.served():
        before = asyncio.all_tasks()
        listening = asyncio.create_task(listen())
        await asyncio.wait_for(heard.wait(), 5)
        await asyncio.sleep(0)
        listening.cancel()
        await asyncio.wait({listening})
        assert asyncio.all_tasks() == before
        spdy._connection.ended.set()
