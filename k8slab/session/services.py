"""Services as a lab names them: looked up, with the path and the address that reach them."""

from __future__ import annotations

from dataclasses import dataclass

from k8slab.cluster.api import KINDS
from k8slab.errors import LabError, NotFoundError
from k8slab.session.chapter_files import next_step
from k8slab.session.session import Session


@dataclass(frozen=True)
class ServiceAddress:
    """Where a Service is reached.

    Args:
        name: its name.
        address: what its load balancer gave it, else its ClusterIP; `None` where it is headless.
        port: its first port.
        proxy_path: path on the API server that reaches it through the service proxy.
        pending: whether it is a LoadBalancer that nobody has given an address.
    """

    name: str
    address: str
    port: int
    proxy_path: str
    pending: bool = False


def find_service(session: Session, target: str) -> ServiceAddress:
    """The Service that is meant by `svc/NAME` or `NAME`.

    Raises:
        LabError: there is none, or it is an alias; the message says which there are, or which cell makes it.
    """
    kind, _, name = target.rpartition("/")
    if kind not in ("", "svc", "service", "services") or not name:
        raise LabError(f"{target!r} is no Service.", "Write it as svc/NAME.")
    try:
        found = session.api.get(KINDS["services"].path(session.namespace, name))
    except NotFoundError:
        there = [each["metadata"]["name"] for each in session.api.list("services", session.namespace)[0]]
        cure = f"There are: {', '.join(there)}." if there else next_step(session.chapter, session.evidence())
        raise LabError(f"There is no Service {name!r} in {session.namespace}.", cure) from None
    spec = found["spec"]
    if spec.get("type") == "ExternalName":
        raise LabError(
            f"Service {name} is another name for {spec.get('externalName')}, and has no address of its own.",
            "Look its name up in a Pod: DNS answers with an alias.",
        )
    balanced = ((found.get("status") or {}).get("loadBalancer") or {}).get("ingress") or [{}]
    address = str(balanced[0].get("ip") or spec.get("clusterIP") or "None")
    port = spec["ports"][0]
    path = f"{KINDS['services'].path(session.namespace, name)}:{port.get('name') or port['port']}/proxy/"
    pending = spec.get("type") == "LoadBalancer" and balanced == [{}]
    return ServiceAddress(name, address, int(port["port"]), path, pending)


def service_url(session: Session, target: str) -> str:
    """What to open for a Service on this machine, or how to get there.

    Raises:
        LabError: there is no such Service, or it has no address of its own.
    """
    service = find_service(session, target)
    if service.address == "None":
        raise LabError(
            f"Service {service.name} is headless: its name stands for its Pods, and it has no address.",
            f"`kubectl get endpointslices -n {session.namespace}` shows where they are.",
        )
    url = session.cluster.url(service.address, service.port)
    pending = "\nIts EXTERNAL-IP is <pending>: nobody has given it one; lab.reality() says who does here."
    told = pending if service.pending else ""
    if url is None:
        return (
            f"{service.address}:{service.port} is an address inside the cluster. In a terminal:"
            f" {session.cluster.in_terminal()} port-forward -n {session.namespace}"
            f" svc/{service.name} 8080:{service.port},"
            f" then open http://localhost:8080/{told}"
        )
    return f"{url} (in the cluster: {service.address}:{service.port}){told}"
