"""Which images a node has: the ones it has used, as a node with a container runtime would have pulled them.

Nothing is really pulled. But a node that never used an image does not have it, says `Pulling` when it first
does, and refuses it to a Pod that must not pull: so it is kept by node, in a file that outlives the agent.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from k8slab.errors import LabError
from k8slab.folders import Isolation, write_private
from k8slab.node.images.catalogue import catalogue
from k8slab.node.images.resolution import ImagePlan, resolve

log = logging.getLogger(__name__)

MOST_SHOWN = 50
"""Images that a Node's status lists at most: the kubelet's `nodeStatusMaxImages`."""


class ImageStore:
    """The images of one node.

    Args:
        file: where they are noted; its folder need not exist yet.
        isolation: the node's level.
    """

    def __init__(self, file: Path, isolation: Isolation) -> None:
        self.changed: Callable[[], None] = lambda: None
        self._file = file
        self._isolation = isolation
        self._free_at = 0.0
        self._images: dict[str, dict[str, Any]] = {}
        if file.is_file():
            try:
                self._images = json.loads(file.read_text())
            except ValueError as error:
                log.warning("the node's images in %s cannot be read and are forgotten: %s", file, error)
        self._preload()

    def _preload(self) -> None:
        """Note what every node has from its start, as after `kind load`."""
        try:
            named = [
                f"{name}:{tag}"
                for entry in catalogue()
                if entry.preloaded
                for name in entry.match
                if "*" not in name
                for tag in entry.tags or ("latest",)
            ]
            for image in named:
                self._note(resolve(image, [], [], self._isolation))
        except LabError as error:
            log.warning("images that every node has from its start: %s", error)

    def has(self, image: str) -> bool:
        """Whether the node has an image.

        Args:
            image: its full reference, such as `docker.io/library/nginx:1.29`.
        """
        return image in self._images

    def pulled(self, plan: ImagePlan) -> None:
        """Take note that the node has an image from now on."""
        if self._note(plan):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            write_private(self._file, json.dumps(self._images, indent=1))
            self.changed()

    def _note(self, plan: ImagePlan) -> bool:
        entry = {"id": plan.image_id, "size": plan.size}
        if self._images.get(plan.name.full) == entry:
            return False
        self._images[plan.name.full] = entry
        return True

    def turn(self, now: float, seconds: float) -> tuple[float, float]:
        """When a pull begins and ends: pulls of a node come one after the other, as a kubelet's do.

        Args:
            now: the moment at which it is asked for (epoch s).
            seconds: how long it takes.
        """
        begins = max(now, self._free_at)
        self._free_at = begins + seconds
        return begins, begins + seconds

    def status(self) -> Sequence[dict[str, Any]]:
        """The images as the Node's status lists them, largest first (pkg/kubelet/nodestatus/setters.go)."""
        by_identity: dict[str, tuple[int, list[str]]] = {}
        for name, entry in self._images.items():
            by_identity.setdefault(entry["id"], (entry["size"], []))[1].append(name)
        ordered = sorted(by_identity.items(), key=lambda item: (-item[1][0], item[0]))
        return [
            # At most five names of each: the kubelet's `MaxNamesPerImageInNodeStatus`.
            {"names": [identity, *sorted(names)][:5], "sizeBytes": size}
            for identity, (size, names) in ordered[:MOST_SHOWN]
        ]
