"""Asking the switch for sockets that were made in the lab's network namespace."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from socket import AF_UNIX, SOCK_STREAM, recv_fds
from socket import socket as Socket
from types import TracebackType
from typing import Any, Literal, Self

from k8slab.errors import ClusterError

LONGEST_ANSWER = 4096


class SwitchClient:
    """An asynchronous client of the switch. One event loop may use it from many tasks at once.

    It connects on first use and again after the switch was restarted; a request is repeated
    only when the connection was lost before it was answered (asking twice changes nothing).

    Args:
        path: the switch's unix socket (`ClusterFolder.switch_socket`).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection: Socket | None = None
        self._turn = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; sockets that were handed out stay open."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def listen(self, address: str, port: int) -> Socket:
        """A non-blocking TCP socket that listens in the lab's network.

        Args:
            address: one of the cluster's own: the gateway, a ClusterIP, a LoadBalancer or node address.
            port: the true port, such as 80.

        Raises:
            ClusterError: the switch refused (the address is taken, say) or does not answer.
        """
        return await self._socket({"op": "listen", "address": address, "port": port})

    async def socket(self, kind: Literal["tcp", "udp"] = "tcp") -> Socket:
        """A non-blocking, unconnected socket of the lab's network: connecting it reaches Pods.

        Raises:
            ClusterError: the switch does not answer.
        """
        return await self._socket({"op": "socket", "kind": kind})

    async def namespace(self) -> int:
        """Pid of the switch, whose namespaces the lab's network is.

        Raises:
            ClusterError: the switch does not answer.
        """
        answer, _ = await self._ask({"op": "namespace"})
        return int(answer["pid"])

    async def _socket(self, request: dict[str, Any]) -> Socket:
        _, received = await self._ask(request)
        if received is None:
            raise ClusterError(f"The switch at {self.path} answered {request} without a socket.")
        received.setblocking(False)
        return received

    async def _ask(self, request: dict[str, Any]) -> tuple[dict[str, Any], Socket | None]:
        async with self._turn:
            try:
                fresh = self._connection is None
                try:
                    answer, received = await self._exchange(request)
                except (OSError, EOFError):
                    self.close()
                    if fresh:
                        raise
                    answer, received = await self._exchange(request)
            except (OSError, EOFError) as error:
                self.close()
                raise ClusterError(
                    f"The switch does not answer at {self.path}: {error}.", "Is the cluster running?"
                ) from error
            except BaseException:
                # Cancelled half-way: what is still to come would be taken for the next answer.
                self.close()
                raise
        if not answer.get("ok"):
            if received is not None:
                received.close()
            raise ClusterError(f"The switch refused {request}: {answer.get('error')}.")
        return answer, received

    async def _exchange(self, request: dict[str, Any]) -> tuple[dict[str, Any], Socket | None]:
        loop = asyncio.get_running_loop()
        if self._connection is None:
            connection = Socket(AF_UNIX, SOCK_STREAM)
            connection.setblocking(False)
            try:
                await loop.sock_connect(connection, str(self.path))
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        connection = self._connection
        await loop.sock_sendall(connection, json.dumps(request).encode() + b"\n")
        data, received = b"", None
        try:
            while not data.endswith(b"\n"):
                await _readable(connection)
                part, descriptors, _, _ = recv_fds(connection, LONGEST_ANSWER, 1)
                for descriptor in descriptors:
                    received = Socket(fileno=descriptor)
                if not part:
                    raise EOFError("it closed the connection")
                data += part
            answer: dict[str, Any] = json.loads(data)
        except BaseException:
            if received is not None:
                received.close()
            raise
        return answer, received


def _arrive(arrived: asyncio.Future[None]) -> None:
    if not arrived.done():
        arrived.set_result(None)


async def _readable(connection: Socket) -> None:
    loop = asyncio.get_running_loop()
    arrived: asyncio.Future[None] = loop.create_future()
    loop.add_reader(connection, _arrive, arrived)
    try:
        await arrived
    finally:
        loop.remove_reader(connection)
