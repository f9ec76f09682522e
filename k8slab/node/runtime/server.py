"""The runtime's requests, one method each; docs/architecture.md, Runtime protocol, has the table."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from k8slab.errors import LabError
from k8slab.node.runtime.capabilities import DEFAULT_CAPABILITIES
from k8slab.node.runtime.connection import Connection, Message
from k8slab.node.runtime.exec import Sessions
from k8slab.node.runtime.pods import Pods
from k8slab.node.runtime.records import Container, Refusal
from k8slab.node.runtime.usage import Usage

FIRST_PAUSE, LONGEST_PAUSE = 0.004, 0.05
"""Seconds between two looks for a listener: soon at first, then less and less often."""

Answer = tuple[Message, list[int]]
"""An answer, and the descriptors that go with it."""


class Server:
    """Answers requests on the node's unix socket.

    Args:
        path: where; an old socket is replaced.
        isolation: the node's level, for `version`.
    """

    def __init__(self, path: Path, isolation: str) -> None:
        self._path = path
        self._isolation = isolation
        self._started = time.time()
        self._ending = False
        self._subscribers: set[Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._pods: Pods
        self._sessions: Sessions
        self._usage: Usage

    def open(self, pods: Pods, sessions: Sessions) -> None:
        """Begin to listen.

        Args:
            pods: the node's Pods.
            sessions: commands in its containers.
        """
        self._pods, self._sessions = pods, sessions
        self._usage = Usage(pods, sessions)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        # Under its final name it can be connected to from the first moment.
        unfinished = self._path.with_suffix(".new")
        unfinished.unlink(missing_ok=True)
        self._listener.bind(str(unfinished))
        os.chmod(unfinished, 0o600)
        self._listener.listen(64)
        self._listener.setblocking(False)
        unfinished.replace(self._path)
        asyncio.get_running_loop().add_reader(self._listener, self._accept)

    def close(self) -> None:
        """Stop listening and obeying; events are still told, and who asks finds the connection closed."""
        self._ending = True
        asyncio.get_running_loop().remove_reader(self._listener)
        self._listener.close()
        self._path.unlink(missing_ok=True)

    def publish(self, event: Message) -> None:
        """Send an event to everyone who subscribed."""
        for connection in list(self._subscribers):
            connection.send(event)

    def forget(self, connection: Connection) -> None:
        """A connection is closed: its subscription and its commands end."""
        self._subscribers.discard(connection)
        self._sessions.drop(connection)

    def take(self, connection: Connection, line: bytes) -> None:
        """Answer one request, beside others."""
        if self._ending:
            # What a node starts while it is powered off would run for a moment and count as a run.
            return
        task = asyncio.get_running_loop().create_task(self._answer(connection, line))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _accept(self) -> None:
        taken, _ = self._listener.accept()
        Connection(taken, self.take, self.forget)

    async def _answer(self, connection: Connection, line: bytes) -> None:
        number = None
        try:
            request = json.loads(line)
            number = request.get("id")
            operation = getattr(self, f"_op_{request['op']}", None)
            if operation is None:
                raise Refusal(f"there is no request {request['op']!r}", "NotImplemented")
            obey: Callable[[Connection, Message], Awaitable[Answer]] = operation
            answer, descriptors = await obey(connection, request)
            connection.send({"id": number, "ok": True, **answer}, descriptors)
        except Refusal as error:
            connection.send({"id": number, "ok": False, "error": str(error), "reason": error.reason})
        except KeyError as error:
            message = f"the request lacks {error}"
            connection.send({"id": number, "ok": False, "error": message, "reason": "Invalid"})
        except (OSError, ValueError, TypeError, LabError) as error:
            message = str(error) or type(error).__name__
            print(f"request {line[:200]!r} failed: {type(error).__name__}: {error}", flush=True)
            connection.send({"id": number, "ok": False, "error": message, "reason": "Internal"})

    def _container(self, request: Message) -> Container:
        return self._pods.container(request["pod"], request["container"])

    async def _op_version(self, connection: Connection, request: Message) -> Answer:
        return {"isolation": self._isolation, "pid": os.getpid(), "started": self._started}, []

    async def _op_subscribe(self, connection: Connection, request: Message) -> Answer:
        self._subscribers.add(connection)
        return {}, []

    async def _op_run_pod(self, connection: Connection, request: Message) -> Answer:
        names = ("pod", "name", "namespace", "hostname", "address")
        pod = await self._pods.run_pod(*(str(request[name]) for name in names))
        return {"created": pod.created}, []

    async def _op_start_container(self, connection: Connection, request: Message) -> Answer:
        container = Container(
            container=request["container"],
            pod=request["pod"],
            name=request["name"],
            attempt=int(request["attempt"]),
            argv=[str(word) for word in request["argv"]],
            env=[[str(name), str(value)] for name, value in request.get("env", ())],
            working_dir=request.get("working_dir") or "/",
            mounts=list(request.get("mounts") or ()),
            memory_limit=int(request.get("memory_limit") or 0),
            tty=bool(request.get("tty")),
            user=int(request.get("user") or 0),
            group=int(request.get("group") or 0),
            capabilities=[str(name) for name in request.get("capabilities", DEFAULT_CAPABILITIES)],
            read_only_root=bool(request.get("read_only_root")),
            share_with=str(request.get("share_with") or ""),
        )
        if not container.argv:
            raise Refusal("no command specified", "CreateContainerError")
        paths = [str(path) for path in request.get("read_only_paths") or ()]
        stdin, once = bool(request.get("stdin")), bool(request.get("stdin_once"))
        return (await self._pods.start(container, paths, stdin, once)).record(), []

    async def _op_wait_listening(self, connection: Connection, request: Message) -> Answer:
        pod, container = self._pods.pod(request["pod"]), self._container(request)
        ports = {int(port) for port in request["ports"]}
        end, pause = time.monotonic() + float(request["timeout"]), FIRST_PAUSE
        while container.running:
            if self._pods.launcher.listens(pod, container, ports):
                return {"listening": True}, []
            left = end - time.monotonic()
            if left <= 0:
                break
            await asyncio.sleep(min(pause, left))
            pause = min(pause * 1.2, LONGEST_PAUSE)
        return {"listening": False}, []

    async def _op_signal_container(self, connection: Connection, request: Message) -> Answer:
        name = str(request["signal"]).upper()
        try:
            number = signal.Signals[name if name.startswith("SIG") else f"SIG{name}"]
        except KeyError:
            raise Refusal(f"there is no signal {request['signal']!r}", "Invalid") from None
        self._pods.signal(self._container(request), number)
        return {}, []

    async def _op_stop_container(self, connection: Connection, request: Message) -> Answer:
        stopped = await self._pods.stop(self._container(request), float(request["grace"]))
        return stopped.record(), []

    async def _op_update_container(self, connection: Connection, request: Message) -> Answer:
        container = self._container(request)
        self._pods.limit(container, int(request.get("memory_limit") or 0))
        return {}, []

    async def _op_remove_container(self, connection: Connection, request: Message) -> Answer:
        await self._pods.remove(self._container(request))
        return {}, []

    async def _op_remove_pod(self, connection: Connection, request: Message) -> Answer:
        await self._pods.remove_pod(request["pod"])
        return {}, []

    async def _op_list(self, connection: Connection, request: Message) -> Answer:
        return {"pods": [pod.summary() for pod in self._pods.pods.values()]}, []

    async def _op_exec(self, connection: Connection, request: Message) -> Answer:
        pod, container = self._pods.pod(request["pod"]), self._container(request)
        argv = [str(word) for word in request["argv"]]
        tty, stdin = bool(request.get("tty")), bool(request.get("stdin"))
        number, descriptors = self._sessions.start(
            connection, pod, container, argv, tty, stdin, connection.send, bool(request.get("outlives"))
        )
        return {"exec": number}, descriptors

    async def _op_attach(self, connection: Connection, request: Message) -> Answer:
        container = self._container(request)
        streams = self._pods.streams.get(container.container)
        if streams is None:
            raise Refusal(f"container {container.container!r} does not run", "NotRunning")
        return {}, streams.attach()

    async def _op_socket(self, connection: Connection, request: Message) -> Answer:
        family = socket.AF_INET6 if request.get("family") == "inet6" else socket.AF_INET
        return {}, [self._pods.launcher.open_socket(self._pods.pod(request["pod"]), family).detach()]

    async def _op_resize(self, connection: Connection, request: Message) -> Answer:
        rows, columns = int(request["rows"]), int(request["columns"])
        if request.get("exec"):
            self._sessions.resize(request["exec"], rows, columns)
        else:
            streams = self._pods.streams.get(request["container"])
            if streams is not None:
                streams.resize(rows, columns)
        return {}, []

    async def _op_stats(self, connection: Connection, request: Message) -> Answer:
        return await self._usage.measure(request.get("pod") or ""), []
