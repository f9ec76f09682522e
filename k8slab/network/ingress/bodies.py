"""Reading heads and bodies of HTTP/1.x messages from a stream, and writing bodies to one."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import struct
from collections.abc import AsyncIterator

from k8slab.errors import ClusterError
from k8slab.network.http_head import LONGEST_HEAD
from k8slab.network.ingress.messages import Length

PIECE = 65_536
"""Bytes that one read asks for."""

SILENCE_SECONDS = 60.0
"""How long one side may be silent within a message, or not read what it is sent (nginx: proxy_read_timeout,
proxy_send_timeout, client_body_timeout, send_timeout)."""

TOO_LONG = f"A head is longer than {LONGEST_HEAD} bytes."

LINGER_SECONDS = 1.0
"""How long a client may take to read the last answer while what it still sends is thrown away."""


class BrokenMessageError(ClusterError):
    """A message ended before its end, or its chunks are none."""


async def read_head(
    reader: asyncio.StreamReader, seconds: float | None, *, bare_ends: bool = False
) -> bytes | None:
    """The head of the next message, without its closing empty line; None if the stream ended before it.

    Empty lines before it are passed over (RFC 9112, 2.2).

    Args:
        reader: the stream.
        seconds: how long it may take; None for as long as it takes.
        bare_ends: whether a line may end with a line feed alone, as those of servers written in a shell do;
            nginx takes them from a server, too.

    Raises:
        BrokenMessageError: it ended in the middle, or is longer than 64 KiB.
        TimeoutError: it was not there in time.
        OSError: the connection broke.
    """
    lines: list[bytes] = []
    size = 0
    async with asyncio.timeout(seconds):
        try:
            while size <= LONGEST_HEAD:
                line = await reader.readuntil(b"\n" if bare_ends else b"\r\n")
                size += len(line)
                line = line.removesuffix(b"\n").removesuffix(b"\r")
                if line:
                    lines.append(line)
                elif lines:
                    return b"\r\n".join(lines)
        except asyncio.IncompleteReadError as error:
            if lines or error.partial.strip():
                raise BrokenMessageError("A head ended before its end.") from error
            return None
        except asyncio.LimitOverrunError as error:
            raise BrokenMessageError(TOO_LONG) from error
    raise BrokenMessageError(TOO_LONG)


async def read_body(reader: asyncio.StreamReader, length: Length) -> AsyncIterator[bytes]:
    """The pieces of a body, none of them empty; trailers are read and dropped.

    Raises:
        BrokenMessageError: the stream ended before the body, or a chunk is none.
        TimeoutError: nothing came for `SILENCE_SECONDS`.
        OSError: the connection broke.
    """
    if length == "to the end":
        while piece := await _read(reader, PIECE):
            yield piece
    elif length == "chunked":
        while size := await _chunk_size(reader):
            async for piece in _exactly(reader, size):
                yield piece
            if await _line(reader):
                raise BrokenMessageError("A chunk is longer than it says.")
        while await _line(reader):
            continue
    else:
        async for piece in _exactly(reader, length):
            yield piece


async def write_body(pieces: AsyncIterator[bytes], writer: asyncio.StreamWriter, length: Length) -> None:
    """Write a body, in chunks if so framed; a receiver that does not read is waited for `SILENCE_SECONDS`.

    Raises:
        OSError: the connection broke, or the receiver does not read.
    """
    async for piece in pieces:
        if length == "chunked":
            writer.write(b"%x\r\n" % len(piece) + piece + b"\r\n")
        else:
            writer.write(piece)
        await _drain(writer)
    if length == "chunked":
        writer.write(b"0\r\n\r\n")
        await _drain(writer)


async def tunnel(
    left: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    right: tuple[asyncio.StreamReader, asyncio.StreamWriter],
) -> None:
    """Copy bytes both ways until both sides have ended; if either breaks, both are reset.

    Raises:
        ConnectionAbortedError: one side broke.
    """
    try:
        async with asyncio.TaskGroup() as directions:
            directions.create_task(_pump(left[0], right[1]))
            directions.create_task(_pump(right[0], left[1]))
    except* OSError as group:
        reset_stream(left[1])
        reset_stream(right[1])
        raise ConnectionAbortedError(f"a tunnel broke: {group.exceptions[0]}") from group


async def linger(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """End a connection so that the client can read what it was sent last.

    Bytes that nobody reads would make the kernel reset the connection, and the answer with it.
    """
    if writer.can_write_eof():
        writer.write_eof()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LINGER_SECONDS):
            while await reader.read(PIECE):
                continue


def reset_stream(writer: asyncio.StreamWriter) -> None:
    """Close a connection so that the other side sees a reset: half a message is not taken for a whole."""
    if not writer.transport.is_closing():
        connection = writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy bytes up to the end of the stream, and pass that on."""
    while piece := await reader.read(PIECE):
        writer.write(piece)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
    else:
        # TLS cannot be half closed here.
        writer.close()


async def _drain(writer: asyncio.StreamWriter) -> None:
    try:
        async with asyncio.timeout(SILENCE_SECONDS):
            await writer.drain()
    except TimeoutError as error:
        # A silent sender is a TimeoutError, and somebody else's fault.
        raise ConnectionAbortedError(f"nothing was read for {SILENCE_SECONDS:.0f} s") from error


async def _read(reader: asyncio.StreamReader, most: int) -> bytes:
    async with asyncio.timeout(SILENCE_SECONDS):
        return await reader.read(most)


async def _exactly(reader: asyncio.StreamReader, size: int) -> AsyncIterator[bytes]:
    while size:
        piece = await _read(reader, min(size, PIECE))
        if not piece:
            raise BrokenMessageError("A body ended before its end.")
        size -= len(piece)
        yield piece


async def _line(reader: asyncio.StreamReader) -> bytes:
    try:
        async with asyncio.timeout(SILENCE_SECONDS):
            return (await reader.readuntil(b"\r\n"))[:-2]
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise BrokenMessageError("A chunk ended before its end.") from error


async def _chunk_size(reader: asyncio.StreamReader) -> int:
    digits = (await _line(reader)).partition(b";")[0].strip(b" \t")
    if not re.fullmatch(rb"[0-9A-Fa-f]{1,15}", digits):
        raise BrokenMessageError("Wanted the size of a chunk.")
    return int(digits, 16)
