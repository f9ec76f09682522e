"""Ingress objects as the API gives them, for tests."""

from __future__ import annotations

from typing import Any

from k8slab.network.ingress.objects import Ingress

Path = tuple[str, str, str]
"""Path, `Exact`, `Prefix` or `ImplementationSpecific`, and the Service behind it."""


def item(name: str, *rules: tuple[str, list[Path]], default: str = "", **more: Any) -> dict[str, Any]:
    """An Ingress with rules of a host and its paths; every Service is asked at port 80."""
    spec: dict[str, Any] = {"ingressClassName": "k8slab", **more.get("spec", {})}
    if default:
        spec["defaultBackend"] = service(default)
    if rules:
        spec["rules"] = [rule(host, paths) for host, paths in rules]
    metadata = {
        "namespace": "shop",
        "name": name,
        "uid": f"uid-{name}",
        "generation": 1,
        "creationTimestamp": more.get("created", "2026-01-01T00:00:00Z"),
        "annotations": more.get("annotations", {}),
    }
    return {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": metadata, "spec": spec}


def ingress(name: str, *rules: tuple[str, list[Path]], default: str = "", **more: Any) -> Ingress:
    """The same, read."""
    return Ingress.of(item(name, *rules, default=default, **more))


def service(name: str, port: int | str = 80) -> dict[str, Any]:
    """A backend that is a Service."""
    where = {"number": port} if isinstance(port, int) else {"name": port}
    return {"service": {"name": name, "port": where}}


def rule(host: str, paths: list[Path]) -> dict[str, Any]:
    written = [{"path": path, "pathType": kind, "backend": service(backend)} for path, kind, backend in paths]
    return {**({"host": host} if host else {}), **({"http": {"paths": written}} if paths else {})}
