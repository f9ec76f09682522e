"""What a kind cluster of ours is to be: its nodes, their labels, and the ports that lead to them."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Sequence
from typing import Any

from k8slab.cluster.kind.journal import Ports
from k8slab.node.node_facts import zone_labels

LOOPBACK = "127.0.0.1"

INGRESS_PORTS = {80: 8080, 443: 8443}
"""Ports of the control-plane node where an ingress controller listens → ports wished for on this machine."""

NODE_PORTS = (30000, 30080, 30306)
"""NodePorts that are mapped on every node: those of the kit's manifests, and two to choose.

Each mapping of docker's costs a process; another NodePort is reached at the node's own address, on Linux.
"""

NAME_LABEL = "k8slab.dev/name"
"""Label of a Node with the name that its like has on the embedded backend, such as `worker-2`."""

CGROUP_V1_PATCH = (
    "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nfailCgroupV1: false\n"
)
"""Since Kubernetes 1.35 a kubelet refuses to start on cgroup v1 unless it is told not to."""


def node_names(cluster: str, workers: int) -> list[str]:
    """Names that kind gives the nodes and their containers, the control plane first.

    Args:
        cluster: kind's name of the cluster.
        workers: how many workers.

    Source: sigs.k8s.io/kind/pkg/cluster/internal/providers/common/namer.go.
    """
    numbers = ["" if each == 1 else str(each) for each in range(1, workers + 1)]
    return [f"{cluster}-control-plane", *(f"{cluster}-worker{number}" for number in numbers)]


def short_name(container: str) -> str:
    """What a node's like is called on the embedded backend: `worker-2` for `k8slab-lab-worker2`."""
    last = container.rpartition("-")[2]
    if last == "plane":
        return "control-plane"
    return f"worker-{last.removeprefix('worker') or '1'}"


def choose_ports(nodes: Sequence[str]) -> Ports:
    """Ports of this machine's loopback for every mapping, all free at this moment.

    The control-plane node gets the numbers that a reader expects where they are free; others get any.

    Args:
        nodes: names of the nodes, the control plane first.
    """
    ports: Ports = {}
    with contextlib.ExitStack() as taken:
        for place, node in enumerate(nodes):
            wished = {number: number for number in NODE_PORTS} if place == 0 else dict.fromkeys(NODE_PORTS, 0)
            if place == 0:
                wished |= INGRESS_PORTS
            ports[node] = {f"{port}/tcp": _free(host, taken) for port, host in wished.items()}
    return ports


def _free(wished: int, taken: contextlib.ExitStack) -> int:
    """The wished port, or another where it is in use; kept until all are chosen, so that none comes twice."""
    for port in dict.fromkeys((wished, 0)):
        listener = socket.socket()
        try:
            # As an engine binds it: a connection that lingers is no obstacle, a listener is.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((LOOPBACK, port))
            listener.listen(1)
        except OSError:
            listener.close()
            if port == 0:
                raise
            continue
        taken.enter_context(listener)
        return int(listener.getsockname()[1])
    raise AssertionError("port 0 either binds or raises")


def kind_configuration(
    nodes: Sequence[str], ports: Ports, *, image: str = "", cgroup: int = 2
) -> dict[str, Any]:
    """kind's configuration (JSON, which is YAML too).

    Args:
        nodes: names of the nodes, the control plane first.
        ports: from `choose_ports`.
        image: the nodes' image; kind's own if empty.
        cgroup: version of the engine's control groups.
    """
    configuration: dict[str, Any] = {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "networking": {"apiServerAddress": LOOPBACK},
        "nodes": [_node(place, name, ports.get(name, {}), image) for place, name in enumerate(nodes)],
    }
    if cgroup == 1:
        configuration["kubeadmConfigPatches"] = [CGROUP_V1_PATCH]
    return configuration


def _node(place: int, name: str, ports: dict[str, int], image: str) -> dict[str, Any]:
    # `ingress-ready` is what ingress controllers for kind ask of the node whose ports are mapped.
    labels = {NAME_LABEL: short_name(name)} | ({} if place else {"ingress-ready": "true"})
    if place:
        labels |= zone_labels(short_name(name))
    node: dict[str, Any] = {
        "role": "worker" if place else "control-plane",
        "labels": labels,
        "extraPortMappings": [
            {
                "containerPort": int(key.partition("/")[0]),
                "hostPort": host,
                "listenAddress": LOOPBACK,
                "protocol": "TCP",
            }
            for key, host in ports.items()
        ],
    }
    return {**node, "image": image} if image else node
