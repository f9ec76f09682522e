"""What is real on the embedded backend, and what k8slab plays there."""

from __future__ import annotations

from k8slab.cluster.contract import Reality
from k8slab.cluster.embedded.control_plane import AUTOSCALING_SENTENCE
from k8slab.folders import ClusterSettings
from k8slab.node.clock import clock_named


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
    clock = clock_named(settings.clock)
    pace = "Kubernetes' own" if clock.is_kubernetes_own else f"faster than Kubernetes' own ({clock.name})"
    return (
        Reality("control plane", False, f"etcd and Kubernetes {settings.kubernetes}: the real programs"),
        Reality("kubelet", True, "played by k8slab: one node agent a node"),
        Reality("clock of the nodes", not clock.is_kubernetes_own, f"{pace}: {clock.sentence()}"),
        Reality("containers", True, containers),
        Reality("images", True, "a catalogue says how to run each one on this machine; nothing is pulled"),
        Reality("network", True, network),
        Reality("kube-proxy", True, "played by k8slab: Services are served from their EndpointSlices"),
        Reality("CoreDNS", True, "played by k8slab: the network process answers for the Service kube-dns"),
        Reality(
            "storage",
            True,
            "played by k8slab: its provisioner makes a folder of this machine for each claim; which node may"
            " use it is kept to, how large it may grow is not",
        ),
        Reality(
            "cloud load balancers",
            True,
            "played by k8slab: Services of type LoadBalancer get an address of the cluster's own, which only "
            "this machine and its Pods reach",
        ),
        Reality(
            "ingress controller",
            True,
            "played by k8slab for the default class, on one address; annotations of other controllers have "
            "no effect, and events say so",
        ),
        Reality("NetworkPolicy", True, "not enforced: every Pod reaches every other; a warning says so"),
        Reality(
            "metrics-server",
            True,
            "played by k8slab: figures are those of the real processes, every 5 s; a node's are those of its "
            "Pods and of what plays its kubelet and its runtime, not this machine's",
        ),
        Reality(
            "autoscaler",
            False,
            f"the controller-manager's own, faster than by default: {AUTOSCALING_SENTENCE}",
        ),
    )
