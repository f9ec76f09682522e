"""Stopping one run of a container: Event, preStop hook, SIGTERM, SIGKILL.

Source of the order: `killContainer` in pkg/kubelet/kuberuntime/kuberuntime_container.go of Kubernetes 1.36.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from k8slab.node.containers.container_record import ContainerRecord
from k8slab.node.containers.lifecycle_hooks import HookError, run_hook
from k8slab.node.pods.pod_spec import Container
from k8slab.node.runtime.client import RuntimeGoneError, RuntimeRefusedError

if TYPE_CHECKING:
    from k8slab.node.pods.pod_worker import PodWorker

log = logging.getLogger(__name__)

LEAST_GRACE = 2.0
"""Seconds that every container gets, as `minimumGracePeriodInSeconds`."""


class ContainerStop:
    """Stops runs of one Pod.

    Args:
        worker: the Pod's worker.
    """

    def __init__(self, worker: PodWorker) -> None:
        self._worker = worker
        self._node = worker.node
        self._running: dict[str, int] = {}

    def is_stopping(self, run: ContainerRecord) -> bool:
        """Whether a run is being stopped already."""
        return run.container in self._running

    async def stop(
        self,
        container: Container,
        run: ContainerRecord,
        message: str,
        grace: float,
        before: Iterable[asyncio.Task[None]] = (),
        hook: bool = True,
    ) -> None:
        """Stop one run, and wait for its end.

        Args:
            container: its container.
            run: the run.
            message: text of the Event.
            grace: seconds for the preStop hook, for those that end before it, and from SIGTERM to SIGKILL.
            before: stops that have to come to their end first, while the grace lasts.
            hook: whether the preStop hook runs.
        """
        self._worker.runs.event(container, "Normal", "Killing", message)
        end = time.monotonic() + grace
        self._running[run.container] = self._running.get(run.container, 0) + 1
        try:
            handler = (container.get("lifecycle") or {}).get("preStop")
            if hook and handler and grace > 0:
                await self._pre_stop(container, run, handler, grace)
            waiting = [task for task in before if not task.done()]
            if waiting and grace > 0:
                await asyncio.wait(waiting, timeout=max(0.0, end - time.monotonic()))
            rest = max(LEAST_GRACE, end - time.monotonic())
            answer = await self._node.runtime.ask(
                "stop_container", pod=run.pod, container=run.container, grace=rest
            )
            self._worker.runs.exited(ContainerRecord.of(answer))
        except RuntimeRefusedError as error:
            log.warning("stopping %s: %s", run.name, error)
        except RuntimeGoneError:
            await self._node.runtime.connected.wait()
        finally:
            self._running[run.container] -= 1
            if not self._running[run.container]:
                del self._running[run.container]

    async def _pre_stop(
        self, container: Container, run: ContainerRecord, handler: dict[str, Any], grace: float
    ) -> None:
        """Run the hook until it ends, its time is over, or the container ended by itself."""
        target = self._worker.runs.target(container, run)
        hook = asyncio.create_task(run_hook(handler, target, self._node.connections, self._node.runtime))
        ended = asyncio.create_task(self._worker.runs.ended(run))
        try:
            await asyncio.wait({hook, ended}, timeout=grace, return_when=asyncio.FIRST_COMPLETED)
            if hook.done():
                hook.result()
        except HookError as error:
            log.info("preStop hook of %s: %s", run.name, error)
            self._worker.runs.event(container, "Warning", "FailedPreStopHook", "PreStopHook failed")
        finally:
            for task in (hook, ended):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, HookError):
                    await task
