"""What a Pod needs before its first container: an address, its network, its volumes."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from k8slab.errors import ClusterStateError
from k8slab.node import environment, pod_spec
from k8slab.node.environment import Lookup
from k8slab.node.node_context import NodeContext
from k8slab.node.runtime_client import RuntimeRefusedError
from k8slab.node.volume_content import token_sources, volume_references
from k8slab.node.volumes import VolumeError

if TYPE_CHECKING:
    from k8slab.node.pod_worker import PodWorker

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 122.0
"""Pauses after a volume could not be set up: pkg/volume/util/operationexecutor of Kubernetes 1.36."""

SANDBOX_PAUSE = 1.0
TOKEN_LOOK_SECONDS = 300.0


class PodSetup:
    """Makes a Pod's surroundings and keeps its volumes up to date.

    Args:
        worker: the Pod's worker.
        address: the Pod's address, if its network is there already.
    """

    def __init__(self, worker: PodWorker, address: str) -> None:
        self.address = address
        self.sandbox = bool(address)
        self._worker = worker
        self._node: NodeContext = worker.node
        self._mounted = False
        self._stale = True
        self._pause = FIRST_PAUSE
        self._retry_at = 0.0
        self._look_at = 0.0

    def due(self) -> list[float]:
        """When the surroundings want to be looked at by themselves (epoch s)."""
        return [moment for moment in (self._retry_at, self._look_at) if moment]

    def lost_sandbox(self) -> None:
        """Take note that the runtime no longer has the Pod's network."""
        self.sandbox = False
        self._node.events.pod(
            self._worker.pod,
            "Normal",
            "SandboxChanged",
            "Pod sandbox changed, it will be killed and re-created.",
        )

    def _objects_changed(self) -> None:
        self._stale = True
        self._retry_at = 0.0
        self._worker.wake()

    async def ready(self) -> bool:
        """Make what is missing; whether containers may be started."""
        if time.time() < self._retry_at and not (self._mounted and self.sandbox):
            return False
        self._retry_at = 0.0
        if self._look_at and time.time() >= self._look_at:
            self._stale, self._look_at = True, 0.0
        if not self.address:
            await self._node.has_addresses.wait()
            assert self._node.addresses is not None
            try:
                self.address = self._node.addresses.take(self._worker.uid)
            except ClusterStateError as error:
                self._sandbox_failed(str(error))
                return False
        results = await asyncio.gather(self._ensure_sandbox(), self._ensure_volumes())
        return all(results)

    async def _ensure_sandbox(self) -> bool:
        if self.sandbox:
            return True
        metadata = self._worker.pod["metadata"]
        try:
            await self._node.runtime.ask(
                "run_pod",
                pod=self._worker.uid,
                name=metadata["name"],
                namespace=metadata["namespace"],
                hostname=pod_spec.hostname_of(self._worker.pod),
                address=self.address,
            )
        except RuntimeRefusedError as error:
            self._sandbox_failed(str(error))
            return False
        self.sandbox = True
        return True

    def _sandbox_failed(self, message: str) -> None:
        text = f"Failed to create pod sandbox: {message}"
        self._node.events.pod(self._worker.pod, "Warning", "FailedCreatePodSandBox", text)
        self._retry_at = time.time() + SANDBOX_PAUSE

    async def _ensure_volumes(self) -> bool:
        if self._mounted and not self._stale:
            return True
        pod = self._worker.pod
        self._stale = False
        try:
            await self._node.volumes.prepare(pod, await self.lookup(), self._worker.surroundings())
        except VolumeError as error:
            self._node.events.pod(pod, "Warning", "FailedMount", str(error))
            self._retry_at = time.time() + self._pause
            self._pause = min(LONGEST_PAUSE, self._pause * 2)
            self._stale = True
            # What was mounted before stays as it was, and its containers go on.
            return self._mounted
        self._mounted = True
        self._pause = FIRST_PAUSE
        if token_sources(pod):
            self._look_at = time.time() + TOKEN_LOOK_SECONDS
        return True

    async def lookup(self) -> Lookup:
        """The ConfigMaps and Secrets that the Pod names, as they are now."""
        pod = self._worker.pod
        namespace = pod["metadata"]["namespace"]
        named = set(volume_references(pod))
        for container in (
            *pod_spec.init_containers(pod),
            *pod_spec.containers(pod),
            *pod_spec.ephemeral_containers(pod),
        ):
            named |= environment.references(container)
        references = [(kind, namespace, name) for kind, name in named]
        self._node.objects.hold(self._worker.uid, references, self._objects_changed)
        await self._node.services.synced.wait()
        found = await asyncio.gather(*(self._node.objects.get(each) for each in references))
        objects: dict[tuple[str, str], Any] = {
            (kind, name): value for (kind, _, name), value in zip(references, found, strict=True)
        }
        return lambda kind, name: objects.get((kind, name))
