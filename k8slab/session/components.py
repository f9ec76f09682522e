"""The processes of a cluster: `lab.components["kube-scheduler"].stop()`, and the panel that does the same."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable

import urllib3

from k8slab.answers import Table, Text
from k8slab.cluster.answering import NEEDED
from k8slab.cluster.contract import CONTROL_PLANE, Cluster, ClusterProcess, ProcessAction
from k8slab.errors import ClusterStateError, LabError
from k8slab.guard import Guard
from k8slab.session.memory import memory_mb
from k8slab.session.plain_words import in_plain_words
from k8slab.session.restoring import settle
from k8slab.session.shown import MakeWidgets, Shown

Settled = Callable[[], None]

COLUMNS = ("PROCESS", "STATE", "PID", "MEMORY", "RESTARTS")

_STOPPED = {
    "kube-scheduler": "Pods that run go on running; a new one stays Pending, without a node, until it is"
    " started: `kubectl get pods -o wide`.",
    "kube-controller-manager": "Nobody compares any more what is wanted with what is there: a deleted Pod of"
    " a ReplicaSet is not replaced, and a new Deployment gets no ReplicaSet. `kubectl get all` shows it.",
    "kube-apiserver": "kubectl and every component now knock in vain; the containers run on, and nobody hears"
    " of them. `lab.pods()` shows what that looks like.",
    "etcd": "kube-apiserver runs on and has nowhere to read or write; the containers run on."
    " `lab.pods()` shows what that looks like.",
}
_STARTED = {
    "kube-scheduler": "Pods that wait for a node get one within seconds: `kubectl get pods -o wide`.",
    "kube-controller-manager": "It lists everything and catches up on what it missed: `kubectl get pods -w`"
    " in a terminal.",
    "kube-apiserver": "It is ready within seconds. kube-controller-manager and kube-scheduler are then"
    " started anew: on a real control plane they end themselves when they cannot renew their lease for 10 s.",
    "etcd": "kube-apiserver, kube-controller-manager and kube-scheduler are started anew, for they would ask"
    " for what they lost ever more rarely; all is ready within seconds.",
}


class Components(Shown):
    """The processes of a cluster, by name: a table, and in a notebook also a panel with buttons.

    Args:
        guard: lets changes through.
        make: makes the panel.
        settled: called once the API server is ready after a start, on another thread.
    """

    def __init__(self, guard: Guard, make: MakeWidgets = list, settled: Settled | None = None) -> None:
        super().__init__(make)
        self._guard = guard
        self._settled = settled

    def __getitem__(self, name: str) -> Component:
        return Component(self._guard, name, self._settled)

    def table(self) -> Table:
        """The processes as a table."""
        return table_of(self._guard.cluster)

    def text(self) -> str:
        return repr(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


class Component:
    """One process of a cluster.

    Args:
        guard: lets changes through.
        name: its name, such as `kube-scheduler`.
        settled: as for `Components`.
    """

    def __init__(self, guard: Guard, name: str, settled: Settled | None = None) -> None:
        self._guard = guard
        self.name = name
        self._settled = settled

    def stop(self) -> Text:
        """End it (SIGTERM, a moment later SIGKILL), and keep it down until `start`."""
        return Text(act(self._guard, self.name, "stop", self._settled), self.name)

    def start(self) -> Text:
        """Start it again; works while the API server is stopped, too."""
        return Text(act(self._guard, self.name, "start", self._settled), self.name)

    def kill(self) -> Text:
        """End it by SIGKILL, without a chance to tidy up, and keep it down until `start`."""
        return Text(act(self._guard, self.name, "kill", self._settled), self.name)

    def __repr__(self) -> str:
        return repr(table_of(self._guard.cluster, self.name))

    def _repr_html_(self) -> str:
        return table_of(self._guard.cluster, self.name)._repr_html_()


@in_plain_words
def act(guard: Guard, name: str, action: ProcessAction, settled: Settled | None = None) -> str:
    """Do something to a process; returns what was done and what to watch, within two seconds.

    Args:
        guard: lets changes through.
        name: the process.
        action: what.
        settled: as for `Components`.

    Raises:
        ClusterStateError: there is no such process, or the backend cannot.
        GuardError: the cluster is not ours, or cannot be told to be.
    """
    before = find(guard.cluster, name)
    if action == "start":
        if before.pid is not None:
            return f"{name} runs already, with pid {before.pid}."
        return _start(guard, name, settled)
    if before.state == "stopped":
        return f"{name} is stopped already; `.start()` starts it again."
    guard.change_process(name, action)
    gone = f"its process {before.pid} is gone" if before.pid is not None else "it is not tried again"
    how = "was killed by SIGKILL and stays down" if action == "kill" else "is stopped"
    return f"{name} {how}: {gone}. {_STOPPED.get(name, '')}".rstrip()


def _start(guard: Guard, name: str, settled: Settled | None) -> str:
    pid = guard.change_process(name, "start").pid
    said = f"{name} runs again, with pid {pid}."
    if name not in NEEDED:
        return f"{said} {_STARTED.get(name, '')}".rstrip()
    for other in NEEDED:
        state = find(guard.cluster, other).state
        if state == "failed":
            # It gave up without the one that was just started, and would wait ever longer for its next try.
            guard.change_process(other, "start")
        elif state != "running":
            return f"{said} The API server cannot answer yet: {other} does not run."
    if name == "etcd":
        guard.restart_api_server()
    # Beside the cell: the API server takes some seconds until it is ready.
    threading.Thread(target=_settle, args=(guard, settled), name="k8slab-settle", daemon=True).start()
    return f"{said} {_STARTED[name]}"


def _settle(guard: Guard, settled: Settled | None) -> None:
    # What does not come back is seen in the table, and waited for by lab.reset(), which says so.
    with contextlib.suppress(LabError, urllib3.exceptions.HTTPError, OSError):
        settle(guard)
        if settled is not None:
            settled()


def find(cluster: Cluster, name: str) -> ClusterProcess:
    """The process of that name.

    Raises:
        ClusterStateError: there is none, or the backend has none in hand.
    """
    processes = {each.name: each for each in cluster.processes()}
    if not processes:
        raise ClusterStateError(
            f"On the backend {cluster.backend} k8slab has no processes in hand, so not {name!r} either.",
            "The backend 'embedded' has: open the lab with backend='embedded'.",
        )
    if name not in processes:
        raise ClusterStateError(
            f"There is no process {name!r} in this cluster.", f"There are: {', '.join(processes)}."
        )
    return processes[name]


def table_of(cluster: Cluster, name: str = "") -> Table:
    """The processes of a cluster, the control plane first, or one of them."""
    processes = [find(cluster, name)] if name else sorted(cluster.processes(), key=_place)
    rows = tuple(
        (
            each.name,
            each.state,
            str(each.pid or ""),
            f"{megabytes:.0f} MB" if (megabytes := memory_mb(each)) else "",
            str(each.restarts),
        )
        for each in processes
    )
    return Table(COLUMNS, rows, empty=f"The backend {cluster.backend} has no processes in hand.")


def state_in_words(process: ClusterProcess) -> str:
    """Such as `running, pid 12, 30 MB` or `stopped by you`."""
    if process.pid is not None:
        megabytes = memory_mb(process)
        return f"running, pid {process.pid}" + (f", {megabytes:.0f} MB" if megabytes else "")
    if process.state == "stopped":
        return "stopped by you"
    how = f"failed with exit code {process.exit_code}" if process.exit_code is not None else "ended"
    return f"{how}; it is started again"


def _place(process: ClusterProcess) -> int:
    return CONTROL_PLANE.index(process.name) if process.name in CONTROL_PLANE else len(CONTROL_PLANE)
