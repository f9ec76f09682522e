"""The environment variables that tell a container about Services. Pure.

Source of the names: pkg/kubelet/envvars/envvars.go of Kubernetes 1.36; which Services count:
pkg/kubelet/kubelet_pods.go (`getServiceEnvVarMap`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def service_variables(services: Iterable[dict[str, Any]], namespace: str, links: bool) -> dict[str, str]:
    """Variables for the Services of a namespace and for the API server's.

    Args:
        services: all Services of the cluster.
        namespace: the Pod's namespace.
        links: the Pod's `enableServiceLinks`; without it only `kubernetes` is told.
    """
    variables: dict[str, str] = {}
    for service in services:
        metadata = service["metadata"]
        address = service["spec"].get("clusterIP")
        if not address or address == "None":
            continue
        is_master = metadata["namespace"] == "default" and metadata["name"] == "kubernetes"
        if is_master or (links and metadata["namespace"] == namespace):
            variables.update(_variables(metadata["name"], address, service["spec"].get("ports") or []))
    return variables


def _variables(name: str, address: str, ports: list[dict[str, Any]]) -> dict[str, str]:
    prefix = _upper(name)
    variables = {f"{prefix}_SERVICE_HOST": address}
    for index, port in enumerate(ports):
        number = str(port["port"])
        protocol = port.get("protocol", "TCP")
        url = f"{protocol.lower()}://{address}:{number}"
        if index == 0:
            variables[f"{prefix}_SERVICE_PORT"] = number
            variables[f"{prefix}_PORT"] = url
        if port.get("name"):
            variables[f"{prefix}_SERVICE_PORT_{_upper(port['name'])}"] = number
        link = f"{prefix}_PORT_{number}_{protocol.upper()}"
        variables[link] = url
        variables[f"{link}_PROTO"] = protocol.lower()
        variables[f"{link}_PORT"] = number
        variables[f"{link}_ADDR"] = address
    return variables


def _upper(name: str) -> str:
    return name.upper().replace("-", "_")
