"""The third key of somebody else's cluster: its context's name, typed once more by whoever runs the cell.

The other two may be prepared for a whole class (a label, and `K8SLAB_NAMESPACES`). This one is a person's
word, given for one lab and gone with its kernel, so no environment variable stands for it: what is set once
and forgotten says nothing.
"""

from __future__ import annotations

from dataclasses import replace

from k8slab.cluster.existing.backend import ExistingCluster
from k8slab.errors import GuardError
from k8slab.session.session import Session


def waits_for_key(session: Session) -> bool:
    """Whether namespaces were named, and nothing else is missing in the lab than the typed name."""
    cluster = session.cluster
    if not isinstance(cluster, ExistingCluster):
        return False
    return bool(cluster.keys.namespaces) and cluster.keys.typed != cluster.context


def give_key(session: Session, typed: str) -> str:
    """Take the typed name, and say what may be changed now.

    Args:
        session: the chapter's namespace.
        typed: what was typed.

    Raises:
        GuardError: it is not the context's name, or the namespace lacks its label.
    """
    cluster = session.cluster
    if not isinstance(cluster, ExistingCluster):
        return f"The cluster {cluster.name!r} is k8slab's own: there is nothing to unlock."
    name = typed.strip()
    if name != cluster.context:
        seen = f"{name!r} was typed" if name else "nothing was typed"
        raise GuardError(
            f"The name of this context is {cluster.context!r}, and {seen}: the lab goes on reading only.",
            "Type it exactly, if it is this cluster that you mean.",
        )
    cluster.keys = replace(cluster.keys, typed=name)
    for namespace in cluster.keys.namespaces:
        session.guard.check_cluster(namespace)
    allowed = ", ".join(cluster.keys.namespaces) or "none"
    return f"This lab may now change in {cluster.context!r}: {allowed}; and nothing else there."
