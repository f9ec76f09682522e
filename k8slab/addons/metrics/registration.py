"""How the API server finds metrics.k8s.io, and which roles may read it: metrics-server's manifest. Pure."""

from __future__ import annotations

import base64
from typing import Any

from k8slab.network.addresses import METRICS_PORT, AddressPlan

Json = dict[str, Any]

NAME = "metrics-server"
NAMESPACE = "kube-system"
LABELS = {"k8s-app": NAME}


def metrics_registration(plan: AddressPlan, authority: bytes) -> list[tuple[str, Json]]:
    """Service, EndpointSlice, APIService and reader role, each with the path of its collection.

    Args:
        plan: the cluster's addresses.
        authority: certificate of the authority that signed the server's, as PEM.
    """
    metadata = {"name": NAME, "namespace": NAMESPACE, "labels": LABELS}
    slice_labels = {
        "kubernetes.io/service-name": NAME,
        "endpointslice.kubernetes.io/managed-by": "k8slab.dev",
    }
    reader = "system:aggregated-metrics-reader"
    aggregate = {
        f"rbac.authorization.k8s.io/aggregate-to-{role}": "true" for role in ("view", "edit", "admin")
    }
    return [
        (
            f"/api/v1/namespaces/{NAMESPACE}/services",
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": metadata,
                # Without a selector: what it leads to is a process beside the cluster, not a Pod.
                "spec": {"ports": [{"name": "https", "port": 443, "targetPort": METRICS_PORT}]},
            },
        ),
        (
            f"/apis/discovery.k8s.io/v1/namespaces/{NAMESPACE}/endpointslices",
            {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": {**metadata, "labels": {**LABELS, **slice_labels}},
                "addressType": "IPv4",
                "endpoints": [{"addresses": [plan.addons], "conditions": {"ready": True}}],
                "ports": [{"name": "https", "port": METRICS_PORT, "protocol": "TCP"}],
            },
        ),
        (
            "/apis/rbac.authorization.k8s.io/v1/clusterroles",
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "ClusterRole",
                "metadata": {"name": reader, "labels": {**LABELS, **aggregate}},
                "rules": [
                    {
                        "apiGroups": ["metrics.k8s.io"],
                        "resources": ["pods", "nodes"],
                        "verbs": ["get", "list", "watch"],
                    }
                ],
            },
        ),
        (
            "/apis/apiregistration.k8s.io/v1/apiservices",
            {
                "apiVersion": "apiregistration.k8s.io/v1",
                "kind": "APIService",
                "metadata": {"name": "v1beta1.metrics.k8s.io", "labels": LABELS},
                "spec": {
                    "group": "metrics.k8s.io",
                    "version": "v1beta1",
                    "groupPriorityMinimum": 100,
                    "versionPriority": 100,
                    "service": {"name": NAME, "namespace": NAMESPACE, "port": 443},
                    "caBundle": base64.b64encode(authority).decode(),
                },
            },
        ),
    ]
