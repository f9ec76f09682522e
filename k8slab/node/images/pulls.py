"""Having the images of one Pod: pull policies, pulls, their pauses and what is said of them.

Reasons, events and texts are those of pkg/kubelet/images/image_manager.go (`EnsureImageExists`,
`pullImage`) of Kubernetes 1.36. A pull takes as long as it takes to find out what runs, unless the catalogue
asks for more.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from k8slab.api_events import EventType
from k8slab.errors import LabError
from k8slab.folders import Isolation
from k8slab.node.containers.backoff import Backoff, duration_text
from k8slab.node.containers.container_status import Waiting
from k8slab.node.images.names import UnknownImageError, parse_name
from k8slab.node.images.resolution import ImagePlan, resolve
from k8slab.node.images.store import ImageStore
from k8slab.node.node_context import RestartClock
from k8slab.node.pods.pod_spec import Container

PULL_SHOWN_SECONDS = 3.0
"""How long `ErrImagePull` is shown before `ImagePullBackOff`; a kubelet's next look comes about then."""

BACKOFF_TOLD_SECONDS = 12.0
"""How often a Pod that waits for a pull says so: about as often as a kubelet looks (`backOffPeriod`)."""

Tell = Callable[[EventType, str, str], None]
"""Records an Event about the container: kind, reason, message."""


@dataclass(frozen=True)
class NoImageYet:
    """An image that is not there (yet).

    Args:
        waiting: what the container's status says; None while it is being pulled.
        until: when to look again (epoch s).
    """

    waiting: Waiting | None
    until: float


@dataclass(frozen=True)
class _Pull:
    plan: ImagePlan
    asked: float
    begins: float
    ends: float


class ImagePulls:
    """The images of one Pod.

    Args:
        store: the node's images.
        clock: the pauses.
    """

    def __init__(self, store: ImageStore, clock: RestartClock) -> None:
        self._store = store
        self._clock = clock
        self._pauses: dict[str, Backoff] = {}
        self._errors: dict[str, str] = {}
        self._pulls: dict[str, _Pull] = {}
        self._held: dict[tuple[str, str], NoImageYet] = {}

    def have(self, container: Container, isolation: Isolation, tell: Tell) -> ImagePlan | NoImageYet:
        """See to it that the node has a container's image.

        Args:
            container: the container.
            isolation: the node's level.
            tell: records Events about it.

        Returns:
            How it runs; or why it does not, and when to look again.
        """
        now = time.time()
        held = self._held.get((container["name"], container["image"]))
        if held is not None and now < held.until:
            # The Pod was looked at for another reason.
            return held
        found = self._look(container, isolation, now, tell)
        if isinstance(found, NoImageYet):
            self._held[container["name"], container["image"]] = found
        return found

    def _look(
        self, container: Container, isolation: Isolation, now: float, tell: Tell
    ) -> ImagePlan | NoImageYet:
        image = container["image"]
        try:
            name = parse_name(image)
        except UnknownImageError as error:
            text = f'Failed to apply default image tag "{image}": {error}'
            tell("Warning", "InspectFailed", text)
            return self._refused(Waiting(error.reason, text), now + self._clock.first, tell)
        if image in self._pulls:
            return self._pulling(container, now, tell)
        policy = container.get("imagePullPolicy") or "IfNotPresent"
        here = self._store.has(name.full)
        if policy == "Never" and not here:
            text = f'Container image "{image}" is not present with pull policy of Never'
            tell("Warning", "ErrImageNeverPull", text)
            return self._refused(Waiting("ErrImageNeverPull", text), now + self._clock.first, tell)
        if policy == "Always" or not here:
            return self._pull(container, isolation, now, tell)
        try:
            plan = _plan(container, isolation)
        except LabError as error:
            # It was there: the catalogue has changed, or a program was removed from this host.
            return self._failed(image, str(error), now, tell)
        text = f'Container image "{image}" already present on machine and can be accessed by the pod'
        tell("Normal", "Pulled", text)
        _tell_stand_in(container, plan, tell)
        return plan

    def _pull(
        self, container: Container, isolation: Isolation, now: float, tell: Tell
    ) -> ImagePlan | NoImageYet:
        image = container["image"]
        pause = self._pauses.get(image)
        if pause is not None and now < pause.updated + pause.pause:
            text = f'Back-off pulling image "{image}"'
            tell("Normal", "BackOff", text)
            waiting = Waiting("ImagePullBackOff", f"{text}: {self._errors[image]}")
            return self._refused(waiting, min(pause.updated + pause.pause, now + BACKOFF_TOLD_SECONDS), tell)
        tell("Normal", "Pulling", f'Pulling image "{image}"')
        try:
            plan = _plan(container, isolation)
        except LabError as error:
            return self._failed(image, str(error), now, tell)
        if plan.pull_seconds:
            seconds = duration_text(plan.pull_seconds)
            text = (
                f'The pull of "{image}" is made to take {seconds} by the image catalogue; nothing is pulled.'
            )
            tell("Normal", "PlayedPull", text)
        found = time.time()
        begins, ends = self._store.turn(now, max(plan.pull_seconds, found - now))
        self._pulls[image] = _Pull(plan, now, begins, ends)
        return self._pulling(container, time.time(), tell)

    def _pulling(self, container: Container, now: float, tell: Tell) -> ImagePlan | NoImageYet:
        image = container["image"]
        pull = self._pulls[image]
        if now < pull.ends:
            return NoImageYet(None, pull.ends)
        del self._pulls[image]
        self._pauses.pop(image, None)
        self._store.pulled(pull.plan)
        took, waited = _truncated(pull.ends - pull.begins), _truncated(pull.ends - pull.asked)
        text = (
            f'Successfully pulled image "{image}" in {took} ({waited} including waiting). '
            f"Image size: {pull.plan.size} bytes."
        )
        tell("Normal", "Pulled", text)
        _tell_stand_in(container, pull.plan, tell)
        return pull.plan

    def _failed(self, image: str, text: str, now: float, tell: Tell) -> NoImageYet:
        tell("Warning", "Failed", f'Failed to pull image "{image}": {text}')
        before = self._pauses.get(image) or Backoff(first=self._clock.first, longest=self._clock.longest)
        self._pauses[image] = before.lengthened(now, now)
        self._errors[image] = f"ErrImagePull: {text}"
        return self._refused(Waiting("ErrImagePull", text), now + PULL_SHOWN_SECONDS, tell)

    def _refused(self, waiting: Waiting, until: float, tell: Tell) -> NoImageYet:
        tell("Warning", "Failed", f"Error: {waiting.reason}")
        return NoImageYet(waiting, until)


def _plan(container: Container, isolation: Isolation) -> ImagePlan:
    return resolve(container["image"], container.get("command") or [], container.get("args") or [], isolation)


def _tell_stand_in(container: Container, plan: ImagePlan, tell: Tell) -> None:
    """Say that something stands in for the product, and what of the Pod it does not read."""
    if plan.stand_in:
        tell("Normal", "StandIn", plan.stand_in)
    for mount in container.get("volumeMounts") or []:
        target = str(mount["mountPath"]).rstrip("/")
        if any(target == path or target.startswith(f"{path}/") for path in plan.ignores):
            tell("Warning", "StandIn", f"The stand-in does not read what the Pod mounts at {target}.")


def _truncated(seconds: float) -> str:
    """A duration cut to milliseconds, as Go prints it."""
    milliseconds = int(max(0.0, seconds) * 1000)
    return f"{milliseconds}ms" if 0 < milliseconds < 1000 else duration_text(milliseconds / 1000)
