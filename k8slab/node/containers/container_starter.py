"""Starting one container: its image, its configuration, its pauses, its program.

Events and reasons are those of pkg/kubelet/kuberuntime/kuberuntime_container.go
(`startContainer`) and pkg/kubelet/images/image_manager.go of Kubernetes 1.36.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from k8slab.api_events import EventType
from k8slab.errors import LabError
from k8slab.node.containers.backoff import Backoff, duration_text, replayed
from k8slab.node.containers.container_record import ContainerRecord
from k8slab.node.containers.container_status import Waiting
from k8slab.node.containers.environment import Lookup, MissingConfigError, environment, expand
from k8slab.node.containers.field_values import Surroundings, UnknownFieldError
from k8slab.node.containers.security_context import RootRefusedError, security
from k8slab.node.images.names import UnknownImageError
from k8slab.node.images.pulls import ImagePulls
from k8slab.node.images.resolution import ImagePlan, content_mounts, resolve
from k8slab.node.node_context import NodeContext
from k8slab.node.pods import pod_spec
from k8slab.node.pods.pod_spec import Container, Pod
from k8slab.node.pods.service_variables import service_variables
from k8slab.node.runtime.client import RuntimeGoneError, RuntimeRefusedError
from k8slab.node.volumes.mounts import Mount, VolumeError, real
from k8slab.quantity import bytes_of

CONFIG_ERRORS = (
    *(MissingConfigError, UnknownFieldError, VolumeError, UnknownImageError, RootRefusedError),
    # A volume's files are the Pod's: they may be unreadable, or the disk full.
    OSError,
)
"""What makes a container `CreateContainerConfigError`."""

NEVER_EXECUTED = "StartError"
"""The runtime's reason of a run whose program was never executed; containerd's too."""

RUN_ERROR = "RunContainerError"
"""What a kubelet says of such a container until it has looked at it again (`ErrRunContainer`)."""

RELIST_SECONDS = 1.0
"""How soon a kubelet sees that a container is gone: the period of its PLEG (pkg/kubelet/kubelet.go)."""

NO_NETWORK = "NetworkNotReady"
"""The runtime's reason where a Pod's network is gone and cannot be made (docs/architecture.md)."""


class ContainerStarter:
    """Starts the containers of one Pod and remembers why one does not start.

    Args:
        node: the node.
        runs: the Pod's runs by container name, latest first; shared with the Pod's worker.
    """

    def __init__(self, node: NodeContext, runs: dict[str, list[ContainerRecord]]) -> None:
        self.waiting: dict[str, Waiting] = {}
        self.images: dict[str, str] = {}
        self.shown_images: dict[str, str] = {}
        self.retry_at: dict[str, float] = {}
        self._node = node
        self._runs = runs
        clock = node.clock
        self._restarts = {name: replayed(each, clock.first, clock.longest) for name, each in runs.items()}
        self._before: dict[str, Backoff] = {}
        self._keys: dict[str, str] = {}
        self._pulls = ImagePulls(node.images, clock)

    def held_back(self, pod: Pod, container: Container) -> bool:
        """Whether a container that ended must still wait; says so by status and Event.

        Args:
            pod: the Pod.
            container: the container that is to run again.
        """
        name = container["name"]
        runs = self._runs.get(name)
        if not runs:
            return False
        finished = runs[0].finished or runs[0].created
        waiting = self.waiting.get(name)
        if waiting and waiting.reason == RUN_ERROR and time.time() < finished + RELIST_SECONDS:
            self.retry_at[name] = finished + RELIST_SECONDS
            return True
        key = f"{container['image']} {json.dumps(container.get('resources') or {}, sort_keys=True)}"
        if self._keys.setdefault(name, key) != key:
            # What the container is has changed, so its failures begin anew (`GetBackoffKey` in
            # pkg/kubelet/kuberuntime/helpers.go).
            self._keys[name] = key
            self._restarts.pop(name, None)
        backoff = self._restarts.get(name) or Backoff(
            first=self._node.clock.first, longest=self._node.clock.longest
        )
        ends = backoff.ends(finished)
        now = time.time()
        if now >= ends:
            self._before[name] = backoff
            self._restarts[name] = backoff.lengthened(finished, now)
            self.retry_at.pop(name, None)
            return False
        full_name = pod_spec.name_of(pod)
        text = f"back-off {duration_text(backoff.pause)} restarting failed container={name} pod={full_name}"
        if self.waiting.get(name) != Waiting("CrashLoopBackOff", text) or name not in self.retry_at:
            message = f"Back-off restarting failed container {name} in pod {full_name}"
            self._event(pod, container, "Warning", "BackOff", message)
        self.waiting[name] = Waiting("CrashLoopBackOff", text)
        self.retry_at[name] = ends
        return True

    async def start(
        self, pod: Pod, container: Container, attempt: int, lookup: Lookup, around: Surroundings
    ) -> ContainerRecord | None:
        """Start a container, or note in `waiting` and `retry_at` why not and when to try again.

        Args:
            pod: the Pod; its volumes are prepared.
            container: the container.
            attempt: 0 for its first run.
            lookup: gives ConfigMaps and Secrets.
            around: addresses and allocatable resources.

        Returns:
            The run, or None.

        Raises:
            RuntimeGoneError: the runtime does not answer.
            RuntimeRefusedError: the Pod has no network (any more).
        """
        name = container["name"]
        plan = self._image(pod, container)
        if plan is None:
            return None
        try:
            variables = self._environment(pod, container, plan, lookup, around)
            mounts = self._node.volumes.mounts(pod, container, variables)
            request = self._request(pod, container, plan, variables, mounts, attempt)
        except CONFIG_ERRORS as error:
            self._failed(pod, container, "CreateContainerConfigError", str(error))
            return None
        try:
            answer = await self._node.runtime.ask("start_container", **request)
        except RuntimeGoneError:
            self._take_back(name)
            raise
        except RuntimeRefusedError as error:
            if error.reason == NO_NETWORK:
                self._take_back(name)
                raise
            self._failed(pod, container, error.reason or RUN_ERROR, str(error))
            return None
        self._event(pod, container, "Normal", "Created", "Container created")
        self.images[name] = plan.image_id
        self.shown_images[name] = plan.shown
        self.waiting.pop(name, None)
        self.retry_at.pop(name, None)
        run = ContainerRecord.of(answer)
        if run.reason == NEVER_EXECUTED:
            self._event(pod, container, "Warning", "Failed", f"Error: {run.message}")
            self.waiting[name] = Waiting(RUN_ERROR, run.message)
        else:
            self._event(pod, container, "Normal", "Started", "Container started")
        return run

    def _take_back(self, name: str) -> None:
        """Undo the lengthening of a pause: nothing was there to try a run, so there was no restart.

        A kubelet syncs no Pod while its runtime is down, and starts no container before the sandbox is there.
        """
        before = self._before.pop(name, None)
        if before is not None:
            self._restarts[name] = before

    def forget_due(self) -> None:
        """Drop the pauses that are over; what still cannot start gets a new one."""
        now = time.time()
        for name in [name for name, moment in self.retry_at.items() if moment <= now]:
            del self.retry_at[name]

    def recall_image(self, container: Container) -> None:
        """Find out again what stands behind the image of a container that runs already."""
        try:
            plan = self._plan(container, container.get("command") or [], container.get("args") or [])
            self.images[container["name"]] = plan.image_id
            self.shown_images[container["name"]] = plan.shown
        except LabError:
            # The catalogue has changed since; the container runs all the same.
            self.images.setdefault(container["name"], "")

    # -- image ---------------------------------------------------------------------------------

    def _image(self, pod: Pod, container: Container) -> ImagePlan | None:
        """The plan for a container's image; None if it cannot be had (now)."""

        def tell(kind: EventType, reason: str, message: str) -> None:
            self._event(pod, container, kind, reason, message)

        found = self._pulls.have(container, self._node.settings.isolation, tell)
        if isinstance(found, ImagePlan):
            return found
        if found.waiting is not None:
            self.waiting[container["name"]] = found.waiting
        else:
            self.waiting.pop(container["name"], None)
        self.retry_at[container["name"]] = found.until
        return None

    def _plan(self, container: Container, command: Sequence[str], args: Sequence[str]) -> ImagePlan:
        return resolve(container["image"], command, args, self._node.settings.isolation)

    # -- configuration -------------------------------------------------------------------------

    def _environment(
        self, pod: Pod, container: Container, plan: ImagePlan, lookup: Lookup, around: Surroundings
    ) -> dict[str, str]:
        links = bool(pod["spec"].get("enableServiceLinks", True))
        services = service_variables(self._node.services.all(), pod["metadata"]["namespace"], links)
        own = environment(pod, container, services, lookup, around, partial(self._file, pod))
        return {**dict(plan.env), "HOSTNAME": pod_spec.hostname_of(pod), **own}

    def _file(self, pod: Pod, volume: str, path: str) -> Path:
        """Where a file of a volume lies on this host, for environment variables that stand in it."""
        if not any(each["name"] == volume for each in pod["spec"].get("volumes") or []):
            raise MissingConfigError(f'cannot find the volume "{volume}" referenced by FileKeyRef')
        folder = real(self._node.volumes.path(pod, volume))
        file = real(folder / path)
        if not file.is_relative_to(folder):
            raise MissingConfigError(f'the path "{path}" leads out of the volume "{volume}"')
        return file

    def _request(
        self,
        pod: Pod,
        container: Container,
        plan: ImagePlan,
        variables: dict[str, str],
        mounts: Sequence[Mount],
        attempt: int,
    ) -> dict[str, Any]:
        """The runtime's `start_container` request."""
        uid, name = pod["metadata"]["uid"], container["name"]
        words = [expand(word, variables) for word in container.get("command") or []]
        args = [expand(word, variables) for word in container.get("args") or []]
        last_words = self._node.volumes.termination_log(uid, name, attempt)
        target = container.get("terminationMessagePath") or "/dev/termination-log"
        limit = ((container.get("resources") or {}).get("limits") or {}).get("memory")
        return {
            "pod": uid,
            "container": secrets.token_hex(32),
            "name": name,
            "attempt": attempt,
            "argv": list(self._plan(container, words, args).argv),
            "env": [list(item) for item in variables.items()],
            "working_dir": container.get("workingDir") or plan.working_dir,
            "mounts": [
                *content_mounts(plan, [mount.target for mount in mounts]),
                *(mount.request() for mount in (*mounts, Mount(str(last_words), target, False))),
            ],
            "read_only_paths": list(plan.read_only_paths),
            "memory_limit": bytes_of(limit) if limit else 0,
            **security(pod, container).request(),
            "stdin": bool(container.get("stdin")),
            "stdin_once": bool(container.get("stdinOnce")),
            "tty": bool(container.get("tty")),
            "share_with": self._target(container),
            "ports": pod_spec.tcp_ports(container),
        }

    def _target(self, container: Container) -> str:
        """The id of the run whose processes an ephemeral container shares; empty if it asks for none."""
        name = container.get("targetContainerName")
        if not name:
            return ""
        runs = self._runs.get(name)
        if not runs:
            # kuberuntime_container.go, getTargetID.
            raise MissingConfigError(f"unable to find target container {name}")
        return runs[0].container

    def termination_file(self, pod: Pod, record: ContainerRecord) -> Path:
        """Where a run's last words lie on this host."""
        return self._node.volumes.termination_log(pod["metadata"]["uid"], record.name, record.attempt)

    def _failed(self, pod: Pod, container: Container, reason: str, message: str) -> None:
        name = container["name"]
        self._event(pod, container, "Warning", "Failed", f"Error: {message}")
        self.waiting[name] = Waiting(reason, message)
        self.retry_at[name] = time.time() + self._node.clock.first

    def _event(self, pod: Pod, container: Container, kind: EventType, reason: str, message: str) -> None:
        self._node.events.pod(pod, kind, reason, message, field_path(pod, container["name"]))


def field_path(pod: Pod, name: str) -> str:
    """The path of a container in its Pod, as Events carry it: `spec.containers{web}`."""
    if pod_spec.is_init(pod, name):
        return f"spec.initContainers{{{name}}}"
    if any(each["name"] == name for each in pod_spec.ephemeral_containers(pod)):
        return f"spec.ephemeralContainers{{{name}}}"
    return f"spec.containers{{{name}}}"
