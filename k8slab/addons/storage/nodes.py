"""The nodes as the storage provisioner sees them, and which one gets a volume that nobody waits for. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Item = Mapping[str, Any]

HOSTNAME = "kubernetes.io/hostname"


@dataclass(frozen=True)
class StorageNode:
    """What the provisioner knows of a node.

    Args:
        name: its name.
        labels: its labels.
        ready: whether its Ready condition is True, so that its disk can be reached.
        open: whether a volume may be put there without anybody having chosen it: no taint keeps Pods away.
    """

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    ready: bool = True
    open: bool = True

    @property
    def hostname(self) -> str:
        """The value of its hostname label, by which volumes name it."""
        return self.labels.get(HOSTNAME, self.name)

    @staticmethod
    def of(node: Item) -> StorageNode:
        """The facts of a Node object."""
        conditions = node.get("status", {}).get("conditions") or []
        taints = node.get("spec", {}).get("taints") or []
        return StorageNode(
            name=node["metadata"]["name"],
            labels=node["metadata"].get("labels") or {},
            ready=any(each["type"] == "Ready" and each["status"] == "True" for each in conditions),
            open=not any(taint["effect"] in ("NoSchedule", "NoExecute") for taint in taints),
        )


def choose_node(nodes: Iterable[StorageNode], storage_class: Item, used: Sequence[str]) -> StorageNode | None:
    """The node for a volume that nobody waits for (Immediate): a ready one that has the fewest of ours.

    Args:
        nodes: all nodes.
        storage_class: its `allowedTopologies` count.
        used: the host name of the node of each volume of ours.

    Returns:
        The node, or None if there is none.
    """
    topologies = storage_class.get("allowedTopologies") or []
    fitting = [each for each in nodes if each.ready and each.open and _allowed(each, topologies)]
    return min(fitting, key=lambda each: (used.count(each.hostname), each.name), default=None)


def _allowed(node: StorageNode, topologies: Sequence[Item]) -> bool:
    return not topologies or any(
        all(
            node.labels.get(each["key"]) in each["values"] for each in term.get("matchLabelExpressions") or []
        )
        for term in topologies
    )
