"""Which Pod has which address, so that the forward proxy knows who asks. Pure, no sockets."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address
from typing import Any

from k8slab.network.addresses import AddressPlan


class PodTable:
    """Addresses and namespaces of the Pods that have an address of their own and have not ended.

    Args:
        plan: the cluster's addresses; Pods in the host's network have a node's address and are left out.
    """

    def __init__(self, plan: AddressPlan) -> None:
        self.plan = plan
        self._pods: dict[str, tuple[str, str]] = {}

    def put(self, item: Mapping[str, Any]) -> None:
        """Take in a Pod that was added or modified."""
        status = item.get("status") or {}
        address = str(status.get("podIP") or "")
        uid = item["metadata"]["uid"]
        ended = status.get("phase") in ("Succeeded", "Failed")
        if not ended and self.plan.owns(address) and IPv4Address(address) in self.plan.pods:
            # The newest is the last: an address may be given out again before the old Pod is forgotten.
            self._pods.pop(uid, None)
            self._pods[uid] = (address, item["metadata"]["namespace"])
        else:
            self._pods.pop(uid, None)

    def drop(self, item: Mapping[str, Any]) -> None:
        """Forget a Pod that was deleted."""
        self._pods.pop(item["metadata"]["uid"], None)

    def addresses(self) -> frozenset[str]:
        """The addresses in use."""
        return frozenset(address for address, _ in self._pods.values())

    def namespace(self, address: str) -> str:
        """The namespace of the Pod that has the address; `default` if none is known."""
        return next((where for held, where in reversed(self._pods.values()) if held == address), "default")
