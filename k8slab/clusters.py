"""The clusters that k8slab made and that are there, found without starting or holding any."""

from __future__ import annotations

from k8slab.cluster.choose import attachment
from k8slab.cluster.contract import Cluster
from k8slab.cluster.embedded.backend import EmbeddedCluster, end
from k8slab.cluster.embedded.journal import Journal
from k8slab.cluster.existing.backend import kubectl_line
from k8slab.errors import ClusterStateError
from k8slab.folders import ClusterFolder, state_folder

_FOUND = "It is there already."


def cluster_names() -> list[str]:
    """Names of all clusters that left something on disk, running or not."""
    names: set[str] = set()
    for kind in ("clusters", "kind"):
        folder = state_folder() / kind
        if folder.is_dir():
            # What follows a dot tells the clusters of one name on several engines apart.
            names |= {
                each.name.partition(".")[0] for each in folder.iterdir() if (each / "journal.json").exists()
            }
    return sorted(names)


def find_cluster(name: str) -> Cluster | None:
    """The running cluster of that name, or None."""
    folder = ClusterFolder.of(name)
    journal = Journal.read(folder.journal)
    if journal is not None and journal.supervisor_is_alive():
        return EmbeddedCluster(folder, _FOUND, hold=False)
    from k8slab.cluster.kind.journal import is_known

    if is_known(name):
        from k8slab.cluster.kind.backend import find_kind

        return find_kind(name)
    return None


def running_cluster(name: str) -> Cluster:
    """The running cluster of that name.

    Raises:
        ClusterStateError: there is none; the message says which there are.
    """
    found = find_cluster(name)
    if found is None:
        attached = attachment()
        if attached is not None:
            line = kubectl_line(attached.context, attached.kubeconfig)
            raise ClusterStateError(
                f"No cluster {name!r} that k8slab made is running, and this command works on no other.",
                "K8SLAB_BACKEND and K8SLAB_CONTEXT name somebody's: reach it in a notebook, by Lab.open, or"
                f" with `{line}`. One of your own starts with `k8slab up --name {name} --backend embedded`.",
            )
        others = [each for each in cluster_names() if each != name and find_cluster(each) is not None]
        there = f" There are: {', '.join(others)}." if others else ""
        raise ClusterStateError(
            f"No cluster {name!r} is running.{there}", f"Start it with `k8slab up --name {name}`."
        )
    return found


def delete_cluster(name: str) -> bool:
    """End the cluster of that name and sweep what an earlier one left.

    Returns:
        Whether there was anything to end.
    """
    if name not in cluster_names():
        return False
    found = find_cluster(name)
    if found is not None:
        found.delete()
    else:
        end(ClusterFolder.of(name))
    return True
