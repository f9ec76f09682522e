"""What a cluster left behind when its supervisor was killed, and how it is swept."""

from __future__ import annotations

from pathlib import Path

from k8slab.cluster.embedded.journal import Journal
from k8slab.errors import StopError
from k8slab.folders import ClusterFolder, remove_tree, state_folder
from k8slab.processes import ProcessIdentity, cluster_of, end_processes, processes_of_cluster


def clusters() -> list[ClusterFolder]:
    """The folders of all embedded clusters of this user, running or left over."""
    parent = state_folder() / "clusters"
    if not parent.is_dir():
        return []
    return [ClusterFolder(path) for path in sorted(parent.iterdir()) if path.is_dir()]


def orphans(journal: Journal) -> list[ProcessIdentity]:
    """Processes of a cluster that still run: by pid, start time and uuid together, never by name."""
    named = [
        identity
        for identity in journal.processes.values()
        if identity is not None and identity.is_alive() and cluster_of(identity.pid) == journal.uuid
    ]
    return list({*named, *processes_of_cluster(journal.uuid)})


def sweep(folder: ClusterFolder) -> int:
    """End what a dead cluster left and remove its folder.

    Args:
        folder: a cluster's folder; its supervisor must not be alive.

    Returns:
        How many processes were ended.

    Raises:
        StopError: some are alive all the same, or the folder is no cluster's.
    """
    journal = Journal.read(folder.journal)
    ended = 0
    if journal is not None:
        found = orphans(journal)
        left = end_processes(found)
        if left:
            pids = ", ".join(str(each.pid) for each in left)
            raise StopError(
                f"Processes {pids} of cluster {journal.name!r} do not end.",
                "End them by hand, then try again.",
            )
        ended = len(found)
    elif folder.path.exists() and not _looks_like_ours(folder.path):
        raise StopError(
            f"{folder.path} is no cluster's folder, so it is left alone.", "Move it away, then try again."
        )
    remove_tree(folder.path)
    return ended


def _looks_like_ours(path: Path) -> bool:
    known = {"settings.json", "journal.json", "pki", "kubeconfigs", "logs", "run", "etcd", "nodes"}
    return all(each.name in known or each.name.startswith(".") for each in path.iterdir())
