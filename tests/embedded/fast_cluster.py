"""A cluster of a test's own on the fast clock, whose nodes and processes may be killed."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from k8slab.cluster.api import Api
from k8slab.cluster.embedded.backend import end, open_embedded
from k8slab.folders import ClusterFolder
from k8slab.processes import processes_of_cluster
from k8slab.progress import SilentProgress
from tests.embedded.conftest import RunningCluster, isolated_as, until
from tests.embedded.node_objects import container_status, is_ready, when

TOLERANT = [
    {"key": f"node.kubernetes.io/{name}", "operator": "Exists", "effect": "NoExecute"}
    for name in ("unreachable", "not-ready")
]


@contextmanager
def fast_cluster(name: str, level: str = "sandboxed") -> Iterator[RunningCluster]:
    """A cluster with three nodes; afterwards nothing of it is left."""
    with isolated_as(level):
        embedded = open_embedded(name, 3, False, SilentProgress(), clock="fast")
    try:
        assert embedded.isolation == level
        yield RunningCluster(embedded, Api(embedded.kubeconfig))
    finally:
        embedded.close()
        end(ClusterFolder.of(name))
        assert not list(processes_of_cluster(embedded.uuid)), "something of the cluster is still alive"
        assert not ClusterFolder.of(name).path.exists()


def workload(kind: str, name: str, replicas: int, **spec: Any) -> str:
    """A Deployment or StatefulSet of demo Pods, one a node as far as that goes, and a Service for it."""
    labels = {"app": name}
    spread = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": labels},
    }
    probe = {"httpGet": {"path": "/healthz/ready", "port": 8080}, "periodSeconds": 1}
    container = {
        "name": "demo",
        "image": "k8slab/demo:1",
        "ports": [{"containerPort": 8080}],
        "readinessProbe": probe,
    }
    template = {
        "metadata": {"labels": labels},
        "spec": {
            "terminationGracePeriodSeconds": 2,
            "topologySpreadConstraints": [spread],
            "containers": [container],
            **spec,
        },
    }
    body = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    if kind == "StatefulSet":
        body |= {"serviceName": name, "podManagementPolicy": "Parallel"}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": 8080}]},
    }
    made = {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name}, "spec": body}
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": [service, made]})


def pods(cluster: RunningCluster, namespace: str, selector: str = "") -> list[dict[str, Any]]:
    """The Pods of a namespace."""
    flag = f" -l {selector}" if selector else ""
    found: list[dict[str, Any]] = json.loads(cluster.kubectl(f"-n {namespace} get pods{flag} -o json"))[
        "items"
    ]
    return found


def until_all_ready(
    cluster: RunningCluster, namespace: str, selector: str, count: int, seconds: float = 120
) -> list[dict[str, Any]]:
    """Wait until exactly so many Pods are there and all of them are Ready."""

    def ready() -> list[dict[str, Any]]:
        found = pods(cluster, namespace, selector)
        assert len(found) == count and all(map(is_ready, found)), [
            (each["metadata"]["name"], is_ready(each), each["spec"].get("nodeName")) for each in found
        ]
        return found

    return until(ready, f"{count} Pods of {selector} to be Ready", seconds)


def node_is(cluster: RunningCluster, name: str, status: str, seconds: float = 90) -> dict[str, Any]:
    """Wait until a Node is there and its Ready condition has a status."""

    def has(node: dict[str, Any]) -> bool:
        conditions = node["status"].get("conditions") or []
        return any(each["type"] == "Ready" and each["status"] == status for each in conditions)

    return when(cluster, f"node {name}", has, f"{name} to be Ready={status}", seconds)


def containers_alive(cluster: RunningCluster) -> list[str]:
    """The container of each program that runs, found in /proc by what its keeper was started with."""
    found = []
    for entry in os.listdir("/proc"):
        try:
            words = Path(f"/proc/{entry}/environ").read_bytes().split(b"\0") if entry.isdigit() else []
            program = Path(f"/proc/{entry}/comm").read_text().strip() if words else ""
        except OSError:
            continue
        if f"K8SLAB_CLUSTER={cluster.cluster.uuid}".encode() in words and program == "bwrap":
            found += [word.partition(b"=")[2].decode() for word in words if word.startswith(b"K8SLAB_CONT")]
    return sorted(found)


def one_run_each(cluster: RunningCluster, found: list[dict[str, Any]]) -> None:
    """See that what runs is what the API shows, once each."""
    shown = sorted(container_status(each)["containerID"].removeprefix("k8slab://") for each in found)
    alive = [each for each in containers_alive(cluster) if each in shown]
    assert alive == shown


def until_one_run_each(cluster: RunningCluster, namespace: str, selector: str, count: int) -> None:
    """Wait until so many Pods are Ready and what the API shows of them is what runs, not older news."""

    def settled() -> bool:
        one_run_each(cluster, until_all_ready(cluster, namespace, selector, count))
        return True

    until(settled, f"the API to show what runs of {selector}")


def signal_everything(cluster: RunningCluster, number: int) -> None:
    """Send a signal to every process of a cluster, the supervisor's first."""
    for identity in sorted(processes_of_cluster(cluster.cluster.uuid), key=lambda each: each.pid):
        identity.send(number)


def kill_9(cluster: RunningCluster, process: str) -> None:
    """Kill one of a cluster's processes behind the supervisor's back."""
    pid = next(each.pid for each in cluster.cluster.processes() if each.name == process)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
