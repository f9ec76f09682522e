"""Entry point of `python -m k8slab.addons --cluster-folder F`: what a cluster gets beside its core.

One process for all add-ons, to spare memory; each has a user of its own, as it would have an account.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from k8slab.addons import network_policy
from k8slab.addons.cloud import addon as cloud
from k8slab.addons.metrics import addon as metrics
from k8slab.addons.storage import addon as storage
from k8slab.folders import ClusterFolder

ADDONS: dict[str, Callable[[ClusterFolder], Coroutine[Any, Any, None]]] = {
    cloud.USER: cloud.run,
    metrics.USER: metrics.serve_metrics,
    network_policy.USER: network_policy.run,
    storage.USER: storage.provide_storage,
}
"""What each add-on does until it is cancelled, by the name of its user."""


async def serve(folder: ClusterFolder) -> None:
    """Run every add-on until SIGTERM or SIGINT; the end of one is the end of all, and is not hidden."""
    running = asyncio.ensure_future(_all(folder))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, running.cancel)
    try:
        await running
    except asyncio.CancelledError:
        logging.getLogger("k8slab.addons").info("ended on request")


async def _all(folder: ClusterFolder) -> None:
    async with asyncio.TaskGroup() as group:
        for name, run in ADDONS.items():
            group.create_task(run(folder), name=name)
        print("ready", flush=True)
        await asyncio.Event().wait()


def main() -> int:
    """Parse the command line and serve; returns the exit code."""
    parser = argparse.ArgumentParser(prog="k8slab.addons", description="The add-ons of one cluster.")
    parser.add_argument("--cluster-folder", type=Path, required=True)
    folder = ClusterFolder(parser.parse_args().cluster_folder.absolute())
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stdout)
    asyncio.run(serve(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
