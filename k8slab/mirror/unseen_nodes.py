"""Nodes that this user may not see: a Pod says on which node it is, so the node's name at least is known.

Without them the map would draw Pods that run among those that wait for a node. What is put into the mirror
in their place carries a name, no state, and the annotation `k8slab.dev/unseen`; it goes as soon as the real
Nodes may be listed.
"""

from __future__ import annotations

import time

from k8slab.mirror.changes import UNSEEN, Change
from k8slab.mirror.mirror import Mirror


class UnseenNodes:
    """Puts a name in the place of each Node that may not be seen; a mirror's listener.

    Args:
        mirror: the mirror, which follows Nodes and Pods.
    """

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror
        self._known: set[str] = set()

    def heard(self, change: Change) -> None:
        """Look at the node that a Pod names."""
        after = change.after
        if change.kind != "Pod" or after is None:
            return
        name = str((after.get("spec") or {}).get("nodeName") or "")
        if not name or name in self._known or not self._are_hidden():
            return
        self._known.add(name)
        metadata = {
            "name": name,
            "uid": f"unseen-node-{name}",
            "resourceVersion": "0",
            "annotations": {UNSEEN: "this user may not see Nodes"},
        }
        self._mirror.store.apply("Node", "added", {"apiVersion": "v1", "metadata": metadata}, time.time())

    def _are_hidden(self) -> bool:
        return any(
            each.kind == "Node" and each.state == "forbidden" and not each.synced
            for each in self._mirror.status().kinds
        )
