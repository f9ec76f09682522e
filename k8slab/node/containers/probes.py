"""The probes of one running container: when they run, what counts, what follows.

The rules are those of pkg/kubelet/prober/worker.go of Kubernetes 1.36: a startup probe holds the
others back; a result counts when it came `successThreshold` or `failureThreshold` times in a
row; a failed startup or liveness probe is silent until there is a new run.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from k8slab.node.containers.probe_actions import ProbeError, ProbeOutcome

Kind = Literal["startup", "readiness", "liveness"]
FIELDS: dict[Kind, str] = {
    "startup": "startupProbe",
    "readiness": "readinessProbe",
    "liveness": "livenessProbe",
}


@dataclass(frozen=True)
class Threshold:
    """How many equal results in a row count. Pure.

    Args:
        success: successes that make a success.
        failure: failures that make a failure.
        last: the last result, or None before the first.
        row: how many times it came in a row.
    """

    success: int = 1
    failure: int = 3
    last: bool | None = None
    row: int = 0

    def after(self, result: bool) -> tuple[Threshold, bool]:
        """The state after one more result, and whether the result counts now."""
        row = self.row + 1 if result == self.last else 1
        counts = row >= (self.success if result else self.failure)
        return Threshold(self.success, self.failure, result, row), counts


@dataclass
class ContainerProbes:
    """Runs the probes of one run of one container until it is stopped.

    Args:
        spec: the container's specification.
        began: when the run started (epoch s).
        attempt: carries out one probe.
        changed: called when `started` or `ready` changed.
        failed: called when the startup or the liveness probe failed for good.
        unhealthy: called with the message of each failed attempt.
        warned: called with the message of an attempt that succeeded with one.
        started: whether the startup probe succeeded, or there is none.
        ready: whether the readiness probe succeeded, or there is none.
    """

    spec: dict[str, Any]
    began: float
    attempt: Callable[[dict[str, Any]], Awaitable[ProbeOutcome]]
    changed: Callable[[], None]
    failed: Callable[[Kind], None]
    unhealthy: Callable[[str], None]
    warned: Callable[[str], None] = lambda message: None
    started: bool = False
    ready: bool = False
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _up: asyncio.Event = field(default_factory=asyncio.Event)

    def start(self, was_started: bool = False, was_ready: bool = False) -> None:
        """Begin to probe.

        Args:
            was_started: what the API says of a run that an earlier agent started.
            was_ready: likewise; it stands until a probe says otherwise.
        """
        self.started = was_started or not self.spec.get(FIELDS["startup"])
        self.ready = was_ready or not self.spec.get(FIELDS["readiness"])
        if self.started:
            self._up.set()
        for kind, name in FIELDS.items():
            probe = self.spec.get(name)
            if probe and not (kind == "startup" and self.started):
                self._tasks.append(asyncio.create_task(self._run(kind, probe)))

    def stop(self, only_killing: bool = False) -> None:
        """Stop probing.

        Args:
            only_killing: leave the readiness probe running, as while a Pod terminates.
        """
        for task in self._tasks:
            if not (only_killing and task.get_name() == "readiness"):
                task.cancel()

    async def _run(self, kind: Kind, probe: dict[str, Any]) -> None:
        task = asyncio.current_task()
        if task is not None:
            task.set_name(kind)
        if kind != "startup":
            await self._up.wait()
        delay = self.began + float(probe.get("initialDelaySeconds") or 0) - time.time()
        if delay > 0:
            await asyncio.sleep(delay)
        period = float(probe.get("periodSeconds") or 10)
        threshold = Threshold(
            int(probe.get("successThreshold") or 1), int(probe.get("failureThreshold") or 3)
        )
        due = time.monotonic()
        while True:
            try:
                outcome = await self.attempt(probe)
            except ProbeError as error:
                self.unhealthy(f"{kind.capitalize()} probe errored and resulted in unknown state: {error}")
            else:
                if outcome.warning:
                    self.warned(f"{kind.capitalize()} probe warning: {outcome.message}")
                if not outcome.success:
                    self.unhealthy(f"{kind.capitalize()} probe failed: {outcome.message}")
                threshold, counts = threshold.after(outcome.success)
                if counts and self._conclude(kind, outcome.success):
                    return
            due = max(due + period, time.monotonic())
            await asyncio.sleep(due - time.monotonic())

    def _conclude(self, kind: Kind, success: bool) -> bool:
        """Act on a result that counts; whether this probe is silent from now on."""
        if kind == "readiness":
            if self.ready != success:
                self.ready = success
                self.changed()
            return False
        if not success:
            self.failed(kind)
            return True
        if kind == "startup":
            self.started = True
            self._up.set()
            self.changed()
            return True
        return False
