"""Which Service holds which LoadBalancer address. Pure."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from k8slab.errors import ClusterError


class NoAddressError(ClusterError):
    """A Service cannot have the address that it asks for, or there is none left."""


class AddressBook:
    """The addresses of a range and who holds them; each owner holds one at most.

    Args:
        network: the range; its first and last address are given to nobody, as on any subnet.
        kept: addresses of the range that are somebody else's.
    """

    def __init__(self, network: IPv4Network, kept: frozenset[str] = frozenset()) -> None:
        self.network = network
        self.kept = kept | {str(network.network_address), str(network.broadcast_address)}
        self._holders: dict[str, str] = {}
        self._held: dict[str, str] = {}

    def held(self, owner: str) -> str:
        """The address that an owner holds; empty if none."""
        return self._held.get(owner, "")

    def restore(self, owner: str, address: str) -> bool:
        """Take note that an owner holds an address already; False if it cannot be so.

        Args:
            owner: uid of the Service.
            address: what stands in its status.
        """
        try:
            self._check(owner, address)
        except NoAddressError:
            return False
        self._give(owner, address)
        return True

    def allot(self, owner: str, asked: str = "") -> str:
        """The address of an owner: the one it asks for, else the one it holds, else the lowest that is free.

        Args:
            owner: uid of the Service.
            asked: its `spec.loadBalancerIP`; empty if it asks for none.

        Raises:
            NoAddressError: what it asks for is not to be had, or every address is taken; the owner then
                keeps what it holds.
        """
        held = self.held(owner)
        if asked and asked != held:
            self._check(owner, asked)
            self._give(owner, asked)
        elif not held:
            self._give(owner, self._lowest_free())
        return self._held[owner]

    def release(self, owner: str) -> bool:
        """Take back what an owner holds; False if it holds nothing."""
        address = self._held.pop(owner, "")
        if address:
            del self._holders[address]
        return bool(address)

    def _check(self, owner: str, address: str) -> None:
        try:
            inside = IPv4Address(address) in self.network
        except ValueError:
            inside = False
        if not inside:
            raise NoAddressError(
                f"{address} is not in {self.network}, the range of this cluster's load balancers"
            )
        if address in self.kept:
            raise NoAddressError(f"{address} is kept and not given to Services")
        if self._holders.get(address, owner) != owner:
            raise NoAddressError(f"{address} is in use by another Service")

    def _give(self, owner: str, address: str) -> None:
        self.release(owner)
        self._held[owner] = address
        self._holders[address] = owner

    def _lowest_free(self) -> str:
        for number in range(int(self.network.network_address), int(self.network.broadcast_address) + 1):
            address = str(IPv4Address(number))
            if address not in self._holders and address not in self.kept:
                return address
        raise NoAddressError(f"every address of {self.network} is in use")
