"""Talking to the node's runtime over its unix socket; docs/architecture.md has the protocol."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from k8slab.errors import LabError

log = logging.getLogger(__name__)

RETRY_SECONDS = 0.02
"""Pause between attempts to reach a runtime that is starting, as the agent is."""

MOST_DESCRIPTORS = 3
CHUNK = 65536

Message = dict[str, Any]


class RuntimeRefusedError(LabError):
    """The runtime said no to a request.

    Args:
        message: its words.
        reason: one word, if it gave one.
    """

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason


class RuntimeGoneError(LabError):
    """The connection to the runtime was lost, or there is none."""


class RuntimeConnection:
    """One connection to the runtime. Many tasks may ask at once; answers find their way by id.

    Args:
        path: the runtime's unix socket.
        on_event: called with each unasked message.
    """

    def __init__(self, path: Path, on_event: Callable[[Message], None]) -> None:
        self.path = path
        self.descriptors: list[int] = []
        self.closed = asyncio.Event()
        self._on_event = on_event
        self._socket: socket.socket | None = None
        self._waiting: dict[int, asyncio.Future[Message]] = {}
        self._last_id = 0
        self._rest = b""
        self._sending = asyncio.Lock()

    async def open(self) -> None:
        """Connect.

        Raises:
            OSError: nobody listens there.
        """
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(connection, str(self.path))
        except BaseException:
            connection.close()
            raise
        self._socket = connection
        asyncio.get_running_loop().add_reader(connection, self._read)

    def close(self) -> None:
        """Close the connection; who still waits for an answer gets a `RuntimeGoneError`."""
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(RuntimeGoneError("The node's runtime closed the connection."))
        self._waiting.clear()
        while self.descriptors:
            os.close(self.descriptors.pop())
        self.closed.set()

    async def ask(self, op: str, **fields: Any) -> Message:
        """Send one request and wait for its answer.

        Raises:
            RuntimeRefusedError: the runtime said no.
            RuntimeGoneError: the connection was lost before the answer came.
        """
        if self._socket is None:
            raise RuntimeGoneError("The node's runtime does not answer.")
        self._last_id += 1
        number = self._last_id
        future: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        line = json.dumps({"id": number, "op": op, **fields}).encode() + b"\n"
        try:
            async with self._sending:
                # Lost while others were sending: the future says so.
                if self._socket is not None:
                    await asyncio.get_running_loop().sock_sendall(self._socket, line)
            answer = await future
        except OSError as error:
            self._waiting.pop(number, None)
            self.close()
            raise RuntimeGoneError(f"The node's runtime does not answer: {error}.") from error
        finally:
            self._waiting.pop(number, None)
        if not answer.get("ok"):
            raise RuntimeRefusedError(str(answer.get("error", "")), str(answer.get("reason") or ""))
        return answer

    def take_descriptors(self) -> list[int]:
        """The file descriptors that came with the last answer; the caller closes them."""
        taken, self.descriptors = self.descriptors, []
        return taken

    def _read(self) -> None:
        if self._socket is None:
            return
        try:
            data, descriptors, _, _ = socket.recv_fds(self._socket, CHUNK, MOST_DESCRIPTORS)
        except BlockingIOError:
            return
        except OSError as error:
            log.warning("connection to the runtime: %s", error)
            self.close()
            return
        self.descriptors += descriptors
        if not data:
            self.close()
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._take(json.loads(line))

    def _take(self, message: Message) -> None:
        if "event" in message:
            self._on_event(message)
            return
        future = self._waiting.get(int(message.get("id") or 0))
        if future is not None and not future.done():
            future.set_result(message)


class RuntimeClient:
    """The agent's lasting line to the runtime: connects, subscribes, and connects again.

    Args:
        path: the runtime's unix socket.
        on_event: called with each unasked message, such as that a container exited.
        on_connected: awaited after each (re)connection, before `connected` is set.
    """

    def __init__(
        self,
        path: Path,
        on_event: Callable[[Message], None],
        on_connected: Callable[[], Awaitable[None]],
    ) -> None:
        self.path = path
        self.connected = asyncio.Event()
        self._on_event = on_event
        self._on_connected = on_connected
        self._connection: RuntimeConnection | None = None

    async def run(self) -> None:
        """Keep a connection, for ever."""
        while True:
            connection = RuntimeConnection(self.path, self._on_event)
            try:
                await connection.open()
                self._connection = connection
                await connection.ask("subscribe")
                await self._on_connected()
                self.connected.set()
                await connection.closed.wait()
                log.warning("the runtime is gone; waiting for it")
            except (OSError, RuntimeGoneError, RuntimeRefusedError) as error:
                log.debug("no runtime yet: %s", error)
            finally:
                self.connected.clear()
                self._connection = None
                connection.close()
            await asyncio.sleep(RETRY_SECONDS)

    async def ask(self, op: str, **fields: Any) -> Message:
        """Send one request on the current connection; see `RuntimeConnection.ask`.

        Raises:
            RuntimeGoneError: there is no connection, or it was lost.
            RuntimeRefusedError: the runtime said no.
        """
        connection = self._connection
        if connection is None:
            raise RuntimeGoneError("The node's runtime does not answer.")
        try:
            return await connection.ask(op, **fields)
        except RuntimeGoneError:
            # At once: who waits for `connected` now and goes on without a pause would let nobody else run.
            if connection is self._connection:
                self.connected.clear()
            raise

    async def session(self, on_event: Callable[[Message], None]) -> RuntimeConnection:
        """A connection of its own, for a request that is answered with file descriptors.

        Raises:
            RuntimeGoneError: nobody answers.
        """
        connection = RuntimeConnection(self.path, on_event)
        try:
            await connection.open()
        except OSError as error:
            raise RuntimeGoneError(f"The node's runtime does not answer: {error}.") from error
        return connection
