"""What a Pod needs before its first container: an address, its network, its volumes."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from k8slab.errors import ClusterStateError
from k8slab.node.containers import environment
from k8slab.node.containers.environment import Lookup
from k8slab.node.fields.unsupported import blocking_field
from k8slab.node.node_context import NodeContext
from k8slab.node.object_cache import ReleasedError
from k8slab.node.pods import pod_spec
from k8slab.node.pods.pod_files import pod_domain
from k8slab.node.pods.pod_spec import Pod
from k8slab.node.runtime.client import RuntimeRefusedError
from k8slab.node.volumes.claims import claim_name
from k8slab.node.volumes.content import follows_pod, token_sources, volume_references
from k8slab.node.volumes.empty_dir_limits import EVICTED, GRACE_SECONDS, LOOK_SECONDS, excess, limits
from k8slab.node.volumes.mounts import used_volumes

if TYPE_CHECKING:
    from k8slab.node.pods.pod_worker import PodWorker

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 122.0
"""Pauses after a volume could not be set up: pkg/util/goroutinemap/exponentialbackoff of Kubernetes 1.36."""

LONGEST_CLAIM_PAUSE = 10.0
"""Pause of a Pod with a claim that is not bound, as `backOffPeriod` in pkg/kubelet/kubelet.go."""

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
        self.sandbox = self._had_sandbox = bool(address)
        self._worker = worker
        self._node: NodeContext = worker.node
        self._mounted = False
        self._stale = True
        self._pause = FIRST_PAUSE
        self._retry_at = 0.0
        self._mount_at = 0.0
        self._look_at = 0.0
        self._measure_at = 0.0
        self._seen: object = None

    def due(self) -> list[float]:
        """When the surroundings want to be looked at by themselves (epoch s)."""
        moments = (self._retry_at, self._mount_at, self._look_at, self._measure_at)
        return [moment for moment in moments if moment]

    def lost_sandbox(self) -> None:
        """Take note that the runtime no longer has the Pod's network."""
        self.sandbox = False
        self._node.events.pod(
            self._worker.pod,
            "Normal",
            "SandboxChanged",
            "Pod sandbox changed, it will be killed and re-created.",
        )

    def lost_network(self, message: str) -> None:
        """Take note that a container could not be started because the Pod's network is gone."""
        self.sandbox = False
        self._sandbox_failed(message)

    def _objects_changed(self) -> None:
        self._stale = True
        self._mount_at = 0.0
        self._worker.wake()

    async def ready(self) -> bool:
        """Make what is missing; whether containers may be started."""
        if time.time() < self._retry_at and not self.sandbox:
            return False
        self._retry_at = 0.0
        if self._look_at and time.time() >= self._look_at:
            self._stale, self._look_at = True, 0.0
        if self._measure_at and time.time() >= self._measure_at and await self._is_too_big():
            return False
        if not self.address:
            await self._node.has_addresses.wait()
            assert self._node.addresses is not None
            try:
                self.address = self._node.addresses.take(self._worker.uid)
            except ClusterStateError as error:
                self._sandbox_failed(str(error))
                return False
        # A kubelet waits for the volumes, and then makes the sandbox (`SyncPod` in pkg/kubelet/kubelet.go).
        if self._is_blocked():
            return False
        return await self._ensure_volumes() and await self._ensure_sandbox()

    def shown_address(self) -> str:
        """The Pod's address as its status may show it: a Pod has none before its sandbox is there."""
        return self.address if self._had_sandbox else ""

    def _is_blocked(self) -> bool:
        """Whether a field that cannot be done keeps the Pod from being run; says so by an Event."""
        if self.sandbox:
            return False
        blocked = blocking_field(self._worker.pod, self._node.settings.isolation)
        if blocked:
            self._sandbox_failed(blocked, self._node.clock.first)
        return bool(blocked)

    async def _ensure_sandbox(self) -> bool:
        if self.sandbox:
            return True
        metadata = self._worker.pod["metadata"]
        try:
            hostname = pod_spec.kernel_hostname(self._worker.pod, pod_domain(self._worker.pod))
        except ValueError as error:
            self._sandbox_failed(str(error), self._node.clock.first)
            return False
        try:
            await self._node.runtime.ask(
                "run_pod",
                pod=self._worker.uid,
                name=metadata["name"],
                namespace=metadata["namespace"],
                hostname=hostname,
                address=self.address,
            )
        except RuntimeRefusedError as error:
            self._sandbox_failed(str(error))
            return False
        self.sandbox = self._had_sandbox = True
        return True

    def _sandbox_failed(self, message: str, pause: float = SANDBOX_PAUSE) -> None:
        text = f"Failed to create pod sandbox: {message}"
        self._node.events.pod(self._worker.pod, "Warning", "FailedCreatePodSandBox", text)
        self._retry_at = time.time() + pause

    async def _ensure_volumes(self) -> bool:
        pod = self._worker.pod
        wanted = _what_volumes_follow(pod)
        if self._mounted and not self._stale and wanted == self._seen:
            return True
        if time.time() < self._mount_at:
            return self._mounted
        self._stale, self._seen, self._mount_at = False, wanted, 0.0
        problems = await self._node.volumes.prepare(pod, await self.lookup(), self._worker.surroundings())
        if problems:
            for text in problems:
                self._node.events.pod(pod, "Warning", "FailedMount", text)
            self._mount_at = time.time() + self._pause
            longest = LONGEST_CLAIM_PAUSE if has_claims(pod) else LONGEST_PAUSE
            self._pause = min(longest, self._pause * 2)
            self._stale = True
            # What was mounted before stays as it was, and its containers go on.
            return self._mounted
        if not self._mounted:
            for text in self._node.volumes.omitted_dns(pod):
                self._node.events.pod(pod, "Warning", "DNSConfigForming", text)
        self._mounted = True
        self._pause = FIRST_PAUSE
        if token_sources(pod):
            self._look_at = time.time() + TOKEN_LOOK_SECONDS
        if limits(pod) and not self._measure_at:
            self._measure_at = time.time() + LOOK_SECONDS
        return True

    async def _is_too_big(self) -> bool:
        """Measure the Pod's emptyDir volumes, and evict it if one has outgrown its limit."""
        pod = self._worker.pod
        self._measure_at = time.time() + LOOK_SECONDS
        wanted = limits(pod)
        folders = {name: self._node.volumes.path(pod, name) for name in wanted}
        message = await asyncio.to_thread(excess, wanted, folders)
        if not message:
            return False
        self._measure_at = 0.0
        self._worker.evict(EVICTED, message, GRACE_SECONDS)
        return True

    async def lookup(self) -> Lookup:
        """The ConfigMaps and Secrets that the Pod names, as they are now.

        Raises:
            ReleasedError: the Pod is gone from the API.
        """
        pod = self._worker.pod
        if self._worker.vanished:
            raise ReleasedError(pod_spec.name_of(pod))
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


def has_claims(pod: Pod) -> bool:
    """Whether a container of the Pod mounts what a claim stands for."""
    return any(claim_name(pod, volume) for volume in used_volumes(pod))


def _what_volumes_follow(pod: Pod) -> object:
    """What of the Pod itself its volumes show or depend on: when it differs they are brought up to date."""
    used = [volume["name"] for volume in used_volumes(pod)]
    if not follows_pod(pod):
        return used
    metadata = pod["metadata"]
    # The generation counts the changes of the specification: resources may be resized in place.
    return used, metadata.get("labels"), metadata.get("annotations"), metadata.get("generation")
