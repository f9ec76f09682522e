"""Pods and containers as the runtime keeps them: their start, their end, and what an earlier one left."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from k8slab.errors import last_lines
from k8slab.folders import remove_tree
from k8slab.node.runtime.launcher import Launcher, Started
from k8slab.node.runtime.log import ContainerLog
from k8slab.node.runtime.processes import marked
from k8slab.node.runtime.records import Container, Journal, Pod, Refusal
from k8slab.node.runtime.streams import Streams
from k8slab.processes import ProcessIdentity, cluster_of

UNKNOWN_EXIT = 255
"""Exit code of a container whose end nobody saw, and `Unknown` its reason: containerd's."""

START_EXIT = 128
"""Exit code of a container whose program was never executed: containerd's."""

NEVER_EXECUTED = "RunContainerError"
"""A launcher's reason where the container is there and its program is not, or cannot be executed."""

Message = dict[str, Any]


class Pods:
    """All Pods of the node.

    Args:
        launcher: starts programs.
        journal: keeps what is known.
        publish: called with each event.
    """

    def __init__(self, launcher: Launcher, journal: Journal, publish: Callable[[Message], None]) -> None:
        self.launcher = launcher
        self.pods: dict[str, Pod] = {}
        self.streams: dict[str, Streams] = {}
        self._journal = journal
        self._publish = publish
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._ended: dict[str, asyncio.Event] = {}

    # -- what an earlier runtime left ----------------------------------------------------------

    async def recover(self, uuid: str) -> None:
        """Take over the journal: kill what it names and is still there, and call it exited.

        A process is meant only where pid, start time and the cluster's uuid agree.

        Args:
            uuid: the cluster's.
        """
        for pod in self._journal.load():
            self.pods[pod.pod] = pod
            for container in pod.containers.values():
                if container.running:
                    await self._bury(container, uuid)
            self._journal.save(pod)

    async def _bury(self, container: Container, uuid: str) -> None:
        known = [ProcessIdentity(pid, start) for pid, start in container.identities]
        strays = [ProcessIdentity.of(pid) for pid in marked(container.container)]
        alive = [each for each in (*known, *strays) if each is not None and each.is_alive()]
        found = [each for each in alive if cluster_of(each.pid) == uuid]
        for identity in found:
            identity.send(signal.SIGKILL)
        while any(identity.is_alive() for identity in found):
            await asyncio.sleep(0.01)
        container.state, container.finished = "exited", time.time()
        container.exit_code, container.signal, container.reason = UNKNOWN_EXIT, 0, "Unknown"

    # -- Pods ----------------------------------------------------------------------------------

    async def run_pod(self, uid: str, name: str, namespace: str, hostname: str, address: str) -> Pod:
        """Make a Pod's sandbox, or make it again after the runtime was restarted.

        Raises:
            Refusal: its network could not be set up, or its name is too long for the folder of its logs.
        """
        async with self._turns[uid]:
            pod = self.pods.get(uid)
            if pod is None:
                pod = Pod(uid, name, namespace, hostname, address, time.time())
                self._make_log_folder(pod)
                self._journal.save(pod)
                self.pods[uid] = pod
            try:
                await self.launcher.open_sandbox(pod)
            except Refusal:
                if not pod.containers:
                    del self.pods[uid]
                    self._journal.remove(pod)
                raise
            return pod

    def _make_log_folder(self, pod: Pod) -> None:
        """Make the folder of a Pod's logs before its sandbox, as a kubelet does.

        Namespace, name and uid make one file name there, so a long name fails on a kubelet as well
        (`createPodSandbox` in pkg/kubelet/kuberuntime/kuberuntime_sandbox.go, `BuildPodLogsDirectory`).
        """
        folder = self._journal.logs(pod)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Refusal(f"mkdir {folder}: {(error.strerror or '').lower()}", "LogFolder") from error

    async def remove_pod(self, uid: str) -> None:
        """Kill what is left of a Pod and remove all of it. A Pod that is not there is fine."""
        async with self._turns[uid]:
            pod = self.pods.get(uid)
            if pod is not None:
                for container in pod.containers.values():
                    await self._stop(container, 0)
                await self.launcher.close_sandbox(pod)
                self._journal.remove(pod)
                del self.pods[uid]
        self._turns.pop(uid, None)

    def pod(self, uid: str) -> Pod:
        """The Pod of that uid.

        Raises:
            Refusal: there is none.
        """
        if uid not in self.pods:
            raise Refusal(f"pod {uid!r} is not known to this runtime", "NotFound")
        return self.pods[uid]

    def container(self, uid: str, identity: str) -> Container:
        """The container of that id in a Pod.

        Raises:
            Refusal: there is none.
        """
        found = self.pod(uid).containers.get(identity)
        if found is None:
            raise Refusal(f"container {identity!r} is not known to this runtime", "NotFound")
        return found

    # -- containers ----------------------------------------------------------------------------

    async def start(
        self, container: Container, read_only_paths: list[str], stdin: bool, stdin_once: bool
    ) -> Container:
        """Start a container; one that was started already is returned as it is.

        A program that cannot be executed makes a container that has ended: `StartError`, exit code 128.

        Raises:
            Refusal: its Pod is not known, or the container cannot be made.
        """
        async with self._turns[container.pod]:
            pod = self.pod(container.pod)
            if container.container in pod.containers:
                return pod.containers[container.container]
            await self.launcher.open_sandbox(pod)
            folder = self._folder(container)
            container.root = str(folder / "root")
            os.makedirs(container.root, exist_ok=True)
            container.log = str(self._journal.logs(pod) / container.name / f"{container.attempt}.log")
            container.created = time.time()
            pod.containers[container.container] = container
            self._journal.save(pod)
            streams = Streams(ContainerLog(Path(container.log)), container.tty, stdin, stdin_once)
            try:
                started = await self.launcher.start(pod, container, streams.stdio, read_only_paths)
                streams.started()
                if started.pid == 0:
                    await started.ended
                    streams.finish()
                    lines = last_lines(Path(container.log), 1)
                    raise Refusal(f"no sandbox could be made: {lines}", "RunContainerError")
            except BaseException as error:
                streams.finish()
                if isinstance(error, Refusal) and error.reason == NEVER_EXECUTED:
                    self._never_executed(container, str(error))
                    self._journal.save(pod)
                    return container
                del pod.containers[container.container]
                self._journal.save(pod)
                # A file tree that is still being laid out grows while it is removed; the Pod's end takes it.
                with contextlib.suppress(OSError):
                    remove_tree(folder)
                raise
            container.pid, container.keeper, container.started = started.pid, started.child, time.time()
            container.remember(started.pid, started.child)
            self._journal.save(pod)
            self.streams[container.container] = streams
            self._ended[container.container] = asyncio.Event()
            started.ended.add_done_callback(lambda ended: self._end(pod, container, started, ended.result()))
            return container

    def _never_executed(self, container: Container, why: str) -> None:
        container.state, container.finished = "exited", time.time()
        container.exit_code, container.signal, container.reason = START_EXIT, 0, "StartError"
        container.message = why

    def _folder(self, container: Container) -> Path:
        folder = self._journal.pod_folder(container.pod) / "containers"
        return folder / container.name / str(container.attempt)

    def _end(self, pod: Pod, container: Container, started: Started, status: int) -> None:
        """A container's program has ended: sweep, read its last words, tell everyone."""
        self.launcher.sweep(container)
        self.streams.pop(container.container).finish()
        code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)
        # A keeper passes a signal on as a shell does.
        kept = started.child != started.pid and 128 < code < 128 + signal.NSIG
        container.exit_code = code
        container.signal = code - 128 if kept or os.WIFSIGNALED(status) else 0
        container.state, container.finished = "exited", time.time()
        if os.WIFEXITED(status) and (problem := started.problem()):
            self._never_executed(container, problem)
        try:
            self._journal.save(pod)
        except OSError as error:
            # A full disk must not hide that a container ended.
            print(f"the end of {container.name} in {pod.name} is not in the journal: {error}", flush=True)
        self._ended.pop(container.container).set()
        self._publish({"event": "exited", **container.record()})

    def signal(self, container: Container, number: int) -> None:
        """Send a signal to a container's program.

        Raises:
            Refusal: it does not run.
        """
        if not container.running or not container.pid:
            raise Refusal(f"container {container.container!r} does not run", "NotRunning")
        self._send(container, number)

    def limit(self, container: Container, memory: int) -> None:
        """Change the memory limit of a container, from the next look at it on.

        Args:
            container: the container.
            memory: bytes; 0 for none.
        """
        container.memory_limit = memory
        self._journal.save(self.pod(container.pod))

    async def stop(self, container: Container, grace: float) -> Container:
        """End a container: SIGTERM at once, SIGKILL after `grace` seconds. Returns after its end."""
        await self._stop(container, grace)
        return container

    async def _stop(self, container: Container, grace: float) -> None:
        ended = self._ended.get(container.container)
        if ended is None or not container.pid:
            return
        if grace > 0:
            self._send(container, signal.SIGTERM)
            try:
                await asyncio.wait_for(ended.wait(), grace)
                return
            except TimeoutError:
                print(f"{container.name} of {container.pod} did not end within {grace:g} s", flush=True)
        self.kill(container)
        await ended.wait()

    def kill(self, container: Container) -> None:
        """Send SIGKILL to a container's program; nothing happens if it has ended."""
        self._send(container, signal.SIGKILL)

    def _send(self, container: Container, number: int) -> None:
        if container.running and container.pid:
            try:
                os.kill(container.pid, number)
            except ProcessLookupError:
                # Its keeper is about to say so.
                return

    async def remove(self, container: Container) -> None:
        """Remove an ended container's tree and entry; its log stays until the Pod goes.

        Raises:
            Refusal: it runs.
        """
        if container.running:
            raise Refusal(f"container {container.container!r} runs; stop it first", "Running")
        async with self._turns[container.pod]:
            pod = self.pods.get(container.pod)
            if pod is not None and pod.containers.pop(container.container, None) is not None:
                remove_tree(self._folder(container))
                self._journal.save(pod)

    def running(self) -> list[tuple[Pod, Container]]:
        """Every container that runs, with its Pod."""
        return [
            (pod, each)
            for pod in self.pods.values()
            for each in pod.containers.values()
            if each.running and each.pid and each.started
        ]

    async def power_off(self, seconds: float) -> None:
        """Kill every container, and wait at most so long for their end."""
        waiting = [ended.wait() for ended in self._ended.values()]
        for _, container in self.running():
            self.kill(container)
        if waiting:
            await asyncio.wait([asyncio.ensure_future(each) for each in waiting], timeout=seconds)
