"""The kind backend: a cluster whose nodes are containers, made through kind's command line.

kind keeps no state but its containers, and neither does this: a journal beside the kubeconfig
records which containers are ours, so that a cluster of the same name that somebody else made
is left alone. Unlike an embedded cluster it outlives its kernels, as every kind cluster does;
`k8slab down` ends it.
"""

from __future__ import annotations

import json
import re
import shutil
import time
import uuid as uuids
from pathlib import Path
from typing import Any

from k8slab.cluster.container_engine import find_engine
from k8slab.cluster.contract import Cluster, ClusterNode, ClusterProcess, NodeAction, ProcessAction, Reality
from k8slab.cluster.kind_command import Kind
from k8slab.cluster.kind_journal import KindJournal, kind_folder, kind_lock, kind_name, remove, settled
from k8slab.commands import find_program, run
from k8slab.errors import ClusterError, ClusterStateError, CommandError, LabError, WaitTimeoutError
from k8slab.folders import write_private
from k8slab.progress import Progress

NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,18}[a-z0-9])?")

CREATE_SECONDS = 1800.0
"""For `kind create cluster`; the first time it downloads its node image."""

READY_SECONDS = 180
"""For all nodes to be Ready once the control plane answers."""

OWNER_MARKER = "k8slab-owner"
"""ConfigMap in kube-system that says which journal a cluster belongs to; the same as on embedded clusters."""


def kind_can_run() -> tuple[bool, str]:
    """Whether a kind cluster can be made here, and one clause that says why or why not."""
    engine, seen = find_engine()
    if engine is None:
        return False, seen
    if find_program("kind") is None:
        return False, f"{seen}, and the program kind is not installed"
    return True, f"{seen} and kind is installed"


class KindCluster(Cluster):
    """A running kind cluster that k8slab made.

    Args:
        kind: kind's command line with the engine that holds the cluster.
        folder: where journal and kubeconfig are.
        journal: what was recorded when it was made.
        kubectl: the kubectl program to use.
        reason: why this backend was taken, in one sentence.
    """

    backend = "kind"
    isolation = "containers"
    owned = True

    def __init__(self, kind: Kind, folder: Path, journal: KindJournal, kubectl: Path, reason: str) -> None:
        self._kind = kind
        self._folder = folder
        self._journal = journal
        self.name = journal.name
        self.uuid = journal.uuid
        self.kubeconfig = folder / "kubeconfig"
        self.context = f"kind-{kind_name(journal.name)}"
        self.kubectl = kubectl
        self.reason = reason

    def info(self) -> dict[str, Any]:
        version = json.loads(self._ask("get", "--raw", "/version"))
        nodes = self._ask("get", "nodes", "--output", "name").split()
        return {
            "kubernetes": version["gitVersion"],
            "nodes": [node.removeprefix("node/") for node in nodes],
            "seconds_to_ready": self._journal.seconds_to_ready,
            "state": "running",
            "isolation": self.isolation,
            "engine": self._journal.engine,
            "keep": True,
        }

    def reality(self) -> tuple[Reality, ...]:
        engine = self._journal.engine
        return (
            Reality("control plane", False, "the real programs, in a container, set up by kubeadm"),
            Reality("nodes", True, f"each node is a {engine} container that plays a machine"),
            Reality("kubelet", False, "the real kubelet, one a node"),
            Reality("containers", False, "real containers, run by containerd inside the node's container"),
            Reality("images", False, "pulled from their registries, or loaded with `kind load`"),
            Reality("network", False, "kind's own network plugin, kindnet"),
            Reality("kube-proxy", False, "the real kube-proxy"),
        )

    def url(self, address: str, port: int) -> str | None:
        # Addresses of the cluster lie behind the engine's own network; only a port-forward reaches them.
        return None

    def processes(self) -> tuple[ClusterProcess, ...]:
        return ()

    def process(self, name: str, action: ProcessAction) -> ClusterProcess:
        raise ClusterStateError(
            f"On kind {name!r} runs inside a node's container, where k8slab does not {action} it.",
            f"A whole node can be stopped with `{self._journal.engine} stop <node>`; "
            "single components can be switched off on the backend 'embedded'.",
        )

    def node(self, name: str, action: NodeAction) -> ClusterNode:
        engine = self._journal.engine
        raise ClusterStateError(
            f"On kind the node {name!r} is a container of {engine}, and k8slab leaves it alone.",
            f"`{engine} kill <node>` is its power cord, `{engine} start <node>` its switch; "
            "`k8slab kubectl get nodes` names them. On the backend 'embedded' k8slab does both.",
        )

    def close(self) -> None:
        """Nothing is held: a kind cluster stays until `delete`."""

    def delete(self) -> None:
        with kind_lock(self.name):
            journal = settled(self._kind, self._folder)
            if journal is not None:
                remove(self._kind, self._folder)

    def wait_ready(self, seconds: int = READY_SECONDS) -> None:
        """Wait until every node is Ready.

        Raises:
            WaitTimeoutError: not all were in time; the message shows the nodes as they were seen last.
        """
        words = ("wait", "--for=condition=Ready", "nodes", "--all", f"--timeout={seconds}s")
        try:
            self._ask(*words, timeout=seconds + 30)
        except CommandError as error:
            try:
                seen = self._ask("get", "nodes")
            except LabError as second:
                seen = str(second)
            cure = f"Look with `{self._journal.engine} ps`, or delete the cluster with `k8slab down`."
            raise WaitTimeoutError("every node to be Ready", seconds, seen, cure) from error

    def mark(self) -> None:
        """Write the object that says which journal this cluster belongs to."""
        literals = (f"--from-literal=uuid={self.uuid}", f"--from-literal=name={self.name}")
        self._ask("create", "configmap", OWNER_MARKER, "--namespace=kube-system", *literals)

    def _ask(self, *words: str, timeout: float = 30) -> str:
        fixed = ("--kubeconfig", self.kubeconfig, "--context", self.context)
        # kubectl's discovery cache belongs with the cluster's other files, not in the user's ~/.kube.
        cache = ("--cache-dir", self._folder / "kubectl-cache")
        return run([self.kubectl, *fixed, *cache, *words], timeout=timeout, env=self._kind.environment).stdout


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
    kind = _kind()
    folder = kind_folder(name)
    with kind_lock(name):
        journal = settled(kind, folder)
        kubectl = _kubectl(progress)
        if journal is None:
            return _create(kind, folder, name, nodes, kubectl, progress, reason)
    cluster = KindCluster(kind, folder, journal, kubectl, reason)
    if not cluster.kubeconfig.exists():
        kind.export_kubeconfig(kind_name(name), cluster.kubeconfig)
    try:
        cluster._ask("get", "--raw", "/readyz", timeout=15)
    except (CommandError, WaitTimeoutError) as error:
        raise ClusterStateError(
            f"The kind cluster {kind_name(name)!r} is there and does not answer.",
            "If its containers are stopped, start them; otherwise `k8slab down`, and open the lab again.",
        ) from error
    progress.line(f"attached to the kind cluster {kind_name(name)}")
    return cluster


def find_kind(name: str) -> KindCluster | None:
    """The kind cluster that k8slab made under that name, answering or not; None if there is none.

    Raises:
        ClusterStateError: a cluster of that name exists and is not ours.
    """
    folder = kind_folder(name)
    if not (folder / "journal.json").exists():
        return None
    kind = _kind()
    with kind_lock(name):
        journal = settled(kind, folder)
    if journal is None:
        return None
    # Without kubectl it can still be deleted; any other call then says that kubectl is missing.
    kubectl = find_program("kubectl") or Path("kubectl")
    return KindCluster(kind, folder, journal, kubectl, "It is there already.")


def _kind() -> Kind:
    engine, seen = find_engine()
    if engine is None:
        raise LabError(
            f"A kind cluster cannot be made: {seen}.",
            "Start or install one, or open the lab with backend='embedded'.",
        )
    return Kind(engine)


def _kubectl(progress: Progress) -> Path:
    found = find_program("kubectl")
    if found is None:
        from k8slab.cluster.components.ladder import locate

        found = Path(locate(progress).folder) / "kubectl"
    return found


def _create(
    kind: Kind, folder: Path, name: str, nodes: int, kubectl: Path, progress: Progress, reason: str
) -> KindCluster:
    started = time.monotonic()
    folder.mkdir(mode=0o700, parents=True)
    journal = KindJournal(name, str(uuids.uuid4()), kind.engine.name)
    journal.write(folder / "journal.json")
    try:
        with progress.step(f"kind makes {kind_name(name)}; the first time it downloads its node image"):
            configuration = folder / "config.json"
            write_private(configuration, json.dumps(kind_configuration(nodes), indent=1))
            kind.create(kind_name(name), configuration, folder / "kubeconfig", CREATE_SECONDS)
        cluster = KindCluster(kind, folder, journal, kubectl, reason)
        with progress.step(f"{nodes + 1} nodes Ready"):
            cluster.wait_ready()
        cluster.mark()
        made = KindJournal(
            name,
            journal.uuid,
            journal.engine,
            tuple(kind.containers(kind_name(name))),
            round(time.monotonic() - started, 1),
        )
        made.write(folder / "journal.json")
    except CommandError as error:
        if "node(s) already exist" in error.output:
            # kind's own words: somebody made it since the name was seen to be free, so only our folder goes.
            shutil.rmtree(folder)
            raise ClusterStateError(
                f"A kind cluster {kind_name(name)!r} was made by somebody else meanwhile; it is left alone.",
                "Open the lab under another name.",
            ) from error
        remove(kind, folder)
        raise
    except BaseException:
        remove(kind, folder)
        raise
    return KindCluster(kind, folder, made, kubectl, reason)


def kind_configuration(nodes: int) -> dict[str, Any]:
    """kind's configuration: one control-plane node and so many workers (JSON, which is YAML too)."""
    return {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "nodes": [{"role": "control-plane"}, *({"role": "worker"} for _ in range(nodes))],
    }
