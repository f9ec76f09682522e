"""Which kind cluster is ours: the journal that is kept of it, and what it says against what is there."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock

from k8slab.cluster.container_engine import PROVIDER_VARIABLE
from k8slab.cluster.kind_command import Kind
from k8slab.errors import ClusterStateError, StopError
from k8slab.folders import state_folder, write_private


@dataclass(frozen=True)
class KindJournal:
    """What is recorded of a kind cluster of ours.

    Args:
        name: the cluster's name.
        uuid: its identity, which the marker object in the cluster carries too.
        engine: the engine that holds its containers.
        containers: full ids of the containers of its nodes; empty while it is being made.
        seconds_to_ready: how long making it took, or None.
    """

    name: str
    uuid: str
    engine: str
    containers: tuple[str, ...] = ()
    seconds_to_ready: float | None = None

    def write(self, path: Path) -> None:
        """Write it in one step, readable by its owner alone."""
        write_private(path, json.dumps(asdict(self), indent=1))

    @staticmethod
    def read(path: Path) -> KindJournal | None:
        """The journal in that file, or None if there is no file."""
        try:
            values = json.loads(path.read_text())
        except FileNotFoundError:
            return None
        values["containers"] = tuple(values["containers"])
        return KindJournal(**values)


def kind_name(name: str) -> str:
    """What kind calls the cluster of that name."""
    return f"k8slab-{name}"


def kind_folder(name: str) -> Path:
    """The folder of that cluster's journal and kubeconfig."""
    return state_folder() / "kind" / name


def kind_lock(name: str) -> FileLock:
    """The lock under which the cluster of that name is made and deleted."""
    folder = kind_folder(name)
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return FileLock(folder.with_name(f"{name}.lock"), mode=0o600)


def settled(kind: Kind, folder: Path) -> KindJournal | None:
    """The journal of the cluster if it is there and ours; None if there is none, its remains removed.

    Raises:
        ClusterStateError: a cluster of that name is there and is not ours, or its engine is another.
    """
    name = kind_name(folder.name)
    journal = KindJournal.read(folder / "journal.json")
    if journal is not None and journal.engine != kind.engine.name:
        raise ClusterStateError(
            f"The kind cluster {name!r} was made with {journal.engine}; what answers is {kind.engine.name}.",
            f"Start {journal.engine}, or choose it with {PROVIDER_VARIABLE}={journal.engine}.",
        )
    if name not in kind.clusters():
        shutil.rmtree(folder, ignore_errors=True)
        return None
    containers = kind.containers(name)
    if journal is None or (journal.containers and not set(journal.containers) & set(containers)):
        raise ClusterStateError(
            f"There is a kind cluster {name!r} that k8slab did not make; it is left alone.",
            f"Open the lab under another name, or delete it yourself: `kind delete cluster --name {name}`.",
        )
    if not journal.containers:
        # The journal is written once the name was seen to be free: making it was cut off, and it is ours.
        remove(kind, folder)
        return None
    return journal


def remove(kind: Kind, folder: Path) -> None:
    """Delete the cluster of that folder, and its files.

    Raises:
        StopError: containers of it are still there.
    """
    name = kind_name(folder.name)
    kind.delete(name, folder / "kubeconfig")
    left = kind.containers(name)
    if left:
        ids = ", ".join(each[:12] for each in left)
        raise StopError(
            f"Containers of the kind cluster {name!r} are still there: {ids}.",
            f"Remove them with `{kind.engine.name} rm --force`.",
        )
    shutil.rmtree(folder)
