"""Who listens where: /proc/net/tcp, and the sockets that a process holds."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

LISTEN = "0A"


@dataclass(frozen=True)
class Listener:
    """A listening TCP socket.

    Args:
        address: where it listens, such as `0.0.0.0` or `::`.
        port: its port.
        inode: the socket's number, by which its holder is found.
    """

    address: str
    port: int
    inode: str


def listeners(pid: int | str = "self") -> Iterator[Listener]:
    """Listening TCP sockets of the network namespace of a process.

    Args:
        pid: the process; nothing is found if it is gone.
    """
    for name, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        try:
            with open(f"/proc/{pid}/net/{name}") as file:
                next(file, None)
                for line in file:
                    fields = line.split()
                    # The kernel lists listening sockets before all others.
                    if fields[3] != LISTEN:
                        break
                    address, _, port = fields[1].partition(":")
                    yield Listener(_address(family, address), int(port, 16), fields[9])
        except OSError:
            continue


def _address(family: socket.AddressFamily, text: str) -> str:
    # Each 32-bit word is printed in the host's own byte order.
    words = bytes.fromhex(text)
    data = b"".join(words[at : at + 4][::-1] for at in range(0, len(words), 4))
    return socket.inet_ntop(family, data)


def sockets_of(pids: Iterable[int]) -> set[str]:
    """Inodes of all sockets that these processes hold."""
    found = set()
    for pid in pids:
        try:
            names = os.listdir(f"/proc/{pid}/fd")
        except OSError:
            continue
        for name in names:
            try:
                target = os.readlink(f"/proc/{pid}/fd/{name}")
            except OSError:
                continue
            if target.startswith("socket:["):
                found.add(target[8:-1])
    return found
