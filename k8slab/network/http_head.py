"""Reading the head of an HTTP/1.x request from a socket, and short answers of the proxies' own."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass
from http import HTTPStatus

from k8slab.errors import ClusterError

LONGEST_HEAD = 65_536
"""Bytes a request line and its headers may have together."""

HEAD_SECONDS = 30.0
"""How long a client may take to send its request's head."""


class BadRequestError(ClusterError):
    """What came is no HTTP/1.x request."""


@dataclass(frozen=True)
class RequestHead:
    """Request line and headers as they came.

    Args:
        method: such as `GET` or `CONNECT`.
        target: the request target, such as `http://web/` or `10.7.0.5:80`.
        version: such as `HTTP/1.1`.
        headers: names and values, in order, names as the client spelled them.
        rest: bytes that came after the head.
    """

    method: str
    target: str
    version: str
    headers: tuple[tuple[str, str], ...]
    rest: bytes

    def header(self, name: str) -> str:
        """The first value of a header, whatever its spelling; empty if it is absent."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")

    @staticmethod
    def parse(head: bytes, rest: bytes = b"") -> RequestHead:
        """Read a head, given without its closing empty line.

        Raises:
            BadRequestError: it is no HTTP/1.x request.
        """
        first, *lines = head.decode("latin-1").split("\r\n")
        words = first.split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            raise BadRequestError(f"Wanted an HTTP/1.x request line, got {first[:80]!r}.")
        headers = []
        for line in lines:
            name, colon, value = line.partition(":")
            if not colon or not name or name != name.strip():
                raise BadRequestError(f"Wanted a header, got {line[:80]!r}.")
            headers.append((name, value.strip(" \t")))
        return RequestHead(words[0], words[1], words[2], tuple(headers), rest)


async def read_head(connection: socket.socket) -> RequestHead | None:
    """Read one request's head from a non-blocking socket; None if the client ended without a word.

    Raises:
        BadRequestError: it is no HTTP/1.x request, too long, or not there after `HEAD_SECONDS`.
        OSError: the connection broke.
    """
    loop = asyncio.get_running_loop()
    data = b""
    try:
        async with asyncio.timeout(HEAD_SECONDS):
            while b"\r\n\r\n" not in data:
                part = await loop.sock_recv(connection, 16_384)
                data += part
                if not data:
                    return None
                if not part or len(data) > LONGEST_HEAD:
                    raise BadRequestError("The request's head has no end, or is longer than 64 KiB.")
    except TimeoutError as error:
        raise BadRequestError(f"No request came within {HEAD_SECONDS:.0f} s.") from error
    head, _, rest = data.partition(b"\r\n\r\n")
    return RequestHead.parse(head, rest)


def answer(status: HTTPStatus, text: str) -> bytes:
    """A whole HTTP response of one line of plain text that ends the connection."""
    body = f"{text}\n".encode()
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode() + body


CONNECTED = b"HTTP/1.1 200 Connection established\r\n\r\n"
"""What a CONNECT is answered when the other end is there."""


def host_and_port(authority: str, default_port: int) -> tuple[str, int]:
    """Split `host:port`; the names of this lab hold no colon.

    Raises:
        BadRequestError: the port is no number from 1 to 65535, or there is no host.
    """
    host, _, port = authority.partition(":")
    if not host or (port and not (port.isascii() and port.isdigit() and 0 < int(port) < 65_536)):
        raise BadRequestError(f"Wanted host:port, got {authority[:80]!r}.")
    return host, int(port) if port else default_port


async def say_and_close(connection: socket.socket, status: HTTPStatus, text: str) -> None:
    """Send an answer of our own and end the connection in order, so that the client can read it.

    Raises:
        OSError: the client is gone.
    """
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(connection, answer(status, text))
    connection.shutdown(socket.SHUT_WR)
    # Bytes that nobody reads would make the kernel reset the connection, and the answer with it.
    try:
        async with asyncio.timeout(1.0):
            while await loop.sock_recv(connection, 16_384):
                pass
    except TimeoutError:
        # It has had its time to read the answer.
        pass
    connection.close()
