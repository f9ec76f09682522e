"""The worker nodes as machines: `lab.nodes["worker-2"].power_off()`, and what `k8slab node` does."""

from __future__ import annotations

import time
from typing import Literal

from k8slab.answers import Table, Text
from k8slab.cluster.api import KINDS
from k8slab.cluster.contract import Cluster, ClusterNode, NodeAction
from k8slab.errors import ClusterStateError, NotFoundError, WaitTimeoutError
from k8slab.guard import Guard
from k8slab.session.plain_words import in_plain_words

READY_SECONDS = 60.0

Verb = Literal["add", "remove", "off", "on", "pause", "kill-agent", "start-agent"]

_MACHINE: dict[str, NodeAction] = {"off": "power_off", "on": "power_on", "remove": "remove", "pause": "pause"}
_SAID = {
    "off": "{name} has lost its power: agent, runtime and every process of its Pods are gone, and nobody told"
    " the API server. `kubectl get nodes -w` shows when it notices.",
    "on": "{name} boots: `kubectl get events --field-selector involvedObject.name={name}` tells it.",
    "remove": "{name} is gone, machine and Node. Its Pods' controllers replace what ran there; draining a"
    " node first moves them before it goes.",
    "pause": "{name} stands still, as a machine that hangs: nothing of it answers, and nothing has ended."
    " Powering it on lets it go on.",
    "kill-agent": "The agent of {name} was killed and stays down; its containers run on, and nobody"
    " reports on them.",
    "start-agent": "The agent of {name} was started; it takes up the containers that it finds.",
}


class Nodes:
    """The worker nodes of a cluster, by name.

    Args:
        guard: lets changes through.
    """

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    def __getitem__(self, name: str) -> Node:
        return Node(self._guard, name)

    def add(self) -> Text:
        """Add one more worker node, and wait until it is Ready."""
        return Text(act(self._guard, "add"), "A new node")

    def __repr__(self) -> str:
        return repr(table_of(self._guard.cluster))

    def _repr_html_(self) -> str:
        return table_of(self._guard.cluster)._repr_html_()


class Node:
    """One worker node as a machine.

    Args:
        guard: lets changes through.
        name: its name.
    """

    def __init__(self, guard: Guard, name: str) -> None:
        self._guard = guard
        self.name = name

    def power_off(self) -> Text:
        """Pull the plug: its agent, its runtime and its containers' processes are gone at once."""
        return self._do("off")

    def power_on(self) -> Text:
        """Switch it on again; it boots with its disk as it was."""
        return self._do("on")

    def pause(self) -> Text:
        """Freeze it, as a machine that hangs; `power_on` lets it go on. On kind only."""
        return self._do("pause")

    def containers(self) -> Table:
        """What its container runtime says, past the API server: `crictl ps --all`. On kind only."""
        return containers_of(self._guard.cluster, self.name)

    def kill_agent(self) -> Text:
        """Kill what plays its kubelet, and keep it down; its containers run on."""
        return self._do("kill-agent")

    def start_agent(self) -> Text:
        """Start what plays its kubelet."""
        return self._do("start-agent")

    def remove(self) -> Text:
        """Take the machine away, and its Node with it."""
        return self._do("remove")

    def _do(self, verb: Verb) -> Text:
        return Text(act(self._guard, verb, self.name), self.name)

    def __repr__(self) -> str:
        return repr(table_of(self._guard.cluster, self.name))

    def _repr_html_(self) -> str:
        return table_of(self._guard.cluster, self.name)._repr_html_()


@in_plain_words
def act(guard: Guard, verb: Verb, name: str = "") -> str:
    """Do something to a node, and say what was done.

    Args:
        guard: lets changes through.
        verb: what.
        name: the node; empty for `add`.

    Raises:
        ClusterStateError: there is no such node, or the backend cannot.
    """
    if verb == "add":
        node = guard.change_node("add")
        seconds = _wait_ready(guard, node.name)
        return f"{node.name} has joined the cluster and is Ready after {seconds:.1f} s."
    name = guard.cluster.node_name(name)
    if verb in ("kill-agent", "start-agent"):
        _find(guard.cluster, name)
        guard.change_process(f"{name}-agent", "kill" if verb == "kill-agent" else "start")
    else:
        guard.change_node(_MACHINE[verb], name)
    return _SAID[verb].format(name=name)


def table_of(cluster: Cluster, name: str = "") -> Table:
    """The worker nodes as machines, or one of them."""
    name = cluster.node_name(name) if name else ""
    nodes = [each for each in cluster.nodes() if not name or each.name == name]
    rows = tuple((each.name, each.power, each.agent, each.runtime) for each in nodes)
    empty = f"There is no node {name}." if name else f"The backend {cluster.backend} has no machines in hand."
    return Table(("NODE", "POWER", "AGENT", "RUNTIME"), rows, empty=empty)


def containers_of(cluster: Cluster, name: str) -> Table:
    """The containers that a node's container runtime has, running or not."""
    rows = tuple(
        (each.container[:13], each.name, each.state, str(each.attempt), each.pod)
        for each in cluster.node_containers(name)
    )
    return Table(("CONTAINER", "NAME", "STATE", "ATTEMPT", "POD"), rows, empty=f"{name} has no containers.")


def _find(cluster: Cluster, name: str) -> ClusterNode:
    nodes = {each.name: each for each in cluster.nodes()}
    if name not in nodes:
        known = ", ".join(nodes) or "none"
        raise ClusterStateError(f"There is no node {name!r} in this cluster.", f"There are: {known}.")
    return nodes[name]


def _wait_ready(guard: Guard, name: str) -> float:
    started = time.monotonic()
    while True:
        seen = "no Node of that name"
        try:
            node = guard.api.get(KINDS["nodes"].path(name=name))
            conditions = {each["type"]: each for each in node.get("status", {}).get("conditions") or []}
            ready = conditions.get("Ready", {})
            if ready.get("status") == "True" and node["spec"].get("podCIDR"):
                return time.monotonic() - started
            seen = ready.get("message") or "no Pod addresses yet"
        except NotFoundError:
            pass
        if time.monotonic() - started > READY_SECONDS:
            cure = "Its log is the one of its agent: `k8slab status` names it."
            raise WaitTimeoutError(f"the node {name} to be Ready", READY_SECONDS, seen, cure)
        time.sleep(0.1)
