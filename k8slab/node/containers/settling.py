"""When a container that was just started counts as started."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from k8slab.node.containers.container_record import ContainerRecord
from k8slab.node.runtime.client import RuntimeClient

SETTLE_SECONDS = 0.3
"""After this a container counts as started though its ports do not listen; about what a runtime takes."""

LONGEST_SECONDS = 3.0
LEAST_DELAY = 0.02


async def until_settled(runtime: RuntimeClient, run: ContainerRecord, ports: Sequence[int]) -> None:
    """Wait until a container's ports listen, for at most 0.3 s.

    Time that its program spent waiting for a processor does not count: on a busy machine a
    container runtime, too, takes longer until a container is there.

    Args:
        runtime: the node's runtime.
        run: the run that was just started.
        ports: the ports; with none there is nothing to wait for.

    Raises:
        RuntimeGoneError: the runtime does not answer.
        RuntimeRefusedError: it does not know the run any more.
    """
    timeout, waited, delayed = SETTLE_SECONDS, 0.0, 0.0
    while ports and waited < LONGEST_SECONDS:
        answer = await runtime.ask(
            "wait_listening", pod=run.pod, container=run.container, ports=list(ports), timeout=timeout
        )
        waited += timeout
        lost = processor_delay(run.pid) - delayed
        if answer["listening"] or lost < LEAST_DELAY:
            return
        delayed += lost
        timeout = min(lost, LONGEST_SECONDS - waited)


def processor_delay(pid: int) -> float:
    """Seconds that a process was ready to run and had no processor; 0 if it is gone."""
    try:
        # The second field, in nanoseconds: Documentation/scheduler/sched-stats.rst of Linux.
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0
