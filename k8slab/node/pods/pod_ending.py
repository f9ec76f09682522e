"""The end of a Pod, in the kubelet's order.

SIGTERM to the containers at once (after their preStop hooks), SIGKILL after the grace period, then
a status with terminal phase and exit codes, then the Pod's files and network, and last the API
object itself: DELETE with grace 0 and the uid as precondition. Source: `SyncTerminatingPod` and
`killContainer` in pkg/kubelet, pkg/kubelet/status/status_manager.go of Kubernetes 1.36.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from k8slab.errors import ApiError, ConflictError, NotFoundError
from k8slab.node.containers.container_record import ContainerRecord
from k8slab.node.pods import pod_spec
from k8slab.node.pods.pod_spec import Container
from k8slab.node.runtime.client import RuntimeGoneError, RuntimeRefusedError

if TYPE_CHECKING:
    from k8slab.node.pods.pod_worker import PodWorker

log = logging.getLogger(__name__)

RETRY_SECONDS = 1.0


class PodEnding:
    """Ends one Pod. `proceed` may be called again and again; a shorter grace takes effect.

    Args:
        worker: the Pod's worker.
    """

    def __init__(self, worker: PodWorker) -> None:
        self.begun = False
        self.finished = False
        self._worker = worker
        self._node = worker.node
        self._task: asyncio.Task[None] | None = None
        self._grace: float | None = None
        self._removed = False

    async def proceed(self) -> None:
        """Begin to end the Pod, or take note of what changed since."""
        self.begun = True
        grace = self._wanted_grace()
        if self._task is not None and not self._task.done():
            if self._grace is not None and grace < self._grace:
                self._grace = grace
                await self._shorten(grace)
            return
        if self._task is not None:
            self._task.result()
        if self._removed:
            # Its object may stay for a finalizer's sake; nothing is left to do here but to wait.
            self.finished = self._worker.vanished
            return
        if self._worker.terminal and not self._to_be_removed():
            self._worker.publish()
            return
        self._grace = grace
        self._task = asyncio.create_task(self._end())
        self._task.add_done_callback(lambda task: self._worker.wake())

    def limit_grace(self, seconds: float) -> None:
        """Give the containers no more than so many seconds to end, whatever the Pod asks for."""
        self._grace = seconds if self._grace is None else min(self._grace, seconds)

    def close(self) -> None:
        """Stop ending; the next agent goes on with it."""
        if self._task is not None:
            self._task.cancel()

    def _to_be_removed(self) -> bool:
        return self._worker.vanished or pod_spec.is_deleted(self._worker.pod)

    def _wanted_grace(self) -> float:
        asked = self._worker.pod["metadata"].get("deletionGracePeriodSeconds")
        # A Pod deleted by force is gone before it could say so; it keeps its own grace period.
        grace = float(asked) if asked else (1.0 if asked == 0 else self._worker.runs.grace())
        return grace if self._grace is None else min(grace, self._grace)

    async def _end(self) -> None:
        worker = self._worker
        worker.runs.quiet(only_killing=True)
        if not worker.terminal:
            worker.publish()
        await self._stop_containers()
        worker.runs.quiet(only_killing=False)
        worker.terminal = True
        worker.publish()
        self._node.volumes.release(worker.uid)
        if not self._to_be_removed():
            return
        exists = not worker.vanished and await worker.writer.flushed()
        await self._remove_from_node()
        if exists:
            await self._remove_from_api()

    # -- containers ----------------------------------------------------------------------------

    async def _stop_containers(self) -> None:
        """Stop what runs: regular containers together, then sidecars, the last one first."""
        while running := self._worker.runs.running():
            try:
                await self._stop_all(running)
            except RuntimeGoneError:
                await self._node.runtime.connected.wait()

    async def _stop_all(self, running: list[ContainerRecord]) -> None:
        by_name = {run.name: run for run in running}
        pod = self._worker.pod
        sidecars = [each for each in pod_spec.init_containers(pod) if pod_spec.is_sidecar(each)]
        names = {each["name"] for each in sidecars}
        turn: list[asyncio.Task[None]] = []
        for run in running:
            container = pod_spec.container_named(pod, run.name)
            if container is not None and run.name not in names:
                turn.append(asyncio.create_task(self._stop(container, run, [])))
        stops = list(turn)
        for container in reversed(sidecars):
            sidecar = by_name.get(container["name"])
            if sidecar is not None:
                task = asyncio.create_task(self._stop(container, sidecar, list(turn)))
                turn = [*turn, task]
                stops.append(task)
        await asyncio.gather(*stops)

    async def _stop(
        self, container: Container, run: ContainerRecord, before: list[asyncio.Task[None]]
    ) -> None:
        """Stop one container, once those that have to end before it have ended."""
        grace = self._grace if self._grace is not None else self._worker.runs.grace()
        message = f"Stopping container {run.name}"
        await self._worker.runs.stopping.stop(container, run, message, grace, before)

    async def _shorten(self, grace: float) -> None:
        """Give what still runs less time than it was promised."""
        for run in self._worker.runs.running():
            container = pod_spec.container_named(self._worker.pod, run.name)
            if container is not None:
                message = f"Stopping container {run.name}"
                stop = self._worker.runs.stopping.stop(container, run, message, grace, hook=False)
                self._worker.runs.spawn(stop)

    # -- traces --------------------------------------------------------------------------------

    async def _remove_from_node(self) -> None:
        uid = self._worker.uid
        while True:
            try:
                await self._node.runtime.ask("remove_pod", pod=uid)
                break
            except RuntimeGoneError:
                await self._node.runtime.connected.wait()
            except RuntimeRefusedError as error:
                log.warning("removing the pod %s: %s", uid, error)
                await asyncio.sleep(RETRY_SECONDS)
        self._node.volumes.remove(uid)
        if self._node.addresses is not None:
            self._node.addresses.give_back(uid)
        self._removed = True

    async def _remove_from_api(self) -> None:
        """Delete the API object; the watch then says that it is gone."""
        body = {
            "kind": "DeleteOptions",
            "apiVersion": "v1",
            "gracePeriodSeconds": 0,
            "preconditions": {"uid": self._worker.uid},
        }
        pause = 0.1
        while not self._worker.vanished:
            try:
                await self._node.client.delete(self._worker.writer.path, body)
            except (NotFoundError, ConflictError):
                self._worker.vanished = True
                break
            except ApiError as error:
                log.warning("deleting %s: %s", self._worker.writer.path, error)
                await asyncio.sleep(pause)
                pause = min(5.0, pause * 2)
                continue
            break
