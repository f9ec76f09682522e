"""The switch: plays the lab's cable and bridge at the sandboxed level, and decides nothing.

It makes a user and a network namespace, puts a bridge into it, and from then on hands out
*sockets made there* over a unix socket: a socket belongs to the namespace it was made in,
so the network process, which lives on the host, uses them like any other. Standard library
only; one thread; it ends on SIGTERM, and its namespaces end with it and the last Pod.
"""

from __future__ import annotations

import argparse
import json
import os
import selectors
import signal
import socket
from pathlib import Path
from types import FrameType
from typing import Any

from k8slab import linux
from k8slab.commands import run
from k8slab.errors import ClusterStateError, LabError
from k8slab.network.addresses import AddressPlan

BRIDGE = "k8slab0"
BACKLOG = 1024
"""Connections that may wait to be accepted at a listener of the switch."""
LONGEST_REQUEST = 4096
IP_FORWARD = Path("/proc/sys/net/ipv4/ip_forward")


def enter_own_namespaces() -> None:
    """Leave the host's user and network namespaces for new ones, as uid 0 of the new."""
    user, group = os.geteuid(), os.getegid()
    linux.unshare(linux.CLONE_NEWUSER | linux.CLONE_NEWNET)
    # Without this the runtimes, which run as the same user, could not open /proc/<pid>/ns/user.
    linux.make_dumpable()
    linux.map_own_ids(user, group)


def bridge_commands(plan: AddressPlan) -> str:
    """Commands for `ip -batch` that set up the bridge.

    Services, LoadBalancer addresses and nodes are local here, so that whoever is given a socket
    can listen on them. Everything else is unreachable, and Pods are told so at once.
    """
    prefix = plan.pods.prefixlen
    mac = f"0a:4b:0a:{plan.octet:02x}:00:01"
    return "\n".join(
        (
            "link set lo up",
            # A bridge without an address of its own takes its ports' and changes it as they come and go.
            f"link add {BRIDGE} address {mac} type bridge",
            f"link set {BRIDGE} addrgenmode none",
            f"addr add {plan.gateway}/{prefix} dev {BRIDGE}",
            f"link set {BRIDGE} up",
            f"route add local 10.{plan.octet}.128.0/17 dev lo",
            "route add unreachable default",
            "",
        )
    )


class Switch:
    """Answers requests for sockets on one unix socket.

    Args:
        path: where the unix socket is made; an old one is replaced.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        # Under its final name it can be connected to from the first moment.
        unfinished = path.with_suffix(".new")
        unfinished.unlink(missing_ok=True)
        self._listener.bind(str(unfinished))
        os.chmod(unfinished, 0o600)
        self._listener.listen(16)
        unfinished.replace(path)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._waiting: dict[socket.socket, bytes] = {}

    def serve(self) -> None:
        """Answer requests until an exception (the signal's SystemExit) ends it."""
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._listener:
                    connection, _ = self._listener.accept()
                    connection.settimeout(2.0)
                    self._waiting[connection] = b""
                    self._selector.register(connection, selectors.EVENT_READ)
                elif isinstance(key.fileobj, socket.socket):
                    self._read(key.fileobj)

    def close(self) -> None:
        """Close the unix socket and remove it."""
        self._selector.close()
        self._listener.close()
        self.path.unlink(missing_ok=True)

    def _read(self, connection: socket.socket) -> None:
        try:
            received = connection.recv(LONGEST_REQUEST)
            *lines, rest = (self._waiting[connection] + received).split(b"\n")
            for line in lines:
                self._answer(connection, line)
        except OSError:
            # The client went away; its next request comes over a new connection.
            received, rest = b"", b""
        if received and len(rest) < LONGEST_REQUEST:
            self._waiting[connection] = rest
            return
        self._selector.unregister(connection)
        del self._waiting[connection]
        connection.close()

    def _answer(self, connection: socket.socket, line: bytes) -> None:
        made: socket.socket | None = None
        answer: dict[str, Any]
        try:
            answer, made = handle(json.loads(line))
        except (OSError, ValueError, KeyError, TypeError, LabError) as error:
            answer = {"ok": False, "error": str(error) or type(error).__name__}
        text = json.dumps(answer).encode() + b"\n"
        if made is None:
            connection.sendall(text)
            return
        with made:
            socket.send_fds(connection, [text], [made.fileno()])


def handle(request: dict[str, Any]) -> tuple[dict[str, Any], socket.socket | None]:
    """What one request answers, and the socket that goes with it.

    Raises:
        OSError: the kernel refused, such as EADDRINUSE.
        ClusterStateError: there is no such request.
    """
    operation = request["op"]
    if operation == "namespace":
        return {"ok": True, "pid": os.getpid()}, None
    if operation == "socket":
        kind = socket.SOCK_DGRAM if request.get("kind") == "udp" else socket.SOCK_STREAM
        return {"ok": True}, socket.socket(socket.AF_INET, kind)
    if operation == "listen":
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((str(request["address"]), int(request["port"])))
            listener.listen(BACKLOG)
        except BaseException:
            listener.close()
            raise
        return {"ok": True}, listener
    raise ClusterStateError(
        f"The switch knows no request {operation!r}.", "It knows listen, socket and namespace."
    )


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)


def main() -> None:
    """Entry point of `python -m k8slab.network.switch --cluster-folder F`."""
    parser = argparse.ArgumentParser(prog="k8slab.network.switch", description=__doc__)
    parser.add_argument("--cluster-folder", type=Path, required=True)
    folder: Path = parser.parse_args().cluster_folder
    # Only the one number is needed; the file is ClusterSettings' (k8slab.folders).
    plan = AddressPlan(int(json.loads((folder / "settings.json").read_text())["octet"]))
    # A socket that a killed switch left says "ready" to those who look for it.
    path = folder / "run" / "switch.sock"
    path.unlink(missing_ok=True)
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, _end)
    enter_own_namespaces()
    run(["ip", "-batch", "-"], input=bridge_commands(plan), timeout=10)
    try:
        # With forwarding on, the kernel answers "unreachable" for addresses outside the lab
        # instead of letting Pods wait; where /proc/sys is read-only they wait.
        IP_FORWARD.write_text("1")
    except OSError as error:
        print(f"addresses outside the lab time out instead of being refused: {error}", flush=True)
    switch = Switch(path)
    try:
        print("ready", flush=True)
        switch.serve()
    finally:
        switch.close()


if __name__ == "__main__":
    main()
