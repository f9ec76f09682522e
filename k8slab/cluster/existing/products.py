"""Which product a cluster is, told from what it says of itself. Pure.

Sources: the labels and versions that each product's own documentation and code set on its Nodes; where a
cluster carries the marks of two (k3d is k3s in containers), the outer one is named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_LABELS = (
    ("minikube.k8s.io/name", "minikube"),
    ("microk8s.io/cluster", "MicroK8s"),
    ("eks.amazonaws.com/nodegroup", "Amazon EKS"),
    ("cloud.google.com/gke-nodepool", "Google GKE"),
    ("kubernetes.azure.com/cluster", "Azure AKS"),
)
_PROVIDERS = (("kind://", "kind"), ("k3s://", "k3s"))
_NAMES = (("docker-desktop", "Docker Desktop"), ("lima-rancher-desktop", "Rancher Desktop"), ("k3d-", "k3d"))
_VERSIONS = (("-eks-", "Amazon EKS"), ("-gke.", "Google GKE"), ("+k3s", "k3s"), ("+rke2", "RKE2"))
EMBEDDED = "k8slab, embedded"
_KUBEADM = "kubeadm.alpha.kubernetes.io/cri-socket"


def product_of(version: str, nodes: Sequence[Mapping[str, Any]]) -> str:
    """The name of a cluster's product.

    Args:
        version: `gitVersion` of the API server.
        nodes: its Nodes, as raw objects; empty if they may not be read.

    Returns:
        Such as `minikube`; `Kubernetes` where nothing tells.
    """
    for node in nodes:
        found = _by_node(node)
        if found:
            return found
    for part, product in _VERSIONS:
        if part in version:
            return product
    for node in nodes:
        metadata = node.get("metadata", {})
        if _KUBEADM in (metadata.get("annotations") or {}):
            return "kubeadm"
        if "k8slab.dev/played-by" in (metadata.get("annotations") or {}):
            return EMBEDDED
    return "Kubernetes"


def _by_node(node: Mapping[str, Any]) -> str:
    metadata, provider = node.get("metadata", {}), str(node.get("spec", {}).get("providerID") or "")
    labels, name = metadata.get("labels") or {}, str(metadata.get("name", ""))
    for key, product in _LABELS:
        if key in labels:
            return product
    for prefix, product in _NAMES:
        if name.startswith(prefix):
            return product
    for prefix, product in _PROVIDERS:
        if provider.startswith(prefix):
            return product
    return ""
