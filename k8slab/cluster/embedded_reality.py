"""What is real on the embedded backend, and what k8slab plays there."""

from __future__ import annotations

from k8slab.cluster.contract import Reality
from k8slab.folders import ClusterSettings


def reality(settings: ClusterSettings) -> tuple[Reality, ...]:
    """The table of this cluster; docs/reality.md has the long form."""
    if settings.isolation == "sandboxed":
        containers = (
            "real processes of this machine, each with its own file tree, process tree, host name "
            "and network; no image layers, no cgroups (memory limits are enforced by watching, CPU "
            "limits are not)"
        )
        network = (
            "a network namespace of the cluster's own with a real bridge; every Pod has its true address"
        )
    else:
        containers = (
            "real processes of this machine without namespaces of their own; they listen on a loopback "
            "address that stands for the Pod's; a fixed list of programs"
        )
        network = "every address 10.x is played by its twin 127.x on loopback"
    return (
        Reality("control plane", False, f"etcd and Kubernetes {settings.kubernetes}: the real programs"),
        Reality("kubelet", True, "played by k8slab: one node agent a node"),
        Reality("containers", True, containers),
        Reality("images", True, "a catalogue says how to run each one on this machine; nothing is pulled"),
        Reality("network", True, network),
        Reality("kube-proxy", True, "played by k8slab: Services are served from their EndpointSlices"),
    )
