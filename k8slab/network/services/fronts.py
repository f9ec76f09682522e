"""Where clients knock for a Service, and what the lab network cannot receive. Pure, no sockets.

ClusterIP          its address and each port
NodePort           every node's own address at the node port
LoadBalancer       each address of `status.loadBalancer.ingress` and each port
externalIPs        each of these addresses and each port, where they lie within the cluster
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Literal, NamedTuple

from k8slab.network.addresses import API_SERVER_PORT, DNS_PORT, KUBELET_PORT, AddressPlan
from k8slab.network.services.objects import Key, Service

Kind = Literal["ClusterIP", "NodePort", "LoadBalancer", "externalIP"]

SERVED = ("TCP", "UDP")

NODE_PORTS = (DNS_PORT, API_SERVER_PORT, KUBELET_PORT)
"""Ports of the nodes that are taken; at the addresses of the control plane and the add-ons all are."""


class Front(NamedTuple):
    """Where clients knock: an address and a port, such as a ClusterIP and a port of its Service."""

    address: str
    port: int
    protocol: str = "TCP"


@dataclass(frozen=True)
class FrontRule:
    """What a front leads to.

    Args:
        service: its Service.
        port_name: name of the Service's port; empty if it has none.
        kind: why the front is there.
        node: the node whose address a node port is; otherwise empty.
        node_only: only endpoints on that node count (`externalTrafficPolicy: Local`).
        sources: the clients that may come (`loadBalancerSourceRanges`); everyone if empty.
    """

    service: Service
    port_name: str
    kind: Kind
    node: str = ""
    node_only: bool = False
    sources: tuple[IPv4Network, ...] = ()

    @property
    def key(self) -> Key:
        """Namespace and name of the Service."""
        return self.service.key

    def lets_in(self, client: str) -> bool:
        """Whether a client of that address may come; one without an address (a unix socket) may."""
        if not self.sources or not client:
            return True
        return any(IPv4Address(client) in network for network in self.sources)


def fronts_of(
    service: Service, nodes: Mapping[str, str], plan: AddressPlan
) -> Iterator[tuple[Front, FrontRule]]:
    """Every front of a Service that can be listened on, whether it has endpoints or not.

    Args:
        service: the Service.
        nodes: address of each node by its name.
        plan: says what lies within the cluster.
    """
    if not service.address:
        return
    for port in service.ports:
        if port.protocol not in SERVED:
            continue
        rule = FrontRule(service, port.name, "ClusterIP")
        yield Front(service.address, port.port, port.protocol), rule
        if port.node_port:
            for node, address in nodes.items():
                rule = FrontRule(service, port.name, "NodePort", node, service.external_local)
                yield Front(address, port.node_port, port.protocol), rule
        for address in service.load_balancer:
            if receives(plan, address, port.port):
                rule = FrontRule(service, port.name, "LoadBalancer", sources=service.sources)
                yield Front(address, port.port, port.protocol), rule
        for address in service.external:
            if receives(plan, address, port.port):
                yield Front(address, port.port, port.protocol), FrontRule(service, port.name, "externalIP")


def unserved_wishes(service: Service, plan: AddressPlan) -> Iterator[str]:
    """What a Service asks for and does not get here, in sentences."""
    if not service.address:
        return
    for port in service.ports:
        if port.protocol not in SERVED:
            yield f"port {port.port}/{port.protocol} is not served: the lab network carries TCP and UDP"
    for field, addresses in (
        ("spec.externalIPs", service.external),
        ("status.loadBalancer.ingress", service.load_balancer),
    ):
        for address in addresses:
            if not _owned(plan, address):
                yield (
                    f"{field} {address} is not served: the lab network receives at addresses of its own, "
                    f"such as a node's ({plan.node(1)}) or one of {plan.load_balancers}"
                )
                continue
            taken = [port.port for port in service.ports if not receives(plan, address, port.port)]
            if taken:
                yield f"{field} {address} is not served at port {taken[0]}: that belongs to the lab itself"


def receives(plan: AddressPlan, address: str, port: int) -> bool:
    """Whether a Service can be knocked at there: the cluster's address, no Pod's, and the port is free."""
    if not _owned(plan, address):
        return False
    if address in (plan.ingress, plan.api_server, plan.addons):
        return False
    return not (IPv4Address(address) in plan.nodes and port in NODE_PORTS)


def _owned(plan: AddressPlan, address: str) -> bool:
    return plan.owns(address) and IPv4Address(address) not in plan.pods
