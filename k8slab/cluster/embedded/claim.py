"""Claiming a cluster's address range, so that clusters and users of one host never collide.

A cluster of octet K holds a fixed port of `127.K.255.254` for as long as its supervisor
lives. The operating system gives it back when the process is gone, however it went.
"""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

from k8slab.cluster.embedded.control_plane import (
    CONTROLLER_MANAGER_PORT,
    ETCD_PEER_PORT,
    ETCD_PORT,
    SCHEDULER_PORT,
)
from k8slab.errors import StartError
from k8slab.network.addresses import (
    API_SERVER_PORT,
    CLAIM_PORT,
    KUBELET_PORT,
    PORT_OFFSET,
    AddressPlan,
)

ROUTES = Path("/proc/net/route")


@dataclass(frozen=True)
class Claim:
    """A claimed range: the plan, and the socket that holds it."""

    plan: AddressPlan
    holder: socket.socket


def routed_networks(table: str) -> list[IPv4Network]:
    """The networks of a routing table in the form of /proc/net/route, without the default route."""
    networks = []
    for line in table.splitlines()[1:]:
        fields = line.split()
        if len(fields) < 8:
            continue
        address, mask = (bytes.fromhex(fields[index])[::-1] for index in (1, 7))
        if any(mask):
            packed = int.from_bytes(address) & int.from_bytes(mask)
            networks.append(IPv4Network((packed, int.from_bytes(mask).bit_count())))
    return networks


def claim_addresses(first: int, routes: Path = ROUTES) -> Claim:
    """Claim the first free octet, beginning at `first` and going round.

    Args:
        first: octet to try first, from 1 to 254.
        routes: the host's routing table.

    Raises:
        StartError: all 254 are taken or routed elsewhere.
    """
    taken = routed_networks(routes.read_text()) if routes.exists() else []
    for step in range(254):
        octet = (first - 1 + step) % 254 + 1
        plan = AddressPlan(octet)
        if any(plan.cluster.overlaps(network) for network in taken):
            continue
        holder = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            holder.bind((plan.claim, CLAIM_PORT))
            holder.listen(1)
        except OSError as error:
            holder.close()
            if error.errno != errno.EADDRINUSE:
                raise
            continue
        if not all(_is_free(plan.twin(address), port) for address, port in fixed_endpoints(plan)):
            holder.close()
            continue
        return Claim(AddressPlan(octet, _port_offset(plan.claim)), holder)
    raise StartError(
        "The address range",
        "found no free 10.K.0.0/16: every K from 1 to 254 is used by another cluster or a route of this host",
        cure="End clusters you no longer need with `k8slab down`.",
    )


def fixed_endpoints(plan: AddressPlan) -> list[tuple[str, int]]:
    """The addresses and ports that the control plane and the first nodes must have."""
    ports = (API_SERVER_PORT, ETCD_PORT, ETCD_PEER_PORT, CONTROLLER_MANAGER_PORT, SCHEDULER_PORT)
    return [(plan.api_server, port) for port in ports] + [
        (plan.node(index), KUBELET_PORT) for index in range(4)
    ]


def _is_free(address: str, port: int) -> bool:
    """Whether nothing listens there, a wildcard listener of another program included."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As Go's listeners do: a connection that lingers in TIME_WAIT takes no port away.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True


def _port_offset(address: str) -> int:
    """0 where this user may bind ports below 1024 on loopback, `PORT_OFFSET` elsewhere."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((address, 80))
        except PermissionError:
            return PORT_OFFSET
    return 0
