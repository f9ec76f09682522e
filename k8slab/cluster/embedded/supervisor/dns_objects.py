"""The Service `kube-dns`, as a kubeadm cluster has it, and its endpoint, which the lab network serves. Pure.

Kubeadm's has a selector, because CoreDNS runs in Pods there (cmd/kubeadm/app/phases/addons/dns/manifests.go);
here the network process plays it on the control-plane node, so the EndpointSlice is written by hand. CoreDNS
has a port for metrics beside these two.
"""

from __future__ import annotations

from typing import Any

from k8slab.cluster.embedded.identities import CONTROL_PLANE_NODE
from k8slab.network.addresses import DNS_PORT, AddressPlan

NAMESPACE = "kube-system"
NAME = "kube-dns"
PLAYED_BY = "k8slab: the network process answers, and plays CoreDNS"


def dns_objects(plan: AddressPlan) -> list[tuple[str, dict[str, Any]]]:
    """The Service and its EndpointSlice, each with the path of its collection.

    Args:
        plan: the cluster's addresses.
    """
    annotations = {"k8slab.dev/played-by": PLAYED_BY}
    ports = [
        {"name": "dns", "port": DNS_PORT, "protocol": "UDP"},
        {"name": "dns-tcp", "port": DNS_PORT, "protocol": "TCP"},
    ]
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": NAME,
            "namespace": NAMESPACE,
            "annotations": annotations,
            "labels": {
                "k8s-app": NAME,
                "kubernetes.io/cluster-service": "true",
                # `kubectl cluster-info` prints it; it is not CoreDNS.
                "kubernetes.io/name": "k8slab-DNS",
            },
        },
        "spec": {"clusterIP": plan.dns_service, "ports": ports},
    }
    endpoints = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{NAME}-k8slab",
            "namespace": NAMESPACE,
            "annotations": annotations,
            "labels": {
                "kubernetes.io/service-name": NAME,
                "endpointslice.kubernetes.io/managed-by": "k8slab-network",
            },
        },
        "addressType": "IPv4",
        "ports": ports,
        "endpoints": [
            {
                "addresses": [plan.node(0)],
                "nodeName": CONTROL_PLANE_NODE,
                "conditions": {"ready": True, "serving": True, "terminating": False},
            }
        ],
    }
    return [
        (f"/api/v1/namespaces/{NAMESPACE}/services", service),
        (f"/apis/discovery.k8s.io/v1/namespaces/{NAMESPACE}/endpointslices", endpoints),
    ]
