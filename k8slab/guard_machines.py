"""The guard in front of what a cluster is made of: nodes as machines, processes, what is played beside it."""

from __future__ import annotations

import contextlib
from typing import Literal

from k8slab.cluster.api import KINDS, checked_body
from k8slab.cluster.contract import ClusterNode, ClusterProcess, NodeAction, ProcessAction
from k8slab.errors import NotFoundError
from k8slab.guard_gate import Gate
from k8slab.progress import Progress


class MachineGuard(Gate):
    """Lets a cluster's machines and processes be changed where the gate is open."""

    def change_node(self, action: NodeAction | Literal["add"], name: str = "") -> ClusterNode:
        """Act on a node's machine; the Node object of one that is removed goes too, as a cloud does it.

        Source: k8s.io/cloud-provider/controllers/nodelifecycle deletes the Nodes of vanished instances.

        Args:
            action: `add`, `power_off`, `power_on` or `remove`.
            name: the node's name; empty for `add`.
        """
        self.check_cluster()
        with self._acting(f"node {action}", "", name):
            if action == "add":
                return self.cluster.add_node()
            if action != "remove":
                return self.cluster.node(name, action)
            path = KINDS["nodes"].path(name=name)
            with contextlib.suppress(NotFoundError):
                uid = self.api.get(path)["metadata"]["uid"]
                node = self.cluster.node(name, action)
                checked_body(self.api.open("DELETE", path, body={"preconditions": {"uid": uid}}))
                return node
            return self.cluster.node(name, action)

    def change_process(self, name: str, action: ProcessAction) -> ClusterProcess:
        """Stop, start or kill one process of the cluster.

        `start` is let through while the API server cannot show its marker, for a cluster whose supervisor
        confirms the journal's uuid: without that nobody could start an API server that was stopped.
        Stopping and killing always need the marker.
        """
        if action == "start":
            self._ownership.check_for_start()
        else:
            self.check_cluster()
        with self._acting(f"process {action}", "", name):
            return self.cluster.process(name, action)

    def restart_api_server(self) -> ClusterProcess:
        """Start kube-apiserver anew where it runs since before its etcd; otherwise it is left alone.

        By itself it asks for an etcd that was away ever more rarely, up to every two minutes. On a real
        control plane the kubelet's liveness probe does the same. Checked as `start` is.
        """
        self._ownership.check_for_start()
        name = "kube-apiserver"
        processes = {each.name: each for each in self.cluster.processes()}
        if processes[name].pid is not None and processes[name].started < processes["etcd"].started:
            with self._acting("process start anew", "", name):
                self.cluster.process(name, "kill")
                return self.cluster.process(name, "start")
        return processes[name]

    def change_cloud(self, on: bool, progress: Progress) -> str:
        """Switch on or off what plays a cloud beside the cluster; in words."""
        self.check_cluster()
        with self._acting(f"cloud {'on' if on else 'off'}", "", ""):
            return self.cluster.cloud(on, progress)

    def simulate(self, nodes: int) -> None:
        """Have so many simulated nodes played."""
        self.check_cluster()
        with self._acting("simulate", "", str(nodes)):
            self.cluster.simulate(nodes)
