"""The node agent, which plays the kubelet: `python -m k8slab.node.agent --cluster-folder F --node N`.

It knows the world from the API server alone and the node from its runtime. It holds no state of
its own: killed at any moment, the next one finds the containers at the runtime and goes on.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from k8slab.api_client import ApiClient
from k8slab.folders import ClusterFolder, ClusterSettings
from k8slab.network.addresses import AddressPlan
from k8slab.network.switch_client import SwitchClient
from k8slab.node.agent_node import AgentNode
from k8slab.node.agent_pods import AgentPods
from k8slab.node.clock import clock_named
from k8slab.node.containers.container_record import ContainerRecord
from k8slab.node.images.store import ImageStore
from k8slab.node.kubelet_api.server import KubeletApi
from k8slab.node.node_context import NodeContext, RestartClock, ServiceTable
from k8slab.node.node_events import EventRecorder
from k8slab.node.object_cache import ObjectCache
from k8slab.node.pods import pod_spec
from k8slab.node.pods.admission import refusal
from k8slab.node.pods.pod_addresses import PodAddresses
from k8slab.node.pods.pod_connections import PodConnections
from k8slab.node.pods.pod_worker import PodWorker
from k8slab.node.runtime.client import Message, RuntimeClient, RuntimeRefusedError
from k8slab.node.volumes.volumes import Volumes

log = logging.getLogger(__name__)

ORPHAN_GRACE = 2.0
"""Grace of containers whose Pod is gone from the API; the least that any container gets."""


class Agent:
    """One worker node.

    Args:
        folder: the cluster's folder.
        settings: its settings.
        name: the node's name.
        client: a client of the API server, as this node.
        switch: the switch at the sandboxed level, or None.
    """

    def __init__(
        self,
        folder: ClusterFolder,
        settings: ClusterSettings,
        name: str,
        client: ApiClient,
        switch: SwitchClient | None,
    ) -> None:
        plan = AddressPlan(settings.octet, settings.port_offset)
        address = plan.node_named(name)
        clock = clock_named(settings.clock)
        runtime = RuntimeClient(folder.runtime_socket(name), self._runtime_said, self._runtime_connected)
        volumes = Volumes(folder.node(name), client, plan.dns_service, lambda: self.object.node)
        volumes.remove_left_over()
        events = EventRecorder(client, name)
        images = ImageStore(folder.node(name) / "images.json", settings.isolation)
        self.object = AgentNode(client, folder, settings, name, address, self._problems, events, images)
        self.node = NodeContext(
            name=name,
            address=address,
            folder=folder,
            settings=settings,
            plan=plan,
            client=client,
            runtime=runtime,
            events=events,
            objects=ObjectCache(client),
            services=ServiceTable(client),
            volumes=volumes,
            connections=PodConnections(plan, switch),
            allocatable=self.object.allocatable,
            images=images,
            clock=RestartClock(first=clock.first_pause, longest=clock.longest_pause),
        )
        self.node.others = self._others
        self.node.object = lambda: self.object.node
        self.workers: dict[str, PodWorker] = {}
        self._lives: dict[str, asyncio.Task[None]] = {}
        self._listed = asyncio.Event()
        self._pods_synced = False
        self._known: dict[str, tuple[str, list[ContainerRecord]]] = {}
        self._orphans: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Play the node until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.node.runtime.run())
            group.create_task(self.node.events.run())
            group.create_task(self.node.services.run())
            await self.object.register()
            self.node.events.node("Normal", "Starting", "Starting kubelet.")
            group.create_task(self.object.keep_lease())
            group.create_task(self.object.keep_status())
            group.create_task(self.object.follow(self._node_changed))
            group.create_task(self._follow_pods())

    # -- node ----------------------------------------------------------------------------------

    def _problems(self) -> list[str]:
        """Why the node is not ready, in the kubelet's words."""
        return [] if self.node.runtime.connected.is_set() else ["container runtime is down"]

    def _node_changed(self, node: dict[str, Any]) -> None:
        podcidr = node["spec"].get("podCIDR")
        if not podcidr or (self.node.addresses is not None and self.node.addresses.podcidr == podcidr):
            return
        self.node.addresses = PodAddresses(podcidr)
        for uid, (address, _) in self._known.items():
            self.node.addresses.adopt(uid, address)
        for worker in self.workers.values():
            if worker.setup.address:
                self.node.addresses.adopt(worker.uid, worker.setup.address)
        self.node.has_addresses.set()
        self.object.refresh()

    # -- runtime -------------------------------------------------------------------------------

    def _runtime_said(self, event: Message) -> None:
        worker = self.workers.get(event.get("pod", ""))
        if worker is None:
            return
        if event["event"] == "exited":
            worker.runs.exited(ContainerRecord.of(event))
        elif event["event"] == "wrong_listener":
            worker.runs.listened_wrongly(event["container"], event["address"])

    async def _runtime_connected(self) -> None:
        """Compare what the runtime has with what should be there."""
        answer = await self.node.runtime.ask("list")
        known: dict[str, tuple[str, list[ContainerRecord]]] = {}
        for pod in answer["pods"]:
            records = [ContainerRecord.of({"pod": pod["pod"], **each}) for each in pod["containers"]]
            known[pod["pod"]] = (pod["address"], records)
        self._known = known
        if self.node.addresses is not None:
            for uid, (address, _) in known.items():
                self.node.addresses.adopt(uid, address)
        for uid, worker in self.workers.items():
            found = known.get(uid)
            worker.reconcile(found[0] if found else None, found[1] if found else [])
        self._listed.set()
        self.object.refresh()
        if self._pods_synced:
            self._end_orphans()

    # -- pods ----------------------------------------------------------------------------------

    async def _follow_pods(self) -> None:
        await self._listed.wait()
        selector = f"spec.nodeName={self.node.name}"
        async for change in self.node.client.watch("/api/v1/pods", field_selector=selector):
            if change.verb == "synced":
                self._pods_synced = True
                self._end_orphans()
                continue
            uid = change.object["metadata"]["uid"]
            worker = self.workers.get(uid)
            if change.verb == "deleted":
                if worker is not None:
                    worker.vanish()
            elif worker is not None:
                worker.update(change.object)
            elif not pod_spec.is_mirror(change.object):
                self._take_up(change.object)

    def _others(self, uid: str) -> list[pod_spec.Pod]:
        """The Pods but one that have not ended, with the resources they were granted."""
        workers = [each for each in self.workers.values() if each.uid != uid]
        return [each.resizing.pod() for each in workers if not each.is_over()]

    def _take_up(self, pod: pod_spec.Pod) -> None:
        uid = pod["metadata"]["uid"]
        address, records = self._known.pop(uid, ("", []))
        worker = PodWorker(self.node, pod, address, records)
        if not address and not (pod.get("status") or {}).get("startTime"):
            refused = refusal(pod, self._others(uid), self.node.allocatable, self.object.node)
            if refused is not None:
                worker.refuse(*refused)
        self.workers[uid] = worker
        self._lives[uid] = asyncio.create_task(self._live(worker))

    async def _live(self, worker: PodWorker) -> None:
        try:
            await worker.run()
        except asyncio.CancelledError:
            raise
        except Exception:
            # One Pod's trouble must not end the node; what is known stands in the log.
            log.exception("the worker of %s failed", pod_spec.name_of(worker.pod))
            await asyncio.sleep(1.0)
            self._lives.pop(worker.uid, None)
            records = [run for runs in worker.runs.by_name.values() for run in runs]
            self._known[worker.uid] = (worker.setup.address, records)
            if not worker.vanished:
                self._take_up(worker.pod)
                return
            self.workers.pop(worker.uid, None)
            if self._pods_synced:
                self._end_orphans()
            return
        self.workers.pop(worker.uid, None)
        self._lives.pop(worker.uid, None)

    def _end_orphans(self) -> None:
        """End what runs for Pods that are gone from the API."""
        for uid in [uid for uid in self._known if uid not in self.workers]:
            _, records = self._known.pop(uid)
            task = asyncio.create_task(self._end_orphan(uid, records))
            self._orphans.add(task)
            task.add_done_callback(self._orphans.discard)

    async def _end_orphan(self, uid: str, records: list[ContainerRecord]) -> None:
        log.info("ending the containers of pod %s, which is gone", uid)
        try:
            running = [record.container for record in records if record.running]
            await asyncio.gather(
                *(
                    self.node.runtime.ask("stop_container", pod=uid, container=each, grace=ORPHAN_GRACE)
                    for each in running
                )
            )
            await self.node.runtime.ask("remove_pod", pod=uid)
        except RuntimeRefusedError as error:
            log.warning("ending the orphaned pod %s: %s", uid, error)
        self.node.volumes.remove(uid)
        if self.node.addresses is not None:
            self.node.addresses.give_back(uid)


async def serve(folder: ClusterFolder, name: str, static: bool) -> None:
    """Play a node until cancelled.

    Args:
        folder: the cluster's folder.
        name: the node's name.
        static: whether it is the control-plane node, which shows the control plane's processes.
    """
    settings = folder.settings()
    async with AsyncExitStack() as stack:
        client = ApiClient.from_kubeconfig(folder.kubeconfig(name), user_agent="k8slab-agent")
        await stack.enter_async_context(client)
        if static:
            from k8slab.node.static.static_node import StaticNode

            plan = AddressPlan(settings.octet, settings.port_offset)
            static_node = StaticNode(folder, settings, name, client)
            await stack.enter_async_context(KubeletApi(folder, plan.twin(plan.node(0)), name, static_node))
            await static_node.run()
            return
        switch = None
        if settings.isolation == "sandboxed":
            switch = await stack.enter_async_context(SwitchClient(folder.switch_socket))
        agent = Agent(folder, settings, name, client, switch)
        await stack.enter_async_context(
            KubeletApi(
                folder, agent.node.plan.twin(agent.node.address), name, AgentPods(agent.node, agent.workers)
            )
        )
        await agent.run()


def run_until_terminated(work: Callable[[], Coroutine[Any, Any, None]]) -> int:
    """Run something until SIGTERM or SIGINT; returns the exit code."""

    async def supervised() -> None:
        task = asyncio.create_task(work())
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, task.cancel)
        try:
            await task
        except asyncio.CancelledError:
            log.info("asked to end")

    asyncio.run(supervised())
    return 0


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="k8slab.node.agent", description="Plays the kubelet of one node.")
    parser.add_argument("--cluster-folder", type=Path, required=True)
    parser.add_argument("--node", required=True)
    parser.add_argument("--static", action="store_true", help="show the control plane's processes as Pods")
    given = parser.parse_args(arguments)
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    return run_until_terminated(lambda: serve(ClusterFolder(given.cluster_folder), given.node, given.static))


if __name__ == "__main__":
    sys.exit(main())
