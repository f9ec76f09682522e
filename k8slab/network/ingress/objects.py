"""What the ingress controller reads from Ingress and IngressClass objects of the API. Pure.

Source of the meaning of each field: k8s.io/api v0.36 networking/v1/types.go.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple
from urllib.parse import unquote

CONTROLLER = "k8slab.dev/ingress"
"""`spec.controller` of the IngressClasses that are ours."""

CLASS_ANNOTATION = "kubernetes.io/ingress.class"
"""How a class was asked for before there were IngressClasses; still honoured, as the API asks."""

LEGACY_CLASS = "k8slab"
"""What that annotation must say to mean us."""

PATTERN_SIGNS = frozenset("*()[]^$|+?\\")
"""Signs that mean something in a path for controllers whose paths are patterns."""

PathType = Literal["Exact", "Prefix", "ImplementationSpecific"]


class Owner(NamedTuple):
    """Namespace and name of an Ingress."""

    namespace: str
    name: str


@dataclass(frozen=True)
class Backend:
    """Where requests go.

    Args:
        owner: the Ingress that says so; the Service is in its namespace.
        service: name of the Service; empty if the backend is a resource, which is not served.
        port: number or name of the Service's port.
    """

    owner: Owner
    service: str
    port: int | str

    @staticmethod
    def of(owner: Owner, backend: Mapping[str, Any]) -> Backend:
        """Read an `IngressBackend`."""
        service = backend.get("service") or {}
        port = service.get("port") or {}
        return Backend(
            owner, str(service.get("name") or ""), port.get("name") or int(port.get("number") or 0)
        )


@dataclass(frozen=True)
class Path:
    """One path of a rule.

    Args:
        text: as it was written; `/` if it was left out.
        kind: how it is compared.
        backend: where requests go.
    """

    text: str
    kind: PathType
    backend: Backend

    def matches(self, elements: tuple[str, ...]) -> bool:
        """Whether a request's path, split by `split_path`, is meant.

        A prefix is compared element by element, and a slash at its end counts for nothing;
        `ImplementationSpecific` is a prefix here.
        """
        mine = split_path(self.text)
        if self.kind == "Exact":
            return mine == elements
        prefix = without_last_slash(mine)
        return elements[: len(prefix)] == prefix

    @property
    def rank(self) -> tuple[int, bool, int]:
        """What decides between paths that match, the greatest first: the longer one, then `Exact`."""
        return len(without_last_slash(split_path(self.text))), self.kind == "Exact", len(self.text)


@dataclass(frozen=True)
class Rule:
    """What an Ingress says about one host.

    Args:
        host: lower case; `*.` and a domain for any one label before it; empty for every host.
        paths: in the order of the manifest; none means that the host is left to the default backend.
    """

    host: str
    paths: tuple[Path, ...]


@dataclass(frozen=True)
class Tls:
    """One entry of `spec.tls`.

    Args:
        hosts: the names it is for, lower case; none means all.
        secret: name of the Secret in the Ingress's namespace; empty if none is named.
    """

    hosts: tuple[str, ...]
    secret: str


@dataclass(frozen=True)
class Ingress:
    """What the controller needs to know of an Ingress.

    Args:
        owner: namespace and name.
        item: the object itself, for Events and for its status.
        age: sorts the oldest first.
        class_name: `spec.ingressClassName`; empty if it is absent.
        legacy_class: the annotation from before IngressClasses; empty if it is absent.
        default: `spec.defaultBackend`.
        rules: in the order of the manifest.
        tls: in the order of the manifest.
    """

    owner: Owner
    item: Mapping[str, Any]
    age: tuple[str, str, str]
    class_name: str
    legacy_class: str
    default: Backend | None
    rules: tuple[Rule, ...]
    tls: tuple[Tls, ...]

    @staticmethod
    def of(item: Mapping[str, Any]) -> Ingress:
        """Read an Ingress object of the API."""
        metadata, spec = item["metadata"], item.get("spec") or {}
        owner = Owner(metadata["namespace"], metadata["name"])
        default = spec.get("defaultBackend")
        return Ingress(
            owner=owner,
            item=item,
            age=(str(metadata.get("creationTimestamp") or ""), *owner),
            class_name=str(spec.get("ingressClassName") or ""),
            legacy_class=str((metadata.get("annotations") or {}).get(CLASS_ANNOTATION) or ""),
            default=Backend.of(owner, default) if default else None,
            rules=tuple(_rule(owner, rule) for rule in spec.get("rules") or ()),
            tls=tuple(
                Tls(
                    tuple(host.lower() for host in each.get("hosts") or ()), str(each.get("secretName") or "")
                )
                for each in spec.get("tls") or ()
            ),
        )

    def backends(self) -> Iterator[Backend]:
        """Every backend it names, each once."""
        named = [path.backend for rule in self.rules for path in rule.paths]
        yield from dict.fromkeys([*([self.default] if self.default else []), *named])


def split_path(path: str) -> tuple[str, ...]:
    """The elements of a path that begins with a slash, their `%` escapes read after it was split.

    A slash at the end makes a last element that is empty.
    """
    return tuple(unquote(element) for element in path.split("/")[1:])


def without_dots(elements: tuple[str, ...]) -> tuple[str, ...]:
    """The elements of the path that is left when `.` and `..` are followed (RFC 3986, 5.2.4)."""
    found: list[str] = []
    for element in elements:
        if element == "..":
            del found[-1:]
        elif element != ".":
            found.append(element)
    if elements and elements[-1] in (".", ".."):
        found.append("")
    return tuple(found)


def without_last_slash(elements: tuple[str, ...]) -> tuple[str, ...]:
    """The elements of the same path without a slash at its end."""
    return elements[:-1] if elements and not elements[-1] else elements


def oddities(ingress: Ingress) -> list[tuple[str, str]]:
    """What an Ingress of ours asks for that has no effect here: nothing is left out silently.

    Returns:
        Reasons and messages for Events.
    """
    found = []
    for name in ingress.item["metadata"].get("annotations") or {}:
        domain, slash, _ = name.partition("/")
        if slash and "ingress" in domain:
            text = f"annotation {name} belongs to another ingress controller and has no effect here"
            found.append(("AnnotationIgnored", text))
    for path in (path for rule in ingress.rules for path in rule.paths):
        if path.kind == "ImplementationSpecific" and PATTERN_SIGNS & set(path.text):
            text = f"path {path.text} is compared letter by letter, as a prefix: patterns are not known here"
            found.append(("PathTakenLiterally", text))
    if any(not backend.service for backend in ingress.backends()):
        text = "a backend that is a resource and no Service is not served here; its requests are answered 503"
        found.append(("ResourceBackend", text))
    return found


def _rule(owner: Owner, rule: Mapping[str, Any]) -> Rule:
    paths = (rule.get("http") or {}).get("paths") or ()
    return Rule(
        host=str(rule.get("host") or "").lower(),
        paths=tuple(
            Path(str(path.get("path") or "/"), path["pathType"], Backend.of(owner, path["backend"]))
            for path in paths
        ),
    )
