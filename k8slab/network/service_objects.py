"""What the network reads from Service and EndpointSlice objects of the API. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

SERVICE_NAME_LABEL = "kubernetes.io/service-name"
OTHER_PROXY_LABEL = "service.kubernetes.io/service-proxy-name"
"""A Service or EndpointSlice with this label is another proxy's business, as for kube-proxy."""

DEFAULT_AFFINITY_SECONDS = 10_800
"""Default of `sessionAffinityConfig.clientIP.timeoutSeconds` (k8s.io/api/core/v1, three hours)."""


class Key(NamedTuple):
    """Namespace and name of a Service."""

    namespace: str
    name: str


@dataclass(frozen=True)
class ServicePort:
    """One port of a Service.

    Args:
        name: its name, empty if it has none; the EndpointSlice's port of that name belongs to it.
        port: the number clients use.
        protocol: `TCP`, `UDP` or `SCTP`.
    """

    name: str
    port: int
    protocol: str


@dataclass(frozen=True)
class Service:
    """What the network needs to know of a Service.

    Args:
        key: namespace and name.
        address: its ClusterIP; empty if it is headless or an ExternalName.
        alias: the name that an ExternalName stands for; otherwise empty.
        ports: its ports.
        affinity_seconds: how long a client stays with its endpoint; 0 without session affinity.
    """

    key: Key
    address: str
    alias: str
    ports: tuple[ServicePort, ...]
    affinity_seconds: int

    @staticmethod
    def of(item: Mapping[str, Any]) -> Service:
        """Read a Service object of the API."""
        spec = item.get("spec") or {}
        external = spec.get("type") == "ExternalName"
        address = str(spec.get("clusterIP") or "")
        affinity = 0
        if spec.get("sessionAffinity") == "ClientIP":
            configured = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
            affinity = int(configured.get("timeoutSeconds") or DEFAULT_AFFINITY_SECONDS)
        return Service(
            key=Key(item["metadata"]["namespace"], item["metadata"]["name"]),
            address="" if external or address == "None" else address,
            alias=str(spec.get("externalName") or "") if external else "",
            ports=tuple(
                ServicePort(
                    str(port.get("name") or ""), int(port["port"]), str(port.get("protocol") or "TCP")
                )
                for port in spec.get("ports") or ()
            ),
            affinity_seconds=affinity,
        )


@dataclass(frozen=True)
class Backend:
    """One usable address of an EndpointSlice.

    Args:
        address: IPv4 address.
        hostname: the host name that DNS gives it; empty if it has none.
    """

    address: str
    hostname: str


@dataclass(frozen=True)
class Slice:
    """What the network needs to know of an EndpointSlice.

    Args:
        key: the Service it belongs to.
        ports: number of each TCP port by name.
        backends: its ready, non-terminating addresses.
    """

    key: Key
    ports: Mapping[str, int]
    backends: tuple[Backend, ...]

    @staticmethod
    def of(item: Mapping[str, Any]) -> Slice | None:
        """Read an EndpointSlice object of the API; None if no proxy of ours serves it."""
        metadata = item["metadata"]
        labels = metadata.get("labels") or {}
        name = labels.get(SERVICE_NAME_LABEL)
        if not name or OTHER_PROXY_LABEL in labels or item.get("addressType", "IPv4") != "IPv4":
            return None
        ports = {
            str(port.get("name") or ""): int(port["port"])
            for port in item.get("ports") or ()
            if port.get("port") and (port.get("protocol") or "TCP") == "TCP"
        }
        backends = tuple(
            # Only the first address counts, the API promises that all of an endpoint are the same.
            Backend(str(endpoint["addresses"][0]), str(endpoint.get("hostname") or ""))
            for endpoint in item.get("endpoints") or ()
            if endpoint.get("addresses") and is_usable(endpoint.get("conditions") or {})
        )
        return Slice(Key(metadata["namespace"], name), ports, backends)


def is_usable(conditions: Mapping[str, Any]) -> bool:
    """Whether an endpoint with these conditions may be given a new connection.

    An absent `ready` means ready, an absent `terminating` means that it is not
    (k8s.io/api/discovery/v1, EndpointConditions).
    """
    return conditions.get("ready") is not False and not conditions.get("terminating")
