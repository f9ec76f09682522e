"""A worker node's Pods as the kubelet's API shows them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from k8slab.node.container_record import ContainerRecord
from k8slab.node.container_status import timestamp
from k8slab.node.kubelet_api import NotServedError, RunningContainer
from k8slab.node.kubelet_logs import LogSource
from k8slab.node.node_context import NodeContext
from k8slab.node.pod_spec import Pod
from k8slab.node.pod_worker import PodWorker
from k8slab.node.runtime_client import RuntimeGoneError, RuntimeRefusedError


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

    def running(self, pod: Pod, container: str) -> RunningContainer:
        """A running container, to be joined.

        Raises:
            NotServedError: it does not run.
        """
        uid = pod["metadata"]["uid"]
        run = self._workers[uid].runs.latest(container)
        if run is None or not run.running:
            raise NotServedError(500, f'container not found ("{container}")')
        return RunningContainer(self._node.runtime, uid, run.container)

    async def stats(self) -> dict[str, Any]:
        """Processor time and memory of the node's containers.

        Raises:
            NotServedError: the runtime does not answer.
        """
        try:
            answer = await self._node.runtime.ask("stats")
        except (RuntimeGoneError, RuntimeRefusedError) as error:
            raise NotServedError(500, str(error)) from error
        used = {each["container"]: each for each in answer["containers"]}
        moment = timestamp(time.time())
        pods = []
        for worker in self._workers.values():
            metadata = worker.pod["metadata"]
            containers = [
                _container_stats(run, used[run.container], moment)
                for run in worker.runs.running()
                if run.container in used
            ]
            reference = {key: metadata[key] for key in ("name", "namespace", "uid")}
            pods.append({"podRef": reference, "containers": containers})
        node = {"nodeName": self._node.name, "startTime": timestamp(self._started)}
        return {"node": node, "pods": pods}


def _still_runs(worker: PodWorker, run: ContainerRecord) -> bool:
    latest = worker.runs.latest(run.name)
    return latest is not None and latest.container == run.container and latest.running


def _container_stats(run: ContainerRecord, used: Mapping[str, Any], moment: str) -> dict[str, Any]:
    return {
        "name": run.name,
        "startTime": timestamp(run.started or run.created),
        "cpu": {"time": moment, "usageCoreNanoSeconds": int(float(used["cpu"]) * 1e9)},
        "memory": {"time": moment, "usageBytes": used["memory"], "workingSetBytes": used["memory"]},
    }


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
