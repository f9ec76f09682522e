"""The contract between a lab and its backend: what every cluster offers, whatever it is made of.

`lab.py` talks to this and to nothing below it. A backend says of each part whether it is
*real* or *played*; nothing that is played may look real.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from k8slab.cluster.api import Api
from k8slab.errors import ClusterStateError
from k8slab.progress import Progress

BackendName = Literal["embedded", "kind", "existing"]
ProcessAction = Literal["stop", "start", "kill"]
NodeAction = Literal["power_off", "power_on", "remove", "pause"]

CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
"""The processes of a control plane, in the order of their start."""


@dataclass(frozen=True)
class Reality:
    """Whether one part of a cluster is real here.

    Args:
        part: what it is, such as `kube-proxy`.
        played: whether k8slab stands in for it.
        sentence: what stands there, in words for a learner.
    """

    part: str
    played: bool
    sentence: str


@dataclass(frozen=True)
class ClusterProcess:
    """One process of a cluster, as the operating system sees it.

    Args:
        name: such as `etcd` or `worker-1-agent`.
        kind: `component`, `node`, `network` or `addon`.
        state: `running`, `stopped` or `failed`.
        pid: its process id, or None while it does not run.
        started: when it was last started, in seconds since the epoch.
        restarts: how often it was started again.
        exit_code: how it last ended; negative for a signal, None if it never did.
        log: path of its log.
        foreign: whether the pid is one of a machine's own, such as a kind node, and not one of this machine.
    """

    name: str
    kind: str
    state: str
    pid: int | None
    started: float
    restarts: int
    exit_code: int | None
    log: str
    foreign: bool = False


@dataclass(frozen=True)
class ClusterNode:
    """One worker node as a machine: what somebody who stands beside it sees.

    Args:
        name: such as `worker-2`.
        power: `on`, `off` or, on kind, `paused`.
        agent: state of what plays its kubelet: `running`, `stopped` or `failed`.
        runtime: state of what plays its container runtime.
    """

    name: str
    power: str
    agent: str
    runtime: str


@dataclass(frozen=True)
class NodeContainer:
    """One container as a node's runtime names it: a row of `crictl ps --all`.

    Args:
        container: its id.
        name: its name in its Pod.
        pod: its Pod, as `namespace/name`.
        state: such as `running` or `exited`.
        attempt: how often it was started before.
    """

    container: str
    name: str
    pod: str
    state: str
    attempt: int


@dataclass(frozen=True)
class StoredValue:
    """What etcd holds under one key.

    Args:
        key: the key, such as `/registry/pods/default/web`.
        value: the bytes.
        create_revision: etcd's revision at which the key was made.
        mod_revision: etcd's revision at which it was last written.
        version: how often it was written since it was made.
    """

    key: str
    value: bytes
    create_revision: int
    mod_revision: int
    version: int


class Cluster(ABC):
    """A cluster that a lab works on. Made by `choose.open_cluster`; safe to use from several threads."""

    name: str
    backend: BackendName
    uuid: str
    """Identity that the journal and the marker object in the cluster share."""
    kubeconfig: Path
    """A file of the lab's own, never `~/.kube/config`."""
    context: str
    """Name of the context in that file."""
    owned: bool
    """Whether k8slab made this cluster; the guard lets changes through to no other."""
    kubectl: Path
    """The kubectl program that fits it."""
    isolation: str
    """`sandboxed` or `plain` on the embedded backend, `containers` elsewhere."""
    reason: str
    """One sentence: why this backend."""
    namespace: str = ""
    """The namespace that a chapter gets; empty where k8slab makes one of the chapter's name."""
    demo_images: bool = True
    """Whether its nodes have the images `k8slab/demo`; without them their program goes into a ConfigMap."""

    @abstractmethod
    def info(self) -> dict[str, Any]:
        """Versions and figures: at least `kubernetes`, `nodes` (names), `seconds_to_ready` (or None)."""

    @abstractmethod
    def reality(self) -> tuple[Reality, ...]:
        """What is real here and what is played."""

    @abstractmethod
    def url(self, address: str, port: int) -> str | None:
        """An http URL that a browser on this machine can open for a cluster address, or None."""

    @abstractmethod
    def processes(self) -> tuple[ClusterProcess, ...]:
        """The processes that make the cluster, where the backend knows them."""

    @abstractmethod
    def process(self, name: str, action: ProcessAction) -> ClusterProcess:
        """Stop, start or kill one process, and return what it is afterwards.

        Raises:
            ClusterStateError: there is no such process here.
        """

    def api(self) -> Api:
        """A connection of one's own to its API server."""
        return Api(self.kubeconfig, self.context)

    def renew(self) -> bool:
        """Read the credentials of `kubeconfig` again where somebody else makes them; whether that is so.

        Raises:
            ClusterStateError: they are of another cluster by now.
        """
        return False

    def in_terminal(self) -> str:
        """What stands before a kubectl line that is typed in a terminal, for this cluster."""
        return (
            "k8slab kubectl" if self.name == "default" else f"K8SLAB_CLUSTER_NAME={self.name} k8slab kubectl"
        )

    def supervised_uuid(self) -> str:
        """The uuid that whoever runs the processes gives now, without asking the API server.

        Empty where nobody does that; the guard then takes the API server's word alone.
        """
        return ""

    def stored(self, key: str) -> StoredValue | None:
        """What etcd holds under one key, read past the API server; None if there is no such key.

        Raises:
            ClusterStateError: this backend's etcd is out of reach, or etcd does not answer.
        """
        raise ClusterStateError(
            f"This backend's etcd is out of reach: on {self.backend} k8slab has no certificate for it.",
            "A cluster of the lab's own shows it: open the lab with backend='embedded', or on kind.",
        )

    def nodes(self) -> tuple[ClusterNode, ...]:
        """The worker nodes as machines, where the backend has them in hand."""
        return ()

    def node(self, name: str, action: NodeAction) -> ClusterNode:
        """Power a node off or on, pause or remove its machine; its Node object is left to those who own it.

        What is paused goes on with `power_on`; only kind pauses.

        Raises:
            ClusterStateError: there is no such node, or this backend cannot.
        """
        raise self._no_machines(action.replace("_", " "))

    def node_name(self, name: str) -> str:
        """The full name of a node; on kind `worker-2` is short for the one that kind gave it."""
        return name

    def node_containers(self, name: str) -> tuple[NodeContainer, ...]:
        """What a node's container runtime runs and ran, past the API server: `crictl ps --all` there.

        Raises:
            ClusterStateError: there is no such node, it is off, or this backend has no such runtime.
        """
        raise ClusterStateError(
            f"On the backend {self.backend} no crictl reaches a node's container runtime.",
            "On kind it does. Here the runtime's containers are processes: lab.components, and `ps` on this"
            " machine, show them."
            if self.backend == "embedded"
            else "Ask whoever runs that cluster.",
        )

    def add_node(self) -> ClusterNode:
        """Start one more worker node; it registers itself within seconds.

        Raises:
            ClusterStateError: there is no room for one, or this backend cannot.
        """
        raise self._no_machines("add")

    def cloud(self, on: bool, progress: Progress) -> str:
        """Have a cloud played beside the cluster, which gives out addresses; or end it. In words.

        Args:
            on: whether it is to run.
            progress: told what is fetched and done.

        Raises:
            ClusterStateError: this backend has nothing of the kind, or it does not start.
        """
        raise ClusterStateError(
            f"The backend {self.backend} has no cloud to switch on.",
            "On embedded load balancers and Ingresses get their addresses anyhow."
            if self.backend == "embedded"
            else "Whoever runs that cluster says what serves them there.",
        )

    def simulate(self, nodes: int) -> None:
        """Play so many simulated nodes, whose Pods change their status and run nothing; 0 removes them.

        Raises:
            ClusterStateError: this backend cannot.
        """
        raise self._no_machines("simulate")

    def _no_machines(self, verb: str) -> ClusterStateError:
        return ClusterStateError(
            f"On the backend {self.backend} k8slab cannot {verb} nodes.",
            "The backend 'embedded' can: open the lab with backend='embedded'.",
        )

    @abstractmethod
    def close(self) -> None:
        """Give back what this kernel holds; the cluster ends when nobody holds it. Safe to call twice."""

    @abstractmethod
    def delete(self) -> None:
        """End the cluster and remove what it left, whoever holds it.

        Raises:
            StopError: something is still alive.
        """
