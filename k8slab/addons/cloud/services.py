"""What a cloud's service controller reads from a Service, and what it writes. Pure.

Source: k8s.io/cloud-provider v0.36 controllers/service/controller.go (wantsLoadBalancer, needsCleanup,
needsUpdate) and service/helpers/helper.go (the finalizer, PatchService).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

Item = Mapping[str, Any]

FINALIZER = "service.kubernetes.io/load-balancer-cleanup"
OUR_CLASSES = "k8slab.dev/"
"""Prefix of the `spec.loadBalancerClass` values that are ours; a cloud serves those without any class too."""

LOOKED_AT = (
    "type",
    "loadBalancerSourceRanges",
    "ports",
    "sessionAffinity",
    "sessionAffinityConfig",
    "loadBalancerIP",
    "externalIPs",
    "externalTrafficPolicy",
    "healthCheckNodePort",
    "ipFamilies",
)
"""Fields of the spec whose change has the load balancer set up again (needsUpdate)."""


def wants_load_balancer(service: Item) -> bool:
    """Whether a Service asks this cloud for an address."""
    spec = service.get("spec") or {}
    of_class = str(spec.get("loadBalancerClass") or OUR_CLASSES)
    going = bool(service["metadata"].get("deletionTimestamp"))
    return spec.get("type") == "LoadBalancer" and of_class.startswith(OUR_CLASSES) and not going


def has_finalizer(service: Item) -> bool:
    """Whether a Service waits for this cloud before it goes."""
    return FINALIZER in (service["metadata"].get("finalizers") or ())


def needs_cleanup(service: Item) -> bool:
    """Whether what this cloud set up is to be taken down (needsCleanup).

    Other clouds use the same finalizer: at a Service of another class it is theirs until that goes.
    """
    going = bool(service["metadata"].get("deletionTimestamp"))
    balanced = (service.get("spec") or {}).get("type") == "LoadBalancer"
    return has_finalizer(service) and (going or not balanced)


def request_of(service: Item) -> str:
    """Everything that the load balancer depends on, as one text to compare."""
    spec = service.get("spec") or {}
    looked_at = {field: spec.get(field) for field in LOOKED_AT}
    annotations = dict(service["metadata"].get("annotations") or {})
    # kubectl apply writes its copy of the manifest there: no wish of anybody.
    annotations.pop("kubectl.kubernetes.io/last-applied-configuration", None)
    return json.dumps([looked_at, annotations], sort_keys=True)


def addresses_of(service: Item) -> list[dict[str, Any]]:
    """What stands in `status.loadBalancer.ingress`."""
    balancer = (service.get("status") or {}).get("loadBalancer") or {}
    found: list[dict[str, Any]] = balancer.get("ingress") or []
    return found


def entry(address: str) -> dict[str, str]:
    """How an address stands in `status.loadBalancer.ingress`.

    `VIP` says that packets arrive with this address as their destination, which is how kube-proxy would know
    that it may serve them itself (k8s.io/api/core/v1, LoadBalancerIngress).
    """
    return {"ip": address, "ipMode": "VIP"}


def status_path(service: Item) -> str:
    """The path of a Service's status; finalizers are changed there too, as PatchService does."""
    metadata = service["metadata"]
    return f"/api/v1/namespaces/{metadata['namespace']}/services/{metadata['name']}/status"


def ensured(service: Item, address: str) -> dict[str, Any]:
    """The strategic merge patch that gives a Service its address."""
    return {
        "metadata": {"uid": service["metadata"]["uid"], "finalizers": [FINALIZER]},
        "status": {"loadBalancer": {"ingress": [entry(address)]}},
    }


def released(service: Item) -> dict[str, Any]:
    """The strategic merge patch that takes a Service's address away and lets the Service go."""
    return {
        "metadata": {
            "uid": service["metadata"]["uid"],
            "$deleteFromPrimitiveList/finalizers": [FINALIZER],
        },
        "status": {"loadBalancer": {"ingress": None}},
    }
