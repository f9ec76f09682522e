"""How a lab introduces itself: its chapter, its cluster, and what of it is played."""

from __future__ import annotations

from k8slab.answers import Table
from k8slab.cluster.contract import Cluster
from k8slab.session.restoring import processes_on
from k8slab.session.session import Session


def introduction(session: Session) -> str:
    """The chapter's goal, the cluster, and what k8slab plays in it."""
    if session.closed:
        return "A closed lab: run the cell with Lab.open(...) again."
    cluster, chapter = session.cluster, session.chapter
    info = cluster.info()
    nodes, seconds = info.get("nodes") or [], info.get("seconds_to_ready")
    seen = f"{len(nodes)} nodes" if nodes or cluster.owned else "nodes that you may not see"
    ready = f", ready {seconds:.1f} s after its start" if seconds else ""
    played = [each.part for each in cluster.reality() if each.played]
    stopped = _stopped(cluster)
    return "\n".join(
        (
            f"{chapter.title}. {chapter.goal}",
            f"Cluster {cluster.name}: Kubernetes {info.get('kubernetes')} on the backend"
            f" {cluster.backend} ({cluster.isolation}), {seen}{ready}.",
            f"Namespace {session.namespace}. Played by k8slab here: {', '.join(played) or 'nothing'}."
            " lab.reality() says how.",
            # Whoever left a chapter halfway would wonder in the next one why nothing moves.
            *(
                [f"Stopped at the moment: {', '.join(stopped)}. lab.reset() starts all of it."]
                if stopped
                else []
            ),
        )
    )


def _stopped(cluster: Cluster) -> list[str]:
    """What somebody left stopped: a node without power by itself, and not by what would run on it."""
    off = {each.name: each.power for each in cluster.nodes() if each.power != "on"}
    without = processes_on(off)
    return [
        *(each.name for each in cluster.processes() if each.state == "stopped" and each.name not in without),
        *(f"{name} ({'paused' if power == 'paused' else 'powered off'})" for name, power in off.items()),
    ]


def reality_of(cluster: Cluster) -> Table:
    """What is real on a backend, and what k8slab plays."""
    rows = tuple(
        (each.part, "played" if each.played else "real", each.sentence) for each in cluster.reality()
    )
    return Table(("PART", "", "WHAT IT IS HERE"), rows, f"The backend {cluster.backend}")
