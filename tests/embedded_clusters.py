"""The embedded clusters of a test run: one a level of isolation, started when first asked for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from k8slab.cluster.embedded.backend import EmbeddedCluster

NODES = 3


class EmbeddedClusters:
    """Starts a cluster of each level once, and ends them all."""

    def __init__(self) -> None:
        self._clusters: dict[str, EmbeddedCluster] = {}

    def at(self, level: str) -> EmbeddedCluster:
        """The cluster of a level, `sandboxed` or `plain`."""
        if level not in self._clusters:
            from k8slab.cluster.embedded.backend import open_embedded
            from k8slab.progress import SilentProgress

            with isolated_as(level):
                self._clusters[level] = open_embedded(f"t-{level}", NODES, False, SilentProgress())
            assert self._clusters[level].isolation == level
        return self._clusters[level]

    def close(self) -> None:
        """End them; one that cannot be ended does not keep the others."""
        with ExitStack() as ending:
            for cluster in self._clusters.values():
                ending.callback(cluster.delete)


@contextmanager
def isolated_as(level: str) -> Iterator[None]:
    """Force a level of isolation for clusters that are started inside the context."""
    before = os.environ.get("K8SLAB_ISOLATION")
    os.environ["K8SLAB_ISOLATION"] = level
    try:
        yield
    finally:
        if before is None:
            del os.environ["K8SLAB_ISOLATION"]
        else:
            os.environ["K8SLAB_ISOLATION"] = before
