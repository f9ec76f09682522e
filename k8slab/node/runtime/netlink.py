"""Network devices, addresses and routes over netlink, without starting a program for each.

A netlink socket acts on the namespace it was made in, whoever uses it. Message layouts are
those of <linux/rtnetlink.h>, <linux/if_link.h> and <linux/veth.h>.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Sequence
from fcntl import ioctl

NEW_LINK, DELETE_LINK, NEW_ADDRESS, NEW_ROUTE = 16, 17, 20, 24
REQUEST, ACKNOWLEDGE, EXCLUSIVE, CREATE = 0x1, 0x4, 0x200, 0x400
ERROR = 2

IFLA_ADDRESS, IFLA_IFNAME, IFLA_MASTER, IFLA_LINKINFO, IFLA_NET_NS_FD = 1, 3, 10, 18, 28
INFO_KIND, INFO_DATA, VETH_PEER = 1, 2, 1
IFA_ADDRESS, IFA_LOCAL = 1, 2
RTA_OIF, RTA_GATEWAY = 4, 5
IFF_UP = 1
TABLE_MAIN, PROTOCOL_BOOT, TYPE_UNICAST = 254, 3, 1
SIOCGIFINDEX = 0x8933
KERNEL = (0, 0)
LOOPBACK = 1
"""Index of `lo` in every network namespace."""


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute: length, kind and value, padded to four bytes."""
    return struct.pack("=HH", 4 + len(value), kind) + value + b"\0" * (-len(value) % 4)


def _text(name: str) -> bytes:
    return name.encode() + b"\0"


def _number(number: int) -> bytes:
    return struct.pack("=I", number)


def _link(index: int, up: bool) -> bytes:
    flag = IFF_UP if up else 0
    return struct.pack("=BxHiII", socket.AF_UNSPEC, 0, index, flag, flag)


def new_cable(name: str, bridge: int, peer: str, mac: bytes, namespace: int) -> tuple[int, int, bytes]:
    """A veth pair: this end in the bridge and up, the other in another namespace and (it must be) still down.

    Args:
        name: of this end.
        bridge: index of the bridge.
        peer: name of the other end.
        mac: hardware address of the other end, six bytes.
        namespace: descriptor of the other end's network namespace.
    """
    other = (
        _link(0, False)
        + attribute(IFLA_IFNAME, _text(peer))
        + attribute(IFLA_ADDRESS, mac)
        + attribute(IFLA_NET_NS_FD, _number(namespace))
    )
    info = attribute(INFO_KIND, _text("veth")) + attribute(INFO_DATA, attribute(VETH_PEER, other))
    body = (
        _link(0, True)
        + attribute(IFLA_IFNAME, _text(name))
        + attribute(IFLA_MASTER, _number(bridge))
        + attribute(IFLA_LINKINFO, info)
    )
    return NEW_LINK, CREATE | EXCLUSIVE, body


def delete_link(name: str) -> tuple[int, int, bytes]:
    """Remove a device, and with a veth its other end."""
    return DELETE_LINK, 0, _link(0, False) + attribute(IFLA_IFNAME, _text(name))


def link_up(index: int) -> tuple[int, int, bytes]:
    """Switch a device on."""
    return NEW_LINK, 0, _link(index, True)


def new_address(index: int, address: str, prefix: int) -> tuple[int, int, bytes]:
    """Give a device an IPv4 address."""
    packed = socket.inet_aton(address)
    body = struct.pack("=BBBBI", socket.AF_INET, prefix, 0, 0, index)
    body += attribute(IFA_LOCAL, packed) + attribute(IFA_ADDRESS, packed)
    return NEW_ADDRESS, CREATE | EXCLUSIVE, body


def default_route(index: int, gateway: str) -> tuple[int, int, bytes]:
    """Send everything else to a gateway."""
    body = struct.pack("=BBBBBBBBI", socket.AF_INET, 0, 0, 0, TABLE_MAIN, PROTOCOL_BOOT, 0, TYPE_UNICAST, 0)
    body += attribute(RTA_GATEWAY, socket.inet_aton(gateway)) + attribute(RTA_OIF, _number(index))
    return NEW_ROUTE, CREATE | EXCLUSIVE, body


def open_netlink() -> socket.socket:
    """A netlink socket of the caller's network namespace."""
    return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)


def device_index(netlink: socket.socket, name: str) -> int:
    """Index of a device in the socket's namespace.

    Raises:
        OSError: there is none of that name.
    """
    answer = ioctl(netlink, SIOCGIFINDEX, struct.pack("16si20x", name.encode(), 0))
    return int(struct.unpack("16si20x", answer)[1])


def send(netlink: socket.socket, requests: Sequence[tuple[int, int, bytes]]) -> None:
    """Have the kernel carry out requests, one after another.

    Args:
        netlink: the socket, and thereby the namespace.
        requests: type, flags and body of each.

    Raises:
        OSError: the kernel refused one; those after it are not sent.
    """
    for kind, flags, body in requests:
        header = struct.pack("=IHHII", 16 + len(body), kind, REQUEST | ACKNOWLEDGE | flags, 0, 0)
        netlink.sendto(header + body, KERNEL)
        # The kernel works while it is being sent to: its answer is there.
        answer = netlink.recv(65536)
        answered = struct.unpack_from("=IHHII", answer)[1]
        code = struct.unpack_from("=i", answer, 16)[0] if answered == ERROR else 0
        if code:
            raise OSError(-code, f"netlink request {kind}: {os.strerror(-code)}")
