"""What a node checks of a Pod that names it: pkg/kubelet/lifecycle/predicate.go and sysctl/allowlist.go."""

from __future__ import annotations

from typing import Any

import pytest

from k8slab.node.pods.admission import refusal

ROOM = {"cpu": "1", "memory": "1Gi", "ephemeral-storage": "1Gi", "pods": "3"}
NODE = {"metadata": {"name": "worker-1", "labels": {"disk": "ssd", "rank": "5"}}, "spec": {}}


def verdict(spec: dict[str, Any], *others: dict[str, Any]) -> tuple[str, str] | None:
    return refusal({"spec": {"containers": [], **spec}}, others, ROOM, NODE)


def affinity(*terms: dict[str, Any]) -> dict[str, Any]:
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": list(terms)}}
    return {"affinity": {"nodeAffinity": required}}


@pytest.mark.parametrize(
    ("requirement", "met"),
    [
        ({"key": "disk", "operator": "In", "values": ["ssd", "nvme"]}, True),
        ({"key": "disk", "operator": "NotIn", "values": ["ssd"]}, False),
        ({"key": "gpu", "operator": "Exists"}, False),
        ({"key": "gpu", "operator": "DoesNotExist"}, True),
        ({"key": "rank", "operator": "Gt", "values": ["4"]}, True),
    ],
)
def test_required_node_affinity_is_checked(requirement: dict[str, Any], met: bool) -> None:
    found = verdict(affinity({"matchExpressions": [requirement]}))
    text = "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"
    assert found == (None if met else ("NodeAffinity", text))


def test_one_term_is_enough_and_an_empty_one_is_none() -> None:
    here = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["worker-1"]}]}
    assert verdict(affinity({}, here)) is None and verdict(affinity({})) is not None


def test_a_port_of_the_host_is_given_once() -> None:
    def with_port(port: int, **more: Any) -> dict[str, Any]:
        return {"containers": [{"name": "c", "ports": [{"containerPort": 80, "hostPort": port, **more}]}]}

    other = {"spec": with_port(8080)}
    text = "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"
    assert verdict(with_port(8080), other) == ("NodePorts", text)
    assert verdict(with_port(8080, hostIP="10.0.0.1"), other) == ("NodePorts", text)
    assert verdict(with_port(8080, protocol="UDP"), other) is None and verdict(with_port(8081), other) is None


def test_sysctls_and_groups_that_a_kubelet_refuses() -> None:
    def asked(**context: Any) -> tuple[str, str] | None:
        return verdict({"securityContext": context})

    assert asked(sysctls=[{"name": "kernel.msgmax", "value": "1"}]) == (
        "SysctlForbidden",
        'forbidden sysctl: "kernel.msgmax" not allowlisted',
    )
    assert asked(sysctls=[{"name": "net.ipv4.tcp_syncookies", "value": "1"}]) is None
    refused = asked(supplementalGroupsPolicy="Strict")
    assert refused is not None and refused[0] == "SupplementalGroupsPolicyNotSupported"
    assert asked(supplementalGroupsPolicy="Merge") is None
