"""The control-plane node: shows the supervisor's processes as mirror Pods and runs nothing itself."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from k8slab.api_client import ApiClient
from k8slab.errors import ApiError, ConflictError, NotFoundError
from k8slab.folders import ClusterFolder, ClusterSettings
from k8slab.network.addresses import AddressPlan
from k8slab.node.agent_node import AgentNode
from k8slab.node.clock import clock_named
from k8slab.node.kubelet_api.configuration import configuration
from k8slab.node.kubelet_api.logs import LogSource
from k8slab.node.kubelet_api.source import NotServedError, RunningContainer
from k8slab.node.node_events import EventRecorder
from k8slab.node.node_use import NodeUse
from k8slab.node.pods import pod_spec
from k8slab.node.pods.pod_connections import dial_twin
from k8slab.node.pods.pod_spec import Pod
from k8slab.node.pods.status_writer import covers
from k8slab.node.runtime.use_counter import Counter
from k8slab.node.static.static_pods import (
    COMPONENTS,
    NAMESPACE,
    ProcessRecord,
    mirror_pod,
    mirror_status,
    same_configuration,
)
from k8slab.node.static.static_use import components_use

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""How often the supervisor is asked; a kubelet looks at its containers as often."""

NO_PODS = (
    "This node shows the control plane's processes and runs no Pods; remove the toleration or the nodeName."
)


class StaticNode:
    """The control-plane node.

    Args:
        folder: the cluster's folder.
        settings: its settings.
        name: the node's name.
        client: a client of the API server, as this node.
    """

    def __init__(
        self, folder: ClusterFolder, settings: ClusterSettings, name: str, client: ApiClient
    ) -> None:
        self._folder = folder
        self._settings = settings
        self._client = client
        self._address = AddressPlan(settings.octet, settings.port_offset).node(0)
        self._events = EventRecorder(client, name)
        self._object = AgentNode(client, folder, settings, name, self._address, list, self._events)
        self._records: dict[str, ProcessRecord] = {}
        self._command_lines: dict[str, list[str]] = {}
        self._ended: dict[str, float] = {}
        self._seen: dict[str, float] = {}
        self._pods: dict[str, Pod] = {}
        self._silent = False
        self._started = time.time()
        self._counter = Counter()
        self._synced = asyncio.Event()
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Play the node until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._events.run())
            await self._object.register()
            self._events.node("Normal", "Starting", "Starting kubelet.")
            group.create_task(self._object.keep_lease())
            group.create_task(self._object.keep_status())
            group.create_task(self._object.follow(lambda node: self._changed.set()))
            group.create_task(self._follow_pods())
            group.create_task(self._keep_mirrors())

    async def _follow_pods(self) -> None:
        selector = f"spec.nodeName={self._object.name}"
        async for change in self._client.watch("/api/v1/pods", field_selector=selector):
            if change.verb == "synced":
                self._synced.set()
            elif change.verb == "deleted":
                self._pods.pop(change.object["metadata"]["uid"], None)
            else:
                pod = change.object
                if change.verb == "added" and not pod_spec.is_mirror(pod):
                    self._events.pod(pod, "Warning", "FailedCreatePodSandBox", NO_PODS)
                self._pods[pod["metadata"]["uid"]] = pod
            self._changed.set()

    # -- mirrors -------------------------------------------------------------------------------

    async def _keep_mirrors(self) -> None:
        await self._synced.wait()
        while True:
            self._changed.clear()
            try:
                await self._look_at_processes()
                await self._remove_unwanted()
                for record in list(self._records.values()):
                    await self._mirror(record)
            except ApiError as error:
                log.warning("mirror pods: %s", error)
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def _look_at_processes(self) -> None:
        try:
            reader, writer = await asyncio.open_unix_connection(str(self._folder.supervisor_socket))
            try:
                writer.write(b'{"op": "status"}\n')
                answer = json.loads(await reader.readline())
            finally:
                writer.close()
        except (OSError, ValueError, asyncio.LimitOverrunError) as error:
            if self._silent:
                return
            self._silent = True
            log.warning("the supervisor does not answer: %s", error)
            return
        self._silent = False
        for record in map(ProcessRecord.of, answer["processes"]):
            if record.name not in COMPONENTS:
                continue
            now = time.time()
            self._seen.setdefault(record.name, now)
            if record.pid:
                self._ended.pop(record.name, None)
                self._command_lines[record.name] = command_line(record.pid) or [record.name]
            else:
                self._ended.setdefault(record.name, now)
                last = self._records.get(record.name)
                record = replace(record, started=last.started if last else now)
            self._records[record.name] = record

    async def _remove_unwanted(self) -> None:
        """Let Pods go that somebody deleted: mirrors are made again, others never ran here."""
        for uid, pod in list(self._pods.items()):
            if pod_spec.is_deleted(pod):
                await self._delete(uid, pod)

    async def _delete(self, uid: str, pod: Pod) -> None:
        metadata = pod["metadata"]
        body = {"gracePeriodSeconds": 0, "preconditions": {"uid": uid}}
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
        try:
            await self._client.delete(path, {"kind": "DeleteOptions", "apiVersion": "v1", **body})
        except (NotFoundError, ConflictError):
            log.debug("%s is gone already", path)
        self._pods.pop(uid, None)

    async def _mirror(self, record: ProcessRecord) -> None:
        """Have one process's mirror Pod there, with a true status."""
        name = record.name
        if not self._object.node or name not in self._command_lines:
            return
        image = name if name == "etcd" else f"{name}:{self._settings.kubernetes}"
        wanted = mirror_pod(name, self._command_lines[name], self._object.node, image, self._seen[name])
        there = self._find(wanted["metadata"]["name"])
        if there is not None and not same_configuration(there, wanted):
            await self._delete(there["metadata"]["uid"], there)
            there = None
        path = f"/api/v1/namespaces/{NAMESPACE}/pods"
        if there is None:
            try:
                there = await self._client.create(path, wanted)
            except ConflictError:
                # Still there under a uid that is going: the watch tells when it is gone.
                return
            self._pods[there["metadata"]["uid"]] = there
        metadata = there["metadata"]
        status = mirror_status(there, record, self._address, self._ended.get(name, 0.0), time.time())
        if covers(there.get("status"), status):
            return
        body = {"metadata": {"uid": metadata["uid"]}, "status": status}
        try:
            stored = await self._client.patch(f"{path}/{metadata['name']}/status", body)
        except (NotFoundError, ConflictError):
            self._pods.pop(metadata["uid"], None)
            return
        self._pods[metadata["uid"]] = stored

    def _find(self, name: str) -> Pod | None:
        for pod in self._pods.values():
            if pod["metadata"]["namespace"] == NAMESPACE and pod["metadata"]["name"] == name:
                return pod
        return None

    # -- the kubelet's API ---------------------------------------------------------------------

    def pods(self) -> list[Pod]:
        """All Pods of the node."""
        return list(self._pods.values())

    def log(self, pod: Pod, container: str, previous: bool) -> LogSource:
        """The log of a component, which goes on in the same file when it is started again.

        Raises:
            NotServedError: of a previous run, or of a Pod that does not run.
        """
        if not pod_spec.is_mirror(pod):
            raise NotServedError(400, NO_PODS)
        if previous:
            name = pod["metadata"]["name"]
            raise NotServedError(
                400, f'previous terminated container "{container}" in pod "{name}" not found'
            )
        path = self._folder.log(container)
        return LogSource(path, lambda: bool(self._records[container].pid), cri=False)

    def running(self, pod: Pod, container: str) -> RunningContainer:
        """Refuses: there is no container to join.

        Raises:
            NotServedError: always.
        """
        if not pod_spec.is_mirror(pod):
            raise NotServedError(400, NO_PODS)
        pid = self._records[container].pid
        raise NotServedError(
            400,
            f"{container} is an ordinary process of this host (pid {pid}), not a container: there is nothing "
            f"to run a command in. Its log is `kubectl -n {NAMESPACE} logs {pod['metadata']['name']}`.",
        )

    def has_running(self, pod: Pod) -> bool:
        """Whether the process behind a mirror Pod runs.

        Raises:
            NotServedError: the Pod is no mirror.
        """
        if not pod_spec.is_mirror(pod):
            raise NotServedError(400, NO_PODS)
        return bool(self._records[pod["spec"]["containers"][0]["name"]].pid)

    async def connect(self, pod: Pod, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to a port of the control plane, whose processes all listen on one twin.

        Raises:
            OSError: nobody listens there.
        """
        plan = AddressPlan(self._settings.octet, self._settings.port_offset)
        return await dial_twin(plan, plan.api_server, port)

    def configuration(self) -> Mapping[str, Any]:
        """What this node goes by, as a `KubeletConfiguration`."""
        plan = AddressPlan(self._settings.octet, self._settings.port_offset)
        authority = str(self._folder.certificate("ca"))
        return configuration(clock_named(self._settings.clock), plan.twin(self._address), "", authority)

    async def stats(self) -> NodeUse:
        """What the control plane's processes used, as the Pods that show them."""
        running = [record for record in self._records.values() if record.pid]
        return components_use(self._object.name, self._started, self._pods.values(), running, self._counter)


def command_line(pid: int) -> list[str]:
    """The command line of a process; empty if it is gone."""
    try:
        data = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return []
    return [word.decode(errors="replace") for word in data.split(b"\0") if word]
