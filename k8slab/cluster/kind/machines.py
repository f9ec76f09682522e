"""The nodes of a kind cluster as machines: their containers, and what an engine does to them.

A container is meant by its id, which the journal holds, and never by its name: one that somebody else
made under the same name is not touched.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from k8slab.cluster.container_engine import Engine
from k8slab.cluster.kind.command import CLUSTER_LABEL, ROLE_LABEL
from k8slab.cluster.kind.configuration import short_name
from k8slab.cluster.kind.journal import published
from k8slab.errors import ClusterStateError, CommandError

STOP_SECONDS = 30.0
EXEC_SECONDS = 30.0

Power = Literal["on", "off", "paused"]


@dataclass(frozen=True)
class Machine:
    """The container of one node.

    Args:
        name: its name, which is its Node's too.
        container: its id.
        role: `control-plane` or `worker`.
        power: `on`, `off` or `paused`.
        addresses: its addresses in the engine's networks.
        ports: ports of this machine that lead to it, such as `80/tcp` → 8080.
    """

    name: str
    container: str
    role: str
    power: Power
    addresses: tuple[str, ...]
    ports: dict[str, int]

    @property
    def short(self) -> str:
        """What its like is called on the embedded backend: `worker-2`."""
        return short_name(self.name)


class Machines:
    """The machines of one cluster.

    Args:
        engine: what holds their containers.
        cluster: kind's name of the cluster.
        containers: their ids, from the journal.
    """

    def __init__(self, engine: Engine, cluster: str, containers: Sequence[str]) -> None:
        self._engine = engine
        self._cluster = cluster
        self._containers = tuple(containers)

    def all(self) -> list[Machine]:
        """Every machine that is there, the control plane first, then by number."""
        found = []
        for each in self._engine.inspect(self._containers):
            labels = (each.get("Config") or {}).get("Labels") or {}
            if each.get("Id") in self._containers and labels.get(CLUSTER_LABEL) == self._cluster:
                found.append(_machine(each, labels))
        return sorted(found, key=lambda each: (each.role != "control-plane", len(each.name), each.name))

    def find(self, name: str) -> Machine:
        """The machine of that name, or of the name that its like has on the embedded backend.

        Raises:
            ClusterStateError: there is none.
        """
        machines = self.all()
        for each in machines:
            if name in (each.name, each.short):
                return each
        known = ", ".join(f"{each.short} ({each.name})" for each in machines) or "none"
        raise ClusterStateError(f"There is no node {name!r} in this cluster.", f"There are: {known}.")

    def power_off(self, machine: Machine) -> None:
        """Pull the plug. `kill` alone might be answered by the engine's restart policy; `stop` is not."""
        if machine.power == "paused":
            self._engine.call("unpause", machine.container)
        if machine.power == "off":
            return
        try:
            self._engine.call("stop", "-t", "0", machine.container, timeout=STOP_SECONDS)
        except CommandError:
            # nerdctl may fail over the ports of a container that it has stopped.
            if self.find(machine.name).power != "off":
                raise

    def power_on(self, machine: Machine) -> None:
        """Switch it on, or let it go on where it is paused."""
        if machine.power == "paused":
            self._engine.call("unpause", machine.container)
        elif machine.power == "off":
            self._engine.call("start", machine.container, timeout=STOP_SECONDS)

    def pause(self, machine: Machine) -> None:
        """Freeze every process of it, as if it hung; nobody tells the API server."""
        if machine.power == "off":
            raise ClusterStateError(
                f"{machine.name} is powered off, so there is nothing to pause.", "Power it on before."
            )
        if machine.power == "on":
            self._engine.call("pause", machine.container)

    def run(self, machine: Machine, *words: str, timeout: float = EXEC_SECONDS) -> str:
        """Run a program inside of it; what it printed.

        Raises:
            ClusterStateError: the machine is not on; CommandError: the program failed.
        """
        if machine.power != "on":
            raise ClusterStateError(
                f"{machine.name} is {'paused' if machine.power == 'paused' else 'powered off'},"
                " so nothing runs in it.",
                f"lab.nodes[{machine.short!r}].power_on() switches it on.",
            )
        return self._engine.call("exec", machine.container, *words, timeout=timeout).stdout

    def containers_of(self, machine: Machine) -> list[dict[str, Any]]:
        """What `crictl ps --all` on a node says: the containers that its container runtime has."""
        answer = self.run(machine, "crictl", "ps", "--all", "--output", "json")
        try:
            found = json.loads(answer)["containers"]
        except (ValueError, KeyError, TypeError) as error:
            raise CommandError(["crictl", "ps"], 0, answer) from error
        return list(found or [])


def _machine(inspected: dict[str, Any], labels: dict[str, str]) -> Machine:
    state = inspected.get("State") or {}
    status = str(state.get("Status", "")).lower()
    power: Power = "off"
    if status == "paused" or state.get("Paused"):
        power = "paused"
    elif status == "running" or state.get("Running"):
        power = "on"
    networks = (inspected.get("NetworkSettings") or {}).get("Networks") or {}
    addresses = tuple(str(each["IPAddress"]) for each in networks.values() if (each or {}).get("IPAddress"))
    return Machine(
        str(inspected.get("Name", "")).removeprefix("/"),
        str(inspected["Id"]),
        labels.get(ROLE_LABEL, "worker"),
        power,
        addresses,
        published(inspected),
    )
