"""What sends Pods of labelled namespaces to simulated nodes: an admission policy of Kubernetes' own. Pure.

MutatingAdmissionPolicy is generally available and on by default in 1.36
(apiserver/pkg/features/kube_features.go). Each such Pod gets a node selector that real nodes do not match and
a toleration for the taint of simulated ones, so neither sort of node ever runs the other's Pods.
"""

from __future__ import annotations

from typing import Any

from k8slab.node.simulated.status import MARK

NAME = "k8slab-simulated-pods"
PREFIX = "/apis/admissionregistration.k8s.io/v1"

_SELECTOR = (
    "has(object.spec.nodeSelector)"
    f' ? JSONPatch{{op: "add", path: "/spec/nodeSelector/" + jsonpatch.escapeKey("{MARK}"), value: "true"}}'
    f' : JSONPatch{{op: "add", path: "/spec/nodeSelector", value: {{"{MARK}": "true"}}}}'
)
_TOLERATION = f'Object.spec.tolerations{{key: "{MARK}", operator: "Exists", effect: "NoSchedule"}}'
_TOLERATIONS = (
    "has(object.spec.tolerations)"
    f' ? JSONPatch{{op: "add", path: "/spec/tolerations/-", value: {_TOLERATION}}}'
    f' : JSONPatch{{op: "add", path: "/spec/tolerations", value: [{_TOLERATION}]}}'
)


def simulation_objects() -> list[tuple[str, dict[str, Any]]]:
    """The policy and its binding, each with the path of its collection."""
    policy = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingAdmissionPolicy",
        "metadata": {"name": NAME},
        "spec": {
            "failurePolicy": "Fail",
            "reinvocationPolicy": "Never",
            "matchConstraints": {
                "namespaceSelector": {"matchLabels": {MARK: "true"}},
                "resourceRules": [
                    {
                        "apiGroups": [""],
                        "apiVersions": ["v1"],
                        "resources": ["pods"],
                        "operations": ["CREATE"],
                    }
                ],
            },
            "mutations": [
                {"patchType": "JSONPatch", "jsonPatch": {"expression": f"[{_SELECTOR}, {_TOLERATIONS}]"}}
            ],
        },
    }
    binding = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingAdmissionPolicyBinding",
        "metadata": {"name": NAME},
        "spec": {"policyName": NAME},
    }
    return [
        (f"{PREFIX}/mutatingadmissionpolicies", policy),
        (f"{PREFIX}/mutatingadmissionpolicybindings", binding),
    ]
