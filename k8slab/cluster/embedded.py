"""The embedded backend: a real control plane as plain processes of this machine, and process nodes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
import uuid as uuids
import zlib
from pathlib import Path
from typing import Any, cast

from filelock import FileLock

from k8slab.cluster.claim import claim_addresses
from k8slab.cluster.components.ladder import locate
from k8slab.cluster.contract import Cluster, ClusterProcess, ProcessAction, Reality
from k8slab.cluster.embedded_reality import reality
from k8slab.cluster.journal import Journal
from k8slab.cluster.leftovers import sweep
from k8slab.cluster.pki import plan_of, write_pki
from k8slab.cluster.supervisor_client import Lease, ask, follow
from k8slab.errors import ClusterError, ClusterStateError, LabError, StartError
from k8slab.folders import ClusterFolder, ClusterSettings, state_folder
from k8slab.node.isolation import best_level
from k8slab.processes import CLUSTER_VARIABLE, ProcessIdentity, end_processes
from k8slab.progress import Progress

NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,18}[a-z0-9])?")
MAXIMUM_NODES = 7
"""A /17 of Pod addresses holds eight /20, and the control-plane node takes one."""

FREE_BYTES = 1024**3
SOCKET_PATH_BYTES = 107
"""Longest path of a unix socket on Linux (sun_path holds 108 with the end mark)."""


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
            "nodes": list(self.settings.nodes),
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
        host, twin_port = plan.twin_endpoint(address, port)
        return f"http://{host}:{twin_port}/"

    def processes(self) -> tuple[ClusterProcess, ...]:
        return tuple(_process(record) for record in ask(self.folder, op="status")["processes"])

    def process(self, name: str, action: ProcessAction) -> ClusterProcess:
        answer = ask(self.folder, op="process", name=name, action=action)
        return _process(answer["process"])

    def close(self) -> None:
        if self._lease is not None:
            self._lease.close()

    def delete(self) -> None:
        self.close()
        end(self.folder)


def _process(record: dict[str, Any]) -> ClusterProcess:
    fields = {key: record[key] for key in ClusterProcess.__dataclass_fields__}
    return ClusterProcess(**fields)


def open_embedded(
    name: str, nodes: int, keep: bool, progress: Progress, reason: str = "", *, hold: bool = True
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

    Raises:
        StartError: a component ended or did not answer.
        LabError: this machine cannot run it; the message says what is missing.
    """
    _check_request(name, nodes)
    folder = ClusterFolder.of(name)
    _check_place(folder)
    with FileLock(folder.path.with_name(f"{name}.lock"), mode=0o600):
        journal = _settled(folder, progress)
        if journal is None:
            _create(folder, name, nodes, keep, progress)
        elif keep and not journal.keep:
            ask(folder, op="keep", keep=True)
        lease_taken_by = EmbeddedCluster(folder, reason, hold=hold)
    try:
        _wait_until_running(folder, progress)
    except BaseException:
        lease_taken_by.close()
        raise
    return lease_taken_by


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


def _check_request(name: str, nodes: int) -> None:
    if sys.platform != "linux":
        raise LabError(
            f"The embedded cluster needs Linux (or WSL2); this is {sys.platform}.",
            "Install a container engine and kind, then open the lab with backend='kind'.",
        )
    if not NAME.fullmatch(name):
        raise ClusterError(
            f"{name!r} is no name for a cluster.",
            "Use up to 20 lower-case letters, digits and dashes, such as 'default'.",
        )
    if not 1 <= nodes <= MAXIMUM_NODES:
        raise ClusterError(
            f"A cluster has 1 to {MAXIMUM_NODES} worker nodes here, not {nodes}.", "Choose another number."
        )


def _check_place(folder: ClusterFolder) -> None:
    parent = folder.path.parent
    try:
        parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        free = shutil.disk_usage(parent).free
    except OSError as error:
        raise LabError(
            f"{parent} cannot be used: {error.strerror}.", "Point K8SLAB_STATE_DIR to another folder."
        ) from error
    if free < FREE_BYTES:
        raise LabError(
            f"{parent} has {free / 1024**2:.0f} MB free; a cluster needs 1024 MB.",
            "Free some space, or point K8SLAB_STATE_DIR to another file system.",
        )
    longest = len(str(folder.runtime_socket("control-plane")).encode())
    if longest > SOCKET_PATH_BYTES:
        raise LabError(
            f"{folder.path} is {longest - SOCKET_PATH_BYTES} characters too long for a unix socket below it.",
            "Point K8SLAB_STATE_DIR to a folder with a shorter path.",
        )


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
            import select

            select.select([descriptor], [], [], seconds)
    except ProcessLookupError:
        return
    finally:
        if descriptor >= 0:
            os.close(descriptor)
    if supervisor.is_alive():
        end_processes([supervisor])


def _create(folder: ClusterFolder, name: str, nodes: int, keep: bool, progress: Progress) -> None:
    components = locate(progress)
    isolation, _ = best_level()
    claim = claim_addresses(zlib.crc32(f"{os.getuid()} {state_folder()} {name}".encode()) % 254 + 1)
    try:
        folder.path.mkdir(mode=0o700)
        settings = ClusterSettings(
            name=name,
            uuid=str(uuids.uuid4()),
            octet=claim.plan.octet,
            port_offset=claim.plan.port_offset,
            isolation=isolation,
            nodes=tuple(f"worker-{index}" for index in range(1, nodes + 1)),
            kubernetes=components.kubernetes,
            components=str(components.folder),
        )
        for each in (folder.logs, folder.run):
            each.mkdir(mode=0o700)
        write_pki(folder, settings)
        folder.write_settings(settings)
        _spawn_supervisor(folder, settings, keep, claim.holder.fileno())
    except BaseException:
        shutil.rmtree(folder.path, ignore_errors=True)
        raise
    finally:
        claim.holder.close()


_pipes: list[int] = []
"""Write ends of the pipes that hold the clusters this process started."""


def _close_pipes_in_child() -> None:
    while _pipes:
        os.close(_pipes.pop())


os.register_at_fork(after_in_child=_close_pipes_in_child)


def _spawn_supervisor(folder: ClusterFolder, settings: ClusterSettings, keep: bool, claim: int) -> None:
    Journal(settings.name, settings.uuid, settings.octet).write(folder.journal)
    argv = [sys.executable, "-P", "-m", "k8slab.cluster.supervisor"]
    argv += ["--folder", str(folder.path), "--claim", str(claim), *(["--keep"] if keep else [])]
    reading, writing = os.pipe()
    with folder.log("supervisor").open("ab") as log:
        process = subprocess.Popen(
            argv,
            env={**os.environ, CLUSTER_VARIABLE: settings.uuid},
            stdin=reading,
            stdout=log,
            stderr=log,
            pass_fds=(claim,),
            start_new_session=True,
        )
    os.close(reading)
    if keep:
        os.close(writing)
    else:
        _pipes.append(writing)
    # Reaps the supervisor when it ends before this process does.
    threading.Thread(target=process.wait, name="k8slab-supervisor", daemon=True).start()
    while not folder.supervisor_socket.exists():
        if process.poll() is not None:
            raise StartError(
                "The supervisor", f"exited with code {process.returncode}", folder.log("supervisor")
            )
        threading.Event().wait(0.005)


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
    raise ClusterError(cast(str, failure), f"The logs are in {folder.logs}.")
