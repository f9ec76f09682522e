"""A SPDY connection as a server sees it: the client opens streams, both sides write, each ends its side."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping
from typing import Protocol

from k8slab.errors import LabError
from k8slab.node.kubelet_api.spdy import (
    CANCEL,
    PROTOCOL_ERROR,
    Data,
    Frame,
    FrameReader,
    FrameWriter,
    GoAway,
    Opened,
    Ping,
    Reset,
)

log = logging.getLogger(__name__)

LARGEST_BACKLOG = 1 << 20
"""Bytes of one stream that wait for their reader; then nothing more is read from the client."""

LARGEST_WRITE = 1 << 20


class RefusedStreamError(LabError):
    """A stream that the client opened is not wanted."""


class Carrier(Protocol):
    """What carries the bytes of a SPDY connection."""

    async def receive(self) -> bytes:
        """The next bytes; empty at the end."""

    async def send(self, data: bytes) -> None:
        """Send bytes; raises ConnectionError if nobody is there."""


class SpdyStream:
    """One stream of a connection.

    Args:
        number: its number.
        headers: what it was opened with, names in lower case.
        connection: the connection.
    """

    def __init__(self, number: int, headers: Mapping[str, str], connection: SpdyConnection) -> None:
        self.number = number
        self.headers = headers
        self._connection = connection
        self._waiting: deque[bytes] = deque()
        self._backlog = 0
        self._changed = asyncio.Event()
        self._theirs_open = True
        self._ours_open = True
        self._wanted = True

    async def read(self) -> bytes:
        """The next bytes that the client sent; empty when it sends no more."""
        while not self._waiting and self._theirs_open:
            self._changed.clear()
            await self._changed.wait()
        if not self._waiting:
            return b""
        data = self._waiting.popleft()
        self._backlog -= len(data)
        self._changed.set()
        return data

    async def write(self, data: bytes) -> None:
        """Send bytes to the client.

        Raises:
            ConnectionError: the client gave the stream up, or is gone.
        """
        for start in range(0, len(data), LARGEST_WRITE):
            if not self._ours_open:
                raise ConnectionResetError("the client gave the stream up")
            writer = self._connection.writer
            await self._connection.send(writer.data(self.number, data[start : start + LARGEST_WRITE]))

    async def finish(self) -> None:
        """Tell the client that no more comes on this stream."""
        if self._ours_open:
            self._ours_open = False
            await self._connection.send(self._connection.writer.data(self.number, b"", last=True))
            self._connection.forget_finished(self)

    async def reset(self) -> None:
        """Give the stream up; the client is told, unless both sides had ended it."""
        tell = self._ours_open
        self.end()
        self._connection.forget_finished(self)
        if tell:
            await self._connection.send(self._connection.writer.reset(self.number, CANCEL))

    def discard(self) -> None:
        """Let go of what the client sends from now on: nobody reads it any more."""
        self._wanted = False
        self._waiting.clear()
        self._backlog = 0
        self._changed.set()

    @property
    def finished(self) -> bool:
        """Whether both sides have ended it."""
        return not self._ours_open and not self._theirs_open

    # -- called by the connection --------------------------------------------------------------

    async def take(self, data: bytes, last: bool) -> None:
        """Keep what arrived; returns when the reader has caught up."""
        if data and self._wanted:
            self._waiting.append(data)
            self._backlog += len(data)
        if last:
            self._theirs_open = False
        self._changed.set()
        while self._backlog > LARGEST_BACKLOG and self._ours_open:
            self._changed.clear()
            await self._changed.wait()

    def end(self) -> None:
        """The stream is over for both sides."""
        self._theirs_open = self._ours_open = False
        self._changed.set()


class SpdyConnection:
    """Serves one client.

    Args:
        carrier: carries the bytes.
        opened: called with each stream that the client opens; raises RefusedStreamError for one that is
            not wanted.
    """

    def __init__(self, carrier: Carrier, opened: Callable[[SpdyStream], None]) -> None:
        self.writer = FrameWriter()
        self.ended = asyncio.Event()
        self._carrier = carrier
        self._opened = opened
        self._streams: dict[int, SpdyStream] = {}
        self._last_stream = 0
        self._sending = asyncio.Lock()

    async def serve(self) -> None:
        """Take what the client sends, until it is gone or goes away.

        Raises:
            SpdyError: it speaks something else.
        """
        reader = FrameReader()
        try:
            while data := await self._carrier.receive():
                for frame in reader.feed(data):
                    if isinstance(frame, GoAway):
                        return
                    await self._take(frame)
        except ConnectionError as error:
            log.debug("a client is gone: %s", error)
        finally:
            for stream in self._streams.values():
                stream.end()
            self._streams.clear()
            self.ended.set()

    async def close(self) -> None:
        """Tell the client that the connection is about to be closed."""
        await self.send(self.writer.go_away(self._last_stream))

    async def send(self, frame: bytes) -> None:
        """Send a frame; frames of several tasks never mix.

        Raises:
            ConnectionError: nobody is there.
        """
        async with self._sending:
            await self._carrier.send(frame)

    def forget_finished(self, stream: SpdyStream) -> None:
        """Drop a stream that both sides have ended."""
        if stream.finished:
            self._streams.pop(stream.number, None)

    async def _take(self, frame: Frame) -> None:
        if isinstance(frame, Opened):
            await self._open(frame)
        elif isinstance(frame, Data):
            stream = self._streams.get(frame.stream)
            if stream is not None:
                await stream.take(frame.data, frame.last)
                self.forget_finished(stream)
        elif isinstance(frame, Reset):
            stream = self._streams.pop(frame.stream, None)
            if stream is not None:
                stream.discard()
                stream.end()
        elif isinstance(frame, Ping):
            await self.send(self.writer.ping(frame.number))

    async def _open(self, frame: Opened) -> None:
        if frame.stream <= self._last_stream or frame.stream % 2 == 0:
            await self.send(self.writer.reset(frame.stream, PROTOCOL_ERROR))
            return
        self._last_stream = frame.stream
        stream = SpdyStream(frame.stream, frame.headers, self)
        if frame.last:
            await stream.take(b"", last=True)
        try:
            self._opened(stream)
        except RefusedStreamError as error:
            log.info("a stream was refused: %s", error)
            await self.send(self.writer.reset(frame.stream, CANCEL))
            return
        self._streams[frame.stream] = stream
        await self.send(self.writer.reply(frame.stream))
