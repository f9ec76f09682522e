"""The control plane on the map: what its mirror Pods in `kube-system` say. Pure."""

from __future__ import annotations

from typing import Any

from k8slab.graph.escape import plain
from k8slab.mirror.changes import Change, Object
from k8slab.mirror.lives import is_ready

COMPONENTS = ("kube-apiserver", "etcd", "kube-controller-manager", "kube-scheduler")
"""The control plane in the order in which it is drawn; what else there is follows."""

MIRROR_POD = "kubernetes.io/config.mirror"


class Components:
    """Every component of the control plane and whether it runs."""

    def __init__(self) -> None:
        self._states: dict[str, str] = {}

    def apply(self, change: Change) -> str:
        """Follow a change of a Pod of `kube-system`.

        Returns:
            The sentence that tells it; empty if there is nothing to tell.
        """
        name = component_of(change.object)
        if not name:
            return ""
        was = self._states.get(name, "")
        # Without its mirror Pod a component may run or not: nobody says.
        now = "unknown" if change.after is None else component_state(change.after)
        self._states[name] = now
        if change.listed or {was, now} != {"running", "stopped"}:
            return ""
        return f"{name} runs again." if now == "running" else f"{name} has stopped."

    def entries(self, live: bool) -> dict[str, dict[str, Any]]:
        """The section `components` of a scene.

        Args:
            live: whether the API server answers; while it does not, nobody knows who runs.
        """
        known = [name for name in COMPONENTS if name in self._states]
        others = sorted(name for name in self._states if name not in COMPONENTS)
        return {
            name: {"state": self._states[name] if live else "unknown", "slot": slot}
            for slot, name in enumerate([*known, *others])
        }


def component_of(pod: Object) -> str:
    """The control-plane component that a mirror Pod stands for; empty for any other Pod."""
    metadata = pod["metadata"]
    if MIRROR_POD not in (metadata.get("annotations") or {}) or metadata.get("namespace") != "kube-system":
        return ""
    label = (metadata.get("labels") or {}).get("component")
    name, node = str(metadata["name"]), str(pod.get("spec", {}).get("nodeName", ""))
    return plain(label or name.removesuffix(f"-{node}"))


def component_state(pod: Object) -> str:
    """Whether a component runs, as its mirror Pod says."""
    running = pod.get("status", {}).get("phase") == "Running" and is_ready(pod)
    return "running" if running else "stopped"
