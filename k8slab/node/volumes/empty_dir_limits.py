"""The size limits of emptyDir volumes: measured, as a kubelet measures them, and answered with eviction.

Source of rule, text and period: pkg/kubelet/eviction/eviction_manager.go (`emptyDirLimitEviction`)
and helpers.go of Kubernetes 1.36.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from k8slab.node.pods.pod_spec import Pod
from k8slab.quantity import bytes_of

LOOK_SECONDS = 10.0
"""How often a kubelet's eviction manager looks (`evictionMonitoringPeriod`)."""

EVICTED = "Evicted"
GRACE_SECONDS = 1.0
"""Grace period of an evicted Pod (`immediateEvictionGracePeriodSeconds`)."""

BLOCK = 512
"""Unit of `st_blocks`."""


def limits(pod: Pod) -> dict[str, str]:
    """The `sizeLimit` of each emptyDir volume that has one, as a quantity, by the volume's name."""
    found = {
        volume["name"]: str(volume["emptyDir"]["sizeLimit"])
        for volume in pod["spec"].get("volumes") or []
        if (volume.get("emptyDir") or {}).get("sizeLimit")
    }
    return {name: limit for name, limit in found.items() if bytes_of(limit) > 0}


def excess(wanted: Mapping[str, str], folders: Mapping[str, Path]) -> str:
    """The message with which a Pod is evicted, or an empty string if all its volumes keep their limits.

    Args:
        wanted: limits as quantities by volume name.
        folders: where each of these volumes lies.
    """
    for name, limit in wanted.items():
        if used_bytes(folders[name]) > bytes_of(limit):
            # The space at the end is the kubelet's.
            return f'Usage of EmptyDir volume "{name}" exceeds the limit "{limit}". '
    return ""


def used_bytes(folder: Path) -> int:
    """The bytes that a folder and all below it take on the disk; what cannot be looked at is not counted."""
    seen: set[tuple[int, int]] = set()
    total = 0
    for parent, folders, files in os.walk(folder):
        for path in [parent, *(os.path.join(parent, name) for name in (*files, *folders))]:
            try:
                found = os.lstat(path)
            except (FileNotFoundError, PermissionError):
                continue
            if (found.st_dev, found.st_ino) not in seen:
                seen.add((found.st_dev, found.st_ino))
                total += found.st_blocks * BLOCK
    return total
