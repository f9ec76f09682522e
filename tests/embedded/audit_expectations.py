"""What each of the lab's own users may be seen to do in the audit log of a cluster, as data.

An entry is a verb and a resource, with its group and its subresource if it has them: `patch pods/status`,
`create leases.coordination.k8s.io`. Leases are not in the log.
"""

from __future__ import annotations

NODE = {
    # Registers itself, and keeps its own status (pkg/kubelet/kubelet_node_status.go).
    "create nodes",
    "patch nodes",
    "patch nodes/status",
    # Tells what becomes of its Pods, and removes those that ended (pkg/kubelet/status/status_manager.go).
    "patch pods/status",
    "delete pods",
    # Tokens for its Pods' volumes (pkg/kubelet/token/token_manager.go).
    "create serviceaccounts/token",
    "create events",
    "patch events",
}

CONTROL_PLANE_NODE = {*NODE, "create pods"}
"""The one node with mirror Pods (pkg/kubelet/pod/mirror_client.go)."""

WRITES = {
    "system:node:control-plane": CONTROL_PLANE_NODE,
    "system:node:*": NODE,
    "k8slab:network": {"create events", "patch events"},
    "k8slab:metrics-server": {"create subjectaccessreviews.authorization.k8s.io"},
    "k8slab:storage-provisioner": {
        "create persistentvolumes",
        "patch persistentvolumes",
        "delete persistentvolumes",
        "patch persistentvolumeclaims",
        "create events",
        "patch events",
    },
    "k8slab:cloud-controller": {"patch services/status", "create events", "patch events"},
    "k8slab:ingress-controller": {
        "patch ingresses/status.networking.k8s.io",
        "create events",
        "patch events",
    },
    "k8slab:network-policy-notice": {"create events", "patch events"},
    "k8slab:simulator": {
        "create nodes",
        "delete nodes",
        "patch nodes/status",
        "patch pods/status",
        "delete pods",
        "create events",
        "patch events",
    },
    # kubeadm's part: the first objects of a cluster, and nodes that join or leave it.
    "kubernetes-super-admin": {
        "create apiservices.apiregistration.k8s.io",
        "create clusterrolebindings.rbac.authorization.k8s.io",
        "create clusterroles.rbac.authorization.k8s.io",
        "create configmaps",
        "create endpointslices.discovery.k8s.io",
        "create ingressclasses.networking.k8s.io",
        "create mutatingadmissionpolicies.admissionregistration.k8s.io",
        "create mutatingadmissionpolicybindings.admissionregistration.k8s.io",
        "create validatingadmissionpolicies.admissionregistration.k8s.io",
        "create validatingadmissionpolicybindings.admissionregistration.k8s.io",
        "create nodes",
        "delete nodes",
        "create services",
        "create storageclasses.storage.k8s.io",
    },
}
"""The changes of each user, by a pattern of its name; the first that fits counts."""

SELDOM_USED = {
    "*: patch events": "only an event that comes again is counted up",
    "k8slab:network: create events": "only what a Service asks for and does not get is told",
    "k8slab:network: list pods": "at the plain level, for the Pods' forward proxies",
    "k8slab:network: watch pods": "at the plain level, for the Pods' forward proxies",
    "k8slab:storage-provisioner: patch persistentvolumeclaims": "a claim whose node is gone is placed anew",
    "k8slab:storage-provisioner: get nodes": "a node that the watch has not told yet",
    "k8slab:simulator: *": "it runs only in a cluster with simulated nodes",
}
"""What a role grants and a run need not show, with the reason."""
