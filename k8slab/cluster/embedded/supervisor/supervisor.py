"""The supervisor of one embedded cluster, as the process that `__main__` starts.

It lives in a session of its own, so that the notebook's interrupt never reaches it, and it
alone starts and ends the cluster's processes. It ends the cluster when nobody holds it any
more (`leases`), and leaves nothing behind but the folder of a cluster that failed to start.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Awaitable
from dataclasses import replace

from k8slab.cluster.embedded import control_plane
from k8slab.cluster.embedded.control_plane import ProcessSpecification
from k8slab.cluster.embedded.journal import Journal, State
from k8slab.cluster.embedded.supervisor import start_sequence
from k8slab.cluster.embedded.supervisor.bootstrap import SuperAdmin
from k8slab.cluster.embedded.supervisor.control_socket import serve
from k8slab.cluster.embedded.supervisor.leases import Leases
from k8slab.cluster.embedded.supervisor.sleep_watch import Sleep, SleepWatch, hold_until_heartbeats
from k8slab.cluster.embedded.supervisor.supervised import STOP_GRACE, SupervisedProcess
from k8slab.cluster.embedded.supervisor.supervised_nodes import Nodes
from k8slab.errors import ClusterStateError, LabError, StartError
from k8slab.folders import ClusterFolder, ClusterSettings, remove_tree
from k8slab.processes import (
    CLUSTER_VARIABLE,
    ProcessIdentity,
    end_processes,
    processes_of_cluster,
    reap_orphans,
)

RESTART_DELAYS = (0.0, 1.0, 2.0, 4.0, 8.0)
"""Seconds before a process that ended by itself is started again; the last one repeats."""

COMPONENT_GRACE = 1.2
"""Seconds that a component gets to end when a learner stops it, before SIGKILL: with clients connected
etcd and kube-apiserver take longer than a cell may, and both are made to survive SIGKILL."""


class Supervisor:
    """Starts, watches and ends the processes of one cluster.

    Args:
        folder: the cluster's folder, with settings and certificates in place.
        settings: its settings.
        keep: whether it stays when nobody holds it.
    """

    def __init__(self, folder: ClusterFolder, settings: ClusterSettings, keep: bool) -> None:
        self.folder = folder
        self.settings = settings
        self.leases = Leases(keep)
        self.processes: dict[str, SupervisedProcess] = {}
        self.nodes = Nodes(self)
        self.sleep_watch = SleepWatch(self._woke)
        self.steps: list[dict[str, object]] = []
        self.changed = asyncio.Event()
        self.ended = asyncio.Event()
        self.started = time.time()
        identity = ProcessIdentity.of(os.getpid())
        self.journal = Journal(settings.name, settings.uuid, settings.octet, identity, keep=keep)
        self._environment = {
            **{name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ},
            **{name: value for name, value in os.environ.items() if name.startswith("K8SLAB_")},
            CLUSTER_VARIABLE: settings.uuid,
            "PYTHONUNBUFFERED": "1",
        }
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> int:
        """Start everything, watch it until nobody holds the cluster, end everything.

        Returns:
            0, or 1 if the cluster did not start; the journal then says why.
        """
        try:
            await self._until_asked_to_end(self._start())
        except (LabError, OSError) as error:
            self._note("failed", str(error))
            print(error, file=sys.stderr, flush=True)
        else:
            self._note("stopping")
        failed = self.journal.state == "failed"
        await self._end_everything()
        if not failed:
            remove_tree(self.folder.path)
        return int(failed)

    async def _until_asked_to_end(self, start: Awaitable[None]) -> None:
        starting = asyncio.ensure_future(start)
        watching = asyncio.ensure_future(self.sleep_watch.run())
        try:
            while not self.ended.is_set() and not self.leases.expired():
                if starting.done():
                    starting.result()
                if watching.done():
                    watching.result()
                reap_orphans(each.pid for each in self.processes.values() if each.pid is not None)
                try:
                    await asyncio.wait_for(self.ended.wait(), 0.05 if not starting.done() else 0.5)
                except TimeoutError:
                    continue
        finally:
            starting.cancel()
            watching.cancel()

    def launch(self, specification: ProcessSpecification) -> SupervisedProcess:
        """Start a process and keep it under supervision; the journal names it first."""
        process = SupervisedProcess(
            specification,
            self._environment,
            self.folder.log(specification.name),
            lambda: self._enter_switch() if specification.enter_switch else (),
            self._process_changed,
        )
        self.processes[specification.name] = process
        self._write(self.journal.with_process(specification.name, None))
        process.start()
        return process

    def forget(self, name: str) -> None:
        """Supervise a process no more; it has ended."""
        del self.processes[name]
        self._write(self.journal.without_process(name))

    def reached(self, step: str) -> None:
        """Note that a step of the start is done, for those who follow it."""
        self.steps.append({"name": step, "seconds": round(time.time() - self.started, 3)})
        self.changed.set()

    def _enter_switch(self) -> tuple[str, ...]:
        pid = self.processes["switch"].pid
        if pid is None:
            raise StartError("switch", "does not run, so no node can be plugged into it")
        return ("nsenter", "-U", "-t", str(pid), "--preserve-credentials", "--")

    async def _start(self) -> None:
        await start_sequence.start(self)
        self.journal = replace(self.journal, seconds_to_ready=time.time() - self.started)
        self._note("running")

    def _process_changed(self, process: SupervisedProcess) -> None:
        self._write(self.journal.with_process(process.name, process.identity))
        self.changed.set()
        if process.pid is None and process.wanted and self.journal.state == "running":
            task = asyncio.ensure_future(self._start_again(process))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _start_again(self, process: SupervisedProcess) -> None:
        print(f"{process.name} {process.ending}; it is started again", file=sys.stderr, flush=True)
        lived = process.ending.seconds if process.ending else 0.0
        tries = 0 if lived > 60 else process.restarts
        await asyncio.sleep(RESTART_DELAYS[min(tries, len(RESTART_DELAYS) - 1)])
        if not process.wanted or self.journal.state != "running":
            return
        if process.name == "switch":
            # The old socket must not be taken for the new switch's.
            self.folder.switch_socket.unlink(missing_ok=True)
        process.start()
        if process.name == "switch":
            await start_sequence.until(
                start_sequence.exists(self.folder.switch_socket), "the switch", process
            )
            for each in self.processes.values():
                if each.specification.enter_switch and each.wanted:
                    await each.stop()
                    each.start()

    async def act(self, name: str, action: str) -> SupervisedProcess:
        """Stop, start or kill one process because a learner asked; stopped ones stay down.

        Raises:
            ClusterStateError: no such process, or no such action.
        """
        process = self.processes.get(name)
        if process is None:
            known = ", ".join(self.processes)
            raise ClusterStateError(f"There is no process {name!r} in this cluster.", f"There are: {known}.")
        if action == "start":
            self.nodes.check_power(name)
            process.start()
        elif action == "stop":
            await process.stop(COMPONENT_GRACE if process.specification.kind == "component" else STOP_GRACE)
        elif action == "kill":
            await process.stop(first=signal.SIGKILL)
        else:
            raise ClusterStateError(f"A process can be stopped, started or killed, not {action!r}.")
        return process

    async def simulate(self, nodes: int) -> SupervisedProcess:
        """Play so many simulated nodes; those beyond that number are removed."""
        specification = control_plane.simulator(self.folder, nodes)
        process = self.processes.get(specification.name)
        if process is None:
            return self.launch(specification)
        await process.stop()
        process.specification = specification
        process.start()
        return process

    async def _woke(self, sleep: Sleep) -> None:
        """Let the nodes' heartbeats come first; on a suspended machine the controllers' clock stood still."""
        controller_manager = self.processes.get("kube-controller-manager")
        if controller_manager is None or sleep.suspended:
            return
        alive = [
            name.removesuffix("-agent")
            for name, process in self.processes.items()
            if name.endswith("-agent") and process.pid is not None
        ]
        admin = SuperAdmin(self.folder, self.settings)
        await hold_until_heartbeats(admin, controller_manager, alive, sleep.woke)

    async def _end_everything(self) -> None:
        """End all in reverse order; what asks the API server ends before it, and etcd last."""
        by_kind = [
            [each for each in self.processes.values() if each.specification.kind == "node"],
            [each for each in self.processes.values() if each.specification.kind in ("network", "addon")],
            [each for name, each in self.processes.items() if name.startswith("kube-")],
            list(self.processes.values()),
        ]
        for group in by_kind:
            await asyncio.gather(*(process.stop(grace=2.0) for process in group))
        left = await asyncio.to_thread(lambda: end_processes(list(processes_of_cluster(self.settings.uuid))))
        if left:
            print(f"still alive: {', '.join(str(each.pid) for each in left)}", file=sys.stderr, flush=True)

    def _note(self, state: State, failure: str = "") -> None:
        self._write(replace(self.journal, state=state, failure=failure))
        self.changed.set()

    def _write(self, journal: Journal) -> None:
        self.journal = journal
        journal.write(self.folder.journal)


async def supervise(folder: ClusterFolder, keep: bool, starter: ProcessIdentity | None) -> int:
    """Run the supervisor and its socket until the cluster has ended.

    Args:
        folder: the cluster's folder.
        keep: whether the cluster stays when nobody holds it.
        starter: the process that started this one; it holds the pipe that is our standard input.
    """
    supervisor = Supervisor(folder, folder.settings(), keep)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, supervisor.ended.set)
    if not keep:
        supervisor.leases.take("starter", starter)
        loop.add_reader(0, _starter_closed, supervisor)
    async with serve(supervisor):
        return await supervisor.run()


def _starter_closed(supervisor: Supervisor) -> None:
    """The starter's pipe is readable: it writes nothing, so it has closed its end."""
    asyncio.get_running_loop().remove_reader(0)
    supervisor.leases.give_back("starter")
