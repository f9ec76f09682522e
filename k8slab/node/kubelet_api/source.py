"""What the kubelet's API needs to know of its node: its Pods, their logs and their programs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from k8slab.node.kubelet_api.logs import LogSource
from k8slab.node.node_use import NodeUse
from k8slab.node.pods.pod_spec import Pod
from k8slab.node.runtime.client import RuntimeClient


class NotServedError(Exception):
    """Something that this node does not serve; the text says why.

    Args:
        status: HTTP status code.
        message: what to tell the client.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class RunningContainer:
    """A container whose streams can be joined.

    Args:
        runtime: the node's runtime.
        pod: uid of its Pod.
        container: its id.
    """

    runtime: RuntimeClient
    pod: str
    container: str


class PodSource(Protocol):
    """What the kubelet's API needs to know about the node's Pods."""

    def pods(self) -> list[Pod]:
        """All Pods of the node, with the status that the node knows."""

    def log(self, pod: Pod, container: str, previous: bool) -> LogSource:
        """The log of a container; raises NotServedError with the kubelet's words if there is none."""

    def running(self, pod: Pod, container: str) -> RunningContainer | None:
        """A container to join, or None if it does not run; raises NotServedError if it may not be joined."""

    def has_running(self, pod: Pod) -> bool:
        """Whether anything of a Pod runs, so that its ports can be forwarded."""

    async def connect(self, pod: Pod, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to a port of a Pod, as from its own localhost; raises OSError with a sentence."""

    async def stats(self) -> NodeUse:
        """What the node, its Pods and their containers used; raises NotServedError if that is not known."""

    def configuration(self) -> Mapping[str, Any]:
        """What the node really goes by, as a `KubeletConfiguration`."""
