"""Looking after what runs: memory limits, and plain programs that listen where they must not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from k8slab.node.runtime.pods import Pods
from k8slab.node.runtime.processes import proportional, resident

INTERVAL = 0.5
"""Seconds between two looks."""


async def watch(pods: Pods, publish: Callable[[dict[str, Any]], None]) -> None:
    """Look after all containers, for ever.

    A container whose processes together hold more than its limit is killed, as the kernel does with
    a cgroup; between two looks it can hold more for a moment. A listener on another address than the
    Pod's twin is stopped, with the event `wrong_listener`.

    Args:
        pods: the node's Pods.
        publish: called with each event.
    """
    while True:
        await asyncio.sleep(INTERVAL)
        for pod, container in pods.running():
            if container.memory_limit:
                pids = pods.launcher.processes(container)
                # The quick figure is never too low, so the exact one is seldom needed.
                if resident(pids) > container.memory_limit and proportional(pids) > container.memory_limit:
                    container.oom = True
                    pods.kill(container)
                    continue
            stray = pods.launcher.stray_listener(pod, container)
            if stray:
                event = {"event": "wrong_listener", "pod": pod.pod, "container": container.container}
                publish({**event, "address": stray})
                pods.kill(container)
