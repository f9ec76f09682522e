"""New runs that no restart policy asked for: after a change of the container, or of the whole Pod in place.

Source of the rules: `computePodActions` and `getContainersToReset` in
pkg/kubelet/kuberuntime/kuberuntime_manager.go of Kubernetes 1.36.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from k8slab.node.containers.container_record import ContainerRecord
from k8slab.node.pods import pod_spec
from k8slab.node.pods.pod_spec import Container
from k8slab.node.runtime.client import RuntimeRefusedError

if TYPE_CHECKING:
    from k8slab.node.pods.pod_worker import PodWorker


class ContainerRenewal:
    """Stops runs of one Pod so that their containers start anew.

    Args:
        worker: the Pod's worker.
    """

    def __init__(self, worker: PodWorker) -> None:
        self.attempts: dict[str, int] = {}
        self._worker = worker
        self._to_restart: set[str] = set()
        self._images: dict[str, str] = {}

    def note_image(self, run: ContainerRecord, image: str) -> None:
        """Take note of the image that a run was started with."""
        self._images[run.container] = image

    def restart(self, container: Container, run: ContainerRecord, message: str) -> None:
        """Stop one run so that the container starts anew, whatever its restart policy says."""
        if self._worker.runs.stopping.is_stopping(run):
            return
        self._to_restart.add(run.container)
        runs = self._worker.runs
        runs.spawn(runs.stop(container, run, message, runs.grace()))

    def restarting(self) -> bool:
        """Whether a run is being stopped so that its container starts anew."""
        return any(run.container in self._to_restart for run in self._worker.runs.running())

    def starts_anew(self, run: ContainerRecord) -> bool:
        """Whether a run was stopped so that its container starts anew."""
        return run.container in self._to_restart

    def awaits_new_run(self) -> bool:
        """Whether a container was stopped to start anew and has not yet; its end is no news."""
        waiting = self._worker.starter.waiting
        for name, runs in self._worker.runs.settled().items():
            if runs and not runs[0].running and runs[0].container in self._to_restart and name not in waiting:
                return True
        return False

    def stop_changed(self) -> None:
        """Stop the containers whose image was changed in the Pod; they start again with the new one."""
        for run in self._worker.runs.running():
            container = pod_spec.container_named(self._worker.pod, run.name)
            if container is None:
                continue
            if self._images.setdefault(run.container, container["image"]) != container["image"]:
                kind = "Init container" if pod_spec.is_init(self._worker.pod, run.name) else "Container"
                text = f"{kind} {run.name} definition changed"
                self.restart(container, run, text if kind != "Container" else f"{text}, will be restarted")

    async def reset(self) -> None:
        """Kill and remove every run but ephemeral ones, so that all containers start anew.

        Those whose end asked for it go last.

        Raises:
            RuntimeGoneError: the runtime does not answer.
        """
        pod = self._worker.pod
        names = [each["name"] for each in (*pod_spec.containers(pod), *pod_spec.init_containers(pod))]
        for name in sorted(names, key=self._asked_for_reset):
            container, latest = pod_spec.container_named(pod, name), self._worker.runs.latest(name)
            if container is None or latest is None:
                continue
            if latest.running:
                await self._worker.runs.stop(container, latest, "killing", 0.0)
            self.attempts[name] = latest.attempt + 1
            for run in self._worker.runs.forget(name):
                with contextlib.suppress(RuntimeRefusedError):
                    await self._worker.node.runtime.ask(
                        "remove_container", pod=run.pod, container=run.container
                    )

    def wants_reset(self) -> bool:
        """Whether a container ended in a way that asks for all containers to start anew."""
        pod = self._worker.pod
        names = [each["name"] for each in (*pod_spec.init_containers(pod), *pod_spec.containers(pod))]
        return any(map(self._asked_for_reset, names))

    def _asked_for_reset(self, name: str) -> bool:
        container, run = pod_spec.container_named(self._worker.pod, name), self._worker.runs.latest(name)
        if container is None or run is None or run.running:
            return False
        return pod_spec.matching_rule(container, run.exit_code) == pod_spec.RESTART_ALL
