"""What the workers of one node share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from k8slab.api_client import ApiClient
from k8slab.folders import ClusterFolder, ClusterSettings
from k8slab.network.addresses import AddressPlan
from k8slab.node.images.store import ImageStore
from k8slab.node.node_events import EventRecorder
from k8slab.node.object_cache import ObjectCache
from k8slab.node.pods.pod_addresses import PodAddresses
from k8slab.node.pods.pod_connections import PodConnections
from k8slab.node.runtime.client import RuntimeClient
from k8slab.node.volumes.volumes import Volumes


class ServiceTable:
    """All Services of the cluster, for the variables that tell containers about them.

    Args:
        client: a client of the API server.
    """

    def __init__(self, client: ApiClient) -> None:
        self._client = client
        self._services: dict[str, dict[str, Any]] = {}
        self.synced = asyncio.Event()

    async def run(self) -> None:
        """Follow the Services, for ever."""
        async for change in self._client.watch("/api/v1/services"):
            if change.verb == "synced":
                self.synced.set()
                continue
            uid = change.object["metadata"]["uid"]
            if change.verb == "deleted":
                self._services.pop(uid, None)
            else:
                metadata, spec = change.object["metadata"], change.object["spec"]
                # Only what variables are made of: many nodes each hold this table.
                self._services[uid] = {
                    "metadata": {"name": metadata["name"], "namespace": metadata["namespace"]},
                    "spec": {"clusterIP": spec.get("clusterIP"), "ports": spec.get("ports")},
                }

    def all(self) -> Iterable[dict[str, Any]]:
        """The Services as they are now, name, namespace, ClusterIP and ports of each."""
        return list(self._services.values())


@dataclass(frozen=True)
class RestartClock:
    """The pauses between restarts and image pulls, in seconds; the kubelet's unless the lab is faster.

    Args:
        first: the first pause after the one restart that is at once.
        longest: the longest.
    """

    first: float = 10.0
    longest: float = 300.0


@dataclass
class NodeContext:
    """One node, as its Pods' workers see it.

    Args:
        name: the node's name.
        address: its address.
        folder: the cluster's folder.
        settings: the cluster's settings.
        plan: the cluster's addresses.
        client: a client of the API server, as this node.
        runtime: the node's runtime.
        events: records Events.
        objects: ConfigMaps and Secrets in use.
        services: all Services.
        volumes: the Pods' volumes.
        connections: how to reach Pods.
        allocatable: the node's allocatable resources as quantities.
        images: the images that the node has.
        addresses: the Pods' addresses; None until the Node has its range.
        clock: the pauses.
        others: gives the Pods but one (by uid) that have not ended, with the resources they were granted.
        object: gives the Node object as the API shows it.
    """

    name: str
    address: str
    folder: ClusterFolder
    settings: ClusterSettings
    plan: AddressPlan
    client: ApiClient
    runtime: RuntimeClient
    events: EventRecorder
    objects: ObjectCache
    services: ServiceTable
    volumes: Volumes
    connections: PodConnections
    allocatable: Mapping[str, str]
    images: ImageStore
    addresses: PodAddresses | None = None
    clock: RestartClock = field(default_factory=RestartClock)
    others: Callable[[str], list[dict[str, Any]]] = lambda uid: []
    object: Callable[[], Mapping[str, Any]] = dict
    has_addresses: asyncio.Event = field(default_factory=asyncio.Event)
