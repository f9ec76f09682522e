"""Saying that NetworkPolicies are not enforced: a warning to whoever applies one, and an Event on each.

`kubectl describe networkpolicy` shows no Events, so the API server warns too, by an admission policy that
refuses nothing; `kubectl get events` shows the Event later on.
"""

from __future__ import annotations

import asyncio
from typing import Any

from k8slab.api_client import ApiClient
from k8slab.api_events import EventRecorder
from k8slab.folders import ClusterFolder

USER = "network-policy-notice"
COMPONENT = "k8slab-network"

POLICIES = "/apis/networking.k8s.io/v1/networkpolicies"
REASON = "NotEnforced"
SENTENCE = (
    "a NetworkPolicy is not enforced in this lab: every Pod still reaches every other. On a real cluster the "
    "network plugin decides: Calico, Cilium and kindnet enforce it, flannel does not"
)

RULE = "k8slab-network-policies-are-not-enforced"
ADMISSION = "/apis/admissionregistration.k8s.io/v1"


async def run(folder: ClusterFolder) -> None:
    """Write an Event on each NetworkPolicy until cancelled.

    Args:
        folder: the cluster's files.
    """
    async with ApiClient.from_kubeconfig(folder.kubeconfig(USER), f"k8slab-{USER}") as client:
        events = EventRecorder(client, COMPONENT)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(events.run())
            tasks.create_task(_follow(client, events))


async def _follow(client: ApiClient, events: EventRecorder) -> None:
    async for change in client.watch(POLICIES):
        if change.verb == "added":
            events.record(change.object, "Warning", REASON, SENTENCE)


def network_policy_objects() -> list[tuple[str, dict[str, Any]]]:
    """The admission policy that warns, and its binding, each with the path of its collection."""
    policy = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": RULE},
        "spec": {
            "failurePolicy": "Ignore",
            "matchConstraints": {
                "resourceRules": [
                    {
                        "apiGroups": ["networking.k8s.io"],
                        "apiVersions": ["v1"],
                        "operations": ["CREATE", "UPDATE"],
                        "resources": ["networkpolicies"],
                    }
                ]
            },
            "validations": [{"expression": "false", "message": SENTENCE}],
        },
    }
    binding = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": RULE},
        "spec": {"policyName": RULE, "validationActions": ["Warn"]},
    }
    return [
        (f"{ADMISSION}/validatingadmissionpolicies", policy),
        (f"{ADMISSION}/validatingadmissionpolicybindings", binding),
    ]
