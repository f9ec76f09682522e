"""Making a kind cluster, all or nothing: whatever goes wrong, and Ctrl-C too, it is deleted again."""

from __future__ import annotations

import contextlib
import json
import time
import uuid as uuids
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from k8slab.cluster.kind.cluster import KindCluster
from k8slab.cluster.kind.command import Announce, Kind
from k8slab.cluster.kind.configuration import choose_ports, kind_configuration, node_names
from k8slab.cluster.kind.cures import cure_of
from k8slab.cluster.kind.faults import facts_of
from k8slab.cluster.kind.images import load_demo, node_image
from k8slab.cluster.kind.journal import KindJournal, is_ours, kind_name, remove
from k8slab.cluster.kind.remains import forget, remember, remembered
from k8slab.errors import ClusterStateError, CommandError, LabError
from k8slab.folders import remove_tree, write_private
from k8slab.progress import Progress, Step, reason_of

CREATE_SECONDS = 1800.0
"""For `kind create cluster`; the first time it downloads its node image."""

PORT_TRIES = 3

METRICS_SERVER = Path(__file__).parent / "metrics_server.yaml"

_TAKEN = ("port is already allocated", "address already in use", "ports are not available")
"""What engines say where somebody took a port between our look and their use."""


_UNFINISHED = ("is already in use by", "already used by ID")
"""What docker and podman, and nerdctl, say where a node's name is kept by what they still make."""

LATE_SECONDS = 10.0
QUIET_SECONDS = 1.0
LATE_PAUSE = 0.25
"""How long such a node may take to turn up, how long after it the next, and how often they are looked for."""


def create(
    kind: Kind,
    version: str,
    folder: Path,
    name: str,
    nodes: int,
    kubectl: Path,
    progress: Progress,
    reason: str,
) -> KindCluster:
    """Make a cluster; the lock of its name is held, and nothing of that name is there.

    Args:
        kind: kind's command line.
        version: kind's version.
        folder: of the cluster; it does not exist.
        name: the cluster's name.
        nodes: how many workers.
        kubectl: the kubectl to use.
        progress: told about each step of kind.
        reason: why this backend was taken.

    Raises:
        ClusterStateError: somebody made one of that name meanwhile.
        CommandError: kind failed; with the cure, where it is known.
    """
    started = time.monotonic()
    names = node_names(kind_name(name), nodes)
    image, said = node_image(version, kind.engine)
    progress.line(said)
    facts = facts_of(kind.engine)
    cgroup = facts.cgroup
    if cgroup == 1:
        progress.line(
            "control groups of version 1: kubelets are told to start all the same (failCgroupV1: false)"
        )
    folder.mkdir(mode=0o700, parents=True)
    journal = KindJournal(name, str(uuids.uuid4()), kind.engine.name, image=image, engine_id=facts.identity)
    try:
        journal = _containers_made(kind, folder, journal, names, cgroup, progress)
        journal = replace(journal, containers=tuple(kind.containers(kind_name(name))))
        cluster = KindCluster(kind, folder, journal, kubectl, reason)
        with progress.step(f"{nodes + 1} nodes Ready"):
            cluster.wait_ready()
        cluster.mark()
        _add_metrics_server(cluster, progress)
        journal = replace(journal, seconds_to_ready=round(time.monotonic() - started, 1))
        # Only now it counts as made: until here whoever finds it deletes it.
        journal.write(folder / "journal.json")
        forget(folder)
    except _StrangerError as error:
        # Somebody made it since the name was seen to be free, so only our folder goes.
        remove_tree(folder)
        raise ClusterStateError(
            f"A kind cluster {kind_name(name)!r} was made by somebody else meanwhile; it is left alone.",
            "Open the lab under another name.",
        ) from error
    except BaseException:
        _rolled_back(kind, folder, progress)
        raise
    journal = replace(journal, demo=load_demo(kind, kind_name(name), folder, progress))
    journal.write(folder / "journal.json")
    return KindCluster(kind, folder, journal, kubectl, reason)


def _add_metrics_server(cluster: KindCluster, progress: Progress) -> None:
    """Apply metrics-server, which comes up once its image is pulled; the cluster is whole without it."""
    try:
        cluster.ask("apply", "--filename", METRICS_SERVER)
        progress.line("metrics-server applied: `kubectl top` works once its image is pulled")
    except LabError as error:
        progress.line(
            f"metrics-server could not be applied, so `kubectl top` has no figures: {reason_of(error)}"
        )


class _StrangerError(Exception):
    """kind's own words: nodes of that name are there, and they are not ours."""


def _containers_made(
    kind: Kind, folder: Path, journal: KindJournal, names: list[str], cgroup: int, progress: Progress
) -> KindJournal:
    configuration = folder / "config.json"
    for last in (*[False] * (PORT_TRIES - 1), True):
        journal = replace(journal, ports=choose_ports(names))
        # Before kind begins: a later process tells by the ports that what kind left is ours.
        journal.write(folder / "journal.json")
        wanted = kind_configuration(names, journal.ports, image=journal.image, cgroup=cgroup)
        write_private(configuration, json.dumps(wanted, indent=1))
        try:
            with _steps(progress) as told:
                kubeconfig = folder / "kubeconfig"
                kind.create(
                    kind_name(journal.name), configuration, kubeconfig, journal.uuid, CREATE_SECONDS, told
                )
            return journal
        except CommandError as error:
            there = "node(s) already exist" in error.output
            if (
                not last
                and remembered(folder)
                and (there or any(each in error.output for each in _UNFINISHED))
                and _late_removed(kind, folder, journal.name)
            ):
                progress.line("the engine was still busy with an earlier try; its nodes are removed")
                continue
            if there:
                raise _StrangerError from error
            if last or not any(words in error.output for words in _TAKEN):
                raise CommandError(
                    error.argv, error.returncode, error.output, cure_of(error.output)
                ) from error
            progress.line("a port was taken meanwhile; trying again with others")
            remember(folder, journal.ports)
            kind.delete(kind_name(journal.name), folder / "kubeconfig")
    raise AssertionError("the last try returns or raises")


def _late_removed(kind: Kind, folder: Path, name: str) -> bool:
    """Remove what turns up of earlier tries, until nothing does any more; False if a stranger's is there."""
    deadline = time.monotonic() + LATE_SECONDS
    while time.monotonic() < deadline:
        containers = kind.containers(kind_name(name))
        if containers:
            if not is_ours(kind, folder, KindJournal.read(folder / "journal.json"), containers):
                return False
            kind.delete(kind_name(name), folder / "kubeconfig")
            deadline = time.monotonic() + QUIET_SECONDS
        time.sleep(LATE_PAUSE)
    return True


@contextlib.contextmanager
def _steps(progress: Progress) -> Iterator[Announce]:
    """Show kind's steps as steps of ours: each ends when kind says so, or with what ends kind."""
    stack = contextlib.ExitStack()
    current: list[Step] = []

    def told(mark: str, text: str) -> None:
        if mark == "•":
            stack.close()
            current[:] = [stack.enter_context(progress.step(f"kind: {text}"))]
        elif mark == "✓":
            stack.close()

    try:
        yield told
    except BaseException as error:
        # The open step ends with the reason, as if the work had been done in it.
        stack.__exit__(type(error), error, error.__traceback__)
        raise
    stack.close()


def _rolled_back(kind: Kind, folder: Path, progress: Progress) -> None:
    """Delete what was made; a second Ctrl-C leaves the journal, by which the next try does it."""
    with progress.step(f"Deleting what was made of {kind_name(folder.name)}"):
        remove(kind, folder)
