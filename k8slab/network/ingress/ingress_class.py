"""The IngressClass of the lab's own ingress controller, the default one. Pure."""

from __future__ import annotations

from typing import Any

from k8slab.network.ingress.objects import CONTROLLER, LEGACY_CLASS

DEFAULT_ANNOTATION = "ingressclass.kubernetes.io/is-default-class"
"""What the API server's admission plugin DefaultIngressClass looks for (plugin/pkg/admission/network)."""


def ingress_class() -> tuple[str, dict[str, Any]]:
    """The IngressClass, with the path of its collection."""
    return (
        "/apis/networking.k8s.io/v1/ingressclasses",
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "IngressClass",
            "metadata": {"name": LEGACY_CLASS, "annotations": {DEFAULT_ANNOTATION: "true"}},
            "spec": {"controller": CONTROLLER},
        },
    )
