"""Names of Services and what they stand for, by the Kubernetes DNS specification. Pure, no sockets.

    <service>.<namespace>.svc.cluster.local            its ClusterIP; if headless, its ready endpoints
    <host>.<service>.<namespace>.svc.cluster.local     an endpoint of a headless Service, by its host
                                                       name or by its address with dashes for dots
    <address with dashes>.<namespace>.pod.cluster.local     that address, as CoreDNS's `pods insecure`

An ExternalName is an alias. SRV and PTR records are not served. The lab's Pods have no way to the world
outside, so every other name does not exist here, where a real cluster would ask the host's resolver.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from ipaddress import IPv4Address

from k8slab.errors import ClusterError
from k8slab.network.addresses import AddressPlan
from k8slab.network.service_objects import Backend, Key
from k8slab.network.services import ServiceTable

DOMAIN = "cluster.local"
NDOTS = 5
"""A name with fewer dots is first looked for in the search domains (the kubelet's `options ndots:5`)."""

LONGEST_ALIAS_CHAIN = 4


class UnknownNameError(ClusterError):
    """A name that stands for nothing in this cluster."""


@dataclass(frozen=True)
class Answer:
    """What a full name stands for.

    Args:
        exists: whether there is such a name at all, be it without addresses.
        addresses: its IPv4 addresses.
        alias: the name it is another name for; empty if it is none.
    """

    exists: bool
    addresses: tuple[str, ...] = ()
    alias: str = ""


NO_SUCH_NAME = Answer(exists=False)
NO_ADDRESS = Answer(exists=True)


def search_domains(namespace: str) -> tuple[str, ...]:
    """Where a Pod of that namespace looks for a short name, in order (the kubelet's `ClusterFirst`)."""
    return f"{namespace}.svc.{DOMAIN}", f"svc.{DOMAIN}", DOMAIN


class Names:
    """Looks names up in the table of Services.

    Args:
        plan: the cluster's addresses.
        table: its Services.
    """

    def __init__(self, plan: AddressPlan, table: ServiceTable) -> None:
        self.plan = plan
        self.table = table

    def lookup(self, name: str) -> Answer:
        """What a full name stands for; upper and lower case are the same, a final dot is allowed."""
        name = name.lower().rstrip(".")
        if name == DOMAIN:
            return NO_ADDRESS
        if not name.endswith(f".{DOMAIN}"):
            return NO_SUCH_NAME
        match name.removesuffix(f".{DOMAIN}").split("."):
            case ["svc"] | ["pod"]:
                return NO_ADDRESS
            case [namespace, "svc" | "pod"]:
                return NO_ADDRESS if namespace in self.table.namespaces() else NO_SUCH_NAME
            case [service, namespace, "svc"]:
                return self._service(Key(namespace, service))
            case [host, service, namespace, "svc"]:
                return self._endpoint(host, Key(namespace, service))
            case [dashed, _, "pod"]:
                address = dashed.replace("-", ".")
                return Answer(True, (address,)) if self._is_pod(address) else NO_SUCH_NAME
            case _:
                return NO_SUCH_NAME

    def resolve(self, name: str, namespace: str) -> str:
        """The address that a program in a Pod reaches under a name, as its resolver would find it.

        Args:
            name: an address, or a name with or without its search domain.
            namespace: the Pod's namespace.

        Returns:
            One address, at random where there are several; a literal address as it is.

        Raises:
            UnknownNameError: the name stands for nothing here.
        """
        if _is_address(name):
            return name
        return self._resolve(name, namespace, LONGEST_ALIAS_CHAIN)

    def _resolve(self, name: str, namespace: str, aliases: int) -> str:
        for candidate in _candidates(name, namespace):
            found = self.lookup(candidate)
            if found.addresses:
                return random.choice(found.addresses)
            if found.alias and aliases:
                return self._resolve(f"{found.alias}.", namespace, aliases - 1)
        raise UnknownNameError(
            f"{name!r} stands for nothing in this cluster: no such Service was found from "
            f"namespace {namespace!r}, or it is headless without a ready endpoint.",
            "`kubectl get services -A` lists the names.",
        )

    def _service(self, key: Key) -> Answer:
        service = self.table.service(key)
        if service is None:
            return NO_SUCH_NAME
        if service.alias:
            return Answer(True, alias=service.alias)
        if service.address:
            return Answer(True, (service.address,))
        return Answer(True, tuple(backend.address for backend in self.table.backends(key)))

    def _endpoint(self, host: str, key: Key) -> Answer:
        service = self.table.service(key)
        if service is None or service.address or service.alias:
            return NO_SUCH_NAME
        found = tuple(each.address for each in self.table.backends(key) if _host(each) == host)
        return Answer(True, found) if found else NO_SUCH_NAME

    def _is_pod(self, address: str) -> bool:
        return _is_address(address) and IPv4Address(address) in self.plan.pods


def _candidates(name: str, namespace: str) -> list[str]:
    if name.endswith("."):
        return [name]
    searched = [f"{name}.{domain}" for domain in search_domains(namespace)]
    return [name, *searched] if name.count(".") >= NDOTS else [*searched, name]


def _host(backend: Backend) -> str:
    return backend.hostname.lower() or backend.address.replace(".", "-")


def _is_address(text: str) -> bool:
    try:
        IPv4Address(text)
    except ValueError:
        return False
    return True
