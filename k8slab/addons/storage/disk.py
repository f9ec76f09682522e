"""The disks of the nodes, as far as the storage provisioner makes and removes folders on them.

Elsewhere a helper Pod on the node does this; here all nodes' files lie below the cluster's folder.
"""

from __future__ import annotations

from pathlib import Path

from k8slab.errors import LabError
from k8slab.folders import ClusterFolder, remove_tree

MODE = 0o777
"""Permissions of a volume's folder, as local-path-provisioner sets them: any user of a Pod may write."""


class DiskError(LabError):
    """A folder on a node's disk that could not be made or removed."""


class NodeDisks:
    """Makes and removes folders in the nodes' own file trees.

    Args:
        folder: the cluster's folder.
    """

    def __init__(self, folder: ClusterFolder) -> None:
        self._folder = folder

    def has(self, node: str) -> bool:
        """Whether there is a disk of that node on this machine."""
        return self._folder.node(node).is_dir()

    def make(self, node: str, path: str) -> None:
        """Make a folder on a node; one that is there already stays as it is.

        Args:
            node: the node's name.
            path: the folder as the node sees it, such as `/var/lib/data`.

        Raises:
            DiskError: it could not be made.
        """
        place = self._place(node, path)
        if place.is_symlink():
            raise DiskError(f"{path} on node {node} is a symbolic link, and no folder for a volume.")
        try:
            place.mkdir(parents=True, exist_ok=True)
            place.chmod(MODE)
        except OSError as error:
            raise DiskError(
                f"the folder {path} could not be made on node {node}: {error.strerror}."
            ) from error

    def remove(self, node: str, path: str) -> None:
        """Remove a folder of a node with all it holds; one that is not there is no error.

        Args:
            node: the node's name.
            path: the folder as the node sees it.

        Raises:
            DiskError: something is left of it.
        """
        try:
            remove_tree(self._place(node, path))
        except OSError as error:
            raise DiskError(
                f"the folder {path} could not be removed on node {node}: {error.strerror}: {error.filename}"
            ) from error

    def _place(self, node: str, path: str) -> Path:
        """Where a node's folder lies on this machine, provided that no link leads elsewhere on the way."""
        home = self._folder.node(node)
        if not home.is_dir():
            raise DiskError(f"node {node} has no disk: {home} is not there.")
        place = home / "host" / path.strip("/")
        if place.parent.resolve() != home.resolve() / "host" / Path(path.strip("/")).parent:
            raise DiskError(f"a symbolic link on the way to {path} leads out of the disk of node {node}.")
        return place
