"""How an applet reaches others and is reached, at both levels of isolation.

With a network of the Pod's own these are plain sockets. Without one (plain level) K8SLAB_ADDRESS is the
loopback address that stands for the Pod's: the applets listen there, reach their own Pod there, and reach
everybody else by a CONNECT through the Pod's forward proxy, which knows Services and Pods by name and
address.
"""

import os
import socket

ENV = os.environ
PROXY_PORT = 3128
OWN_NAMES = ("localhost", "127.0.0.1", "::1")


class Failure(Exception):
    """Something that ends an applet; the text is what it says after its name."""


class CannotConnect(Failure):
    """There is nobody, or no way: `address` is what was tried, `why` the system's word for it."""

    def __init__(self, address, why):
        super().__init__(f"can't connect to remote host ({address}): {why}")
        self.address, self.why = address, why


def plain_address():
    """The address that stands for this Pod's at the plain level; empty where it has a network of its own."""
    return ENV.get("K8SLAB_ADDRESS", "")


def own_port(port):
    """The port of the host that stands for a port of this Pod."""
    return port + int(ENV.get("K8SLAB_PORT_OFFSET") or 0) if plain_address() and port < 1024 else port


def listener(port, address="", kind=socket.SOCK_STREAM):
    """A socket on which this Pod is reached."""
    made = socket.socket(socket.AF_INET, kind)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind((plain_address() or address or "0.0.0.0", own_port(port)))
    if kind == socket.SOCK_STREAM:
        made.listen(16)
    return made


def connect(host, port, timeout=None):
    """A connection to a host, by name or address; its second value is the address to show."""
    if plain_address() and host not in ENV.get("no_proxy", "").split(","):
        if host in OWN_NAMES:
            return _open((plain_address(), own_port(port)), host, port, timeout), host
        return _through_proxy(host, port, timeout), host
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError):
        raise Failure(f"bad address '{host}'") from None
    # The first address that answers, as every resolver's client does.
    for position, (_, _, _, _, address) in enumerate(found):
        try:
            return _open(address[:2], address[0], port, timeout), address[0]
        except Failure:
            if position == len(found) - 1:
                raise


def _open(address, shown, port, timeout):
    try:
        return socket.create_connection(address, timeout)
    except TimeoutError:
        raise CannotConnect(shown, "Connection timed out") from None
    except OSError as error:
        raise CannotConnect(shown, os.strerror(error.errno or 0)) from None


def _through_proxy(host, port, timeout):
    proxy = (ENV.get("http_proxy") or f"{plain_address()}:{PROXY_PORT}").split("://")[-1].strip("/")
    name, _, proxy_port = proxy.partition(":")
    made = _open((name, int(proxy_port or PROXY_PORT)), name, PROXY_PORT, timeout)
    try:
        made.sendall(f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
        head = b""
        while b"\r\n\r\n" not in head:
            # One byte at a time: what follows the head is the other side's.
            part = made.recv(1)
            if not part:
                raise ConnectionResetError
            head += part
    except TimeoutError:
        made.close()
        raise CannotConnect(host, "Connection timed out") from None
    except OSError:
        made.close()
        raise CannotConnect(host, "Connection refused") from None
    status = head.split(b" ")[1]
    if status == b"200":
        return made
    made.close()
    if status == b"502":
        raise Failure(f"bad address '{host}'")
    raise CannotConnect(host, "Network is unreachable")
