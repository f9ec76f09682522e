"""What simulated nodes and Pods look like in the API. Pure.

A simulated node has no machine behind it, and its Pods run nothing: they change their status alone, as far as
controllers and the scheduler can tell like real ones. Each says so of itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from k8slab.network.addresses import KUBELET_PORT
from k8slab.node import node_facts
from k8slab.node.clock import NodeClock
from k8slab.node.containers.container_status import timestamp
from k8slab.node.pods import pod_spec
from k8slab.node.pods.pod_conditions import pod_conditions
from k8slab.node.pods.pod_spec import Pod

MARK = "k8slab.dev/simulated"
"""Label of namespaces whose Pods are simulated, label and taint of the nodes that take them."""

PLAYED_BY = "k8slab.dev/played-by"
SENTENCE = "k8slab: simulated; its Pods change their status and run nothing"
PODS = 1000
CAPACITY = {"cpu": "1000", "memory": "4Ti", "ephemeral-storage": "10Ti", "pods": str(PODS)}
"""Enough that the number of Pods is what fills a simulated node."""

NO_PROGRAM = (
    "{name} is simulated: its status changes and no program runs, so there is nothing to {verb}. Pods of "
    "namespaces without the label k8slab.dev/simulated run for real."
)


def node_name(index: int) -> str:
    """The name of a simulated node; they count from 1."""
    return f"sim-{index}"


def node_object(name: str, address: str, kubernetes: str, cluster: str, now: float) -> dict[str, Any]:
    """A simulated Node as it registers itself.

    Args:
        name: its name.
        address: its address, on which the kubelet's API refuses.
        kubernetes: version of the control plane, such as `v1.36.3`.
        cluster: the cluster's uuid.
        now: the present (epoch s).
    """
    architecture = node_facts.architecture()
    labels = {
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": architecture,
        MARK: "true",
        **node_facts.zone_labels(name),
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels, "annotations": {PLAYED_BY: SENTENCE}},
        "spec": {"taints": [{"key": MARK, "value": "true", "effect": "NoSchedule"}]},
        "status": node_status(name, address, kubernetes, cluster, [], now),
    }


def node_status(
    name: str, address: str, kubernetes: str, cluster: str, old: list[dict[str, Any]], now: float
) -> dict[str, Any]:
    """The status of a simulated Node; arguments as for `node_object`, and the conditions as they were."""
    info = node_facts.node_info(kubernetes, cluster, name, boot=hashlib.md5(name.encode()).hexdigest())
    return {
        "addresses": [
            {"type": "InternalIP", "address": address},
            {"type": "Hostname", "address": name},
        ],
        "capacity": CAPACITY,
        "allocatable": CAPACITY,
        "conditions": node_facts.node_conditions((), False, False, old, now),
        "daemonEndpoints": {"kubeletEndpoint": {"Port": KUBELET_PORT}},
        "nodeInfo": {
            **info,
            "kernelVersion": "simulated",
            "osImage": "simulated by k8slab",
            "containerRuntimeVersion": f"simulated://{node_facts.own_version()}",
            "kubeletVersion": f"{kubernetes}+k8slab-simulated",
        },
    }


def lease_spec(name: str, clock: NodeClock, moment: str) -> dict[str, Any]:
    """What a simulated node's lease says.

    Args:
        name: the node's name.
        clock: the lab's clock.
        moment: the present, in microseconds as the API writes it.
    """
    return {"holderIdentity": name, "leaseDurationSeconds": clock.lease, "renewTime": moment}


def completes(pod: Pod) -> bool:
    """Whether a Pod is one of a Job's, and so ends by itself."""
    owners = pod["metadata"].get("ownerReferences") or []
    return any(each.get("kind") == "Job" and each.get("controller") for each in owners)


def pod_status(pod: Pod, address: str, host: str, now: float, *, done: bool) -> dict[str, Any]:
    """The status of a simulated Pod, as a strategic merge patch carries it.

    Args:
        pod: the Pod.
        address: its address, to which nothing answers.
        host: its node's address.
        now: the present (epoch s).
        done: whether its containers have completed.
    """
    old: Mapping[str, Any] = pod.get("status") or {}
    phase = "Succeeded" if done else "Running"
    started = old.get("startTime") or timestamp(now)
    init = [
        _container(pod, each, started, now, done=done or not pod_spec.is_sidecar(each))
        for each in pod_spec.init_containers(pod)
    ]
    regular = [_container(pod, each, started, now, done=done) for each in pod_spec.containers(pod)]
    return {
        "phase": phase,
        "observedGeneration": pod["metadata"].get("generation", 0),
        "hostIP": host,
        "hostIPs": [{"ip": host}],
        "podIP": address,
        "podIPs": [{"ip": address}],
        "startTime": started,
        "initContainerStatuses": init,
        "containerStatuses": regular,
        "conditions": pod_conditions(pod, phase, [*init, *regular], not done, old, now),
    }


def _container(pod: Pod, spec: Mapping[str, Any], started: str, now: float, *, done: bool) -> dict[str, Any]:
    digest = hashlib.sha256(f"{pod['metadata']['uid']}/{spec['name']}".encode()).hexdigest()
    identity = f"simulated://{digest}"
    ended = {
        "exitCode": 0,
        "reason": "Completed",
        "startedAt": started,
        "finishedAt": timestamp(now),
        "containerID": identity,
    }
    init = pod_spec.is_init(pod, spec["name"])
    return {
        "name": spec["name"],
        "image": spec["image"],
        "imageID": "",
        "containerID": identity,
        "restartCount": 0,
        "lastState": {},
        "ready": not done or init,
        "started": not done,
        # Explicit nulls: a strategic merge keeps a state that is left out.
        "state": {"running": None, "terminated": ended}
        if done
        else {"running": {"startedAt": started}, "terminated": None},
    }
