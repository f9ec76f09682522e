"""The embedded backend: a real control plane as plain processes of this machine, and process nodes."""

from __future__ import annotations

import os
import select
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from filelock import FileLock

from k8slab.cluster.contract import (
    Cluster,
    ClusterNode,
    ClusterProcess,
    NodeAction,
    ProcessAction,
    Reality,
    StoredValue,
)
from k8slab.cluster.embedded.creation import check_place, check_request, close_starter_pipes, create
from k8slab.cluster.embedded.etcd_gateway import read_key
from k8slab.cluster.embedded.identities import MAXIMUM_SIMULATED_NODES, plan_of
from k8slab.cluster.embedded.journal import Journal
from k8slab.cluster.embedded.leftovers import sweep
from k8slab.cluster.embedded.pki import remove_node_identity, write_node_identity, write_serving_certificate
from k8slab.cluster.embedded.reality import reality
from k8slab.cluster.embedded.supervisor_client import Lease, ask, follow
from k8slab.errors import ClusterError, ClusterStateError
from k8slab.folders import ClusterFolder
from k8slab.node.clock import clock_named
from k8slab.processes import ProcessIdentity, end_processes
from k8slab.progress import Progress


class EmbeddedCluster(Cluster):
    """A running embedded cluster, and this process's hold on it.

    Args:
        folder: its folder.
        reason: why this backend was taken, in one sentence.
        hold: whether this process holds it; without a hold it is only looked at.
    """

    backend = "embedded"

    def __init__(self, folder: ClusterFolder, reason: str, *, hold: bool = True) -> None:
        self.folder = folder
        self.settings = folder.settings()
        self.name = self.settings.name
        self.uuid = self.settings.uuid
        self.kubeconfig = folder.kubeconfig("admin")
        self.context = f"k8slab-{self.name}"
        self.owned = True
        self.kubectl = Path(self.settings.components) / "kubectl"
        self.isolation = self.settings.isolation
        self.reason = reason
        self._lease = Lease(folder) if hold else None

    def info(self) -> dict[str, Any]:
        cluster = ask(self.folder, op="status")["cluster"]
        return {
            "kubernetes": self.settings.kubernetes,
            "nodes": cluster["nodes"],
            "clock": self.settings.clock,
            "sleeps": cluster["sleeps"],
            "seconds_to_ready": cluster["seconds_to_ready"],
            "state": cluster["state"],
            "isolation": self.isolation,
            "holders": cluster["holders"],
            "keep": cluster["keep"],
        }

    def reality(self) -> tuple[Reality, ...]:
        return reality(self.settings)

    def url(self, address: str, port: int) -> str | None:
        plan = plan_of(self.settings)
        if not plan.owns(address):
            return None
        if self.isolation == "sandboxed" and IPv4Address(address) in plan.pods:
            # A sandboxed Pod lives in the switch's network; Services alone have a twin on the host.
            return None
        host, twin_port = plan.twin_endpoint(address, port)
        return f"http://{host}:{twin_port}/"

    def processes(self) -> tuple[ClusterProcess, ...]:
        return tuple(_process(record) for record in ask(self.folder, op="status")["processes"])

    def process(self, name: str, action: ProcessAction) -> ClusterProcess:
        answer = ask(self.folder, op="process", name=name, action=action)
        return _process(answer["process"])

    def supervised_uuid(self) -> str:
        return str(ask(self.folder, op="status")["cluster"]["uuid"])

    def stored(self, key: str) -> StoredValue | None:
        return read_key(self.folder, self.settings, key)

    def nodes(self) -> tuple[ClusterNode, ...]:
        return tuple(ClusterNode(**each) for each in ask(self.folder, op="status")["nodes"])

    def node(self, name: str, action: NodeAction) -> ClusterNode:
        if action == "pause":
            raise ClusterStateError(
                "On the backend 'embedded' nodes are not paused.",
                f"lab.nodes[{name!r}].power_off() takes one away, and .kill_agent() makes it fall silent.",
            )
        answer = ask(self.folder, timeout=30.0, op="node", name=name, action=action)
        if action == "remove":
            remove_node_identity(self.folder, name)
        return ClusterNode(**answer["node"])

    def add_node(self) -> ClusterNode:
        with FileLock(self.folder.lock, mode=0o600):
            name = str(ask(self.folder, op="status")["cluster"]["next_node"])
            write_node_identity(self.folder, self.settings, name)
            try:
                answer = ask(self.folder, op="node", name=name, action="add")
            except ClusterStateError:
                remove_node_identity(self.folder, name)
                raise
        return ClusterNode(**answer["node"])

    def simulate(self, nodes: int) -> None:
        if not 0 <= nodes <= MAXIMUM_SIMULATED_NODES:
            raise ClusterStateError(
                f"A cluster has 0 to {MAXIMUM_SIMULATED_NODES} simulated nodes, not {nodes}.",
                "Each takes a thousand Pods.",
            )
        plan = plan_of(self.settings)
        with FileLock(self.folder.lock, mode=0o600):
            if not self.folder.certificate("kubelet-simulator").exists():
                addresses = [plan.simulated_node(index) for index in range(1, MAXIMUM_SIMULATED_NODES + 1)]
                write_serving_certificate(self.folder, self.settings, "simulator", addresses)
            ask(self.folder, op="simulate", nodes=nodes)

    def close(self) -> None:
        if self._lease is not None:
            self._lease.close()

    def delete(self) -> None:
        self.close()
        end(self.folder)


def _process(record: dict[str, Any]) -> ClusterProcess:
    # What a record does not say is as the contract has it: such a process is always one of this machine.
    fields = {key: record[key] for key in ClusterProcess.__dataclass_fields__ if key in record}
    return ClusterProcess(**fields)


def open_embedded(
    name: str,
    nodes: int,
    keep: bool,
    progress: Progress,
    reason: str = "",
    *,
    hold: bool = True,
    clock: str | None = None,
) -> EmbeddedCluster:
    """Attach to the embedded cluster of that name, or start it.

    A cluster that its supervisor left behind is swept first. All or nothing: whatever goes
    wrong, and Ctrl-C too, nothing stays behind that stops the next try.

    Args:
        name: the cluster's name.
        nodes: how many worker nodes a new cluster gets.
        keep: whether it stays when no process holds it.
        progress: told about each step.
        reason: why this backend was taken.
        hold: whether this process holds it.
        clock: how fast the life of its nodes goes, as in `node.clock`; Kubernetes' own if None.

    Raises:
        StartError: a component ended or did not answer.
        LabError: this machine cannot run it; the message says what is missing.
    """
    check_request(name, nodes)
    folder = ClusterFolder.of(name)
    check_place(folder)
    with FileLock(folder.path.with_name(f"{name}.lock"), mode=0o600):
        journal = _settled(folder, progress)
        if journal is None:
            create(folder, name, nodes, keep, progress, clock or "kubernetes")
        elif keep and not journal.keep:
            ask(folder, op="keep", keep=True)
        cluster = EmbeddedCluster(folder, reason, hold=hold)
        close_starter_pipes()
    _say_clock(cluster.settings.clock, clock, progress)
    try:
        _wait_until_running(folder, progress)
    except BaseException:
        cluster.close()
        raise
    return cluster


def _say_clock(has: str, wanted: str | None, progress: Progress) -> None:
    figures = clock_named(has)
    if wanted is not None and wanted != has:
        progress.line(f"the cluster was started on the clock {has} and stays on it; {wanted} was asked for")
    if not figures.is_kubernetes_own:
        progress.line(f"the clock {has} is faster than Kubernetes' own: {figures.sentence()}")


def end(folder: ClusterFolder) -> None:
    """End a cluster, whoever holds it, and sweep what it leaves.

    Raises:
        StopError: something is still alive.
    """
    journal = Journal.read(folder.journal)
    if journal is not None and journal.supervisor is not None and journal.supervisor_is_alive():
        try:
            ask(folder, op="stop")
        except ClusterStateError:
            end_processes([journal.supervisor], grace=15.0)
        _wait_until_gone(journal.supervisor)
    sweep(folder)


def _settled(folder: ClusterFolder, progress: Progress) -> Journal | None:
    """The journal of a living cluster, or None after the remains of a dead one were swept."""
    journal = Journal.read(folder.journal)
    if journal is not None and journal.supervisor is not None and journal.supervisor_is_alive():
        if journal.state in ("starting", "running"):
            return journal
        _wait_until_gone(journal.supervisor)
    if folder.path.exists():
        ended = sweep(folder)
        if ended:
            progress.line(
                f"swept {ended} processes of a cluster {folder.path.name!r} whose supervisor was killed"
            )
    return None


def _wait_until_gone(supervisor: ProcessIdentity, seconds: float = 20.0) -> None:
    descriptor = -1
    try:
        descriptor = os.pidfd_open(supervisor.pid)
        if supervisor.is_alive():
            select.select([descriptor], [], [], seconds)
    except ProcessLookupError:
        return
    finally:
        if descriptor >= 0:
            os.close(descriptor)
    if supervisor.is_alive():
        end_processes([supervisor])


def _wait_until_running(folder: ClusterFolder, progress: Progress) -> None:
    seen = 0
    last: dict[str, Any] = {}
    for status in follow(folder, timeout=130.0):
        last = status
        for step in status["steps"][seen:]:
            progress.line(f"{step['name']} after {step['seconds']:.1f} s")
        seen = len(status["steps"])
    cluster = last.get("cluster", {})
    if cluster.get("state") == "running":
        return
    failure = str(cluster.get("failure") or "The cluster ended while it was starting.")
    raise ClusterError(failure, f"The logs are in {folder.logs}.")
