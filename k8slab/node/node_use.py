"""What a node and its Pods use, as facts, and the summary of them that the kubelet's API shows. Pure.

Field names are those of k8s.io/kubelet/pkg/apis/stats/v1alpha1/types.go of Kubernetes 1.36. A node's figures
are those of its Pods and of what plays its kubelet and its runtime: its own share of the host.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from k8slab.node.containers.container_status import timestamp


@dataclass(frozen=True)
class Use:
    """What something used up to a moment.

    Args:
        moment: when it was measured (epoch s).
        cpu: processor time since its start, in seconds of one core.
        memory: bytes of memory, shared pages divided among those that share them.
    """

    moment: float
    cpu: float
    memory: int


@dataclass(frozen=True)
class ContainerUse:
    """One running container.

    Args:
        name: its name in the Pod.
        started: epoch seconds.
        use: what it used.
    """

    name: str
    started: float
    use: Use


@dataclass(frozen=True)
class PodUse:
    """One Pod with its running containers.

    Args:
        name: its name.
        namespace: its namespace.
        uid: its uid.
        containers: those that run; a Pod without one is not told.
    """

    name: str
    namespace: str
    uid: str
    containers: Sequence[ContainerUse]

    @property
    def use(self) -> Use:
        """Its containers' use together."""
        uses = [each.use for each in self.containers]
        return Use(
            max(use.moment for use in uses), sum(use.cpu for use in uses), sum(use.memory for use in uses)
        )


@dataclass(frozen=True)
class NodeUse:
    """A node with its Pods.

    Args:
        name: its name.
        started: when what plays its kubelet started (epoch s).
        use: what Pods, kubelet and runtime used together.
        pods: the Pods that have a running container.
    """

    name: str
    started: float
    use: Use
    pods: Sequence[PodUse]


def summary(node: NodeUse) -> dict[str, Any]:
    """The answer to `/stats/summary`."""
    pods = [
        {
            "podRef": {"name": pod.name, "namespace": pod.namespace, "uid": pod.uid},
            "startTime": timestamp(min(each.started for each in pod.containers)),
            "containers": [
                {"name": each.name, "startTime": timestamp(each.started), **_figures(each.use)}
                for each in pod.containers
            ],
            **_figures(pod.use),
        }
        for pod in node.pods
    ]
    told = {"nodeName": node.name, "startTime": timestamp(node.started), **_figures(node.use)}
    return {"node": told, "pods": pods}


def _figures(use: Use) -> dict[str, Any]:
    moment = timestamp(use.moment)
    return {
        "cpu": {"time": moment, "usageCoreNanoSeconds": int(use.cpu * 1e9)},
        "memory": {"time": moment, "usageBytes": use.memory, "workingSetBytes": use.memory},
    }
