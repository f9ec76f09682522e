"""The mirror's own connection: an `Api` whose requests another thread can cut off.

A thread that waits for the next event sits in `recv` for up to 75 s, and a stop must not wait
for it. urllib3 hands out a connection only with its response, too late for a server that
accepts and then says nothing; so the connections themselves keep a second descriptor of their
socket, which any thread may shut down.
"""

from __future__ import annotations

import socket
import threading
import weakref

from urllib3 import HTTPResponse
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from k8slab.cluster.api import Api
from k8slab.cluster.api_connection import ApiConnection

CONNECTIONS_KEPT = 32
"""Idle connections the pool keeps; each mirrored kind holds one while it watches."""


class Handles:
    """Second descriptors of the sockets that are open now."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()

    def __len__(self) -> int:
        return len(self._sockets)

    def keep(self, connected: socket.socket) -> socket.socket:
        """Duplicate a connected socket; the duplicate stays until `release`."""
        duplicate = connected.dup()
        with self._lock:
            self._sockets.add(duplicate)
        return duplicate

    def release(self, duplicate: socket.socket) -> None:
        """Close a duplicate; the connection itself is closed by its owner."""
        with self._lock:
            self._sockets.discard(duplicate)
            duplicate.close()

    def cut(self) -> None:
        """Shut every open socket down: whoever reads or writes on one fails at once."""
        with self._lock:
            for duplicate in self._sockets:
                try:
                    duplicate.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue  # the other side has closed it already


class _Tracked(HTTPConnection):
    """A connection that leaves a second descriptor of its socket with `handles`."""

    handles: Handles
    _duplicate: socket.socket | None = None
    _answering = False

    def _new_conn(self) -> socket.socket:
        connected = super()._new_conn()
        self._release()
        self._duplicate = self.handles.keep(connected)
        return connected

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # http.client's own is another type
        self._answering = True
        try:
            response = super().getresponse()
        finally:
            self._answering = False
        if self.sock is None and (duplicate := self._duplicate) is not None:
            # The server ends the connection after this answer: http.client has left the socket to it alone.
            self._duplicate = None
            weakref.finalize(response, self.handles.release, duplicate)
        return response

    def close(self) -> None:
        if not self._answering:
            self._release()
        super().close()

    def _release(self) -> None:
        duplicate, self._duplicate = self._duplicate, None
        if duplicate is not None:
            self.handles.release(duplicate)


class StoppableApi(Api):
    """The same server and credentials as another `Api`, on connections of its own.

    Args:
        api: whose kubeconfig and context to use.
    """

    def __init__(self, api: Api) -> None:
        super().__init__(api.kubeconfig, api.context, api.renew_credentials)
        self.handles = Handles()
        self._connecting = threading.Lock()
        self._read: tuple[int, ...] = ()

    def renew(self) -> None:
        """Read the kubeconfig again if it is another file than the one that was read.

        Whoever makes a cluster anew (kind, say) writes another address and authority into it.
        """
        if self._read and self._read != self._signature():
            self.reconnect()

    def cut(self) -> None:
        """End every request that is under way, from any thread, and drop what is idle."""
        self.handles.cut()

    def close(self) -> None:
        """Close what is idle in the pool; requests must have ended."""
        with self._connecting:
            if self._connection is not None:
                pools = self._connection.pool.pools
                # `clear` alone leaves the sockets open until the garbage collector finds them.
                keys = pools.keys()
                for key in keys:
                    pool = pools.get(key)
                    if pool is not None:
                        pool.close()
                pools.clear()

    def reconnect(self) -> None:
        """Close what is idle and read the kubeconfig again with the next request."""
        self.close()
        with self._connecting:
            super().reconnect()

    def _connected(self) -> ApiConnection:
        with self._connecting:
            if self._connection is None:
                self._read = self._signature()
                pools = super()._connected().pool
                pools.connection_pool_kw["maxsize"] = CONNECTIONS_KEPT
                pools.pool_classes_by_scheme = _pool_classes(self.handles)
            return super()._connected()

    def _signature(self) -> tuple[int, ...]:
        try:
            found = self.kubeconfig.stat()
        except OSError:
            return self._read  # it is being replaced: what is known holds until it is there again
        return found.st_mtime_ns, found.st_ino, found.st_size


def _pool_classes(handles: Handles) -> dict[str, type[HTTPConnectionPool]]:
    plain = type("TrackedConnection", (_Tracked,), {"handles": handles})
    secure = type("TrackedTLSConnection", (_Tracked, HTTPSConnection), {"handles": handles})
    return {
        "http": type("TrackedPool", (HTTPConnectionPool,), {"ConnectionCls": plain}),
        "https": type("TrackedTLSPool", (HTTPSConnectionPool,), {"ConnectionCls": secure}),
    }
