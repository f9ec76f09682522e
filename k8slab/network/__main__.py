"""Entry point of `python -m k8slab.network --cluster-folder F`, the lab network process."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from pathlib import Path

from k8slab.api_client import ApiClient
from k8slab.api_events import EventRecorder
from k8slab.errors import LabError
from k8slab.folders import ClusterFolder
from k8slab.network.ingress.controller import USER
from k8slab.network.process import LabNetwork, raise_descriptor_limit


async def serve(folder: ClusterFolder) -> None:
    """Serve the cluster's network until SIGTERM or SIGINT.

    Raises:
        ClusterStateError: the folder has no settings, or the kubeconfig `network` or `ingress-controller`
            is absent.
    """
    loop = asyncio.get_running_loop()
    async with (
        ApiClient.from_kubeconfig(folder.kubeconfig("network"), "k8slab-network") as api,
        ApiClient.from_kubeconfig(folder.kubeconfig(USER), "k8slab-ingress-controller") as ingress_api,
    ):
        events = EventRecorder(api, "k8slab-network")
        network = LabNetwork(folder, api, ingress_api, events=events)
        running = asyncio.ensure_future(_run(network, events))
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, running.cancel)
        try:
            await running
        except asyncio.CancelledError:
            logging.getLogger("k8slab.network").info("ended on request")


async def _run(network: LabNetwork, events: EventRecorder) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(network.run())
        tasks.create_task(events.run())


def main() -> int:
    """Parse the command line and serve; returns the exit code."""
    parser = argparse.ArgumentParser(prog="k8slab.network", description="The lab network of one cluster.")
    parser.add_argument("--cluster-folder", type=Path, required=True)
    folder = ClusterFolder(parser.parse_args().cluster_folder.absolute())
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stdout)
    raise_descriptor_limit()
    try:
        asyncio.run(serve(folder))
    except LabError as error:
        print(f"The lab network cannot start: {error}", file=sys.stderr, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
