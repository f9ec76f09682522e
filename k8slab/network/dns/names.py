"""Names of Services and what they stand for, by the Kubernetes DNS specification. Pure, no sockets.

    <service>.<namespace>.svc.cluster.local            its ClusterIP; if headless, its ready endpoints
    _<port>._<protocol>.<service>.<namespace>.svc...    the same, of the port of that name alone
    <host>.<service>.<namespace>.svc.cluster.local     a ready endpoint, by its host name or by its address
                                                       with dashes for dots
    <address with dashes>.<namespace>.pod.cluster.local     that address, as CoreDNS's `pods insecure`
    <address backwards>.in-addr.arpa                   the name of a ClusterIP or of an endpoint

It answers what CoreDNS's `kubernetes` plugin answers with kubeadm's settings. An ExternalName is an alias.
The lab's Pods have no way to the world outside, so every other name does not exist here, where a real cluster
would ask the host's resolver.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address

from k8slab.errors import ClusterError
from k8slab.network.addresses import AddressPlan
from k8slab.network.services.objects import Key
from k8slab.network.services.table import ServiceTable

DOMAIN = "cluster.local"
REVERSE_DOMAIN = "in-addr.arpa"
NAME_SERVER = f"kube-dns.kube-system.svc.{DOMAIN}"
SCHEMA_VERSION = "1.1.0"
"""Version of the Kubernetes DNS specification, told under `dns-version.cluster.local`."""

NDOTS = 5
"""A name with fewer dots is first looked for in the search domains (the kubelet's `options ndots:5`)."""

LONGEST_ALIAS_CHAIN = 7


class UnknownNameError(ClusterError):
    """A name that stands for nothing in this cluster."""


@dataclass(frozen=True)
class Target:
    """One address that a name stands for.

    Args:
        address: IPv4 address.
        port: a port it serves there; 0 if none is known.
        host: the name of that address alone.
    """

    address: str
    port: int
    host: str


@dataclass(frozen=True)
class Answer:
    """What a full name stands for.

    Args:
        exists: whether there is such a name at all, be it without addresses.
        targets: its addresses, once for each port.
        alias: the name it is another name for; empty if it is none.
        pointers: the names of an address, for a name in `in-addr.arpa`.
        text: what a TXT record says.
        zone: the zone it was looked for in; empty if it belongs to none that is served here.
    """

    exists: bool
    targets: tuple[Target, ...] = ()
    alias: str = ""
    pointers: tuple[str, ...] = ()
    text: str = ""
    zone: str = DOMAIN

    @property
    def addresses(self) -> tuple[str, ...]:
        """Its addresses, each once."""
        return tuple(dict.fromkeys(target.address for target in self.targets))


NO_SUCH_NAME = Answer(exists=False)
NO_ADDRESS = Answer(exists=True)
OUTSIDE = Answer(exists=False, zone="")


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
        if name == REVERSE_DOMAIN or name.endswith(f".{REVERSE_DOMAIN}"):
            return self._reverse(name.removesuffix(REVERSE_DOMAIN).rstrip("."))
        if name == DOMAIN:
            return NO_ADDRESS
        if not name.endswith(f".{DOMAIN}"):
            return OUTSIDE
        match name.removesuffix(f".{DOMAIN}").split("."):
            case ["svc"] | ["pod"]:
                return NO_ADDRESS
            case ["dns-version"]:
                return Answer(True, text=SCHEMA_VERSION)
            case ["ns", "dns"]:
                return _one(self.plan.dns_service, 53, f"ns.dns.{DOMAIN}")
            case [*_, namespace, "svc" | "pod"] if namespace not in self.table.namespaces():
                return NO_SUCH_NAME
            case [_, "svc" | "pod"]:
                return NO_ADDRESS
            case [service, namespace, "svc"]:
                return self._service(Key(namespace, service))
            case [host, service, namespace, "svc"]:
                return _found(self._endpoints(Key(namespace, service), host=host))
            case [port, protocol, service, namespace, "svc"]:
                return self._service(Key(namespace, service), port.lstrip("_"), protocol.lstrip("_"))
            case [dashed, _, "pod"]:
                address = dashed.replace("-", ".")
                return _one(address, 0, name) if is_address(address) else NO_SUCH_NAME
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
        if is_address(name):
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

    def _service(self, key: Key, port: str = "", protocol: str = "") -> Answer:
        service = self.table.service(key)
        if service is None:
            return NO_SUCH_NAME
        if service.alias:
            return Answer(True, alias=service.alias)
        if not service.address:
            return _found(self._endpoints(key, port, protocol))
        host = f"{key.name}.{key.namespace}.svc.{DOMAIN}"
        return _found(
            Target(service.address, each.port, host)
            for each in service.ports
            if port in ("", each.name.lower()) and protocol in ("", each.protocol.lower())
        )

    def _endpoints(self, key: Key, port: str = "", protocol: str = "", host: str = "") -> Iterator[Target]:
        service = self.table.service(key)
        if service is None or service.alias:
            return
        domain = f"{key.name}.{key.namespace}.svc.{DOMAIN}"
        for part in self.table.slices(key):
            numbers = [
                each.port
                for each in part.ports
                if port in ("", each.name.lower()) and protocol in ("", each.protocol.lower())
            ]
            if not part.ports and not port:
                numbers = [0]
            for backend in part.backends:
                if host in ("", backend.label):
                    for number in numbers:
                        yield Target(backend.address, number, f"{backend.label}.{domain}")

    def _reverse(self, name: str) -> Answer:
        address = ".".join(reversed(name.split(".")))
        if not is_address(address):
            return Answer(name == "", zone=REVERSE_DOMAIN)
        for service in self.table.services():
            if service.address == address:
                pointer = f"{service.key.name}.{service.key.namespace}.svc.{DOMAIN}"
                return Answer(True, pointers=(pointer,), zone=REVERSE_DOMAIN)
        pointers = tuple(
            f"{backend.label}.{part.key.name}.{part.key.namespace}.svc.{DOMAIN}"
            for part in self.table.all_slices()
            for backend in part.backends
            if backend.address == address
        )
        return Answer(bool(pointers), pointers=tuple(dict.fromkeys(pointers)), zone=REVERSE_DOMAIN)


def is_address(text: str) -> bool:
    """Whether a text is an IPv4 address."""
    try:
        IPv4Address(text)
    except ValueError:
        return False
    return True


def _found(targets: Iterator[Target]) -> Answer:
    # CoreDNS knows no name without an address behind it: a headless one without endpoints does not exist.
    found = tuple(dict.fromkeys(targets))
    return Answer(bool(found), found)


def _one(address: str, port: int, host: str) -> Answer:
    return Answer(True, (Target(address, port, host),))


def _candidates(name: str, namespace: str) -> list[str]:
    if name.endswith("."):
        return [name]
    searched = [f"{name}.{domain}" for domain in search_domains(namespace)]
    return [name, *searched] if name.count(".") >= NDOTS else [*searched, name]
