"""What the two levels of isolation have in common: how a program is started and entered."""

from __future__ import annotations

import asyncio
import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from socket import AddressFamily, socket

from k8slab.network.addresses import AddressPlan
from k8slab.node.runtime.records import Container, Pod, Refusal
from k8slab.node.runtime.spawn import Reaper
from k8slab.processes import CLUSTER_VARIABLE

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class NodeSettings:
    """What the runtime needs to know of its cluster.

    Args:
        node: the node's name.
        uuid: the cluster's identity.
        plan: its addresses.
        isolation: `sandboxed` or `plain`.
        cluster: the cluster's folder.
        folder: the node's own folder.
    """

    node: str
    uuid: str
    plan: AddressPlan
    isolation: str
    cluster: Path
    folder: Path


@dataclass(frozen=True)
class Started:
    """A program that was started.

    Args:
        pid: the program's, as the host sees it; 0 if there never was one.
        child: the runtime's own child whose end is the program's: itself, or its keeper.
        ended: its wait status, when it ends.
        problem: for a keeper, what went wrong after its start if the program never ran; empty otherwise.
    """

    pid: int
    child: int
    ended: asyncio.Future[int]
    problem: Callable[[], str]


@dataclass(frozen=True)
class Command:
    """How a further command runs in a container: the arguments of `runtime_spawn.spawn`."""

    argv: list[str]
    env: dict[str, str]
    folder: str
    enter: Callable[[], None] | None
    replace_pid: bool


class Launcher(ABC):
    """Starts sandboxes and programs at one level of isolation.

    Args:
        settings: the node's.
        reaper: waits for children.
    """

    def __init__(self, settings: NodeSettings, reaper: Reaper) -> None:
        self.settings = settings
        self.reaper = reaper

    @abstractmethod
    async def open_sandbox(self, pod: Pod) -> None:
        """Make what a Pod's containers share. Does nothing if it is there."""

    @abstractmethod
    async def close_sandbox(self, pod: Pod) -> None:
        """Take it away again. Does nothing if it is not there."""

    @abstractmethod
    async def start(
        self, pod: Pod, container: Container, stdio: list[int], read_only_paths: list[str]
    ) -> Started:
        """Start a container's program.

        Raises:
            Refusal: it cannot be started.
        """

    @abstractmethod
    def command(self, pod: Pod, container: Container, argv: list[str]) -> Command:
        """How a further command runs in a running container."""

    @abstractmethod
    def open_socket(self, pod: Pod, family: AddressFamily) -> socket:
        """A new TCP socket of the Pod's own network.

        Raises:
            Refusal: it has none, or the kernel refused.
        """

    @abstractmethod
    def listens(self, pod: Pod, container: Container, ports: set[int]) -> bool:
        """Whether something listens on every one of the ports."""

    @abstractmethod
    def stray_listener(self, pod: Pod, container: Container) -> str:
        """`address:port` of a listener that would answer for other Pods; empty if there is none."""

    @abstractmethod
    def processes(self, container: Container) -> list[int]:
        """The container's processes, as the host sees them."""

    @abstractmethod
    def sweep(self, container: Container) -> None:
        """Kill what a container left behind after its program ended."""

    def environment(self, container: Container) -> dict[str, str]:
        """The container's own variables, over those that containerd sets, and the cluster's mark."""
        own = {name: value for name, value in container.env}
        terminal = {"TERM": "xterm"} if container.tty else {}
        given = {"PATH": DEFAULT_PATH, "HOME": "/root", **terminal}
        return {**given, **own, CLUSTER_VARIABLE: self.settings.uuid}


def check_sources(container: Container) -> None:
    """Refuse a container whose volumes are not there.

    Raises:
        Refusal: a mount's source does not exist.
    """
    for mount in container.mounts:
        if not os.path.lexists(mount["source"]):
            raise Refusal(
                f"the volume for {mount['target']} is not there: {mount['source']}", "CreateContainerError"
            )
