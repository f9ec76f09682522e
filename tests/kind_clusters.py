"""The kind cluster of a test run, where an engine and a node image are on this machine; nothing is pulled."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from k8slab.cluster.kind_cluster import KindCluster

NAME = "t-kind"
NODES = 3


@lru_cache(maxsize=1)
def obstacle() -> str:
    """Why no kind cluster can be made here without fetching anything; empty if one can."""
    from k8slab.cluster import kind_program
    from k8slab.cluster.container_engine import find_engine
    from k8slab.cluster.kind_faults import blocking
    from k8slab.cluster.kind_images import NODE_REPOSITORY, is_here, node_image

    engine, seen = find_engine()
    if engine is None:
        return f"so nothing here ran on a real kind: {seen}"
    found = kind_program.find_without_fetching()
    if isinstance(found, list):
        return f"so nothing here ran on a real kind: {'; '.join(found)}"
    if problem := blocking(engine):
        return f"so nothing here ran on a real kind: {problem}"
    image, _ = node_image(found.version, engine)
    if not image or not is_here(engine, image):
        return f"so nothing here ran on a real kind: {engine.name} has no image {image or NODE_REPOSITORY}"
    return ""


def opened() -> KindCluster:
    """The cluster; made if it is not there."""
    from k8slab.cluster.kind import open_kind
    from k8slab.progress import SilentProgress

    return open_kind(NAME, NODES, False, SilentProgress())
