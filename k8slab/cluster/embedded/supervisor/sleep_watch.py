"""Noticing that a cluster was asleep: a laptop was suspended, or all its processes were stopped.

On waking, a controller-manager that was stopped sees leases as old as the sleep was long and calls every
node unreachable before the agents could renew them. (After a true suspend it does not: it compares moments
of the monotonic clock, which stood still.) So it is held until the nodes' heartbeats are fresh.
Source: pkg/controller/nodelifecycle/node_lifecycle_controller.go of Kubernetes 1.36, tryUpdateNodeHealth.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from k8slab.cluster.embedded.supervisor.bootstrap import SuperAdmin
from k8slab.cluster.embedded.supervisor.supervised import SupervisedProcess
from k8slab.errors import ApiError

TICK = 0.5
LEAST_SLEEP = 8.0
"""A tick that is late by less than this is a busy machine's."""

HOLD_SECONDS = 15.0
"""How long the controller-manager is held at most."""

REMEMBERED = 20
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"


@dataclass(frozen=True)
class Sleep:
    """A time in which nothing of the cluster ran.

    Args:
        woke: when it was over (epoch s).
        seconds: how long it was.
        suspended: whether the whole machine slept, and not the cluster's processes alone.
    """

    woke: float
    seconds: float
    suspended: bool


class SleepWatch:
    """Notices sleeps. Belongs to the supervisor's event loop.

    Args:
        woke: called after each sleep, at once.
    """

    def __init__(self, woke: Callable[[Sleep], Awaitable[None]]) -> None:
        self.sleeps: list[Sleep] = []
        self._woke = woke

    async def run(self) -> None:
        """Watch, for ever."""
        while True:
            monotonic, boot = time.monotonic(), time.clock_gettime(time.CLOCK_BOOTTIME)
            await asyncio.sleep(TICK)
            sleep = noticed(
                time.monotonic() - monotonic, time.clock_gettime(time.CLOCK_BOOTTIME) - boot, time.time()
            )
            if sleep is None:
                continue
            self.sleeps = [*self.sleeps, sleep][-REMEMBERED:]
            print(
                f"everything was asleep for {sleep.seconds:.0f} s, and goes on", file=sys.stderr, flush=True
            )
            await self._woke(sleep)

    def records(self) -> list[dict[str, Any]]:
        """What the supervisor's protocol says of the sleeps, oldest first."""
        return [asdict(each) for each in self.sleeps]


def noticed(monotonic: float, boot: float, now: float) -> Sleep | None:
    """The sleep that a tick shows, or None. Pure.

    Args:
        monotonic: seconds that the tick took by the clock that stands still while a machine is suspended.
        boot: the same by the clock that goes on.
        now: the present (epoch s).
    """
    late = boot - TICK
    if late < LEAST_SLEEP:
        return None
    return Sleep(round(now, 3), round(late, 1), boot - monotonic > late / 2)


async def hold_until_heartbeats(
    admin: SuperAdmin, controller_manager: SupervisedProcess, nodes: Iterable[str], woke: float
) -> None:
    """Hold the controller-manager until the leases of these nodes were renewed after a moment.

    Args:
        admin: reads the leases.
        controller_manager: its process; nothing happens if it does not run.
        nodes: the nodes whose agents run.
        woke: the moment (epoch s).
    """
    identity = controller_manager.identity
    wanted = set(nodes)
    if identity is None or not wanted or not identity.send(signal.SIGSTOP):
        return
    deadline = time.monotonic() + HOLD_SECONDS
    try:
        while time.monotonic() < deadline:
            if wanted <= await asyncio.to_thread(_renewed, admin, woke):
                return
            await asyncio.sleep(0.1)
    finally:
        identity.send(signal.SIGCONT)


def _renewed(admin: SuperAdmin, since: float) -> set[str]:
    try:
        leases = admin.request("GET", LEASES)["items"]
    except (OSError, ApiError):
        return set()
    return {
        lease["metadata"]["name"]
        for lease in leases
        if datetime.fromisoformat(lease["spec"]["renewTime"]).timestamp() >= since
    }
