"""What the node and its containers use of processor and memory: the operating system's figures, summed up."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from k8slab.node.runtime.exec import Sessions
from k8slab.node.runtime.pods import Pods
from k8slab.node.runtime.processes import processor_time, proportional, tree
from k8slab.node.runtime.use_counter import Counter


class Usage:
    """Measures the node's containers, and the runtime itself with all that it keeps.

    Args:
        pods: the node's Pods.
        sessions: commands in its containers, which belong to them as a control group would have it.
    """

    def __init__(self, pods: Pods, sessions: Sessions) -> None:
        self._pods = pods
        self._sessions = sessions
        self._containers: dict[str, Counter] = {}
        self._node = Counter()

    async def measure(self, pod: str = "") -> dict[str, Any]:
        """The answer to `stats`: `containers`, and without a Pod `node` too.

        Args:
            pod: uid of the only Pod to look at, or empty for all.
        """
        containers, memory, seen = [], 0, set[int]()
        running = self._pods.running()
        for owner, container in running:
            if pod and owner.pod != pod:
                continue
            trees = {pid: tree(pid) for pid in self._sessions.pids(container.container)}
            trees[container.pid or 0] = self._pods.launcher.processes(container)
            pids = {each for members in trees.values() for each in members} - seen
            seen |= pids
            used = proportional(pids)
            memory += used
            counter = self._containers.setdefault(container.container, Counter())
            cpu = counter.advance({pid: processor_time(members) for pid, members in trees.items()})
            identity = {"pod": owner.pod, "container": container.container, "name": container.name}
            containers.append({**identity, "memory": used, "cpu": cpu})
            # Reading the memory of a large program takes milliseconds; others wait for answers meanwhile.
            await asyncio.sleep(0)
        if pod:
            return {"containers": containers}
        self._forget({container.container for _, container in running})
        everything = tree(os.getpid())
        rest = [pid for pid in everything if pid not in seen]
        # What ended and was buried is counted by its parent, in the end by this process.
        cpu = self._node.advance({"tree": processor_time(everything)})
        return {"containers": containers, "node": {"memory": memory + proportional(rest), "cpu": cpu}}

    def _forget(self, running: set[str]) -> None:
        for gone in self._containers.keys() - running:
            del self._containers[gone]
