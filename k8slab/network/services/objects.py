"""What the network reads from Service objects of the API. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Any, NamedTuple

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
        node_port: the number on every node; 0 if it has none.
    """

    name: str
    port: int
    protocol: str
    node_port: int = 0


@dataclass(frozen=True)
class Service:
    """What the network needs to know of a Service.

    Args:
        key: namespace and name.
        address: its ClusterIP; empty if it is headless or an ExternalName.
        alias: the name that an ExternalName stands for; otherwise empty.
        ports: its ports.
        affinity_seconds: how long a client stays with its endpoint; 0 without session affinity.
        external: its `externalIPs`.
        load_balancer: the addresses that a cloud gave it, of `status.loadBalancer.ingress`.
        sources: clients that a load balancer lets in; everyone if empty.
        external_local: node ports lead to the node's own endpoints only.
        internal_local: Pods reach the endpoints of their own node only.
        health_port: the node port at which a node says whether it has endpoints; 0 if there is none.
    """

    key: Key
    address: str
    alias: str
    ports: tuple[ServicePort, ...]
    affinity_seconds: int = 0
    external: tuple[str, ...] = ()
    load_balancer: tuple[str, ...] = ()
    sources: tuple[IPv4Network, ...] = ()
    external_local: bool = False
    internal_local: bool = False
    health_port: int = 0

    @staticmethod
    def of(item: Mapping[str, Any]) -> Service:
        """Read a Service object of the API."""
        spec = item.get("spec") or {}
        kind = spec.get("type")
        outside = kind == "ExternalName"
        address = str(spec.get("clusterIP") or "")
        return Service(
            key=Key(item["metadata"]["namespace"], item["metadata"]["name"]),
            address="" if outside or address == "None" else address,
            alias=str(spec.get("externalName") or "") if outside else "",
            ports=tuple(
                ServicePort(
                    str(port.get("name") or ""),
                    int(port["port"]),
                    str(port.get("protocol") or "TCP"),
                    int(port.get("nodePort") or 0),
                )
                for port in spec.get("ports") or ()
            ),
            affinity_seconds=_affinity(spec),
            external=tuple(map(str, spec.get("externalIPs") or ())),
            load_balancer=_load_balancer(item) if kind == "LoadBalancer" else (),
            sources=_sources(spec) if kind == "LoadBalancer" else (),
            external_local=spec.get("externalTrafficPolicy") == "Local",
            internal_local=spec.get("internalTrafficPolicy") == "Local",
            health_port=int(spec.get("healthCheckNodePort") or 0),
        )


def _affinity(spec: Mapping[str, Any]) -> int:
    if spec.get("sessionAffinity") != "ClientIP":
        return 0
    configured = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
    return int(configured.get("timeoutSeconds") or DEFAULT_AFFINITY_SECONDS)


def _load_balancer(item: Mapping[str, Any]) -> tuple[str, ...]:
    given = ((item.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    return tuple(str(each["ip"]) for each in given if each.get("ip"))


def _sources(spec: Mapping[str, Any]) -> tuple[IPv4Network, ...]:
    # The API checks them. Where all are IPv6 nobody is shut out, as by kube-proxy (pkg/proxy/serviceport.go).
    ranges = (str(each).strip() for each in spec.get("loadBalancerSourceRanges") or ())
    return tuple(IPv4Network(each, strict=False) for each in ranges if ":" not in each)
