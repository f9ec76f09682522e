"""Ingresses as a lab names them: looked up, with the address that a browser opens and what it cannot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from k8slab.cluster.api import KINDS
from k8slab.errors import LabError, NotFoundError
from k8slab.session.session import Session

PREFIXES = ("ingress/", "ingresses/", "ing/")
"""How an Ingress is named where a Service could be meant too."""


@dataclass(frozen=True)
class IngressAddress:
    """Where an Ingress is answered.

    Args:
        name: its name.
        address: its ADDRESS: an IPv4 address, or a name on some clouds.
        path: the path to open first.
        hosts: the hosts of its rules, without those that have none.
        open_to_all: whether a request is answered whatever its host.
        secure: whether it has certificates.
    """

    name: str
    address: str
    path: str
    hosts: tuple[str, ...]
    open_to_all: bool
    secure: bool

    @staticmethod
    def of(item: dict[str, Any]) -> IngressAddress:
        """Read an Ingress.

        Raises:
            LabError: it has no ADDRESS.
        """
        name, spec = item["metadata"]["name"], item["spec"]
        given = ((item.get("status") or {}).get("loadBalancer") or {}).get("ingress") or [{}]
        address = str(given[0].get("ip") or given[0].get("hostname") or "")
        if not address:
            of_class = spec.get("ingressClassName")
            raise LabError(
                f"Ingress {name!r} has no ADDRESS yet: a controller for "
                + (f"its class {of_class!r}" if of_class else "an Ingress without a class")
                + " has to give it one.",
                "`kubectl get ingressclass` lists the classes there are; where one is (default), leave "
                "ingressClassName out.",
            )
        rules = spec.get("rules") or []
        paths = [path for rule in rules for path in (rule.get("http") or {}).get("paths") or ()]
        return IngressAddress(
            name=name,
            address=address,
            path=str(paths[0].get("path") or "/") if paths else "/",
            hosts=tuple(dict.fromkeys(rule["host"] for rule in rules if rule.get("host"))),
            open_to_all=bool(spec.get("defaultBackend")) or any(not rule.get("host") for rule in rules),
            secure=bool(spec.get("tls")),
        )

    def told(self, http: str, https: str) -> str:
        """What a learner is told who asks for its URL.

        Args:
            http: URL of port 80 of its address on this machine, with a slash at its end.
            https: the same of port 443.
        """
        url = http.rstrip("/") + self.path
        lines = [f"{url} (in the cluster: http://{self.address}{self.path})"]
        if self.secure:
            lines.append(f"With TLS: {https.rstrip('/')}{self.path}")
        if self.hosts:
            # A name that stands for one host only, so that the line can be pasted.
            host = self.hosts[0].replace("*", "www")
            browser = (
                "a browser, which sends the address as the name, reaches the rules without a host"
                if self.open_to_all
                else "a browser sends the address as the name and gets a 404; a rule without a host is for it"
            )
            lines.append(f'A rule with a host wants that name: curl -H "Host: {host}" {url} ; {browser}.')
        return "\n".join(lines)


def is_ingress(target: str) -> bool:
    """Whether a target such as `ingress/web` means an Ingress."""
    return target.startswith(PREFIXES)


def find_ingress(session: Session, target: str) -> IngressAddress:
    """The Ingress that is meant by `ingress/NAME`.

    Raises:
        LabError: there is none, or it has no ADDRESS.
    """
    name = target.rpartition("/")[2]
    try:
        return IngressAddress.of(session.api.get(KINDS["ingresses"].path(session.namespace, name)))
    except NotFoundError:
        there = [each["metadata"]["name"] for each in session.api.list("ingresses", session.namespace)[0]]
        cure = f"There are: {', '.join(there)}." if there else ""
        raise LabError(f"There is no Ingress {name!r} in {session.namespace}.", cure) from None


def ingress_url(session: Session, target: str) -> str:
    """What to open for an Ingress on this machine, and what a browser cannot reach by it.

    Raises:
        LabError: there is none, or it has no ADDRESS.
    """
    found = find_ingress(session, target)
    http, https = (session.cluster.url(found.address, port) for port in (80, 443))
    if http is None or https is None:
        return (
            f"http://{found.address}{found.path} is an address of the cluster's own network, which this "
            f"machine may not reach. From a Pod: wget -qO- http://{found.address}{found.path}"
        )
    return found.told(http, https.replace("http:", "https:", 1))
