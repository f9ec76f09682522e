"""The nodes as the network sees them: their addresses, their Pods' ranges, their zones. Pure, no sockets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from k8slab.network.addresses import AddressPlan

SIMULATED_LABEL = "k8slab.dev/simulated"
"""A Node with this label set to `true` has no processes: nothing is listened on for it."""

ZONE_LABEL = "topology.kubernetes.io/zone"


@dataclass(frozen=True)
class NodePlace:
    """Where a node is.

    Args:
        name: its name.
        address: its InternalIP.
        pods: the range of its Pods' addresses; None until the controller-manager has given it one.
        zone: its zone; empty if it has none.
    """

    name: str
    address: str
    pods: IPv4Network | None
    zone: str


NOWHERE = NodePlace("", "", None, "")
"""The place of a client that is on no node, such as a browser of this machine."""


class NodeTable:
    """The nodes that have an address of this cluster.

    Args:
        plan: the cluster's addresses.
    """

    def __init__(self, plan: AddressPlan) -> None:
        self.plan = plan
        self._nodes: dict[str, NodePlace] = {}

    def put(self, item: Mapping[str, Any]) -> bool:
        """Take in a Node that was added or modified; whether anything is different now."""
        name = str(item["metadata"]["name"])
        place = self._read(name, item)
        before = self._nodes.get(name)
        if place is None:
            self._nodes.pop(name, None)
        else:
            self._nodes[name] = place
        return place != before

    def drop(self, item: Mapping[str, Any]) -> bool:
        """Forget a Node that was deleted; whether it was known."""
        return self._nodes.pop(str(item["metadata"]["name"]), None) is not None

    def addresses(self) -> dict[str, str]:
        """The address of each node by its name."""
        return {place.name: place.address for place in self._nodes.values()}

    def pod_ranges(self) -> list[IPv4Network]:
        """The ranges that the nodes give Pods' addresses out of."""
        return [place.pods for place in self._nodes.values() if place.pods is not None]

    def named(self, name: str) -> NodePlace:
        """The node of that name; `NOWHERE` if there is none."""
        return self._nodes.get(name, NOWHERE)

    def of_client(self, address: str) -> NodePlace:
        """The node that a client is on, by its address; `NOWHERE` if it is on none."""
        if not self.plan.owns(address):
            return NOWHERE
        wanted = IPv4Address(address)
        for place in self._nodes.values():
            if place.address == address or (place.pods is not None and wanted in place.pods):
                return place
        return NOWHERE

    def _read(self, name: str, item: Mapping[str, Any]) -> NodePlace | None:
        labels = item["metadata"].get("labels") or {}
        status = item.get("status") or {}
        if labels.get(SIMULATED_LABEL) == "true":
            return None
        found = [
            str(each["address"])
            for each in status.get("addresses") or ()
            if each.get("type") == "InternalIP" and self.plan.owns(str(each["address"]))
        ]
        if not found:
            return None
        pods = str((item.get("spec") or {}).get("podCIDR") or "")
        zone = str(labels.get(ZONE_LABEL) or "")
        # A Node that somebody wrote by hand may have an IPv6 range, in which no Pod of this network is.
        return NodePlace(name, found[0], IPv4Network(pods) if pods and ":" not in pods else None, zone)
