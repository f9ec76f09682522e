"""Values that a Pod may read about itself: fieldRef and resourceFieldRef. Pure.

Source of the rules: pkg/fieldpath/fieldpath.go and pkg/api/v1/resource/helpers.go of Kubernetes 1.36.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from k8slab.node.pods import pod_spec
from k8slab.node.pods.pod_spec import Container, Pod
from k8slab.quantity import parse, whole

_SUBSCRIPT = re.compile(r"(metadata\.(?:annotations|labels))\['(.*)'\]$")


class UnknownFieldError(ValueError):
    """A field path or resource that a Pod cannot read about itself."""


@dataclass(frozen=True)
class Surroundings:
    """What a Pod may read that is not in its own object.

    Args:
        host: the node's address.
        address: the Pod's address.
        allocatable: the node's allocatable `cpu` and `memory` as quantities, for containers without limits.
    """

    host: str
    address: str
    allocatable: Mapping[str, str]


def field_value(pod: Pod, path: str, around: Surroundings) -> str:
    """The value of a `fieldRef`.

    Args:
        pod: the Pod.
        path: such as `metadata.name` or `metadata.labels['app']`.
        around: the rest of the world.

    Raises:
        UnknownFieldError: there is no such field.
    """
    metadata, spec = pod["metadata"], pod["spec"]
    match = _SUBSCRIPT.fullmatch(path)
    if match is not None:
        kind, key = match.groups()
        return str((metadata.get(kind.removeprefix("metadata.")) or {}).get(key, ""))
    match path:
        case "metadata.name" | "metadata.namespace" | "metadata.uid":
            return str(metadata[path.removeprefix("metadata.")])
        case "metadata.labels" | "metadata.annotations":
            return formatted_map(metadata.get(path.removeprefix("metadata.")) or {})
        case "spec.nodeName":
            return str(spec.get("nodeName", ""))
        case "spec.serviceAccountName":
            return str(spec.get("serviceAccountName", ""))
        case "status.hostIP" | "status.hostIPs":
            return around.host
        case "status.podIP" | "status.podIPs":
            return around.address
    raise UnknownFieldError(f"unsupported fieldPath: {path}")


def formatted_map(values: Mapping[str, str]) -> str:
    """Labels or annotations as `key="value"` lines in the order of their keys."""
    return "\n".join(f"{key}={json.dumps(values[key], ensure_ascii=False)}" for key in sorted(values))


def resource_value(pod: Pod, container: Container, selector: Mapping[str, Any], around: Surroundings) -> str:
    """The value of a `resourceFieldRef`: a whole number of divisors, rounded up.

    Args:
        pod: the Pod.
        container: the container that asks; the selector may name another one.
        selector: the `resourceFieldRef`.
        around: the rest of the world; a missing limit is the node's allocatable amount.

    Raises:
        UnknownFieldError: there is no such resource or container.
    """
    name = selector.get("containerName")
    if name:
        found = pod_spec.container_named(pod, name)
        if found is None:
            raise UnknownFieldError(f"container {name} not found")
        container = found
    bound, _, resource = str(selector["resource"]).partition(".")
    if bound not in ("limits", "requests") or resource not in ("cpu", "memory", "ephemeral-storage"):
        raise UnknownFieldError(f"unsupported container resource : {selector['resource']}")
    resources = container.get("resources") or {}
    value = (resources.get(bound) or {}).get(resource)
    if value is None and bound == "limits":
        value = around.allocatable.get(resource)
    amount = parse(value) if value is not None else Decimal(0)
    divisor = parse(selector.get("divisor") or "1") or Decimal(1)
    return str(whole(amount / divisor))
