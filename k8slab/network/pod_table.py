"""Which Pod has which address, so that the forward proxy knows who asks. Pure, no sockets.

The API shows a Pod's address once its containers have started, and a program may send its first request
before that. Nodes give out the addresses of their ranges one after the other, so the table also says which
come next: a proxy that listens there already is there in time. One that was not foreseen is only later.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from k8slab.network.addresses import AddressPlan
from k8slab.network.services.node_table import SIMULATED_LABEL

FIRST_INDEX = 2
"""Index of the first address of a range that a node gives out."""

LOOK_AHEAD = 16
"""Addresses of each range that are expected next: a node seldom starts more Pods at once."""


class PodTable:
    """Addresses and namespaces of the Pods that have an address of their own and have not ended.

    Simulated Pods ask nothing, and are left out.

    Args:
        plan: the cluster's addresses; Pods in the host's network have a node's address and are left out.
    """

    def __init__(self, plan: AddressPlan) -> None:
        self.plan = plan
        self._pods: dict[str, tuple[str, str]] = {}
        self._last: dict[IPv4Network, int] = {}

    def put(self, item: Mapping[str, Any]) -> None:
        """Take in a Pod that was added or modified."""
        if (item["metadata"].get("labels") or {}).get(SIMULATED_LABEL) == "true":
            return
        status = item.get("status") or {}
        address = str(status.get("podIP") or "")
        uid = item["metadata"]["uid"]
        before = self._pods.pop(uid, None)
        ended = status.get("phase") in ("Succeeded", "Failed")
        if not self.plan.owns(address) or IPv4Address(address) not in self.plan.pods:
            return
        if before is None:
            self._advance(IPv4Address(address))
        if not ended:
            # The newest is the last: an address may be given out again before the old Pod is forgotten.
            self._pods[uid] = (address, item["metadata"]["namespace"])

    def drop(self, item: Mapping[str, Any]) -> None:
        """Forget a Pod that was deleted."""
        self._pods.pop(item["metadata"]["uid"], None)

    def give_out(self, ranges: Iterable[IPv4Network]) -> None:
        """Say which ranges the nodes give addresses out of."""
        before, self._last = self._last, {}
        for block in ranges:
            self._last[block] = before.get(block, FIRST_INDEX - 1)
            if block not in before:
                for address, _ in self._pods.values():
                    self._advance(IPv4Address(address))

    def addresses(self) -> frozenset[str]:
        """The addresses in use."""
        return frozenset(address for address, _ in self._pods.values())

    def expected(self) -> frozenset[str]:
        """The addresses that the nodes will probably give out next."""
        return frozenset(
            str(block[_index(block, last + step)])
            for block, last in self._last.items()
            for step in range(1, LOOK_AHEAD + 1)
        )

    def namespace(self, address: str) -> str:
        """The namespace of the Pod that has the address; empty if no Pod is known to have it."""
        return next((where for held, where in reversed(self._pods.values()) if held == address), "")

    def _advance(self, address: IPv4Address) -> None:
        """Take note that a range has been given out up to this address, unless it was further already."""
        block = next((each for each in self._last if address in each), None)
        if block is None:
            return
        index = int(address) - int(block.network_address)
        ahead = (index - self._last[block]) % block.num_addresses
        # A range is gone round: what lies less than half of it ahead is newer, the rest is older.
        if ahead < block.num_addresses // 2:
            self._last[block] = index


def _index(block: IPv4Network, index: int) -> int:
    """An index that went past the end of a range, counted on from its beginning."""
    end = block.num_addresses - 1
    return index if index < end else FIRST_INDEX + index - end
