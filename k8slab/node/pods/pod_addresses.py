"""The addresses that a node gives to its Pods: one after the other from its own range. Pure."""

from __future__ import annotations

from ipaddress import IPv4Network

from k8slab.errors import ClusterStateError

RESERVED = 2
"""The network's own address and the first one, which on the first node is the gateway's."""


class PodAddresses:
    """Which addresses of a node's range are taken.

    An address that was given back is not given out again before the range was gone round once,
    so that a client that is late does not reach another Pod.

    Args:
        podcidr: the Node's `spec.podCIDR`.
    """

    def __init__(self, podcidr: str) -> None:
        self.podcidr = podcidr
        self._network = IPv4Network(podcidr)
        self._taken: dict[str, str] = {}
        self._last = RESERVED - 1

    def adopt(self, uid: str, address: str) -> None:
        """Note an address that a Pod has already.

        Args:
            uid: the Pod's uid.
            address: its address.
        """
        self._taken[address] = uid
        self._last = max(self._last, self._index(address))

    def take(self, uid: str) -> str:
        """An address for a Pod; the same one as long as it is not given back.

        Raises:
            ClusterStateError: all are taken.
        """
        for address, owner in self._taken.items():
            if owner == uid:
                return address
        usable = self._network.num_addresses - RESERVED - 1
        for _ in range(usable):
            self._last += 1
            if self._last >= self._network.num_addresses - 1:
                self._last = RESERVED
            address = str(self._network[self._last])
            if address not in self._taken:
                self._taken[address] = uid
                return address
        raise ClusterStateError(
            f"All {usable} Pod addresses of {self._network} are taken.", "Delete some Pods."
        )

    def give_back(self, uid: str) -> None:
        """Free a Pod's address."""
        for address in [each for each, owner in self._taken.items() if owner == uid]:
            del self._taken[address]

    def _index(self, address: str) -> int:
        offset = int(IPv4Network(address).network_address) - int(self._network.network_address)
        return offset if 0 <= offset < self._network.num_addresses else RESERVED - 1
