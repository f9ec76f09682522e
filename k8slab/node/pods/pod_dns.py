"""How a Pod's programs look names up: name servers, search domains, options. Pure.

Source: pkg/kubelet/network/dns/dns.go of Kubernetes 1.36 (`GetPodDNS`, `formDNSConfigFitsLimits`). A process
node has no search domains of its own that it would pass on.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from k8slab.node.pods.pod_spec import Pod

CLUSTER_DOMAIN = "cluster.local"

MOST_SERVERS = 3
MOST_SEARCHES = 32
LONGEST_SEARCH = 253
LONGEST_SEARCH_LINE = 2048
"""Limits of a `resolv.conf` (pkg/apis/core/validation/validation.go:4129)."""


@dataclass(frozen=True)
class PodDns:
    """The content of a Pod's `/etc/resolv.conf`.

    Args:
        servers: name servers.
        searches: domains in which a short name is looked for.
        options: such as `ndots:5`.
        omitted: what did not fit, as the kubelet's Event `DNSConfigForming` says it.
    """

    servers: tuple[str, ...]
    searches: tuple[str, ...]
    options: tuple[str, ...]
    omitted: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The file's content."""
        lines = [f"search {' '.join(self.searches)}"] if self.searches else []
        lines += [f"nameserver {server}" for server in self.servers]
        lines += [f"options {' '.join(self.options)}"] if self.options else []
        return "\n".join(lines) + "\n"


def pod_dns(pod: Pod, nameserver: str, host: str) -> PodDns:
    """What a Pod's `dnsPolicy` and `dnsConfig` come to.

    Args:
        pod: the Pod.
        nameserver: address of the cluster's name server.
        host: content of the host's own `/etc/resolv.conf`, for the policy `Default`.
    """
    policy = pod["spec"].get("dnsPolicy") or "ClusterFirst"
    if pod["spec"].get("hostNetwork") and policy == "ClusterFirst":
        policy = "Default"
    servers: list[str] = []
    searches: list[str] = []
    options: dict[str, str] = {}
    if policy == "Default":
        servers, searches, options = _read(host)
    elif policy != "None":
        namespace = pod["metadata"]["namespace"]
        servers = [nameserver]
        searches = [f"{namespace}.svc.{CLUSTER_DOMAIN}", f"svc.{CLUSTER_DOMAIN}", CLUSTER_DOMAIN]
        options = {"ndots": "5"}
    own: dict[str, Any] = pod["spec"].get("dnsConfig") or {}
    servers = list(dict.fromkeys((*servers, *(own.get("nameservers") or ()))))
    searches = list(dict.fromkeys((*searches, *(own.get("searches") or ()))))
    options |= {str(each["name"]): str(each.get("value") or "") for each in own.get("options") or ()}
    written = tuple(f"{name}:{value}" if value else name for name, value in options.items())
    return _fitted(servers, searches, written)


def _read(host: str) -> tuple[list[str], list[str], dict[str, str]]:
    servers: list[str] = []
    searches: list[str] = []
    options: dict[str, str] = {}
    for line in host.splitlines():
        words = line.split()
        match words:
            case ["nameserver", address, *_]:
                servers.append(address)
            case ["search", *domains]:
                searches = [domain.removesuffix(".") for domain in domains if domain != "."]
            case ["options", *given]:
                options |= _pairs(given)
    return servers, searches, options


def _pairs(options: Iterable[str]) -> dict[str, str]:
    return {name: value for name, _, value in (option.partition(":") for option in options)}


def _fitted(servers: list[str], searches: list[str], options: tuple[str, ...]) -> PodDns:
    omitted = []
    if len(servers) > MOST_SERVERS:
        servers = servers[:MOST_SERVERS]
        omitted.append(
            "Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver "
            f"line is: {' '.join(servers)}"
        )
    fitting = [domain for domain in searches[:MOST_SEARCHES] if len(domain) <= LONGEST_SEARCH]
    while len(" ".join(fitting)) > LONGEST_SEARCH_LINE:
        fitting.pop()
    if fitting != searches:
        omitted.append(
            "Search Line limits were exceeded, some search paths have been omitted, the applied search line "
            f"is: {' '.join(fitting)}"
        )
    return PodDns(tuple(servers), tuple(fitting), options, tuple(omitted))
