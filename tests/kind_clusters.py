"""The kind cluster of a test run, where an engine and a node image are on this machine.

The nodes' image is not pulled for it. What the tests run in Pods the nodes do pull, once and beforehand: a
test that waits a minute for a Pod is not to wait for a registry.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from k8slab.cluster.kind.cluster import KindCluster

NAME = "t-kind"
NODES = 3

IMAGES = ("busybox:1.36", "busybox:1.37", "python:3.12-alpine", "nginx:1.29", "httpd:2.4")
"""What the tests of `tests/cluster` run in Pods; all of these have a shell."""

IMAGES_NAMESPACE = "t-images"
PULL_SECONDS = 900


@lru_cache(maxsize=1)
def obstacle() -> str:
    """Why no kind cluster can be made here without fetching anything; empty if one can."""
    from k8slab.cluster.container_engine import find_engine
    from k8slab.cluster.kind import program as kind_program
    from k8slab.cluster.kind.faults import blocking
    from k8slab.cluster.kind.images import NODE_REPOSITORY, is_here, node_image

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
    from k8slab.cluster.kind.backend import open_kind
    from k8slab.progress import SilentProgress

    return open_kind(NAME, NODES, False, SilentProgress())


def brings_images(cluster: KindCluster) -> str:
    """Have every node pull what the tests run; why that failed, or nothing.

    Args:
        cluster: the cluster.
    """
    from k8slab.errors import LabError

    manifest = cluster.kubeconfig.with_name("images.json")
    manifest.write_text(json.dumps(_everywhere()))
    try:
        cluster.ask("create", "namespace", IMAGES_NAMESPACE)
        cluster.ask("apply", "--namespace", IMAGES_NAMESPACE, "--filename", manifest)
        words = ("rollout", "status", "daemonset/images", "--namespace", IMAGES_NAMESPACE)
        cluster.ask(*words, f"--timeout={PULL_SECONDS}s", timeout=PULL_SECONDS + 30)
    except LabError as error:
        return f"the nodes cannot have {', '.join(IMAGES)}: {error.message}"
    finally:
        manifest.unlink(missing_ok=True)
        cluster.ask("delete", "namespace", IMAGES_NAMESPACE, "--ignore-not-found", "--wait=false")
    return ""


def _everywhere() -> dict[str, Any]:
    """A DaemonSet that starts one container of each image on each node, one after the other."""
    first, *others = (
        {"name": f"image-{number}", "image": image, "command": ["sh", "-c", "true"]}
        for number, image in enumerate(IMAGES)
    )
    stays = {**first, "command": ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 1; done"]}
    labels = {"app": "images"}
    spec = {"terminationGracePeriodSeconds": 1, "initContainers": others, "containers": [stays]}
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "images"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }
