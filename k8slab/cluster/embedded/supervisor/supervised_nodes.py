"""The worker nodes of one cluster as machines: added, powered off and on, removed while the cluster runs.

A node is two processes, its runtime and its agent. Powering it off ends both and every process of its
containers at once, and nobody writes a status: as when the plug is pulled.
"""

from __future__ import annotations

import asyncio
import signal
from typing import Any, Protocol

from k8slab.cluster.embedded import control_plane
from k8slab.cluster.embedded.identities import CONTROL_PLANE_NODE, MAXIMUM_NODES
from k8slab.cluster.embedded.supervisor.supervised import SupervisedProcess
from k8slab.errors import ClusterStateError
from k8slab.folders import ClusterFolder, ClusterSettings, remove_tree
from k8slab.network.addresses import node_index
from k8slab.node.node_facts import BOOT_ID
from k8slab.node.runtime.processes import tree
from k8slab.processes import ProcessIdentity

CUT_SECONDS = 5.0
"""How long the processes of a node may take to be gone after SIGKILL."""


class Keeper(Protocol):
    """What the nodes need of a supervisor."""

    folder: ClusterFolder
    settings: ClusterSettings
    processes: dict[str, SupervisedProcess]

    def launch(self, specification: control_plane.ProcessSpecification) -> SupervisedProcess:
        """Start a process and keep it under supervision."""
        ...

    def forget(self, name: str) -> None:
        """Supervise a process no more; it has ended."""
        ...


class Nodes:
    """Which worker nodes there are, and whether each has power. Belongs to the supervisor's event loop.

    Args:
        keeper: the supervisor.
    """

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self._powered: dict[str, bool] = {}
        self._highest = 0
        self._turn = asyncio.Lock()

    def start(self, name: str) -> list[SupervisedProcess]:
        """Start the two processes of a node."""
        self._powered[name] = True
        self._highest = max(self._highest, node_index(name))
        keeper = self._keeper
        return [
            keeper.launch(control_plane.runtime(keeper.folder, keeper.settings, name)),
            keeper.launch(control_plane.agent(keeper.folder, name)),
        ]

    def records(self) -> list[dict[str, Any]]:
        """What the supervisor's protocol says of each node."""
        return [
            {
                "name": name,
                "power": "on" if powered else "off",
                "agent": self._process(f"{name}-agent").record()["state"],
                "runtime": self._process(f"{name}-runtime").record()["state"],
            }
            for name, powered in self._powered.items()
        ]

    def names(self) -> list[str]:
        """The nodes that are there, powered or not, oldest first."""
        return list(self._powered)

    def next_name(self) -> str:
        """The name of the next node. None is given twice: nothing takes a new node for an old one."""
        return f"worker-{max(self._highest, len(self._keeper.settings.nodes)) + 1}"

    def check_power(self, process: str) -> None:
        """Refuse to start one process of a node that has no power.

        Raises:
            ClusterStateError: the node is powered off.
        """
        name = process.removesuffix("-agent").removesuffix("-runtime")
        if not self._powered.get(name, True):
            raise ClusterStateError(f"{name} is powered off.", f"Power it on: `k8slab node on {name}`.")

    async def act(self, name: str, action: str) -> dict[str, Any]:
        """Do to a node what a learner asked for, one after the other.

        Args:
            name: the node's name.
            action: `add`, `remove`, `power_off` or `power_on`.

        Returns:
            The node's record; after `remove`, as it was last.

        Raises:
            ClusterStateError: there is no such node or action, or the node is not in a state for it.
        """
        async with self._turn:
            if action == "add":
                self._add(name)
            else:
                self._check_known(name)
                match action:
                    case "power_off":
                        await self._power_off(name)
                    case "power_on":
                        self._power_on(name)
                    case "remove":
                        return await self._remove(name)
                    case _:
                        raise ClusterStateError(
                            f"A node can be added, removed, powered off or on, not {action!r}."
                        )
            return next(each for each in self.records() if each["name"] == name)

    def _add(self, name: str) -> None:
        if name != self.next_name():
            raise ClusterStateError(f"The next node is {self.next_name()}, not {name}.", "Ask again.")
        if len(self._powered) >= MAXIMUM_NODES:
            raise ClusterStateError(
                f"There are {len(self._powered)} worker nodes, as many as a cluster has here.",
                "Remove one first.",
            )
        if not self._keeper.folder.kubeconfig(name).exists():
            raise ClusterStateError(
                f"{name} has no certificates to join with.", "Add it with `k8slab node add`."
            )
        self.start(name)

    async def _power_off(self, name: str) -> None:
        agent, runtime = self._process(f"{name}-agent"), self._process(f"{name}-runtime")
        self._powered[name] = False
        agent.wanted = runtime.wanted = False
        # The agent first: it would write what it sees of the others' end.
        await agent.stop(first=signal.SIGKILL)
        if runtime.pid is not None:
            await self._kill_containers(runtime.pid)
        await runtime.stop(first=signal.SIGKILL)

    async def _kill_containers(self, runtime: int) -> None:
        """Kill everything below a runtime; it is held still meanwhile, so that it starts nothing."""
        held = ProcessIdentity.of(runtime)
        if held is None or not held.send(signal.SIGSTOP):
            return
        deadline = asyncio.get_running_loop().time() + CUT_SECONDS
        # What forks while it is listed has the runtime, its subreaper, as a parent in the next round.
        while below := [each for pid in tree(runtime)[1:] if (each := ProcessIdentity.of(pid)) is not None]:
            for identity in below:
                identity.send(signal.SIGKILL)
            if asyncio.get_running_loop().time() > deadline:
                raise ClusterStateError(
                    f"Processes {', '.join(str(each.pid) for each in below)} do not end.", "Try again."
                )
            await asyncio.sleep(0.01)

    def _power_on(self, name: str) -> None:
        if self._powered[name]:
            return
        # A machine that boots has a new boot id: its agent makes one.
        (self._keeper.folder.node(name) / BOOT_ID).unlink(missing_ok=True)
        self._powered[name] = True
        for each in (f"{name}-runtime", f"{name}-agent"):
            self._process(each).start()

    async def _remove(self, name: str) -> dict[str, Any]:
        await self._power_off(name)
        last = next(each for each in self.records() if each["name"] == name)
        for each in (f"{name}-agent", f"{name}-runtime"):
            self._keeper.forget(each)
        del self._powered[name]
        await asyncio.to_thread(remove_tree, self._keeper.folder.node(name))
        return last

    def _process(self, name: str) -> SupervisedProcess:
        return self._keeper.processes[name]

    def _check_known(self, name: str) -> None:
        if name == CONTROL_PLANE_NODE:
            raise ClusterStateError(
                f"{name} shows the control plane's processes, and stays.",
                "Single components can be stopped; `k8slab status` names them.",
            )
        if name not in self._powered:
            known = ", ".join(self._powered) or "none"
            raise ClusterStateError(f"There is no node {name!r} in this cluster.", f"There are: {known}.")
