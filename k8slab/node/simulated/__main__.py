"""Simulated nodes, all in one process: `python -m k8slab.node.simulated --cluster-folder F --nodes N`.

They are for scale: thousands of Pods that controllers, scheduler and map see like any others, on a laptop.
Pods of namespaces labelled `k8slab.dev/simulated=true` are sent here by an admission policy.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import time
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from k8slab.api_client import ApiClient
from k8slab.errors import ApiError, ConflictError, NotFoundError
from k8slab.folders import ClusterFolder, ClusterSettings
from k8slab.network.addresses import AddressPlan
from k8slab.node.agent import run_until_terminated
from k8slab.node.clock import clock_named
from k8slab.node.kubelet_api.server import KubeletApi
from k8slab.node.node_events import EventRecorder
from k8slab.node.pods.status_writer import covers
from k8slab.node.simulated.pods import SimulatedPods
from k8slab.node.simulated.source import SimulatedSource
from k8slab.node.simulated.status import MARK, lease_spec, node_name, node_object, node_status

log = logging.getLogger(__name__)

USER = "simulator"
NODES = "/api/v1/nodes"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
RETRY_SECONDS = 1.0


class SimulatedNodes:
    """Keeps so many simulated Nodes there and alive.

    Args:
        client: a client of the API server, as the simulator.
        settings: the cluster's settings.
        count: how many nodes.
    """

    def __init__(self, client: ApiClient, settings: ClusterSettings, count: int) -> None:
        plan = AddressPlan(settings.octet, settings.port_offset)
        self.hosts = {node_name(index): plan.simulated_node(index) for index in range(1, count + 1)}
        self.pods = SimulatedPods(client, self.hosts, EventRecorder(client, USER))
        self._client = client
        self._settings = settings
        self._clock = clock_named(settings.clock)
        self._leases: dict[str, dict[str, Any]] = {}

    async def run(self) -> None:
        """Play until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.pods.events.run())
            group.create_task(self.pods.run())
            group.create_task(self._follow())
            group.create_task(self._keep_leases())

    async def _follow(self) -> None:
        """Watch the simulated Nodes: make those that lack, remove the surplus, repair the rest."""
        present: set[str] = set()
        async for change in self._client.watch(NODES, label_selector=f"{MARK}=true"):
            if change.verb == "synced":
                for name in self.hosts.keys() - present:
                    await self._insist(self._register, name)
                continue
            name = change.object["metadata"]["name"]
            if change.verb == "deleted":
                present.discard(name)
                if name in self.hosts:
                    await self._insist(self._register, name)
            elif name not in self.hosts:
                await self._insist(self._remove, name)
            else:
                present.add(name)
                if podcidr := change.object["spec"].get("podCIDR"):
                    await self.pods.node_has_range(name, podcidr)
                await self._insist(self._repair, name, change.object)

    async def _insist(self, step: Any, *arguments: Any) -> None:
        while True:
            try:
                await step(*arguments)
                return
            except (ConflictError, NotFoundError) as error:
                log.debug("%s: %s", arguments[0], error)
                return
            except ApiError as error:
                log.warning("%s: %s", arguments[0], error)
                await asyncio.sleep(RETRY_SECONDS)

    async def _register(self, name: str) -> None:
        settings = self._settings
        body = node_object(name, self.hosts[name], settings.kubernetes, settings.uuid, time.time())
        await self._client.create(NODES, body)
        log.info("registered %s", name)

    async def _remove(self, name: str) -> None:
        await self._client.delete(f"{NODES}/{name}")
        self._leases.pop(name, None)
        log.info("removed %s", name)

    async def _repair(self, name: str, node: dict[str, Any]) -> None:
        """Write the status where somebody else, the node controller above all, wrote another."""
        settings, old = self._settings, node.get("status", {}).get("conditions") or []
        status = node_status(name, self.hosts[name], settings.kubernetes, settings.uuid, old, time.time())
        conditions = [{key: each[key] for key in ("type", "status")} for each in status["conditions"]]
        if not covers(node.get("status"), {**status, "conditions": conditions}):
            await self._client.patch(f"{NODES}/{name}/status", {"status": status})

    async def _keep_leases(self) -> None:
        while True:
            for name in self.hosts:
                try:
                    await self._renew(name)
                except ApiError as error:
                    self._leases.pop(name, None)
                    log.debug("lease of %s: %s", name, error)
            await asyncio.sleep(self._clock.heartbeat)

    async def _renew(self, name: str) -> None:
        spec = lease_spec(name, self._clock, datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
        lease = self._leases.get(name)
        if lease is None:
            body = {
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {"name": name, "namespace": "kube-node-lease"},
                "spec": spec,
            }
            try:
                self._leases[name] = await self._client.create(LEASES, body)
            except ConflictError:
                self._leases[name] = await self._client.get(f"{LEASES}/{name}")
            return
        self._leases[name] = await self._client.replace(f"{LEASES}/{name}", {**lease, "spec": spec})


async def serve(folder: ClusterFolder, count: int) -> None:
    """Play simulated nodes until cancelled.

    Args:
        folder: the cluster's folder.
        count: how many nodes; those beyond are removed.
    """
    settings = folder.settings()
    plan = AddressPlan(settings.octet, settings.port_offset)
    async with AsyncExitStack() as stack:
        client = ApiClient.from_kubeconfig(folder.kubeconfig(USER), user_agent="k8slab-simulator")
        await stack.enter_async_context(client)
        nodes = SimulatedNodes(client, settings, count)
        for name, address in nodes.hosts.items():
            source = SimulatedSource(folder, settings, name, address, nodes.pods)
            await stack.enter_async_context(KubeletApi(folder, plan.twin(address), USER, source))
        await nodes.run()


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="k8slab.node.simulated", description="Plays simulated nodes.")
    parser.add_argument("--cluster-folder", type=Path, required=True)
    parser.add_argument("--nodes", type=int, required=True)
    given = parser.parse_args()
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    return run_until_terminated(lambda: serve(ClusterFolder(given.cluster_folder), given.nodes))


if __name__ == "__main__":
    sys.exit(main())
