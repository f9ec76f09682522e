"""Which kind cluster is ours: the journal that is kept of it, and what it says against what is there."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from filelock import FileLock

from k8slab.cluster.container_engine import PROVIDER_VARIABLE
from k8slab.cluster.kind.cloud import KindCloud
from k8slab.cluster.kind.command import DELETE_SECONDS, Kind, end_marked
from k8slab.cluster.kind.faults import facts_of
from k8slab.cluster.kind.remains import remember, remembered
from k8slab.errors import ClusterStateError, CommandError, StopError
from k8slab.folders import remove_tree, state_folder, write_private
from k8slab.processes import ProcessIdentity

Ports = dict[str, dict[str, int]]
"""Name of a node → port of its container, such as `30306/tcp` → port of this machine's loopback."""

API_PORT = "6443/tcp"
"""The API server's; kind itself chooses where it is found on this machine."""

_TRIES = 4
_PAUSE = 0.3


@dataclass(frozen=True)
class Held:
    """Something that a process of ours took down, and puts back; noted before it is done.

    Args:
        what: `component`, `agent`, `runtime` or `node`.
        name: its name, such as `etcd`, or the node's.
        node: name of the node's container.
        pid: the process that took it down.
        start_time: when that process started, so that its pid means it alone.
    """

    what: str
    name: str
    node: str
    pid: int
    start_time: int

    def is_orphan(self) -> bool:
        """Whether the process that took it down has ended."""
        return not ProcessIdentity(self.pid, self.start_time).is_alive()


@dataclass(frozen=True)
class KindJournal:
    """What is recorded of a kind cluster of ours.

    Args:
        name: the cluster's name.
        uuid: its identity, which the marker object in the cluster carries too.
        engine: the engine that holds its containers.
        containers: full ids of the containers of its nodes; empty while it is being made.
        seconds_to_ready: how long making it took, or None.
        ports: which ports of this machine lead to which of its nodes.
        image: the image that its nodes were asked for; empty for kind's own.
        demo: images of the demo application that were loaded.
        held: what is down because a process of ours took it down.
        engine_id: what tells that engine from another of its name; empty if it does not say.
    """

    name: str
    uuid: str
    engine: str
    containers: tuple[str, ...] = ()
    seconds_to_ready: float | None = None
    ports: Ports = field(default_factory=dict)
    image: str = ""
    demo: tuple[str, ...] = ()
    held: tuple[Held, ...] = ()
    engine_id: str = ""

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
        for key in ("containers", "demo"):
            values[key] = tuple(values.get(key, ()))
        values["held"] = tuple(Held(**each) for each in values.get("held", ()))
        return KindJournal(**values)

    def with_held(self, held: Held) -> KindJournal:
        """The journal with one thing more that is down."""
        return replace(self, held=(*self.without(held.what, held.name, held.node).held, held))

    def without(self, what: str, name: str, node: str) -> KindJournal:
        """The journal with one thing less that is down."""
        kept = tuple(each for each in self.held if (each.what, each.name, each.node) != (what, name, node))
        return replace(self, held=kept)


def kind_name(name: str) -> str:
    """What kind calls the cluster of that name."""
    return f"k8slab-{name}"


def kind_folder(name: str) -> Path:
    """The folder of that cluster's journal and kubeconfig."""
    return state_folder() / "kind" / name


def is_known(name: str) -> bool:
    """Whether a cluster of that name left a journal here, be its engine the one that answers or another."""
    folder = kind_folder(name)
    return (folder / "journal.json").exists() or _kept_elsewhere(folder)


def kind_lock(name: str) -> FileLock:
    """The lock under which the cluster of that name is made, changed and deleted."""
    folder = kind_folder(name)
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return FileLock(folder.with_name(f"{name}.lock"), mode=0o600)


def settled(kind: Kind, folder: Path) -> KindJournal | None:
    """The journal of the cluster if it is there and ours; None if there is none, its remains removed.

    Raises:
        ClusterStateError: a cluster of that name is there and is not ours, or its engine is another.
    """
    name = kind_name(folder.name)
    bring_out(kind, folder)
    journal = KindJournal.read(folder / "journal.json")
    if journal is not None and journal.engine != kind.engine.name:
        raise ClusterStateError(
            f"The kind cluster {name!r} was made with {journal.engine}; what answers is {kind.engine.name}.",
            f"Start {journal.engine}, or choose it with {PROVIDER_VARIABLE}={journal.engine}.",
        )
    if journal is not None and not journal.containers:
        # Whoever made it was killed, and kind may be at work still.
        end_marked(journal.uuid)
    containers = kind.containers(name)
    if not containers and journal is not None and _put_by(kind, folder, journal):
        return None
    if not containers:
        _end_cloud(kind, folder, journal)
        if journal is not None and not journal.containers:
            kind.remove_volumes(list(journal.ports))
            remember(folder, journal.ports)
        remove_tree(folder)
        return None
    if not is_ours(kind, folder, journal, containers):
        raise ClusterStateError(
            f"There is a kind cluster {name!r} that k8slab did not make; it is left alone.",
            "Open the lab under another name, or delete it yourself:"
            f" `{delete_line(kind.engine.name, name)}`.",
        )
    if journal is None or not journal.containers:
        remove(kind, folder)
        return None
    return journal


def _put_by(kind: Kind, folder: Path, journal: KindJournal) -> bool:
    """Keep the folder of a cluster on another engine of the same name, which a docker context leads to.

    Returns:
        Whether it was so.
    """
    now = facts_of(kind.engine).identity if journal.containers and journal.engine_id else ""
    if not now or now == journal.engine_id:
        return False
    target = _elsewhere(folder, journal.engine_id)
    remove_tree(target)
    folder.rename(target)
    return True


def bring_out(kind: Kind, folder: Path) -> None:
    """Take the folder of a cluster again whose engine is back, where there is none of its name meanwhile.

    Args:
        kind: kind's command line with the engine that answers.
        folder: of the cluster.
    """
    if folder.exists() or not _kept_elsewhere(folder):
        return
    kept = _elsewhere(folder, facts_of(kind.engine).identity)
    if (kept / "journal.json").exists():
        kept.rename(folder)


def _kept_elsewhere(folder: Path) -> bool:
    return any(folder.parent.glob(f"{folder.name}.*/journal.json"))


def _elsewhere(folder: Path, engine_id: str) -> Path:
    digest = hashlib.sha256(engine_id.encode()).hexdigest()[:12]
    return folder.with_name(f"{folder.name}.{digest}")


def delete_line(engine: str, name: str) -> str:
    """What to type to delete a kind cluster: without its variable kind would take docker where that is."""
    chosen = "" if engine == "docker" else f"{PROVIDER_VARIABLE}={engine} "
    return f"{chosen}kind delete cluster --name {name}"


def is_ours(kind: Kind, folder: Path, journal: KindJournal | None, containers: list[str]) -> bool:
    """Whether containers are those of the journal by id; while it has none, by the ports that were chosen.

    Args:
        kind: kind's command line.
        folder: of the cluster; what creates before left is remembered beside it.
        journal: what is recorded, or None.
        containers: ids of the containers that carry the cluster's name.
    """
    if journal is not None and journal.containers:
        return set(containers) <= set(journal.containers)
    chosen = remembered(folder)
    if journal is not None:
        chosen |= {host for node in journal.ports.values() for host in node.values()}
    shown = [
        {host for key, host in published(each).items() if key != API_PORT}
        for each in kind.engine.inspect(containers)
    ]
    # Nothing shown proves nothing, and what is not proven to be ours is not deleted.
    return bool(shown) and all(ports and ports <= chosen for ports in shown)


def published(inspected: Mapping[str, Any]) -> dict[str, int]:
    """The ports of this machine that an engine asked for a container: `80/tcp` → 8080."""
    for part in ("HostConfig", "NetworkSettings"):
        bound = (inspected.get(part) or {}).get("PortBindings" if part == "HostConfig" else "Ports") or {}
        found = {key: int(each[0].get("HostPort") or 0) for key, each in bound.items() if each}
        if found:
            return found
    return {}


def _end_cloud(kind: Kind, folder: Path, journal: KindJournal | None) -> None:
    if journal is not None:
        KindCloud(kind, folder, kind_name(folder.name), journal.uuid).stop()


def remove(kind: Kind, folder: Path) -> None:
    """Delete the cluster of that folder, and its files.

    Asked again where containers turn up late: an engine may finish what a killed command asked for.

    Raises:
        StopError: containers of it are still there.
    """
    name = kind_name(folder.name)
    journal = KindJournal.read(folder / "journal.json")
    unfinished = journal is None or not journal.containers
    _end_cloud(kind, folder, journal)
    left: list[str] = []
    for _ in range(_TRIES):
        try:
            kind.delete(name, folder / "kubeconfig")
        except CommandError:
            if not (left := kind.containers(name)):
                raise
            # With nerdctl kind stops nodes before it removes them, which fails with one that never ran.
            kind.engine.call("rm", "--force", "--volumes", *left, check=False, timeout=DELETE_SECONDS)
        if unfinished:
            time.sleep(_PAUSE)
        left = kind.containers(name)
        if not left:
            if journal is not None and unfinished:
                kind.remove_volumes(list(journal.ports))
                remember(folder, journal.ports)
            remove_tree(folder)
            return
    ids = " ".join(each[:12] for each in left)
    raise StopError(
        f"Containers of the kind cluster {name!r} are still there: {ids}.",
        f"Remove them with `{kind.engine.name} rm --force --volumes {ids}`.",
    )
