"""The node's runtime: plays containerd. `python -m k8slab.node.runtime --cluster-folder F --node N`.

Standard library only, one thread. It is parent and subreaper of all containers of its node: when
it is killed the kernel kills them (power-off); the agent beside it can come and go.
"""

from __future__ import annotations

import sys

if __name__ == "__main__":
    # asyncio imports ssl if it is there, for 4 MB that a unix socket never needs.
    sys.modules["ssl"] = None  # type: ignore[assignment]

import argparse
import asyncio
import json
import signal
from pathlib import Path

from k8slab.network.addresses import AddressPlan
from k8slab.node.runtime.exec import Sessions
from k8slab.node.runtime.launcher import Launcher, NodeSettings
from k8slab.node.runtime.plain import PlainLauncher
from k8slab.node.runtime.pods import Pods
from k8slab.node.runtime.records import Journal
from k8slab.node.runtime.sandboxed import SandboxedLauncher
from k8slab.node.runtime.server import Server
from k8slab.node.runtime.spawn import Reaper
from k8slab.node.runtime.watch import watch

POWER_OFF_SECONDS = 1.5


def read_settings(cluster: Path, node: str) -> NodeSettings:
    """The node's settings, from the file that `k8slab.folders.ClusterSettings` describes.

    That module is not imported here: it brings 3 MB that each of a cluster's runtimes would pay.

    Args:
        cluster: the cluster's folder.
        node: the node's name.
    """
    values = json.loads((cluster / "settings.json").read_text())
    plan = AddressPlan(values["octet"], values["port_offset"])
    return NodeSettings(node, values["uuid"], plan, values["isolation"], cluster, cluster / "nodes" / node)


async def serve(settings: NodeSettings) -> None:
    """Run the node's runtime until SIGTERM; then power off: every container is killed."""
    ending = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ending.set)
    reaper = Reaper()
    reaper.start()
    sandboxed = settings.isolation == "sandboxed"
    launcher: Launcher = (SandboxedLauncher if sandboxed else PlainLauncher)(settings, reaper)
    server = Server(settings.cluster / "run" / f"{settings.node}.sock", settings.isolation)
    pods = Pods(launcher, Journal(settings.folder), server.publish)
    await pods.recover(settings.uuid)
    server.open(pods, Sessions(launcher))
    watching = asyncio.create_task(watch(pods, server.publish))
    print("ready", flush=True)
    try:
        done, _ = await asyncio.wait(
            (watching, asyncio.create_task(ending.wait())), return_when=asyncio.FIRST_COMPLETED
        )
        if watching in done:
            watching.result()
    finally:
        watching.cancel()
        server.close()
        await pods.power_off(POWER_OFF_SECONDS)


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="k8slab.node.runtime", description=__doc__)
    parser.add_argument("--cluster-folder", type=Path, required=True)
    parser.add_argument("--node", required=True)
    arguments = parser.parse_args()
    asyncio.run(serve(read_settings(arguments.cluster_folder, arguments.node)))


if __name__ == "__main__":
    main()
