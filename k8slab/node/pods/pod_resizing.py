"""The resizes of one Pod: granting them, bringing them to what runs, and saying how far they are.

Source of the rules: `handlePodResourcesResize` in pkg/kubelet/allocation/allocation_manager.go and
`computePodResizeAction` in pkg/kubelet/kuberuntime/kuberuntime_manager.go of Kubernetes 1.36.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from k8slab.node.containers.container_record import ContainerRecord
from k8slab.node.pods import pod_spec, resizing
from k8slab.node.pods.admission import refusal
from k8slab.node.pods.pod_spec import Container, Pod
from k8slab.node.pods.resizing import DEFERRED, ERROR, IN_PROGRESS, PENDING, ResizeState, Resources
from k8slab.node.runtime.client import RuntimeRefusedError

if TYPE_CHECKING:
    from k8slab.node.pods.pod_worker import PodWorker

RETRY_SECONDS = 3.0
"""How soon a resize is tried again; a kubelet does so when another Pod goes, or after three minutes."""


class PodResizing:
    """Keeps what a Pod's containers were granted.

    Args:
        worker: the Pod's worker.
    """

    def __init__(self, worker: PodWorker) -> None:
        self._worker = worker
        self.granted: dict[str, Resources] = resizing.recorded(worker.pod)
        self._actual: dict[str, tuple[str, Resources]] = {}
        self._states: dict[str, ResizeState] = {}
        for each in (worker.pod.get("status") or {}).get("conditions") or []:
            if each["type"] in (PENDING, IN_PROGRESS):
                generation = int(each.get("observedGeneration") or 0)
                reason, message = str(each.get("reason") or ""), str(each.get("message") or "")
                self._states[each["type"]] = ResizeState(reason, message, generation, time.time())

    # -- answers -------------------------------------------------------------------------------

    def pod(self) -> Pod:
        """The Pod with the resources it was granted."""
        return resizing.with_resources(self._worker.pod, self.granted)

    def container(self, container: Container) -> Container:
        """A container with the resources it was granted."""
        granted = self.granted.get(container["name"])
        return container if granted is None else {**container, "resources": granted}

    def actual(self) -> dict[str, Resources]:
        """The resources in force, by container, where they are not the granted ones."""
        return {
            name: resources
            for name, (run, resources) in self._actual.items()
            if (latest := self._worker.runs.latest(name)) is not None
            and latest.running
            and latest.container == run
        }

    def conditions(self) -> list[dict[str, Any]]:
        """The conditions about resizes that hold now."""
        return [state.condition(kind) for kind, state in self._states.items()]

    def due(self) -> list[float]:
        """When a resize is to be tried again (epoch s)."""
        return [time.time() + RETRY_SECONDS] if self._unfinished() else []

    def _unfinished(self) -> bool:
        return PENDING in self._states or self._states.get(IN_PROGRESS, _NONE).reason == ERROR

    # -- granting ------------------------------------------------------------------------------

    def decide(self) -> None:
        """Grant what the Pod asks for now, if there is room for it."""
        pod = self._worker.pod
        wanted = resizing.wanted(pod)
        if all(resizing.same(wanted[name], self.granted.get(name, {})) for name in wanted):
            self._states.pop(PENDING, None)
            return
        node = self._worker.node
        refused = refusal(pod, node.others(self._worker.uid), node.allocatable, node.object())
        generation = int(pod["metadata"].get("generation", 0))
        if refused is not None:
            self._set(PENDING, DEFERRED, refused[1], generation, "Warning", "ResizeDeferred")
            return
        self.granted = wanted
        self._states.pop(PENDING, None)
        self._states[IN_PROGRESS] = ResizeState("", "", generation, time.time())
        text = resizing.resize_message("Pod resize started", pod, generation)
        node.events.pod(pod, "Normal", "ResizeStarted", text)

    def _set(self, kind: str, reason: str, message: str, generation: int, event: Any, word: str) -> None:
        """Note a state; say so by an Event if it is new."""
        old = self._states.get(kind)
        since = old.since if old is not None and old.reason == reason else time.time()
        self._states[kind] = ResizeState(reason, message, generation, since)
        if old is None or (old.reason, old.generation) != (reason, generation):
            begin = f"Pod resize {reason}" if kind == PENDING else "Pod resize error"
            text = resizing.resize_message(begin, self._worker.pod, generation, message)
            self._worker.node.events.pod(self._worker.pod, event, word, text)

    # -- bringing it to what runs --------------------------------------------------------------

    def started(self, run: ContainerRecord) -> None:
        """Take note that a run was started with the granted resources."""
        self._actual[run.name] = (run.container, self.granted.get(run.name, {}))

    def adopt(self) -> None:
        """Take the runs that an earlier agent started to have what was granted."""
        for run in self._worker.runs.running():
            self.started(run)

    async def act(self) -> None:
        """Bring what was granted to the containers that run.

        Raises:
            RuntimeGoneError: the runtime does not answer.
        """
        for run in self._worker.runs.running():
            container = pod_spec.container_named(self._worker.pod, run.name)
            identity, actual = self._actual.get(run.name, ("", {}))
            granted = self.granted.get(run.name)
            if container is None or granted is None or identity != run.container:
                continue
            names = resizing.changed(actual, granted)
            if not names:
                continue
            if resizing.needs_restart(container, names):
                self._worker.renewal.restart(container, run, f"Container {run.name} resize requires restart")
            else:
                await self._update(run, actual, granted)
        self._conclude()

    async def _update(self, run: ContainerRecord, actual: Resources, granted: Resources) -> None:
        runtime, limit = self._worker.node.runtime, resizing.memory_limit(granted)
        try:
            problem = ""
            if limit != resizing.memory_limit(actual):
                answer = await runtime.ask("stats", pod=run.pod)
                used = {each["container"]: int(each["memory"]) for each in answer["containers"]}
                problem = resizing.refused_decrease(run.name, actual, granted, used.get(run.container, 0))
            if not problem:
                await runtime.ask(
                    "update_container", pod=run.pod, container=run.container, memory_limit=limit
                )
                self._actual[run.name] = (run.container, granted)
        except RuntimeRefusedError as error:
            problem = str(error)
        if problem:
            generation = self._states.get(IN_PROGRESS, _NONE).generation
            self._set(IN_PROGRESS, ERROR, problem, generation, "Warning", "ResizeError")

    def _conclude(self) -> None:
        """Say that a resize is over, once everything that runs has what was granted."""
        state = self._states.get(IN_PROGRESS)
        if state is None:
            return
        for run in self._worker.runs.running():
            identity, actual = self._actual.get(run.name, ("", {}))
            if identity == run.container and not resizing.same(actual, self.granted.get(run.name, actual)):
                return
        if self._worker.renewal.restarting():
            return
        del self._states[IN_PROGRESS]
        text = resizing.resize_message("Pod resize completed", self.pod(), state.generation)
        self._worker.node.events.pod(self._worker.pod, "Normal", "ResizeCompleted", text)

    def clear(self) -> None:
        """Forget about resizes: the Pod is over."""
        self._states.clear()


_NONE = ResizeState("", "", 0, 0.0)
