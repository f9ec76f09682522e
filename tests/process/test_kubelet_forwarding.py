"""Forwarded ports over a SPDY connection and over numbered channels, without a kubelet around them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from k8slab.node.kubelet_api import port_forward as kubelet_port_forward
from k8slab.node.kubelet_api import spdy_streams as kubelet_spdy_streams
from k8slab.node.kubelet_api.forwarding import BadForwardRequestError, asked_ports
from k8slab.node.kubelet_api.port_forward import PortForward
from k8slab.node.kubelet_api.spdy import Data, Frame, FrameReader, FrameWriter, Ping, Reset


class Pipe:
    """A carrier in memory, and the client at its other end."""

    def __init__(self) -> None:
        self.to_server: asyncio.Queue[bytes] = asyncio.Queue()
        self.writer = FrameWriter()
        self.frames: list[Frame] = []
        self.arrived = asyncio.Event()
        self._reader = FrameReader()

    async def receive(self) -> bytes:
        return await self.to_server.get()

    async def send(self, data: bytes) -> None:
        self.frames += self._reader.feed(data)
        self.arrived.set()

    def give(self, *frames: bytes) -> None:
        for frame in frames:
            self.to_server.put_nowait(frame)

    def connection(self, number: int, port: int = 80, request: str = "0") -> None:
        """Open the two streams of one forwarded connection, as kubectl does."""
        headers = {"port": str(port), "requestID": request}
        self.give(
            self.writer.open(number, {**headers, "streamType": "error"}),
            self.writer.data(number, b"", last=True),
            self.writer.open(number + 2, {**headers, "streamType": "data"}),
        )

    async def until(self, wanted: int, stream: int) -> bytes:
        """What came on a stream, once it is so many bytes."""
        while len(self.data(stream)) < wanted:
            self.arrived.clear()
            await asyncio.wait_for(self.arrived.wait(), 60)
        return self.data(stream)

    def data(self, stream: int) -> bytes:
        return b"".join(f.data for f in self.frames if isinstance(f, Data) and f.stream == stream)

    async def until_seen(self, frame: Frame) -> None:
        while frame not in self.frames:
            self.arrived.clear()
            await asyncio.wait_for(self.arrived.wait(), 60)


@asynccontextmanager
async def forwarded(port: int) -> AsyncIterator[Pipe]:
    """Forward to a port of this host, whatever port is asked for."""
    pipe = Pipe()

    async def connect(asked: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if asked == 9:
            raise ConnectionRefusedError("nobody listens on 9")
        return await asyncio.open_connection("127.0.0.1", port)

    serving = asyncio.create_task(PortForward(pipe, "sandbox", connect).serve())
    try:
        yield pipe
    finally:
        pipe.give(b"")
        await asyncio.wait_for(serving, 10)


@asynccontextmanager
async def program(answer: str, ending: asyncio.Event | None = None) -> AsyncIterator[int]:
    """A program of a Pod: `echo`; `count`, which answers once its client has said everything; or
    `deaf`, which reads nothing until its end."""
    ending = ending or asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if answer == "count":
            writer.write(str(len(await reader.read())).encode())
        elif answer == "deaf":
            await ending.wait()
        else:
            while data := await reader.read(65536):
                writer.write(data)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        ending.set()
        server.close()
        await server.wait_closed()
        await asyncio.sleep(0.05)  # The programs close their sides.


async def test_each_side_ends_its_half() -> None:
    async with program("count") as port, forwarded(port) as pipe:
        pipe.connection(1)
        pipe.give(*(pipe.writer.data(3, bytes(100_000)) for _ in range(50)))
        pipe.give(pipe.writer.data(3, b"", last=True))
        assert await pipe.until(7, 3) == b"5000000"
        await pipe.until_seen(Data(3, b"", last=True))
        await pipe.until_seen(Data(1, b"", last=True))
        pipe.give(pipe.writer.ping(5))
        await pipe.until_seen(Ping(5))


async def test_a_closed_port_is_told_on_the_error_stream() -> None:
    async with program("echo") as port, forwarded(port) as pipe:
        pipe.connection(1, port=9)
        told = b"error forwarding port 9 to pod sandbox, uid : nobody listens on 9"
        assert await pipe.until(len(told), 1) == told
        await pipe.until_seen(Reset(3, 5))
        await pipe.until_seen(Data(1, b"", last=True))
        # Others go on.
        pipe.connection(5, request="1")
        pipe.give(pipe.writer.data(7, b"hello"))
        assert await pipe.until(5, 7) == b"hello"


async def test_a_program_that_does_not_read_holds_its_client_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kubelet_spdy_streams, "LARGEST_BACKLOG", 100_000)
    ending = asyncio.Event()
    async with program("deaf", ending) as port, forwarded(port) as pipe:
        pipe.connection(1)
        pipe.give(*(pipe.writer.data(3, bytes(100_000)) for _ in range(300)))
        left = -1
        while left != pipe.to_server.qsize():
            left = pipe.to_server.qsize()
            await asyncio.sleep(0.2)
        assert left > 50, "30 MB were taken for a program that reads nothing"
        # When it is gone, its client's data are nobody's, and others are served again.
        ending.set()
        pipe.connection(5, port=9, request="1")
        assert await pipe.until(10, 5)


async def test_streams_that_are_not_wanted() -> None:
    async with program("echo") as port, forwarded(port) as pipe:
        for number, headers in enumerate(
            (
                {"streamType": "data"},
                {"port": "0", "streamType": "data"},
                {"port": "x", "streamType": "data"},
                {"port": "80"},
                {"port": "80", "streamType": "other"},
            )
        ):
            pipe.give(pipe.writer.open(2 * number + 1, headers))
            await pipe.until_seen(Reset(2 * number + 1, 5))
        # A number that was used, and one that is the server's to use, are errors of the protocol.
        for number in (1, 10):
            pipe.give(pipe.writer.open(number, {"port": "80", "streamType": "data"}))
            await pipe.until_seen(Reset(number, 1))


async def test_half_a_pair_is_not_waited_for_in_vain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kubelet_port_forward, "CREATION_SECONDS", 0.1)
    async with program("echo") as port, forwarded(port) as pipe:
        pipe.give(pipe.writer.open(1, {"port": "80", "streamType": "error", "requestID": "7"}))
        told = b"(request=7) timed out waiting for streams"
        assert await pipe.until(len(told), 1) == told


def test_ports_in_a_query() -> None:
    assert asked_ports(["80", "81,82"]) == [80, 81, 82]
    for given, told in (
        ([], 'query parameter "port" is required'),
        ([""], 'query parameter "port" cannot be empty'),
        (["http"], 'unable to parse "http" as a port'),
        (["70000"], 'unable to parse "70000" as a port'),
        (["0"], 'port "0" must be > 0'),
    ):
        with pytest.raises(BadForwardRequestError, match=told):
            asked_ports(given)
