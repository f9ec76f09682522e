"""A running kind cluster as a lab sees it: the contract's calls, answered by kind, its engine and kubectl."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from k8slab.cluster.answering import away
from k8slab.cluster.contract import (
    CONTROL_PLANE,
    Cluster,
    ClusterNode,
    ClusterProcess,
    NodeAction,
    NodeContainer,
    ProcessAction,
    Reality,
    StoredValue,
)
from k8slab.cluster.kind.addons import cloud_reality, metrics_reality
from k8slab.cluster.kind.cloud import PROGRAM, KindCloud
from k8slab.cluster.kind.command import Kind
from k8slab.cluster.kind.configuration import LOOPBACK
from k8slab.cluster.kind.etcd import read_key
from k8slab.cluster.kind.journal import Held, KindJournal, kind_lock, kind_name, remove, settled
from k8slab.cluster.kind.machines import Machine, Machines
from k8slab.cluster.kind.parts import Parts
from k8slab.cluster.kind.readiness import in_words, wait_for_nodes
from k8slab.cluster.marker import MARKER
from k8slab.commands import run
from k8slab.errors import (
    ClusterStateError,
    CommandError,
    LabError,
    MissingToolError,
    WaitTimeoutError,
)
from k8slab.processes import ProcessIdentity
from k8slab.progress import Progress

READY_SECONDS = 180.0
"""For all nodes to be Ready once the control plane answers: kind itself waits for the control plane only."""

REACH_SECONDS = 0.3


class KindCluster(Cluster):
    """A running kind cluster that k8slab made.

    Args:
        kind: kind's command line with the engine that holds the cluster.
        folder: where journal and kubeconfig are.
        journal: what was recorded when it was made.
        kubectl: the kubectl program to use.
        reason: why this backend was taken.
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
        self.demo_images = bool(journal.demo)
        self.machines = Machines(kind.engine, kind_name(journal.name), journal.containers)
        self.parts = Parts(self.machines)
        self._cloud = KindCloud(kind, folder, kind_name(journal.name), journal.uuid)

    def info(self) -> dict[str, Any]:
        # kubectl tries for ten seconds, for the engine takes connections in the API server's place.
        if (missing := away(self)) is not None:
            version = f"(not told: {missing.name} does not run)"
            names = [each.name for each in self.machines.all()]
        else:
            version = json.loads(self.ask("get", "--raw", "/version"))["gitVersion"]
            listed = self.ask("get", "nodes", "--output", "name").split()
            names = [node.removeprefix("node/") for node in listed]
        return {
            "kubernetes": version,
            "nodes": names,
            "seconds_to_ready": self._journal.seconds_to_ready,
            "state": "running",
            "isolation": self.isolation,
            "engine": self._journal.engine,
            "image": self._journal.image,
            "demo_images": list(self._journal.demo),
            "keep": True,
        }

    def reality(self) -> tuple[Reality, ...]:
        engine = self._journal.engine
        return (
            Reality("control plane", False, "the real programs, in a container, set up by kubeadm"),
            Reality("nodes", True, f"each node is a {engine} container that plays a machine"),
            Reality("kubelet", False, "the real kubelet, one a node"),
            Reality("containers", False, "real containers, run by containerd inside the node's container"),
            Reality("images", False, "pulled from their registries; the kit's own are built and loaded"),
            Reality("network", False, "kind's own network plugin, kindnet"),
            Reality("kube-proxy", False, "the real kube-proxy"),
            Reality("NodePorts", False, "real; some are mapped to 127.0.0.1 of this machine: lab.url(...)"),
            metrics_reality(self.ask),
            cloud_reality(self._cloud.pid),
        )

    def url(self, address: str, port: int) -> str | None:
        """An http URL of this machine for an address of the cluster.

        A node's own address, and a Service's that has a NodePort, lead to the ports that were mapped when the
        cluster was made; another NodePort is reached at the node's own address where this machine has a
        route there, as Linux has. A Service without a NodePort is reached by a port-forward only.
        """
        with contextlib.suppress(LabError):
            machines = self.machines.all()
            for machine in machines:
                if address in machine.addresses or (address == LOOPBACK and machine.role == "control-plane"):
                    return _url_of(machine, port)
            if balancer := self._cloud.balancer(address):
                host = balancer.ports.get(f"{port}/tcp")
                if url := f"http://{LOOPBACK}:{host}" if host else _reached(address, port):
                    return url
            node_port = self._node_port(address, port)
            if node_port and machines:
                return _url_of(machines[0], node_port)
        return None

    def cloud_again(self, progress: Progress) -> None:
        """Start the cloud again that was switched on and has ended; the lock of the name is held."""
        self._cloud.restart(progress)

    def cloud(self, on: bool, progress: Progress) -> str:
        with kind_lock(self.name):
            if on:
                pid = self._cloud.start(progress)
                return f"{PROGRAM} runs as process {pid} and ends with the cluster."
            return f"{PROGRAM} has ended." if self._cloud.stop() else f"{PROGRAM} did not run."

    def processes(self) -> tuple[ClusterProcess, ...]:
        with self._engine_named():
            return self.parts.all()

    def process(self, name: str, action: ProcessAction) -> ClusterProcess:
        # A part that does not come or go in time is no failure of the engine.
        with self._engine_named((CommandError, MissingToolError)):
            part = self.parts.find(name)
            if part.what == "component":
                # Noted before it is done: an attaching process puts back what a dead one took down.
                if action == "start":
                    done = self.parts.change(part, action)
                    self._note(lambda journal: journal.without("component", name, part.machine.name))
                    return done
                self._note(lambda journal: journal.with_held(_held("component", name, part.machine.name)))
            return self.parts.change(part, action)

    def supervised_uuid(self) -> str:
        """The journal's uuid, where the engine still has the very containers that it names."""
        with self._engine_named():
            there = {each.container for each in self.machines.all()}
        return self.uuid if there and there <= set(self._journal.containers) else ""

    def nodes(self) -> tuple[ClusterNode, ...]:
        with self._engine_named():
            states = {each.name: each.state for each in self.parts.all()}
            return tuple(
                ClusterNode(
                    each.name,
                    each.power,
                    states.get(f"{each.name}-agent", "stopped"),
                    states.get(f"{each.name}-runtime", "stopped"),
                )
                for each in self.machines.all()
                if each.role != "control-plane"
            )

    def node(self, name: str, action: NodeAction) -> ClusterNode:
        with self._engine_named():
            machine = self.machines.find(name)
            if machine.role == "control-plane" and action != "power_on":
                raise ClusterStateError(
                    f"{machine.name} is the control plane; without it nothing answers any more.",
                    f"Its parts can be stopped one by one, with lab.components: {', '.join(CONTROL_PLANE)}.",
                )
            if action == "remove":
                raise ClusterStateError(
                    f"kind adds no node to a cluster that runs, so {machine.name} would never come back.",
                    "Power it off instead, or use backend='embedded', where nodes come and go.",
                )
            if action == "power_on":
                self.machines.power_on(machine)
                self.parts.wait_for_systemd(machine.name)
                self._note(lambda journal: journal.without("node", machine.name, machine.name))
            elif action == "power_off":
                self._note(lambda journal: journal.with_held(_held("node", machine.name, machine.name)))
                self.machines.power_off(machine)
            else:
                self.machines.pause(machine)
            self.parts.all(fresh=True)
        return next(each for each in self.nodes() if each.name == machine.name)

    def node_name(self, name: str) -> str:
        with contextlib.suppress(LabError):
            return self.machines.find(name).name
        return name

    def node_containers(self, name: str) -> tuple[NodeContainer, ...]:
        with self._engine_named():
            return tuple(_container(each) for each in self.machines.containers_of(self.machines.find(name)))

    def stored(self, key: str) -> StoredValue | None:
        with self._engine_named():
            machine = next(each for each in self.machines.all() if each.role == "control-plane")
            return read_key(self.machines, machine, key)

    def close(self) -> None:
        """Nothing is held: a kind cluster stays until `delete`."""

    def delete(self) -> None:
        with kind_lock(self.name):
            journal = settled(self._kind, self._folder)
            if journal is not None:
                remove(self._kind, self._folder)

    def wait_ready(self, seconds: float | None = None, nodes: Sequence[str] = ()) -> None:
        """Wait until every node is there and Ready.

        Args:
            seconds: how long to wait; as long as for a new cluster if None.
            nodes: names of those that count; all of the cluster's if empty.

        Raises:
            WaitTimeoutError: not all were in time; the message shows the nodes as they were seen last.
        """
        wanted = nodes or [each.name for each in self.machines.all()]
        cure = f"Look with `{self._journal.engine} ps`, or delete the cluster with `k8slab down`."
        wait_for_nodes(self.ask, wanted, READY_SECONDS if seconds is None else seconds, cure)

    def not_ready(self, nodes: Sequence[str]) -> str:
        """Which of the nodes are not Ready, as a clause; empty if all are."""
        return in_words(self.ask, nodes)

    def mark(self) -> None:
        """Write the object that says which journal this cluster belongs to."""
        literals = (f"--from-literal=uuid={self.uuid}", f"--from-literal=name={self.name}")
        self.ask("create", "configmap", MARKER, "--namespace=kube-system", *literals)

    def ask(self, *words: str | Path, timeout: float = 30) -> str:
        """Run kubectl on this cluster; what it printed.

        Raises:
            CommandError: kubectl failed; WaitTimeoutError: it took longer than `timeout`.
        """
        fixed = ("--kubeconfig", self.kubeconfig, "--context", self.context)
        # kubectl's discovery cache belongs with the cluster's other files, not in the user's ~/.kube.
        cache = ("--cache-dir", self._folder / "kubectl-cache")
        return run([self.kubectl, *fixed, *cache, *words], timeout=timeout, env=self._kind.environment).stdout

    def _node_port(self, address: str, port: int) -> int:
        """The NodePort of the Service that has an address and a port; 0 where there is none."""
        for service in json.loads(self.ask("get", "services", "--all-namespaces", "--output", "json"))[
            "items"
        ]:
            balanced = ((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
            spec = service["spec"]
            if address not in (spec.get("clusterIP"), *(each.get("ip") for each in balanced)):
                continue
            for each in spec.get("ports") or []:
                if each["port"] == port:
                    return int(each.get("nodePort") or 0)
        return 0

    def _note(self, change: Any) -> None:
        """Write the journal anew; what others wrote meanwhile is kept."""
        with kind_lock(self.name):
            path = self._folder / "journal.json"
            changed = change(KindJournal.read(path) or self._journal)
            changed.write(path)
            self._journal = changed

    @contextlib.contextmanager
    def _engine_named(
        self, kinds: tuple[type[LabError], ...] = (CommandError, MissingToolError, WaitTimeoutError)
    ) -> Iterator[None]:
        """Say which engine it was that failed, as a state of the cluster."""
        try:
            yield
        except kinds as error:
            raise ClusterStateError(
                f"{self._journal.engine} does not do what the lab asks of it: {error.message}",
                f"Look whether `{self._journal.engine} ps --all` shows the nodes of {kind_name(self.name)}.",
            ) from error


def _container(listed: dict[str, Any]) -> NodeContainer:
    """A container of `crictl ps --output json`."""
    labels, metadata = listed.get("labels") or {}, listed.get("metadata") or {}
    pod = f"{labels.get('io.kubernetes.pod.namespace', '')}/{labels.get('io.kubernetes.pod.name', '')}"
    state = str(listed.get("state", "")).removeprefix("CONTAINER_").lower()
    attempt = int(metadata.get("attempt") or 0)
    return NodeContainer(str(listed.get("id", "")), str(metadata.get("name", "")), pod, state, attempt)


def _held(what: str, name: str, node: str) -> Held:
    identity = ProcessIdentity.of(os.getpid())
    return Held(what, name, node, os.getpid(), identity.start_time if identity else 0)


def _url_of(machine: Machine, port: int) -> str | None:
    """Where a port of a node is found by a browser of this machine."""
    if host := machine.ports.get(f"{port}/tcp"):
        return f"http://{LOOPBACK}:{host}"
    return next((url for each in machine.addresses if (url := _reached(each, port))), None)


def _reached(address: str, port: int) -> str | None:
    try:
        socket.create_connection((address, port), REACH_SECONDS).close()
    except OSError:
        return None
    return f"http://{address}:{port}"
