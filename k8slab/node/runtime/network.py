"""Plugging a Pod into the switch: a network namespace of its own, and a cable to the bridge."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from k8slab import linux
from k8slab.network.addresses import AddressPlan
from k8slab.node.runtime import netlink
from k8slab.node.runtime.records import Refusal

BRIDGE = "k8slab0"
DEVICE = "eth0"
UNPRIVILEGED_PORTS = "/proc/sys/net/ipv4/ip_unprivileged_port_start"
ADDRESS_MODE = "/proc/sys/net/ipv6/conf/default/addr_gen_mode"


@dataclass(frozen=True)
class Namespaces:
    """A Pod's namespaces, held open: they live as long as these descriptors or a process in them.

    Args:
        network: descriptor of the network namespace.
        ipc: descriptor of the one for shared memory and message queues.
        cable: name of the cable's end at the switch.
    """

    network: int
    ipc: int
    cable: str

    def enter(self) -> None:
        """Enter them; for a new process, before its program."""
        linux.setns(self.network, linux.CLONE_NEWNET)
        linux.setns(self.ipc, linux.CLONE_NEWIPC)

    def close(self) -> None:
        """Let go of them."""
        os.close(self.network)
        os.close(self.ipc)


def switch_pid(path: Path) -> int:
    """Pid of the switch that serves at a unix socket.

    Raises:
        OSError: nobody answers there.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(5)
        connection.connect(str(path))
        connection.sendall(b'{"op": "namespace"}\n')
        return int(json.loads(connection.recv(4096))["pid"])


def inside(enter: Callable[[], None]) -> tuple[socket.socket, int, int]:
    """Fork a process that enters (or makes) namespaces and hands out what belongs to them.

    Args:
        enter: called in that process, which then ends.

    Returns:
        A netlink socket of the network namespace, and descriptors of the network and the ipc namespace.

    Raises:
        OSError: it could not enter.
    """
    ours, theirs = socket.socketpair()
    with ours, theirs:
        child = os.fork()
        if child == 0:
            _hand_out(theirs, enter)
        theirs.close()
        told, descriptors, _, _ = socket.recv_fds(ours, 4096, 3)
    os.waitpid(child, 0)
    if len(descriptors) != 3:
        for descriptor in descriptors:
            os.close(descriptor)
        number, _, message = told.decode(errors="replace").partition(" ")
        raise OSError(int(number or 0), message or "the process that makes namespaces ended early")
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)
    return socket.socket(fileno=descriptors[0]), descriptors[1], descriptors[2]


def _hand_out(connection: socket.socket, enter: Callable[[], None]) -> None:
    try:
        enter()
        descriptors = [os.open(f"/proc/self/ns/{name}", os.O_RDONLY) for name in ("net", "ipc")]
        link = netlink.open_netlink()
        socket.send_fds(connection, [b"0 "], [link.fileno(), *descriptors])
    except OSError as error:
        connection.sendall(f"{error.errno or 0} {error.strerror}".encode())
    finally:
        os._exit(0)


def _make_namespaces() -> None:
    linux.unshare(linux.CLONE_NEWNET | linux.CLONE_NEWIPC)
    # Nothing here speaks IPv6, so devices need not announce themselves; where /proc is read-only they do.
    with contextlib.suppress(OSError), open(ADDRESS_MODE, "w") as file:
        file.write("1")
    # Any user may listen on port 80, as containerd 2 has it (`enable_unprivileged_ports`).
    with contextlib.suppress(OSError), open(UNPRIVILEGED_PORTS, "w") as file:
        file.write("0")


class Cabling:
    """Makes Pods' namespaces and plugs them into the switch.

    Args:
        switch: pid of the switch, whose user namespace this process has entered.
        plan: the cluster's addresses.

    Raises:
        OSError: the switch's namespace cannot be entered.
    """

    def __init__(self, switch: int, plan: AddressPlan) -> None:
        self._plan = plan
        network = os.open(f"/proc/{switch}/ns/net", os.O_RDONLY)
        self._switch, *others = inside(lambda: linux.setns(network, linux.CLONE_NEWNET))
        for descriptor in (network, *others):
            os.close(descriptor)
        self._bridge = netlink.device_index(self._switch, BRIDGE)

    def plug(self, uid: str, address: str) -> Namespaces:
        """Make a Pod's namespaces: `eth0` with its address, `lo`, and a default route to the gateway.

        Args:
            uid: the Pod's uid.
            address: its address, 10.K.x.y.

        Raises:
            Refusal: the kernel refused.
        """
        # An address keeps its MAC, so no neighbour remembers a wrong one when it is given out again.
        mac = bytes((0x0A, 0x4B, *(int(part) for part in address.split("."))))
        cable = "v" + uid.replace("-", "")[:13]
        try:
            pod, network, ipc = inside(_make_namespaces)
        except OSError as error:
            raise Refusal(f"the Pod's namespaces could not be made: {error}", "NetworkNotReady") from error
        made = Namespaces(network, ipc, cable)
        try:
            with pod:
                # The kernel takes its time to remove what a killed runtime's Pod had.
                self._remove(cable)
                netlink.send(self._switch, [netlink.new_cable(cable, self._bridge, DEVICE, mac, network)])
                index = netlink.device_index(pod, DEVICE)
                requests = (
                    netlink.link_up(netlink.LOOPBACK),
                    netlink.link_up(index),
                    netlink.new_address(index, address, self._plan.pods.prefixlen),
                    netlink.default_route(index, self._plan.gateway),
                )
                netlink.send(pod, requests)
        except OSError as error:
            made.close()
            raise Refusal(f"the Pod's network could not be set up: {error}", "NetworkNotReady") from error
        return made

    def unplug(self, namespaces: Namespaces) -> None:
        """Take a Pod's cable away and let go of its namespaces.

        Raises:
            Refusal: the kernel refused; the namespaces are let go of all the same.
        """
        try:
            self._remove(namespaces.cable)
        except OSError as error:
            raise Refusal(f"the Pod's network could not be taken away: {error}", "Internal") from error
        finally:
            namespaces.close()

    def _remove(self, cable: str) -> None:
        try:
            netlink.send(self._switch, [netlink.delete_link(cable)])
        except OSError as error:
            if error.errno != errno.ENODEV:
                raise
