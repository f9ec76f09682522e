"""Joining two connections: bytes go both ways until both sides have said that they are done.

An end of stream on one side becomes an end of stream on the other (a half-closed connection stays half open),
and a reset on one side becomes a reset on the other: what a client sees is what the program did.
"""

from __future__ import annotations

import asyncio
import socket
import struct

CHUNK = 65_536
"""Bytes that one read asks for."""

TURN = 16
"""Reads after which other connections get a turn: a stream that never has to wait would hold the loop."""


def reset(connection: socket.socket) -> None:
    """Close a connection so that the other side sees a reset, and not an orderly end.

    A unix socket knows no reset and is closed.
    """
    if connection.fileno() >= 0 and connection.family == socket.AF_INET:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


async def splice(left: socket.socket, right: socket.socket) -> None:
    """Copy bytes between two connected, non-blocking sockets until both have ended, and close them.

    If either breaks, or the caller is cancelled, both are reset.
    """
    ended = False
    try:
        async with asyncio.TaskGroup() as directions:
            directions.create_task(_copy(left, right))
            directions.create_task(_copy(right, left))
        ended = True
    except* OSError:
        # The other side learns of it: both are reset below.
        ended = False
    finally:
        close = socket.socket.close if ended else reset
        close(left)
        close(right)


async def _copy(source: socket.socket, target: socket.socket) -> None:
    """Copy one direction up to its end of stream, and pass that on."""
    loop = asyncio.get_running_loop()
    reads = 0
    while data := await loop.sock_recv(source, CHUNK):
        await loop.sock_sendall(target, data)
        reads += 1
        if reads % TURN == 0:
            await asyncio.sleep(0)
    target.shutdown(socket.SHUT_WR)
