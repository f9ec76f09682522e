"""A worker node's Pods as the kubelet's API shows them."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from k8slab.node.clock import clock_named
from k8slab.node.containers.container_record import ContainerRecord
from k8slab.node.kubelet_api.configuration import configuration, for_pods
from k8slab.node.kubelet_api.logs import LogSource
from k8slab.node.kubelet_api.source import NotServedError, RunningContainer
from k8slab.node.node_context import NodeContext
from k8slab.node.node_use import ContainerUse, NodeUse, PodUse, Use
from k8slab.node.pods.pod_spec import Pod
from k8slab.node.pods.pod_worker import PodWorker
from k8slab.node.runtime.client import RuntimeGoneError, RuntimeRefusedError
from k8slab.node.runtime.processes import proportional


class AgentPods:
    """Looks up Pods, logs and running containers at the workers.

    Args:
        node: the node.
        workers: the workers by uid, as the agent keeps them.
    """

    def __init__(self, node: NodeContext, workers: Mapping[str, PodWorker]) -> None:
        self._node = node
        self._workers = workers
        self._started = time.time()

    def pods(self) -> list[Pod]:
        """All Pods of the node, with the status that the node knows."""
        return [
            {**worker.pod, "status": {**(worker.pod.get("status") or {}), **(worker.writer.wanted or {})}}
            for worker in self._workers.values()
        ]

    def log(self, pod: Pod, container: str, previous: bool) -> LogSource:
        """The log of a container's present or previous run.

        Raises:
            NotServedError: there is none; the words are the kubelet's.
        """
        wanted = logged_run(pod, container, previous)
        worker = self._workers[pod["metadata"]["uid"]]
        for run in worker.runs.by_name.get(container, []):
            if run.api_id == wanted:
                return LogSource(Path(run.log), partial(_still_runs, worker, run))
        text = f"unable to retrieve container logs for {wanted}: the runtime no longer has them"
        raise NotServedError(400, text)

    def running(self, pod: Pod, container: str) -> RunningContainer | None:
        """A running container, to be joined; None if it does not run."""
        uid = pod["metadata"]["uid"]
        run = self._workers[uid].runs.latest(container)
        if run is None or not run.running:
            return None
        return RunningContainer(self._node.runtime, uid, run.container)

    def has_running(self, pod: Pod) -> bool:
        """Whether a container of the Pod runs."""
        return bool(self._workers[pod["metadata"]["uid"]].runs.running())

    async def connect(self, pod: Pod, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to a port of the Pod, as from its own localhost.

        Raises:
            OSError: it was refused, or the Pod is gone; with a sentence.
        """
        uid = pod["metadata"]["uid"]
        worker = self._workers.get(uid)
        if worker is None:
            raise ConnectionRefusedError(f'failed to find sandbox "{uid}" in store: not found')
        return await self._node.connections.dial_localhost(
            self._node.runtime, uid, worker.setup.address, port
        )

    def configuration(self) -> Mapping[str, Any]:
        """What this node goes by, as a `KubeletConfiguration`."""
        node = self._node
        twin, authority = node.plan.twin(node.address), str(node.folder.certificate("ca"))
        told = configuration(clock_named(node.settings.clock), twin, node.plan.dns_service, authority)
        podcidr = {"podCIDR": node.addresses.podcidr} if node.addresses is not None else {}
        return {**told, **for_pods(node.clock.longest), **podcidr}

    async def stats(self) -> NodeUse:
        """What the node, its Pods and their containers used.

        Raises:
            NotServedError: the runtime does not answer.
        """
        try:
            answer = await self._node.runtime.ask("stats")
        except (RuntimeGoneError, RuntimeRefusedError) as error:
            raise NotServedError(500, str(error)) from error
        moment = time.time()
        used = {each["container"]: Use(moment, each["cpu"], each["memory"]) for each in answer["containers"]}
        pods = [_pod_use(worker, used) for worker in self._workers.values()]
        whole = answer["node"]
        node = Use(moment, whole["cpu"] + time.process_time(), whole["memory"] + proportional([os.getpid()]))
        return NodeUse(self._node.name, self._started, node, [pod for pod in pods if pod.containers])


def _still_runs(worker: PodWorker, run: ContainerRecord) -> bool:
    latest = worker.runs.latest(run.name)
    return latest is not None and latest.container == run.container and latest.running


def _pod_use(worker: PodWorker, used: Mapping[str, Use]) -> PodUse:
    metadata = worker.pod["metadata"]
    containers = [
        ContainerUse(run.name, run.started or run.created, used[run.container])
        for run in worker.runs.running()
        if run.container in used
    ]
    return PodUse(metadata["name"], metadata["namespace"], metadata["uid"], containers)


def logged_run(pod: Pod, container: str, previous: bool) -> str:
    """The id of the run whose log is meant, as the API writes it. Pure.

    The cases and words are those of `validateContainerLogStatus` in pkg/kubelet/kubelet_pods.go of
    Kubernetes 1.36.

    Args:
        pod: the Pod with its status.
        container: name of the container.
        previous: whether the run before the present one is meant.

    Raises:
        NotServedError: there is no such log.
    """
    name, status = pod["metadata"]["name"], pod.get("status") or {}
    kinds = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")
    found = [each for kind in kinds for each in status.get(kind) or [] if each["name"] == container]
    about = f'container "{container}" in pod "{name}"'
    if not found:
        raise NotServedError(400, f"{about} is not available")
    state, last = found[0].get("state") or {}, (found[0].get("lastState") or {}).get("terminated") or {}
    if previous:
        if not last.get("containerID"):
            raise NotServedError(400, f"previous terminated {about} not found")
        return str(last["containerID"])
    if "running" in state:
        return str(found[0]["containerID"])
    ended = (state.get("terminated") or {}).get("containerID") or last.get("containerID")
    if ended:
        return str(ended)
    if "terminated" in state or last:
        raise NotServedError(400, f"{about} is terminated")
    reason = (state.get("waiting") or {}).get("reason", "")
    told = {"ErrImagePull": "image can't be pulled", "ImagePullBackOff": "trying and failing to pull image"}
    raise NotServedError(400, f"{about} is waiting to start: {told.get(reason, reason)}")
