"""What each of our own users may do in a cluster: one ClusterRole a user, no verb more than it uses. Pure."""

from __future__ import annotations

from typing import Any

Rule = dict[str, list[str]]

READ = ["get", "list", "watch"]
GROUP = "rbac.authorization.k8s.io"


def _rule(group: str, resources: str, verbs: list[str]) -> Rule:
    return {"apiGroups": [group], "resources": resources.split(), "verbs": verbs}


ROLES: dict[str, list[Rule]] = {
    "network": [
        _rule("", "services pods nodes namespaces", ["list", "watch"]),
        _rule("", "events", ["create", "patch"]),
        _rule("discovery.k8s.io", "endpointslices", ["list", "watch"]),
    ],
    "storage-provisioner": [
        _rule("", "persistentvolumes", ["list", "watch", "create", "patch", "delete"]),
        _rule("", "persistentvolumeclaims", ["list", "watch", "patch"]),
        _rule("", "nodes", READ),
        _rule("", "events", ["create", "patch"]),
        _rule("storage.k8s.io", "storageclasses", ["list", "watch"]),
    ],
    "cloud-controller": [
        _rule("", "services", ["list", "watch"]),
        _rule("", "services/status", ["patch"]),
        _rule("", "events", ["create", "patch"]),
    ],
    "ingress-controller": [
        _rule("networking.k8s.io", "ingresses ingressclasses", ["list", "watch"]),
        _rule("networking.k8s.io", "ingresses/status", ["patch"]),
        # Of the type kubernetes.io/tls alone, by a field selector, which a rule cannot say.
        _rule("", "secrets", ["list", "watch"]),
        _rule("", "events", ["create", "patch"]),
    ],
    "network-policy-notice": [
        _rule("networking.k8s.io", "networkpolicies", ["list", "watch"]),
        _rule("", "events", ["create", "patch"]),
    ],
    "simulator": [
        _rule("", "namespaces", ["list", "watch"]),
        _rule("", "nodes", ["list", "watch", "create", "delete"]),
        _rule("", "nodes/status", ["patch"]),
        _rule("", "pods", ["list", "watch", "delete"]),
        _rule("", "pods/status", ["patch"]),
        _rule("", "events", ["create", "patch"]),
        _rule("coordination.k8s.io", "leases", ["get", "create", "update"]),
    ],
    "metrics-server": [
        _rule("", "nodes", ["list", "watch"]),
        _rule("", "pods", ["list"]),
        _rule("authorization.k8s.io", "subjectaccessreviews", ["create"]),
    ],
}
"""The rules of each user by its short name; its certificate says `k8slab:<name>`."""


def role_objects() -> list[tuple[str, dict[str, Any]]]:
    """A ClusterRole and its binding for each user, each with the path of its collection."""
    objects: list[tuple[str, dict[str, Any]]] = []
    for name, rules in ROLES.items():
        user = f"k8slab:{name}"
        role = {
            "apiVersion": f"{GROUP}/v1",
            "kind": "ClusterRole",
            "metadata": {"name": user},
            "rules": rules,
        }
        subject = {"kind": "User", "name": user, "apiGroup": GROUP}
        objects.append((f"/apis/{GROUP}/v1/clusterroles", role))
        objects.append((f"/apis/{GROUP}/v1/clusterrolebindings", binding(user, user, subject)))
    return objects


def binding(name: str, role: str, subject: dict[str, str]) -> dict[str, Any]:
    """A ClusterRoleBinding of one subject."""
    return {
        "apiVersion": f"{GROUP}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": role},
        "subjects": [subject],
    }
