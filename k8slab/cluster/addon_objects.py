"""The objects that belong to the add-ons, made once the nodes are Ready. Pure."""

from __future__ import annotations

from typing import Any

from k8slab.folders import ClusterFolder, ClusterSettings


def addon_objects(folder: ClusterFolder, settings: ClusterSettings) -> list[tuple[str, dict[str, Any]]]:
    """What the add-ons need in a fresh cluster, each with the path of its collection.

    Args:
        folder: the cluster's folder, for certificates that the API server must trust.
        settings: its settings.
    """
    return []
