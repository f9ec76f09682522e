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
        address: its ClusterIP; `None` where it is headless.
        port: its first port.
        proxy_path: path on the API server that reaches it through the service proxy.
    """

    name: str
    address: str
    port: int
    proxy_path: str


def find_service(session: Session, target: str) -> ServiceAddress:
    """The Service that is meant by `svc/NAME` or `NAME`.

    Raises:
        LabError: there is none; the message says which there are, or which cell makes it.
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
    port = found["spec"]["ports"][0]
    path = f"{KINDS['services'].path(session.namespace, name)}:{port.get('name') or port['port']}/proxy/"
    return ServiceAddress(name, str(found["spec"].get("clusterIP", "")), int(port["port"]), path)
