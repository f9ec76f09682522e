"""What the kubelet's API says of a simulated node: which Pods it has, and that nothing runs in them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from k8slab.folders import ClusterFolder, ClusterSettings
from k8slab.network.addresses import AddressPlan
from k8slab.node.clock import clock_named
from k8slab.node.kubelet_api.configuration import configuration
from k8slab.node.kubelet_api.logs import LogSource
from k8slab.node.kubelet_api.source import NotServedError, RunningContainer
from k8slab.node.node_use import NodeUse
from k8slab.node.pods.pod_spec import Pod
from k8slab.node.simulated.pods import SimulatedPods
from k8slab.node.simulated.status import NO_PROGRAM


class SimulatedSource:
    """The Pods of one simulated node, as the kubelet's API asks for them.

    Args:
        folder: the cluster's folder.
        settings: its settings.
        name: the node's name.
        address: its address.
        pods: all simulated Pods.
    """

    def __init__(
        self, folder: ClusterFolder, settings: ClusterSettings, name: str, address: str, pods: SimulatedPods
    ) -> None:
        self._folder = folder
        self._settings = settings
        self._name = name
        self._address = address
        self._pods = pods

    def pods(self) -> list[Pod]:
        """The node's Pods."""
        return [pod for pod in self._pods.pods.values() if pod["spec"]["nodeName"] == self._name]

    def log(self, pod: Pod, container: str, previous: bool) -> LogSource:
        """Refuses: nothing printed anything.

        Raises:
            NotServedError: always.
        """
        raise _nothing(pod, "read a log of")

    def running(self, pod: Pod, container: str) -> RunningContainer | None:
        """Refuses: there is no container to join.

        Raises:
            NotServedError: always.
        """
        raise _nothing(pod, "join")

    def has_running(self, pod: Pod) -> bool:
        """Refuses: nothing listens.

        Raises:
            NotServedError: always.
        """
        raise _nothing(pod, "forward a port to")

    async def connect(self, pod: Pod, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Refuses: nothing listens.

        Raises:
            NotServedError: always.
        """
        raise _nothing(pod, "connect to")

    async def stats(self) -> NodeUse:
        """Refuses: nothing is used.

        Raises:
            NotServedError: always.
        """
        raise NotServedError(501, f"{self._name} is simulated, so there is nothing to measure.")

    def configuration(self) -> Mapping[str, Any]:
        """What this node goes by, as a `KubeletConfiguration`."""
        plan = AddressPlan(self._settings.octet, self._settings.port_offset)
        authority = str(self._folder.certificate("ca"))
        return configuration(clock_named(self._settings.clock), plan.twin(self._address), "", authority)


def _nothing(pod: Pod, verb: str) -> NotServedError:
    return NotServedError(400, NO_PROGRAM.format(name=pod["metadata"]["name"], verb=verb))
