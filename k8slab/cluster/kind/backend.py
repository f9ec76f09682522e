"""Opening a kind cluster: attached to where k8slab made it, or made through kind's command line.

kind keeps no state but its containers, and neither does this: a journal beside the kubeconfig
records which containers are ours, so that a cluster of the same name that somebody else made
is left alone. Unlike an embedded cluster it outlives its kernels, as every kind cluster does;
`k8slab down` ends it.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from filelock import Timeout

from k8slab.cluster.components.single import Program, find_single
from k8slab.cluster.container_engine import find_engine
from k8slab.cluster.contract import CONTROL_PLANE
from k8slab.cluster.kind import program as kind_program
from k8slab.cluster.kind.cluster import KindCluster
from k8slab.cluster.kind.command import Kind
from k8slab.cluster.kind.creation import create
from k8slab.cluster.kind.cures import engine_cure
from k8slab.cluster.kind.images import load_demo
from k8slab.cluster.kind.journal import KindJournal, is_known, kind_folder, kind_lock, kind_name, settled
from k8slab.cluster.kind.parts import UNITS, Part
from k8slab.cluster.kubectl_source import kubectl_source, locate_kubectl
from k8slab.errors import ClusterError, ClusterStateError, CommandError, LabError, WaitTimeoutError
from k8slab.progress import Progress, SilentProgress, reason_of

NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,18}[a-z0-9])?")

UNTOLD_SECONDS = 0.5
"""How long another process may hold a cluster before whoever waits is told."""

ANSWER_SECONDS = 60.0
"""How long a cluster may take to answer whose nodes or components were started again."""


def kind_can_run() -> tuple[bool, str]:
    """Whether a kind cluster can be made here, and one clause that says why or why not."""
    engine, seen = find_engine()
    if engine is None:
        return False, seen
    from k8slab.cluster.kind.faults import blocking

    if problem := blocking(engine):
        return False, f"{seen}, and {problem}"
    found = kind_program.find_without_fetching()
    if isinstance(found, list):
        return True, f"{seen}, and kind is fetched, for {'; '.join(found)}"
    return True, f"{seen} and kind is installed"


def open_kind(name: str, nodes: int, keep: bool, progress: Progress, reason: str = "") -> KindCluster:
    """Attach to the kind cluster that k8slab made under that name, or make it.

    All or nothing: whatever goes wrong while it is made, and Ctrl-C too, it is deleted again.

    Args:
        name: the cluster's name; kind and the engine know it as `k8slab-<name>`.
        nodes: how many worker nodes a new cluster gets.
        keep: a kind cluster always stays until it is deleted, so this changes nothing.
        progress: told about each step.
        reason: why this backend was taken.

    Raises:
        ClusterStateError: a cluster of that name exists and is not ours, or ours does not answer.
        LabError: no engine answers, kind or kubectl is missing, or one of them failed.
    """
    if not NAME.fullmatch(name):
        raise ClusterError(
            f"{name!r} is no name for a cluster.",
            "Use up to 20 lower-case letters, digits and dashes, such as 'default'.",
        )
    if nodes < 1:
        raise ClusterError(f"A cluster has at least 1 worker node, not {nodes}.", "Choose another number.")
    kind, version = _kind(progress)
    folder = kind_folder(name)
    with _locked(name, progress):
        journal = settled(kind, folder)
        kubectl = locate_kubectl(progress)
        if journal is None:
            return create(kind, version, folder, name, nodes, kubectl, progress, reason)
        cluster = KindCluster(kind, folder, journal, kubectl, reason)
        _awake(cluster, kind, journal, progress)
        progress.line(f"attached to the kind cluster {kind_name(name)}")
        cluster.cloud_again(progress)
        if not journal.demo and (demo := load_demo(kind, kind_name(name), folder, progress)):
            # Written over what is there now: waking it up may have changed it.
            now = KindJournal.read(folder / "journal.json") or journal
            replace(now, demo=demo).write(folder / "journal.json")
            return KindCluster(kind, folder, replace(now, demo=demo), kubectl, reason)
    return cluster


@contextlib.contextmanager
def _locked(name: str, progress: Progress) -> Iterator[None]:
    """Hold the lock of a cluster's name; whoever has to wait is told for what."""
    lock = kind_lock(name)
    try:
        lock.acquire(timeout=UNTOLD_SECONDS)
    except Timeout:
        with progress.step(f"Waiting for another process that is at work on {kind_name(name)}"):
            lock.acquire()
    try:
        yield
    finally:
        lock.release()


def find_kind(name: str) -> KindCluster | None:
    """The kind cluster that k8slab made under that name, answering or not; None if there is none.

    Raises:
        ClusterStateError: a cluster of that name exists and is not ours.
    """
    folder = kind_folder(name)
    if not is_known(name):
        return None
    kind, _ = _kind(SilentProgress())
    with kind_lock(name):
        journal = settled(kind, folder)
    if journal is None:
        return None
    # Without kubectl it can still be deleted; any other call then says that kubectl is missing.
    found = find_single(kubectl_source())
    kubectl = found.program if isinstance(found, Program) else Path("kubectl")
    return KindCluster(kind, folder, journal, kubectl, "It is there already.")


def _awake(cluster: KindCluster, kind: Kind, journal: KindJournal, progress: Progress) -> None:
    """Start what should run and does not, and make sure that the cluster answers.

    Nodes that nobody powered off are started: their engine, or this machine, was started anew; a control
    plane that somebody froze with the engine's own command goes on. Components are put back whose stopper
    has ended. What a learner powered off or paused stays so: the lab that opens says it, and lab.reset()
    brings it back.

    Raises:
        ClusterStateError: it does not answer all the same.
    """
    off = {each.name for each in journal.held if each.what == "node"}
    asleep = [
        each
        for each in cluster.machines.all()
        if each.name not in off
        and (each.power == "off" or (each.power == "paused" and each.role == "control-plane"))
    ]
    if asleep:
        with progress.step(
            f"Starting {', '.join(each.name for each in asleep)}, which {kind.engine.name} has stopped"
        ):
            for machine in asleep:
                cluster.machines.power_on(machine)
    orphans = [each for each in journal.held if each.what == "component" and each.is_orphan()]
    for held in orphans:
        with progress.step(f"Putting back {held.name}, which a lab that has ended stopped"):
            part = Part(held.name, "component", cluster.machines.find(held.node))
            # A kubelet that was stopped, too, would never see the manifest; a unit that runs is left alone.
            cluster.machines.run(part.machine, "systemctl", "start", *UNITS.values())
            cluster.parts.move(part, back=True)
            journal = journal.without(held.what, held.name, held.node)
            journal.write(kind_folder(cluster.name) / "journal.json")
    if not cluster.kubeconfig.exists():
        kind.export_kubeconfig(kind_name(cluster.name), cluster.kubeconfig)
    deadline = time.monotonic() + (ANSWER_SECONDS if asleep or orphans else 0.0)
    while True:
        try:
            cluster.ask("get", "--raw", "/readyz", timeout=15)
            break
        except (CommandError, WaitTimeoutError) as error:
            if time.monotonic() > deadline:
                raise ClusterStateError(
                    f"The kind cluster {kind_name(cluster.name)!r} is there and does not answer:"
                    f" {reason_of(error)}",
                    f"Look at it with `{kind.engine.name} ps --all`; otherwise `k8slab down`, and open the"
                    " lab again.",
                ) from error
        time.sleep(0.5)
    _nodes_ready(cluster, progress)


def _nodes_ready(cluster: KindCluster, progress: Progress) -> None:
    """Wait for nodes that run and are not Ready, and say which do not come back; the lab opens all the same.

    After a restart of their engine nodes may get other addresses, and now and then one stays NotReady.
    """
    machines = cluster.machines.all()
    if not cluster.not_ready([each.name for each in machines]):
        return
    stopped = {each.name for each in cluster.processes() if each.state == "stopped"}
    running = [
        each.name
        for each in machines
        if each.power == "on" and not {f"{each.name}-{what}" for what in UNITS} & stopped
    ]
    # A component that a learner stopped says nothing of Nodes any more.
    if set(CONTROL_PLANE) & stopped or not (seen := cluster.not_ready(running)):
        return
    try:
        with progress.step(f"Waiting for nodes: {seen}"):
            cluster.wait_ready(ANSWER_SECONDS, running)
    except WaitTimeoutError:
        progress.line(
            f"Nodes that run and are not Ready: {cluster.not_ready(running)}. After a restart of their engine"
            " they may not come back; then `k8slab down`, and open the lab again."
        )


def _kind(progress: Progress) -> tuple[Kind, str]:
    engine, seen = find_engine()
    if engine is None:
        raise LabError(
            f"A kind cluster cannot be made: {seen}.",
            f"{engine_cure(seen)} Or open the lab with backend='embedded'.",
        )
    found = kind_program.locate_kind(progress)
    return Kind(engine, found.program), found.version
