"""Whether a Pod that was bound to this node may run here; the scheduler's word is not taken for it. Pure.

A Pod that names its node itself was seen by no scheduler. Reasons and texts are those of
pkg/kubelet/lifecycle/predicate.go of Kubernetes 1.36.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from k8slab.node.node_selector import matches
from k8slab.node.pods import pod_spec
from k8slab.node.pods.pod_spec import Pod
from k8slab.quantity import parse, whole

SAFE_SYSCTLS = (
    *("kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_syncookies"),
    *("net.ipv4.ping_group_range", "net.ipv4.ip_unprivileged_port_start", "net.ipv4.ip_local_reserved_ports"),
    *("net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl"),
    *("net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"),
)
"""What a kubelet lets a Pod set without being told to: pkg/kubelet/sysctl/safe_sysctls.go."""

REASONS = {"cpu": "OutOfcpu", "memory": "OutOfmemory", "ephemeral-storage": "OutOfephemeral-storage"}


def refusal(
    pod: Pod, others: Iterable[Pod], allocatable: Mapping[str, str], node: Mapping[str, Any]
) -> tuple[str, str] | None:
    """Why a Pod may not run here: reason and message; None if it may.

    Args:
        pod: the Pod.
        others: the node's other Pods that have not ended.
        allocatable: the node's allocatable resources as quantities.
        node: the Node object, for labels and taints.
    """
    if (pod["spec"].get("os") or {}).get("name", "linux") != "linux":
        return "PodOSNotSupported", "Failed to admit pod as the OS field doesn't match node OS"
    security = pod["spec"].get("securityContext") or {}
    for each in security.get("sysctls") or []:
        if each["name"] not in SAFE_SYSCTLS:
            return "SysctlForbidden", f'forbidden sysctl: "{each["name"]}" not allowlisted'
    if security.get("supplementalGroupsPolicy") == "Strict":
        text = "SupplementalGroupsPolicy=Strict is not supported in this node"
        return "SupplementalGroupsPolicyNotSupported", text
    running = list(others)
    if len(running) + 1 > int(allocatable["pods"]):
        return "OutOfpods", _insufficient("pods", 1, len(running), int(allocatable["pods"]))
    for resource, reason in REASONS.items():
        wanted = _count(resource, requested(pod, resource))
        used = sum(_count(resource, requested(other, resource)) for other in running)
        there = _count(resource, parse(allocatable[resource]))
        if wanted and wanted > there - used:
            return reason, _insufficient(resource, wanted, used, there)
    if not _selects(pod, node):
        text = "node(s) didn't match Pod's node affinity/selector"
        return "NodeAffinity", f"Predicate NodeAffinity failed: {text}"
    taken = {port for other in running for port in _host_ports(other)}
    if any(_clashes(port, taken) for port in _host_ports(pod)):
        text = "node(s) didn't have free ports for the requested pod ports"
        return "NodePorts", f"Predicate NodePorts failed: {text}"
    for taint in node.get("spec", {}).get("taints") or []:
        if taint["effect"] == "NoExecute" and not _tolerated(taint, pod["spec"].get("tolerations") or []):
            return "TaintToleration", "Predicate TaintToleration failed: node(s) had untolerated taint(s)"
    return None


def _selects(pod: Pod, node: Mapping[str, Any]) -> bool:
    """Whether node selector and required node affinity name this node (`GetRequiredNodeAffinity`)."""
    metadata = node.get("metadata", {})
    labels: Mapping[str, str] = metadata.get("labels") or {}
    selector: Mapping[str, str] = pod["spec"].get("nodeSelector") or {}
    if any(labels.get(key) != value for key, value in selector.items()):
        return False
    affinity = (pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if required is None:
        return True
    return matches(required.get("nodeSelectorTerms") or [], labels, str(metadata.get("name", "")))


def _host_ports(pod: Pod) -> set[tuple[str, str, int]]:
    """Address, protocol and number of the host's ports that a Pod asks for."""
    containers = [*pod_spec.containers(pod), *filter(pod_spec.is_sidecar, pod_spec.init_containers(pod))]
    return {
        (port.get("hostIP") or "0.0.0.0", port.get("protocol") or "TCP", port["hostPort"])
        for container in containers
        for port in container.get("ports") or []
        if port.get("hostPort")
    }


def _clashes(port: tuple[str, str, int], taken: Iterable[tuple[str, str, int]]) -> bool:
    return any(
        port[1:] == other[1:] and ("0.0.0.0" in (port[0], other[0]) or port[0] == other[0]) for other in taken
    )


def _insufficient(resource: str, wanted: int, used: int, there: int) -> str:
    return (
        f"Node didn't have enough resource: {resource}, requested: {wanted}, used: {used}, capacity: {there}"
    )


def _count(resource: str, amount: Decimal) -> int:
    """An amount in the unit that the messages use: thousandths of a core, bytes."""
    return whole(amount * 1000 if resource == "cpu" else amount)


def requested(pod: Pod, resource: str) -> Decimal:
    """What a Pod asks for: its containers together, or its neediest moment of initialization.

    Args:
        pod: the Pod.
        resource: `cpu`, `memory` or `ephemeral-storage`.
    """

    def asked(owner: Mapping[str, Any]) -> Decimal:
        return parse(((owner.get("resources") or {}).get("requests") or {}).get(resource, 0))

    overhead = parse((pod["spec"].get("overhead") or {}).get(resource, 0))
    if resource in ((pod["spec"].get("resources") or {}).get("requests") or {}):
        return asked(pod["spec"]) + overhead
    sidecars = most = Decimal(0)
    for container in pod_spec.init_containers(pod):
        if pod_spec.is_sidecar(container):
            sidecars += asked(container)
            most = max(most, sidecars)
        else:
            most = max(most, sidecars + asked(container))
    together = sidecars + sum((asked(each) for each in pod_spec.containers(pod)), Decimal(0))
    return max(most, together) + overhead


def _tolerated(taint: Mapping[str, Any], tolerations: Iterable[Mapping[str, Any]]) -> bool:
    return any(
        each.get("effect") in (None, "", taint["effect"])
        and (
            (each.get("operator") == "Exists" and each.get("key") in (None, "", taint["key"]))
            or (each.get("key") == taint["key"] and each.get("value", "") == taint.get("value", ""))
        )
        for each in tolerations
    )
