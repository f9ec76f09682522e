"""Plugging a Pod into the switch: a network namespace of its own, and a cable to the bridge."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from k8slab import linux
from k8slab.network.addresses import AddressPlan
from k8slab.node.runtime_records import Refusal
from k8slab.node.runtime_spawn import Reaper, spawn

BRIDGE = "k8slab0"
IP_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"}


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


class Cabling:
    """Makes Pods' namespaces and plugs them into the switch.

    Args:
        switch: pid of the switch, whose user namespace this process has entered.
        plan: the cluster's addresses.
        reaper: waits for children.
    """

    def __init__(self, switch: int, plan: AddressPlan, reaper: Reaper) -> None:
        self._switch = switch
        self._plan = plan
        self._reaper = reaper
        self._network = os.open(f"/proc/{switch}/ns/net", os.O_RDONLY)

    async def plug(self, uid: str, address: str) -> Namespaces:
        """Make a Pod's namespaces: `eth0` with its address, `lo`, and a default route to the gateway.

        Args:
            uid: the Pod's uid.
            address: its address, 10.K.x.y.

        Raises:
            Refusal: the kernel refused; the message is `ip`'s.
        """
        # An address keeps its MAC, so no neighbour remembers a wrong one when it is given out again.
        numbers = [int(part) for part in address.split(".")]
        mac = ":".join(f"{number:02x}" for number in (0x0A, 0x4B, *numbers))
        cable = "v" + uid.replace("-", "")[:13]
        inside = (
            f"link add eth0 address {mac} type veth peer name {cable} netns {self._switch}",
            "link set lo up",
            "link set eth0 addrgenmode none",
            f"addr add {address}/{self._plan.pods.prefixlen} dev eth0",
            "link set eth0 up",
            f"route add default via {self._plan.gateway}",
        )
        made = await self._ip(inside, lambda: linux.unshare(linux.CLONE_NEWNET | linux.CLONE_NEWIPC), cable)
        assert made is not None
        outside = (f"link set {cable} addrgenmode none", f"link set {cable} master {BRIDGE} up")
        try:
            await self._ip(outside, self._enter_switch)
        except BaseException:
            made.close()
            raise
        return made

    async def unplug(self, namespaces: Namespaces) -> None:
        """Take a Pod's cable away and let go of its namespaces.

        Raises:
            Refusal: the kernel refused; the namespaces are let go of all the same.
        """
        try:
            await self._ip((f"link del {namespaces.cable}",), self._enter_switch)
        finally:
            namespaces.close()

    def _enter_switch(self) -> None:
        linux.setns(self._network, linux.CLONE_NEWNET)

    async def _ip(self, commands: Sequence[str], enter: object, cable: str = "") -> Namespaces | None:
        """Run `ip` on some commands in other namespaces; with `cable`, hold those namespaces open."""
        assert callable(enter)
        said = os.memfd_create("said")
        reading, writing = os.pipe()
        namespaces = None
        try:
            pid = spawn(["ip", "-batch", "-"], IP_ENVIRONMENT, [reading, said, said], enter=enter)
            ended = self._reaper.watch(pid)
            if cable:
                # `ip` waits for its commands, so its namespaces are there to be taken.
                network = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
                namespaces = Namespaces(network, os.open(f"/proc/{pid}/ns/ipc", os.O_RDONLY), cable)
            os.write(writing, "\n".join((*commands, "")).encode())
            os.close(writing)
            writing = -1
            status = await ended
            if status != 0:
                os.lseek(said, 0, os.SEEK_SET)
                if namespaces is not None:
                    namespaces.close()
                words = os.read(said, 4096).decode(errors="replace").strip()
                raise Refusal(f"the Pod's network could not be set up: ip: {words}", "NetworkNotReady")
            return namespaces
        finally:
            for descriptor in (said, reading, writing):
                if descriptor >= 0:
                    os.close(descriptor)
