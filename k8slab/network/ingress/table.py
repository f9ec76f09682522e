"""What the ingress controller knows: IngressClasses, Ingresses and TLS Secrets, and which are ours. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from k8slab.network.ingress.backends import is_port
from k8slab.network.ingress.objects import CONTROLLER, LEGACY_CLASS, Ingress, Owner
from k8slab.network.ingress.routes import Routes
from k8slab.network.services.objects import Key
from k8slab.network.services.table import ServiceTable

Item = Mapping[str, Any]


class SecretKey(NamedTuple):
    """Namespace and name of a Secret."""

    namespace: str
    name: str


class IngressTable:
    """IngressClasses, Ingresses and Secrets of type `kubernetes.io/tls`, as the last change left them."""

    def __init__(self) -> None:
        self._classes: set[str] = set()
        self._ingresses: dict[Owner, Ingress] = {}
        self.secrets: dict[SecretKey, Mapping[str, str]] = {}
        """The data of each Secret, base64 as the API gives it."""

    def put_class(self, item: Item) -> None:
        """Take in an IngressClass."""
        name = item["metadata"]["name"]
        if (item.get("spec") or {}).get("controller") == CONTROLLER:
            self._classes.add(name)
        else:
            self._classes.discard(name)

    def drop_class(self, item: Item) -> None:
        """Forget an IngressClass."""
        self._classes.discard(item["metadata"]["name"])

    def put_ingress(self, item: Item) -> None:
        """Take in an Ingress, whoever it belongs to."""
        ingress = Ingress.of(item)
        self._ingresses[ingress.owner] = ingress

    def drop_ingress(self, item: Item) -> None:
        """Forget an Ingress."""
        self._ingresses.pop(Owner(item["metadata"]["namespace"], item["metadata"]["name"]), None)

    def put_secret(self, item: Item) -> None:
        """Take in a Secret of type `kubernetes.io/tls`."""
        self.secrets[_secret_key(item)] = item.get("data") or {}

    def drop_secret(self, item: Item) -> None:
        """Forget a Secret."""
        self.secrets.pop(_secret_key(item), None)

    def ingress(self, owner: Owner) -> Ingress | None:
        """The Ingress of that namespace and name, whoever it belongs to."""
        return self._ingresses.get(owner)

    def owners(self) -> tuple[Owner, ...]:
        """Every Ingress, ours or not."""
        return tuple(self._ingresses)

    def is_ours(self, ingress: Ingress) -> bool:
        """Whether an Ingress is of a class of ours; the annotation counts only where no class is named."""
        if ingress.class_name:
            return ingress.class_name in self._classes
        return ingress.legacy_class == LEGACY_CLASS

    def ours(self) -> list[Ingress]:
        """The Ingresses of our classes, the oldest first."""
        return sorted(
            (each for each in self._ingresses.values() if self.is_ours(each)), key=lambda each: each.age
        )

    def routes(self) -> Routes:
        """The rules of our Ingresses."""
        return Routes(self.ours())


def missing_services(ingress: Ingress, services: ServiceTable) -> list[tuple[str, str]]:
    """The Services and ports that an Ingress names and that are not there.

    Returns:
        Reasons and messages for Events.
    """
    found = []
    for backend in ingress.backends():
        if not backend.service:
            continue
        name = f"Service {backend.owner.namespace}/{backend.service}"
        service = services.service(Key(backend.owner.namespace, backend.service))
        if service is None:
            found.append(("ServiceNotFound", f"{name} does not exist; its requests are answered 503"))
        elif service.alias:
            text = f"{name} is an ExternalName, which is not served; its requests are answered 503"
            found.append(("ExternalNameNotServed", text))
        elif not any(is_port(port, backend) for port in service.ports):
            there = ", ".join(
                f"{port.port}" + (f" ({port.name})" if port.name else "") for port in service.ports
            )
            text = f"{name} has no TCP port {backend.port}; it has {there}; its requests are answered 503"
            found.append(("PortNotFound", text))
    return found


def _secret_key(item: Item) -> SecretKey:
    return SecretKey(item["metadata"]["namespace"], item["metadata"]["name"])
