"""The runs of one Pod's containers while they last: settling, probes, exits, last words."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from k8slab.api_events import EventType
from k8slab.node.containers.container_record import ContainerRecord, newest_first
from k8slab.node.containers.container_starter import field_path
from k8slab.node.containers.container_status import Waiting
from k8slab.node.containers.container_stop import ContainerStop
from k8slab.node.containers.lifecycle_hooks import HookError, run_hook
from k8slab.node.containers.probe_actions import ProbeOutcome, ProbeTarget, attempt
from k8slab.node.containers.probes import ContainerProbes, Kind
from k8slab.node.containers.settling import until_settled
from k8slab.node.containers.termination_message import termination_message
from k8slab.node.pods import pod_spec
from k8slab.node.pods.pod_spec import Container
from k8slab.node.runtime.client import RuntimeGoneError, RuntimeRefusedError

if TYPE_CHECKING:
    from k8slab.node.pods.pod_worker import PodWorker

log = logging.getLogger(__name__)

KEPT_RUNS = 2
"""Runs of a container that are kept: the present one and the one whose log `--previous` shows."""


class ContainerRuns:
    """What runs in one Pod, and what ran.

    Args:
        worker: the Pod's worker.
        records: runs that an earlier agent left.
    """

    def __init__(self, worker: PodWorker, records: Sequence[ContainerRecord]) -> None:
        self.by_name = newest_first(records)
        self.messages: dict[str, str] = {}
        self._worker = worker
        self._node = worker.node
        self._unsettled: set[str] = set()
        self._probes: dict[str, ContainerProbes] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.stopping = ContainerStop(worker)
        self._ends: dict[str, asyncio.Event] = {}
        self._hooking: set[str] = set()
        self._early: dict[str, ContainerRecord] = {}

    # -- questions -----------------------------------------------------------------------------

    def latest(self, name: str) -> ContainerRecord | None:
        """The latest run of a container, or None if it never ran."""
        runs = self.by_name.get(name)
        return runs[0] if runs else None

    def running(self) -> list[ContainerRecord]:
        """The runs whose program runs."""
        return [runs[0] for runs in self.by_name.values() if runs and runs[0].running]

    def settled(self) -> Mapping[str, list[ContainerRecord]]:
        """The runs that the API may show, by container name, latest first."""
        return {
            name: [run for run in runs if run.container not in self._unsettled]
            for name, runs in self.by_name.items()
        }

    def is_started(self, run: ContainerRecord) -> bool:
        """Whether a run counts as started: settled, and its startup probe succeeded."""
        probes = self._probes.get(run.container)
        return run.running and run.container not in self._unsettled and probes is not None and probes.started

    def is_hooking(self) -> bool:
        """Whether a postStart hook runs; containers after it wait, as on a kubelet."""
        return bool(self._hooking)

    async def ended(self, run: ContainerRecord) -> None:
        """Wait until a run has ended."""
        latest = next(
            (each for each in self.by_name.get(run.name, []) if each.container == run.container), run
        )
        if latest.running:
            await self._ends.setdefault(run.container, asyncio.Event()).wait()

    def is_ready(self, run: ContainerRecord) -> bool:
        """Whether a run's readiness probe says yes, or it has none."""
        probes = self._probes.get(run.container)
        return probes is not None and probes.ready

    # -- beginning -----------------------------------------------------------------------------

    def adopt(self) -> None:
        """Take up the runs that an earlier agent started, without touching them."""
        for name, runs in self.by_name.items():
            container = pod_spec.container_named(self._worker.pod, name)
            if container is None:
                continue
            self._worker.starter.recall_image(container)
            for run in runs:
                if not run.running:
                    self._read_last_words(container, run)
            if runs[0].running:
                started, ready = self._as_the_api_says(runs[0])
                self._probe(container, runs[0], started, ready)

    def _as_the_api_says(self, run: ContainerRecord) -> tuple[bool, bool]:
        status: dict[str, Any] = self._worker.pod.get("status") or {}
        kinds = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")
        for each in (each for kind in kinds for each in status.get(kind) or []):
            if each.get("containerID") == run.api_id:
                self._worker.renewal.note_image(run, each["image"])
                return bool(each.get("started")), bool(each.get("ready"))
        return False, False

    async def began(self, container: Container, run: ContainerRecord) -> None:
        """Take note of a run that has just been started."""
        runs = self.by_name.setdefault(run.name, [])
        # A program that ended at once may be told as ended before it was told as started.
        run = self._early.pop(run.container, run)
        runs.insert(0, run)
        self._worker.renewal.note_image(run, container["image"])
        if run.running:
            self._unsettled.add(run.container)
            if (container.get("lifecycle") or {}).get("postStart"):
                self._hooking.add(run.container)
            self.spawn(self._settle(container, run))
        else:
            self._read_last_words(container, run)
            self._worker.wake()
        while len(runs) > KEPT_RUNS:
            old = runs.pop()
            self.messages.pop(old.container, None)
            with contextlib.suppress(RuntimeRefusedError):
                await self._node.runtime.ask("remove_container", pod=old.pod, container=old.container)

    async def _settle(self, container: Container, run: ContainerRecord) -> None:
        """Wait until the container's ports listen, then show it as running and probe it."""
        try:
            await until_settled(self._node.runtime, run, pod_spec.tcp_ports(container))
        except (RuntimeGoneError, RuntimeRefusedError) as error:
            log.info("waiting for ports of %s: %s", run.name, error)
        hook = (container.get("lifecycle") or {}).get("postStart")
        if hook:
            succeeded = await self._post_start(container, run, hook)
            self._hooking.discard(run.container)
            if not succeeded:
                self._worker.wake()
                return
        self._unsettled.discard(run.container)
        latest = self.latest(run.name)
        if latest is not None and latest.container == run.container and latest.running:
            self._probe(container, run)
        self._worker.wake()

    async def _post_start(self, container: Container, run: ContainerRecord, hook: dict[str, Any]) -> bool:
        try:
            await run_hook(hook, self.target(container, run), self._node.connections, self._node.runtime)
        except HookError as error:
            log.info("postStart hook of %s: %s", run.name, error)
            self.event(container, "Warning", "FailedPostStartHook", "PostStartHook failed")
            self._worker.starter.waiting[run.name] = Waiting("PostStartHookError", str(error))
            self._unsettled.discard(run.container)
            await self.stop(container, run, "FailedPostStartHook", self.grace())
            return False
        return True

    def target(self, container: Container, run: ContainerRecord) -> ProbeTarget:
        """The run as probes and hooks address it."""
        return ProbeTarget(run.pod, run.container, self._worker.setup.address, container)

    # -- probes --------------------------------------------------------------------------------

    def _probe(
        self, container: Container, run: ContainerRecord, was_started: bool = False, was_ready: bool = False
    ) -> None:
        target = self.target(container, run)

        async def once(probe: dict[str, Any]) -> ProbeOutcome:
            return await attempt(probe, target, self._node.connections, self._node.runtime)

        def failed(kind: Kind) -> None:
            self.spawn(self._kill_unhealthy(container, run, kind))

        def unhealthy(message: str) -> None:
            self.event(container, "Warning", "Unhealthy", message)

        def warned(message: str) -> None:
            self.event(container, "Warning", "ProbeWarning", message)

        began = run.started or time.time()
        probes = ContainerProbes(container, began, once, self._worker.wake, failed, unhealthy, warned)
        self._probes[run.container] = probes
        probes.start(was_started, was_ready)

    async def _kill_unhealthy(self, container: Container, run: ContainerRecord, kind: Kind) -> None:
        if pod_spec.is_init(self._worker.pod, run.name):
            message = f"Init container {run.name} failed {kind} probe"
        else:
            message = f"Container {run.name} failed {kind} probe"
            if pod_spec.restarts_on_probe_failure(self._worker.pod, container):
                message += ", will be restarted"
        own = (container.get(f"{kind}Probe") or {}).get("terminationGracePeriodSeconds")
        await self.stop(container, run, message, self.grace() if own is None else float(own))

    def quiet(self, only_killing: bool) -> None:
        """Stop probing; with `only_killing` the readiness probes go on."""
        for probes in self._probes.values():
            probes.stop(only_killing)

    # -- ending --------------------------------------------------------------------------------

    def grace(self) -> float:
        """The Pod's grace period in seconds: the one it was deleted with, or its own."""
        asked = self._worker.pod["metadata"].get("deletionGracePeriodSeconds")
        value = self._worker.pod["spec"].get("terminationGracePeriodSeconds") if asked is None else asked
        return 30.0 if value is None else float(value)

    async def stop(self, container: Container, run: ContainerRecord, message: str, grace: float) -> None:
        """Stop one run: Event, preStop hook, SIGTERM, and SIGKILL after the grace."""
        await self.stopping.stop(container, run, message, grace)

    def forget(self, name: str) -> list[ContainerRecord]:
        """Let go of the runs of a container; what they were."""
        forgotten = self.by_name.pop(name, [])
        for run in forgotten:
            self.messages.pop(run.container, None)
        return forgotten

    def exited(self, record: ContainerRecord) -> None:
        """Take note that a run has ended."""
        runs = self.by_name.get(record.name, [])
        known = {run.container: index for index, run in enumerate(runs)}
        if record.container not in known:
            self._early[record.container] = record
            return
        if not runs[known[record.container]].running:
            return
        runs[known[record.container]] = record
        self._hooking.discard(record.container)
        ended = self._ends.pop(record.container, None)
        if ended is not None:
            ended.set()
        probes = self._probes.pop(record.container, None)
        if probes is not None:
            probes.stop()
        self._unsettled.discard(record.container)
        container = pod_spec.container_named(self._worker.pod, record.name)
        if container is not None:
            self._read_last_words(container, record)
        self._worker.wake()

    def missed(self, record: ContainerRecord) -> None:
        """Take note of a run that began and ended while the runtime's answer was lost."""
        latest = self.latest(record.name)
        if record.running or (latest is not None and record.attempt <= latest.attempt):
            return
        self._early.pop(record.container, None)
        self.by_name.setdefault(record.name, []).insert(0, record)

    def listened_wrongly(self, container: str, address: str) -> None:
        """Say why the runtime ended a program: it listened where it would answer for other Pods."""
        for run in self.running():
            found = pod_spec.container_named(self._worker.pod, run.name)
            if run.container == container and found is not None:
                message = (
                    f"Container {run.name} listened on {address} and was ended: at the plain level "
                    "Pods share this host's network, so a program listens on $K8SLAB_ADDRESS alone."
                )
                self.event(found, "Warning", "WrongListener", message)

    def _read_last_words(self, container: Container, run: ContainerRecord) -> None:
        file = self._worker.starter.termination_file(self._worker.pod, run)
        text = termination_message(container, run, file)
        if text:
            self.messages[run.container] = text

    def close(self) -> None:
        """Stop probing and waiting; the programs go on."""
        self.quiet(only_killing=False)
        for task in self._tasks:
            task.cancel()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something beside the Pod's loop; it ends with the Pod's worker."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def event(self, container: Container, kind: EventType, reason: str, message: str) -> None:
        """Record an Event about one of the Pod's containers."""
        path = field_path(self._worker.pod, container["name"])
        self._node.events.pod(self._worker.pod, kind, reason, message, path)
