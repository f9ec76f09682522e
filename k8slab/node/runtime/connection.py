"""One client of the runtime: JSON lines over a unix socket, with file descriptors beside them."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Callable
from typing import Any

LONGEST_REQUEST = 4 << 20
"""Bytes of one request: a Pod's environment may be large."""

Message = dict[str, Any]


class Connection:
    """One client.

    Args:
        taken: its socket.
        take: called with each request, a line.
        forget: called when it is closed.
    """

    def __init__(
        self,
        taken: socket.socket,
        take: Callable[[Connection, bytes], None],
        forget: Callable[[Connection], None],
    ) -> None:
        self._socket = taken
        self._take = take
        self._forget = forget
        self._rest = b""
        self._outgoing: list[tuple[bytes, list[int]]] = []
        self._writing = False
        taken.setblocking(False)
        asyncio.get_running_loop().add_reader(taken, self._read)

    def send(self, message: Message, descriptors: list[int] | None = None) -> None:
        """Send a message; the descriptors go with it and are closed here."""
        self._outgoing.append((json.dumps(message).encode() + b"\n", descriptors or []))
        if not self._writing:
            self._write()

    def close(self) -> None:
        """Close it, and what belongs to it."""
        if self._socket.fileno() >= 0:
            loop = asyncio.get_running_loop()
            loop.remove_reader(self._socket)
            loop.remove_writer(self._socket)
            self._socket.close()
        for _, descriptors in self._outgoing:
            for descriptor in descriptors:
                os.close(descriptor)
        self._outgoing.clear()
        self._forget(self)

    def _read(self) -> None:
        try:
            data = self._socket.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data or len(self._rest) > LONGEST_REQUEST:
            self.close()
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._take(self, line)

    def _write(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._outgoing and self._socket.fileno() >= 0:
                data, descriptors = self._outgoing[0]
                sent = socket.send_fds(self._socket, [data], descriptors)
                for descriptor in descriptors:
                    os.close(descriptor)
                if sent < len(data):
                    self._outgoing[0] = (data[sent:], [])
                else:
                    self._outgoing.pop(0)
        except BlockingIOError:
            if not self._writing:
                self._writing = True
                loop.add_writer(self._socket, self._write)
            return
        except OSError:
            self.close()
            return
        if self._writing and self._socket.fileno() >= 0:
            self._writing = False
            loop.remove_writer(self._socket)
