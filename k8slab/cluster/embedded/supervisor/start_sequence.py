"""The order in which a cluster's processes start, and what each step waits for.

Nothing is waited for by the clock: each step polls a condition and fails at once, with exit
code and log, when a process it depends on has ended.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Protocol

from k8slab.cluster.embedded import control_plane
from k8slab.cluster.embedded.identities import CONTROL_PLANE_NODE, plan_of
from k8slab.cluster.embedded.supervisor.addon_objects import addon_objects, aggregated_apis
from k8slab.cluster.embedded.supervisor.bootstrap import SuperAdmin, first_objects
from k8slab.cluster.embedded.supervisor.supervised import SupervisedProcess
from k8slab.cluster.embedded.supervisor.supervised_nodes import Nodes
from k8slab.errors import ApiError, StartError
from k8slab.folders import ClusterFolder, ClusterSettings
from k8slab.network.addresses import API_SERVER_PORT, METRICS_PORT

START_SECONDS = 120.0
"""How long a slow machine may take until all nodes are Ready; an ordinary one needs about 4."""

POLL_SECONDS = 0.02

Condition = Callable[[], Awaitable[bool]]


class Launcher(Protocol):
    """What the sequence needs of a supervisor."""

    folder: ClusterFolder
    settings: ClusterSettings
    nodes: Nodes

    def launch(self, specification: control_plane.ProcessSpecification) -> SupervisedProcess:
        """Start a process and keep it under supervision."""
        ...

    def reached(self, step: str) -> None:
        """Note that a step is done, for those who follow the start."""
        ...


async def start(launcher: Launcher) -> None:
    """Start a cluster; returns when every node is Ready.

    Raises:
        StartError: a process ended, or a step took too long.
    """
    folder, settings = launcher.folder, launcher.settings
    admin = SuperAdmin(folder, settings)
    control_plane.write_configuration(folder)
    sandboxed = settings.isolation == "sandboxed"
    switch = [launcher.launch(control_plane.switch(folder))] if sandboxed else []
    etcd = launcher.launch(control_plane.etcd(folder, settings))
    await until(listens(settings, control_plane.ETCD_PORT), "etcd", etcd)
    launcher.reached("etcd listens")
    api_server = launcher.launch(control_plane.api_server(folder, settings))
    core = [etcd, api_server, launcher.launch(control_plane.network(folder))]
    if sandboxed:
        await until(exists(folder.switch_socket), "the switch", *switch)
        launcher.reached("the switch is plugged in")
    workers: list[SupervisedProcess] = []
    for node in settings.nodes:
        workers += launcher.nodes.start(node)
    await until(listens(settings, API_SERVER_PORT), "kube-apiserver", *core)
    launcher.reached("kube-apiserver listens")
    await until(answers_ready(admin), "kube-apiserver", *core)
    launcher.reached("the API server is ready")
    # Earlier they would only wait for it, on cores that it needs for its own start.
    core.append(launcher.launch(control_plane.controller_manager(folder, settings)))
    core.append(launcher.launch(control_plane.scheduler(folder, settings)))
    for path, body in first_objects(settings):
        await until(created(admin, path, body), path, *core)
    await until(nodes_are_ready(admin, set(settings.nodes)), "every node", *core, *switch, *workers)
    launcher.reached("all nodes are Ready")
    launcher.launch(control_plane.agent(folder, CONTROL_PLANE_NODE))
    addons = launcher.launch(control_plane.addons(folder))
    for path, body in addon_objects(folder, settings):
        await until(created(admin, path, body), path, *core)
    await until(listens(settings, METRICS_PORT, plan_of(settings).addons), "the add-ons", *core, addons)
    for path, body in aggregated_apis(folder, settings):
        await until(created(admin, path, body), path, *core)


async def until(condition: Condition, what: str, *watched: SupervisedProcess) -> None:
    """Wait for a condition, failing at once when one of the watched processes has ended.

    Args:
        condition: asked every 20 ms.
        what: what is waited for, for the message.
        watched: the processes it depends on; the last one's log is shown when it takes too long.

    Raises:
        StartError: a watched process ended, or `START_SECONDS` went by.
    """
    deadline = time.monotonic() + START_SECONDS
    while not await condition():
        for process in watched:
            process.check()
        if time.monotonic() > deadline:
            log = watched[-1].log if watched else None
            raise StartError(what, f"was not ready after {START_SECONDS:.0f} s", log)
        await asyncio.sleep(POLL_SECONDS)


def listens(settings: ClusterSettings, port: int, address: str = "") -> Condition:
    """Whether a port of the control plane, or of another address of the cluster, accepts connections."""
    plan = plan_of(settings)

    async def accepts() -> bool:
        try:
            _, writer = await asyncio.open_connection(plan.twin(address or plan.api_server), port)
        except OSError:
            return False
        writer.close()
        return True

    return accepts


def exists(path: Path) -> Condition:
    """Whether a file is there."""

    async def there() -> bool:
        return path.exists()

    return there


def answers_ready(admin: SuperAdmin) -> Condition:
    """Whether `/readyz` says ok under our own authority."""

    async def ready() -> bool:
        return (await asyncio.to_thread(admin.is_ready))[0]

    return ready


def created(admin: SuperAdmin, path: str, body: dict[str, Any]) -> Condition:
    """Whether an object could be created; its namespace may still be missing for a moment."""

    async def done() -> bool:
        try:
            await asyncio.to_thread(admin.create, path, body)
        except ApiError as error:
            if error.status != 404:
                raise
            return False
        return True

    return done


def nodes_are_ready(admin: SuperAdmin, wanted: set[str]) -> Condition:
    """Whether the Ready condition of all these nodes is True."""

    async def ready() -> bool:
        return wanted <= await asyncio.to_thread(admin.ready_nodes)

    return ready
