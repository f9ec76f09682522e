"""What the network reads from EndpointSlice objects of the API. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from k8slab.network.services.objects import OTHER_PROXY_LABEL, Key

SERVICE_NAME_LABEL = "kubernetes.io/service-name"


@dataclass(frozen=True)
class SlicePort:
    """One port of an EndpointSlice.

    Args:
        name: the name it shares with the Service's port; empty if it has none.
        protocol: `TCP`, `UDP` or `SCTP`.
        port: the number on the endpoint.
    """

    name: str
    protocol: str
    port: int


@dataclass(frozen=True)
class Backend:
    """One address of an EndpointSlice that is ready.

    Args:
        address: IPv4 address.
        hostname: the host name that DNS gives it; empty if it has none.
        usable: whether it may be given a new connection: a terminating one may not.
        node: name of its node; empty if that is not said.
        for_zones: zones whose clients should come here, if hints say so.
        for_nodes: nodes whose clients should come here, if hints say so.
    """

    address: str
    hostname: str = ""
    usable: bool = True
    node: str = ""
    for_zones: frozenset[str] = frozenset()
    for_nodes: frozenset[str] = frozenset()

    @property
    def label(self) -> str:
        """Its own label in the cluster's DNS: its host name, or its address with dashes for dots."""
        return self.hostname.lower() or self.address.replace(".", "-")


@dataclass(frozen=True)
class Slice:
    """What the network needs to know of an EndpointSlice.

    Args:
        key: the Service it belongs to.
        ports: its ports that have a number.
        backends: its ready addresses, terminating ones included.
    """

    key: Key
    ports: tuple[SlicePort, ...]
    backends: tuple[Backend, ...]

    @staticmethod
    def of(item: Mapping[str, Any]) -> Slice | None:
        """Read an EndpointSlice object of the API; None if no proxy of ours serves it."""
        metadata = item["metadata"]
        labels = metadata.get("labels") or {}
        name = labels.get(SERVICE_NAME_LABEL)
        if not name or OTHER_PROXY_LABEL in labels or item.get("addressType", "IPv4") != "IPv4":
            return None
        ports = tuple(
            SlicePort(str(port.get("name") or ""), str(port.get("protocol") or "TCP"), int(port["port"]))
            for port in item.get("ports") or ()
            if port.get("port")
        )
        backends = tuple(
            _backend(endpoint)
            for endpoint in item.get("endpoints") or ()
            if endpoint.get("addresses") and is_ready(endpoint.get("conditions") or {})
        )
        return Slice(Key(metadata["namespace"], name), ports, backends)


def is_ready(conditions: Mapping[str, Any]) -> bool:
    """Whether an endpoint with these conditions is ready; it is if nothing is said.

    (k8s.io/api/discovery/v1, EndpointConditions)
    """
    return conditions.get("ready") is not False


def is_usable(conditions: Mapping[str, Any]) -> bool:
    """Whether an endpoint with these conditions may be given a new connection.

    A terminating endpoint is ready only behind a Service with `publishNotReadyAddresses`: it keeps its name
    in DNS, and gets no new connection.
    """
    return is_ready(conditions) and not conditions.get("terminating")


def _backend(endpoint: Mapping[str, Any]) -> Backend:
    hints = endpoint.get("hints") or {}
    return Backend(
        # Only the first address counts, the API promises that all of an endpoint are the same.
        address=str(endpoint["addresses"][0]),
        hostname=str(endpoint.get("hostname") or ""),
        usable=is_usable(endpoint.get("conditions") or {}),
        node=str(endpoint.get("nodeName") or ""),
        for_zones=frozenset(str(each["name"]) for each in hints.get("forZones") or ()),
        for_nodes=frozenset(str(each["name"]) for each in hints.get("forNodes") or ()),
    )
