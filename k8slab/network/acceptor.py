"""Accepting connections: a listener that is opened again when it fails, and the connections it led to."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

from k8slab.errors import ClusterError
from k8slab.network.splice import reset

log = logging.getLogger(__name__)

BACKLOG = 1024
"""Connections that may wait to be accepted at a listener of ours."""

FIRST_RETRY = 0.05
LONGEST_RETRY = 2.0
"""Seconds between two attempts to open a listener: the first pause, and the longest after doubling."""

SHORTAGE = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

Handler = Callable[[socket.socket, str], Coroutine[Any, Any, None]]
"""Takes a connection, which it then owns, and the address of the client (empty on a unix socket)."""


def listen_tcp(address: str, port: int) -> socket.socket:
    """A non-blocking TCP socket that listens on an address of this host.

    Raises:
        OSError: the kernel refused, such as EADDRINUSE.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


def listen_unix(path: Path) -> socket.socket:
    """A non-blocking unix socket at a path, for its owner alone; an old one there is replaced.

    Raises:
        OSError: the kernel refused, such as a path of more than 107 bytes.
    """
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


async def keep_open(
    name: str,
    open_socket: Callable[[], Awaitable[socket.socket]],
    use: Callable[[socket.socket], Awaitable[None]],
) -> None:
    """Open a socket and use it until cancelled; if that fails, say so once and try again.

    Args:
        name: what it is called in the log, such as `10.7.128.5:80`.
        open_socket: makes the socket, which is closed afterwards.
        use: what to do with it; it ends only by an error.
    """
    delay, told = FIRST_RETRY, ""
    while True:
        try:
            with await open_socket() as opened:
                if told:
                    log.info("%s is listened on now", name)
                    delay, told = FIRST_RETRY, ""
                await use(opened)
        except (OSError, ClusterError) as error:
            if str(error) != told:
                told = str(error)
                log.warning("%s cannot be listened on, trying again until it can: %s", name, error)
        await asyncio.sleep(delay)
        delay = min(LONGEST_RETRY, delay * 2)


class Acceptor:
    """Serves listeners and owns the connections that they accept. An async context manager.

    A connection outlives the listener it came by, as one that kube-proxy has set up outlives
    its Service; all end with the acceptor.
    """

    def __init__(self) -> None:
        self._connections: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Acceptor:
        return self

    async def __aexit__(self, *error: object) -> None:
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._connections)

    async def serve(
        self, name: str, open_listener: Callable[[], Awaitable[socket.socket]], handle: Handler
    ) -> None:
        """Open a listener and accept until cancelled; if it cannot be opened, say so once and try again.

        Args:
            name: what it is called in the log, such as `10.7.128.5:80`.
            open_listener: makes the listening socket.
            handle: what to do with a connection.
        """
        await keep_open(name, open_listener, lambda listener: self._accept(name, listener, handle))

    async def _accept(self, name: str, listener: socket.socket, handle: Handler) -> None:
        loop = asyncio.get_running_loop()
        arrived = asyncio.Event()
        # loop.sock_accept() would lose a connection if it is cancelled just after it was accepted.
        loop.add_reader(listener, arrived.set)
        try:
            while True:
                await arrived.wait()
                arrived.clear()
                try:
                    for _ in range(BACKLOG):
                        self._start(name, *listener.accept(), handle)
                except (BlockingIOError, ConnectionAbortedError):
                    continue
                except OSError as error:
                    if error.errno not in SHORTAGE:
                        raise
                    log.error("%s cannot accept for now: %s", name, error)
                    await asyncio.sleep(0.2)
        finally:
            loop.remove_reader(listener)

    def _start(self, name: str, connection: socket.socket, peer: Any, handle: Handler) -> None:
        connection.setblocking(False)
        client = ""
        if connection.family == socket.AF_INET:
            client = str(peer[0])
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def forget(task: asyncio.Task[None]) -> None:
            self._connections.discard(task)
            # It may have failed, or been cancelled before its first step.
            reset(connection)

        task = asyncio.get_running_loop().create_task(_handled(name, connection, client, handle))
        self._connections.add(task)
        task.add_done_callback(forget)


def report_end(task: asyncio.Task[None]) -> None:
    """Done-callback of a task that serves until it is cancelled: any other end is said in the log."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("%s is no longer served", task.get_name(), exc_info=error)


async def _handled(name: str, connection: socket.socket, client: str, handle: Handler) -> None:
    """Run a handler; whatever it leaves open is reset afterwards, so the client never waits in vain."""
    try:
        await handle(connection, client)
    except OSError as error:
        # The client went away before it had its answer: nobody is left to tell.
        log.debug("a client of %s is gone: %s", name, error)
    except Exception:
        log.exception("a connection to %s failed in a way that nothing foresaw", name)
