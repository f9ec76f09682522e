"""What an engine may still bring forth of a create that was given up, and by what it is told to be ours.

An engine goes on with a container whose command was killed, and shows it only when it is made: docker first
copies the node image's /var into a new volume, which takes seconds (moby's daemon/create.go registers a
container last, and keeps its name from the beginning). So the ports that were chosen are remembered beside
the cluster's folder until a cluster of that name is whole.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from k8slab.folders import write_private


def remember(folder: Path, ports: Mapping[str, Mapping[str, int]]) -> None:
    """Note the ports of a create that is given up, beside those of others before it.

    Args:
        folder: of the cluster.
        ports: which were chosen for its nodes.
    """
    chosen = remembered(folder) | {host for node in ports.values() for host in node.values()}
    if chosen:
        write_private(_path(folder), json.dumps(sorted(chosen)))


def remembered(folder: Path) -> set[int]:
    """The ports of creates of that cluster that were given up; empty if there were none."""
    try:
        return set(json.loads(_path(folder).read_text()))
    except (FileNotFoundError, ValueError):
        return set()


def forget(folder: Path) -> None:
    """A cluster of that name is whole: nothing of it is left over any more."""
    _path(folder).unlink(missing_ok=True)


def _path(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.unfinished.json")
