"""The life of one Pod on this node: one task that looks at what is and does what is missing.

It is woken by the API (the Pod changed), by the runtime (a container exited), by probes and by
its own timers; each time it compares and acts, as the kubelet's pod workers do
(pkg/kubelet/pod_workers.go, pkg/kubelet/kuberuntime/kuberuntime_manager.go of Kubernetes 1.36).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from k8slab.node.containers.container_record import ContainerRecord
from k8slab.node.containers.container_renewal import ContainerRenewal
from k8slab.node.containers.container_runs import ContainerRuns
from k8slab.node.containers.container_starter import RELIST_SECONDS, ContainerStarter
from k8slab.node.containers.container_status import ContainerFacts
from k8slab.node.containers.field_values import Surroundings
from k8slab.node.containers.security_context import RootRefusedError, security, status_user
from k8slab.node.fields.unsupported import unsupported_fields
from k8slab.node.node_context import NodeContext
from k8slab.node.object_cache import ReleasedError
from k8slab.node.pods import pod_spec
from k8slab.node.pods.pod_ending import PodEnding
from k8slab.node.pods.pod_resizing import PodResizing
from k8slab.node.pods.pod_setup import PodSetup
from k8slab.node.pods.pod_spec import Container, Pod
from k8slab.node.pods.pod_status import PodFacts, pod_status
from k8slab.node.pods.status_writer import StatusWriter, covers
from k8slab.node.runtime.client import RuntimeGoneError, RuntimeRefusedError

log = logging.getLogger(__name__)

DEADLINE_REASON = "DeadlineExceeded"
DEADLINE_MESSAGE = "Pod was active on the node longer than the specified deadline"


class PodWorker:
    """Runs one Pod, from the moment it is bound to this node until it is gone.

    Args:
        node: the node.
        pod: the Pod as the API shows it.
        address: its address, if it runs already (the agent was restarted).
        records: its runs, likewise.
    """

    def __init__(
        self, node: NodeContext, pod: Pod, address: str = "", records: Sequence[ContainerRecord] = ()
    ) -> None:
        self.node = node
        self.pod = pod
        self.uid: str = pod["metadata"]["uid"]
        self.vanished = False
        self.terminal = False
        self.rejected = False
        self.failure: tuple[str, str] | None = None
        self.writer = StatusWriter(node.client, pod)
        self.runs = ContainerRuns(self, records)
        self.renewal = ContainerRenewal(self)
        self.starter = ContainerStarter(node, self.runs.by_name)
        self.setup = PodSetup(self, address)
        self.ending = PodEnding(self)
        self.resizing = PodResizing(self)
        self._restarting_all = False
        self._told: set[tuple[str, str]] = set()
        self._wake = asyncio.Event()

    # -- what happens outside ------------------------------------------------------------------

    def update(self, pod: Pod) -> None:
        """Take note of a change of the Pod in the API."""
        changed = pod["metadata"].get("generation") != self.pod["metadata"].get("generation")
        self.pod = pod
        if changed:
            self._tell_unsupported()
        wanted = self.writer.wanted
        current = int(pod["metadata"]["resourceVersion"]) >= self.writer.version
        if current and not self.writer.pending and wanted and not covers(pod.get("status"), wanted):
            # Somebody else changed what is the node's to say, as the node controller does.
            self.writer.write(wanted, again=True)
        self.wake()

    def vanish(self) -> None:
        """Take note that the Pod is no longer in the API."""
        self.vanished = True
        self.writer.gone = True
        # The node may no longer read what the Pod named, so an answer might never come.
        self.node.objects.release(self.uid)
        self.wake()

    def wake(self) -> None:
        """Have the Pod looked at, now."""
        self._wake.set()

    # -- the loop ------------------------------------------------------------------------------

    async def run(self) -> None:
        """Look after the Pod until it is gone from API and node."""
        writing = asyncio.create_task(self.writer.run())
        try:
            self._tell_unsupported()
            self.runs.adopt()
            self.resizing.adopt()
            while not self.ending.finished:
                self._wake.clear()
                try:
                    await self._sync()
                except RuntimeGoneError:
                    await self.node.runtime.connected.wait()
                    continue
                except ReleasedError:
                    continue
                if self.ending.finished:
                    break
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._pause()):
                        await self._wake.wait()
        finally:
            writing.cancel()
            self.runs.close()
            self.ending.close()
            self.node.objects.release(self.uid)

    def _tell_unsupported(self) -> None:
        """Say once of each field without effect that it has none; ephemeral containers come later."""
        for field, text in unsupported_fields(self.pod, self.node.settings.isolation):
            if (field, text) not in self._told:
                self._told.add((field, text))
                self.node.events.pod(self.pod, "Warning", "Unsupported", text, field)

    async def _sync(self) -> None:
        self._check_deadline()
        if self.vanished or pod_spec.is_deleted(self.pod) or self.failure or self.is_over():
            await self.ending.proceed()
            return
        if self.renewal.wants_reset():
            await self._restart_all()
        self.resizing.decide()
        self.publish()
        self.starter.forget_due()
        if not await self.setup.ready():
            self.publish()
            return
        self.renewal.stop_changed()
        await self.resizing.act()
        for container in self._to_start():
            if self.runs.is_hooking():
                break
            if not self.starter.held_back(self.pod, self.resizing.container(container)):
                await self._start(container)
        self.publish()

    async def _restart_all(self) -> None:
        """Start the Pod's life anew where it is, because a restart rule says so."""
        self._restarting_all = True
        try:
            self.publish()
            await self.renewal.reset()
            # The status shows them as removed before it shows their new runs.
            self.publish()
            await self.writer.flushed()
            await asyncio.sleep(RELIST_SECONDS)
        finally:
            self._restarting_all = False

    def _pause(self) -> float | None:
        """Seconds until something is due by itself."""
        due = [*self.starter.retry_at.values(), *self.setup.due(), *self.resizing.due()]
        deadline = self._deadline()
        if deadline is not None and not self.failure:
            due.append(deadline)
        return max(0.01, min(due) - time.time()) if due and not self.ending.begun else None

    # -- containers ----------------------------------------------------------------------------

    def _to_start(self) -> list[Container]:
        """The containers that should run now and do not, in the order to start them."""
        wanted: list[Container] = []
        initialized = any(self.runs.latest(each["name"]) for each in pod_spec.containers(self.pod))
        for container in pod_spec.init_containers(self.pod):
            run = self.runs.latest(container["name"])
            if pod_spec.is_sidecar(container):
                if run is None or not run.running:
                    wanted.append(container)
                if not initialized and (run is None or not self.runs.is_started(run)):
                    return wanted
            elif not initialized and not (run and not run.running and run.exit_code == 0):
                return wanted if run and run.running else [*wanted, container]
        for container in (*pod_spec.containers(self.pod), *pod_spec.ephemeral_containers(self.pod)):
            run = self.runs.latest(container["name"])
            if run is None or (not run.running and self._restarts(container, run)):
                wanted.append(container)
        return wanted

    def _restarts(self, container: Container, run: ContainerRecord) -> bool:
        if container in pod_spec.ephemeral_containers(self.pod):
            return False
        if self.renewal.starts_anew(run):
            return True
        return pod_spec.should_restart(self.pod, container, run.exit_code)

    async def _start(self, container: Container) -> None:
        name = container["name"]
        lookup = await self.setup.lookup()
        granted = self.resizing.container(container)
        attempt, around = self._attempt(name), self.surroundings()
        try:
            run = await self.starter.start(self.pod, granted, attempt, lookup, around)
        except RuntimeRefusedError as error:
            self.setup.lost_network(str(error))
            return
        if run is not None:
            self.resizing.started(run)
            await self.runs.began(container, run)

    def _attempt(self, name: str) -> int:
        """The number of a container's next run, also after the runtime has forgotten the earlier ones."""
        run = self.runs.latest(name)
        if run is not None:
            return run.attempt + 1
        if name in self.renewal.attempts:
            return self.renewal.attempts[name]
        status = self.pod.get("status") or {}
        kinds = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")
        for old in (each for kind in kinds for each in status.get(kind) or []):
            if old["name"] == name and old.get("containerID"):
                return int(old.get("restartCount") or 0) + 1
        return 0

    def is_over(self) -> bool:
        """Whether nothing of the Pod is to run any more, by its own restart policy."""
        phase = (self.pod.get("status") or {}).get("phase")
        if pod_spec.is_terminal(phase) or self.terminal:
            return True
        for container in pod_spec.init_containers(self.pod):
            run = self.runs.latest(container["name"])
            if run is None or run.running or not run.exit_code or pod_spec.is_sidecar(container):
                continue
            if not pod_spec.should_restart(self.pod, container, run.exit_code):
                return True
        for container in pod_spec.containers(self.pod):
            run = self.runs.latest(container["name"])
            if run is None or run.running or self._restarts(container, run):
                return False
        return True

    # -- status --------------------------------------------------------------------------------

    def surroundings(self) -> Surroundings:
        """What the Pod may read about the world."""
        return Surroundings(self.node.address, self.setup.address, self.node.allocatable)

    def publish(self) -> None:
        """Have the Pod's status written as it is now."""
        if self.rejected and self.failure is not None:
            # Nothing of it ever ran here, so there is nothing to say of its containers.
            reason, message = self.failure
            generation = self.pod["metadata"].get("generation", 0)
            told = {"phase": "Failed", "reason": reason, "message": message, "observedGeneration": generation}
            self.writer.write(told)
            return
        if self.renewal.awaits_new_run() and not self.ending.begun:
            return
        facts = PodFacts(
            host=self.node.address,
            address=self.setup.shown_address(),
            sandbox=self.setup.sandbox,
            containers=ContainerFacts(
                runs=self.runs.settled(),
                waiting=self.starter.waiting,
                images=self.starter.images,
                shown_images=self.starter.shown_images,
                messages=self.runs.messages,
                started=self.runs.is_started,
                ready=self.runs.is_ready,
                granted=self.resizing.granted,
                actual=self.resizing.actual(),
                users=self._users(),
                restarting=self._restarting_all,
                recursive_read_only=self.node.settings.isolation == "sandboxed",
            ),
            terminal=self.terminal,
            failure=self.failure,
            conditions=() if self.terminal else self.resizing.conditions(),
        )
        old: dict[str, Any] = self.writer.wanted or self.pod.get("status") or {}
        self.writer.write(pod_status(self.pod, facts, old, time.time()))

    def _users(self) -> dict[str, dict[str, Any]]:
        """Who each container runs as."""
        users = {}
        for name in self.runs.by_name:
            container = pod_spec.container_named(self.pod, name)
            if container is not None:
                with contextlib.suppress(RootRefusedError):
                    wanted = security(self.pod, container)
                    users[name] = status_user(wanted, self.node.settings.isolation)
        return users

    def _deadline(self) -> float | None:
        seconds = self.pod["spec"].get("activeDeadlineSeconds")
        status: dict[str, Any] = self.writer.wanted or self.pod.get("status") or {}
        if seconds is None or not status.get("startTime"):
            return None
        return datetime.fromisoformat(status["startTime"]).timestamp() + float(seconds)

    def _check_deadline(self) -> None:
        deadline = self._deadline()
        if deadline is not None and time.time() >= deadline and not self.failure and not self.is_over():
            self.node.events.pod(self.pod, "Normal", DEADLINE_REASON, DEADLINE_MESSAGE)
            self.failure = (DEADLINE_REASON, DEADLINE_MESSAGE)

    def refuse(self, reason: str, message: str) -> None:
        """Refuse to run the Pod: it fails, and the status says why."""
        self.node.events.pod(self.pod, "Warning", reason, message)
        self.failure = (reason, f"Pod was rejected: {message}")
        self.rejected = True

    def evict(self, reason: str, message: str, grace: float) -> None:
        """End the Pod because of what it does to its node: it fails, and the status says why.

        Args:
            reason: one word, such as `Evicted`.
            message: a sentence.
            grace: seconds that its containers get at most.
        """
        self.node.events.pod(self.pod, "Warning", reason, message)
        self.failure = (reason, message)
        self.ending.limit_grace(grace)
        self.wake()

    # -- the runtime came back -----------------------------------------------------------------

    def reconcile(self, address: str | None, records: Sequence[ContainerRecord]) -> None:
        """Compare with what the runtime knows after it was away.

        Args:
            address: the Pod's address as the runtime has it, or None if it does not know the Pod.
            records: its runs.
        """
        known = {record.container: record for record in records}
        now = time.time()
        for run in [each for runs in self.runs.by_name.values() for each in runs if each.running]:
            found = known.get(run.container)
            if found is None:
                # containerd, too, says 255 of a container that it lost sight of.
                found = replace(run, running=False, finished=now, exit_code=255)
            if not found.running:
                self.runs.exited(found)
        for record in records:
            self.runs.missed(record)
        if address is None and self.setup.sandbox:
            self.setup.lost_sandbox()
        self.wake()
