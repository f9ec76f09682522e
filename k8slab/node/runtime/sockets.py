"""Sockets that belong to a Pod's network: `port-forward` reaches a program on the Pod's own localhost."""

from __future__ import annotations

import socket
import threading

from k8slab import linux


def socket_in(network: int, family: socket.AddressFamily) -> socket.socket:
    """A new TCP socket of a network namespace; it may be used from anywhere.

    The runtime cannot come back once it has entered a namespace that is not its own, so a thread enters
    and ends. It is over before this returns: the runtime has one thread again, and may fork.

    Args:
        network: descriptor of the namespace.
        family: of the addresses it is for.

    Raises:
        OSError: the kernel refused.
    """
    made: list[socket.socket | OSError] = []

    def make() -> None:
        try:
            linux.setns(network, linux.CLONE_NEWNET)
            made.append(socket.socket(family, socket.SOCK_STREAM))
        except OSError as error:
            made.append(error)

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    result = made[0]
    if isinstance(result, OSError):
        raise result
    return result
