"""`/configz`: what a node agent really goes by, under the names of a `KubeletConfiguration`. Pure.

Field names are those of k8s.io/kubelet/config/v1beta1/types.go (v0.36). What an agent has no such setting
for is left out: a figure here is a figure that counts.
"""

from __future__ import annotations

from typing import Any

from k8slab.network.addresses import KUBELET_PORT
from k8slab.node import agent_node, node_facts
from k8slab.node.clock import NodeClock
from k8slab.node.containers.backoff import duration_text
from k8slab.node.runtime import log as runtime_log


def configuration(clock: NodeClock, twin: str, dns_service: str, authority: str) -> dict[str, Any]:
    """What a node goes by, whatever its Pods are.

    Args:
        clock: the lab's clock.
        twin: the address that its API listens on.
        dns_service: the cluster's name server; empty for a node that runs no Pods of the API's.
        authority: file of the authority that clients' certificates must be from.
    """
    told: dict[str, Any] = {
        "kind": "KubeletConfiguration",
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "address": twin,
        "port": KUBELET_PORT,
        "authentication": {
            "x509": {"clientCAFile": authority},
            "webhook": {"enabled": False},
            "anonymous": {"enabled": False},
        },
        "enableServer": True,
        "enableDebuggingHandlers": True,
        "enableSystemLogHandler": False,
        "enableProfilingHandler": False,
        "enableDebugFlagsHandler": False,
        "registerNode": True,
        "nodeStatusUpdateFrequency": duration_text(clock.heartbeat),
        "nodeStatusReportFrequency": duration_text(agent_node.REPORT_SECONDS),
        "nodeLeaseDurationSeconds": clock.lease,
        "featureGates": dict.fromkeys(node_facts.DECLARED_FEATURES, True),
    }
    if dns_service:
        told |= {"clusterDomain": "cluster.local", "clusterDNS": [dns_service]}
    return told


def for_pods(longest_pause: float) -> dict[str, Any]:
    """What a node that runs Pods goes by beyond that.

    Args:
        longest_pause: seconds between two restarts of a container at most.
    """
    return {
        "maxPods": node_facts.PODS,
        "crashLoopBackOff": {"maxContainerRestartPeriod": duration_text(longest_pause)},
        "containerLogMaxSize": f"{runtime_log.LARGEST_FILE >> 20}Mi",
        "containerLogMaxFiles": runtime_log.MOST_FILES,
        "failSwapOn": False,
        "cgroupsPerQOS": False,
        "enforceNodeAllocatable": [],
        "evictionHard": {},
    }
