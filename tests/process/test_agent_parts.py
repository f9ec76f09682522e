"""Parts of the agent against real sockets and files: runtime, logs, events, status."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from k8slab.errors import ApiError, NotFoundError
from k8slab.node.containers.container_streams import command_streams, run_in_container
from k8slab.node.kubelet_api.logs import LogOptions, LogSource, read_log
from k8slab.node.node_events import EventRecorder
from k8slab.node.pods.status_writer import StatusWriter
from k8slab.node.runtime.client import RuntimeClient, RuntimeGoneError, RuntimeRefusedError

POD: dict[str, Any] = {
    "metadata": {"name": "web", "namespace": "default", "uid": "u1", "resourceVersion": "5"},
    "spec": {"containers": [{"name": "main", "image": "busybox"}]},
    "status": {},
}


class ScriptedRuntime:
    """Listens where a runtime would and answers as it is told."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.asked: list[dict[str, Any]] = []
        self.connections: list[socket.socket] = []

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[ScriptedRuntime]:
        loop = asyncio.get_running_loop()
        self.path.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(self.path))
            listener.listen()
            listener.setblocking(False)
            loop.add_reader(listener, self._accept, listener)
            try:
                yield self
            finally:
                loop.remove_reader(listener)
                self.cut()

    def cut(self) -> None:
        for connection in self.connections:
            asyncio.get_running_loop().remove_reader(connection)
            connection.close()
        self.connections.clear()

    def _accept(self, listener: socket.socket) -> None:
        connection, _ = listener.accept()
        self.connections.append(connection)
        asyncio.get_running_loop().add_reader(connection, self._read, connection)

    def _read(self, connection: socket.socket) -> None:
        data = connection.recv(65536)
        if not data:
            asyncio.get_running_loop().remove_reader(connection)
            connection.close()
            self.connections.remove(connection)
            return
        for line in data.splitlines():
            request = json.loads(line)
            self.asked.append(request)
            self.answer(connection, request)

    def answer(self, connection: socket.socket, request: dict[str, Any]) -> None:
        if request["op"] == "exec":
            self._run(connection, request)
        elif request["op"] == "refuse":
            self.send(connection, {"id": request["id"], "ok": False, "error": "no", "reason": "Because"})
        else:
            self.send(connection, {"id": request["id"], "ok": True, "pods": []})

    def _run(self, connection: socket.socket, request: dict[str, Any]) -> None:
        """Say something on both outputs and end; the exit code is the first word."""
        reading, writing = os.pipe()
        out, their_out = os.pipe()
        err, their_err = os.pipe()
        answer = {"id": request["id"], "ok": True, "exec": "e1"}
        # The exit may even be told in the same breath as the answer.
        event = {"event": "exec_exited", "exec": "e1", "exit_code": int(request["argv"][0])}
        text = json.dumps(answer) + "\n" + json.dumps(event) + "\n"
        socket.send_fds(connection, [text.encode()], [writing, out, err])
        for descriptor in (writing, out, err):
            os.close(descriptor)
        os.write(their_out, b"out")
        os.write(their_err, b"err")
        for descriptor in (reading, their_out, their_err):
            os.close(descriptor)

    @staticmethod
    def send(connection: socket.socket, message: dict[str, Any]) -> None:
        connection.sendall(json.dumps(message).encode() + b"\n")


@asynccontextmanager
async def connected(
    path: Path, told: list[dict[str, Any]], counts: list[int]
) -> AsyncIterator[RuntimeClient]:
    async def on_connected() -> None:
        counts.append(1)

    client = RuntimeClient(path, told.append, on_connected)
    task = asyncio.create_task(client.run())
    try:
        yield client
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Any, seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


async def test_who_waits_for_a_lost_runtime_lets_others_run(tmp_path: Path) -> None:
    runtime = ScriptedRuntime(tmp_path / "w.sock")
    async with runtime.serving(), connected(runtime.path, [], []) as client:
        await client.connected.wait()
        runtime.cut()
        # Nothing else has run since, so the loss shows in the request itself.
        with pytest.raises(RuntimeGoneError):
            await client.ask("list")
        assert not client.connected.is_set()
        async with asyncio.timeout(30):
            await client.connected.wait()
        assert (await client.ask("list"))["pods"] == []


async def test_a_runtime_that_comes_late_and_goes(tmp_path: Path) -> None:
    told: list[dict[str, Any]] = []
    counts: list[int] = []
    runtime = ScriptedRuntime(tmp_path / "r.sock")
    async with connected(runtime.path, told, counts) as client:
        with pytest.raises(RuntimeGoneError):
            await client.ask("list")
        async with runtime.serving():
            await asyncio.wait_for(client.connected.wait(), 30)
            assert (await client.ask("list"))["pods"] == []
            with pytest.raises(RuntimeRefusedError, match="no") as caught:
                await client.ask("refuse")
            assert caught.value.reason == "Because"
            runtime.send(runtime.connections[0], {"event": "exited", "pod": "u1"})
            await until(lambda: told == [{"event": "exited", "pod": "u1"}])
            runtime.cut()
            await until(lambda: not client.connected.is_set() or len(counts) == 2)
            await asyncio.wait_for(client.connected.wait(), 30)
            assert [each["op"] for each in runtime.asked if each["op"] == "subscribe"] == ["subscribe"] * 2
        await until(lambda: not client.connected.is_set())


async def test_an_answer_that_never_comes_ends_with_the_connection(tmp_path: Path) -> None:
    runtime = ScriptedRuntime(tmp_path / "r.sock")
    runtime.answer = lambda connection, request: (  # type: ignore[method-assign]
        runtime.send(connection, {"id": request["id"], "ok": True}) if request["op"] == "subscribe" else None
    )
    async with runtime.serving(), connected(runtime.path, [], []) as client:
        await asyncio.wait_for(client.connected.wait(), 30)
        waiting = asyncio.create_task(client.ask("stop_container"))
        await until(lambda: any(each["op"] == "stop_container" for each in runtime.asked))
        runtime.cut()
        with pytest.raises(RuntimeGoneError):
            await asyncio.wait_for(waiting, 30)


async def test_a_command_with_its_streams(tmp_path: Path) -> None:
    runtime = ScriptedRuntime(tmp_path / "r.sock")
    async with runtime.serving(), connected(runtime.path, [], []) as client:
        await asyncio.wait_for(client.connected.wait(), 30)
        before = len(os.listdir("/proc/self/fd"))
        code, output = await run_in_container(client, "u1", "c1", ["3"], timeout=5)
        assert code == 3 and sorted(output[i : i + 3] for i in (0, 3)) == ["err", "out"]
        async with command_streams(client, "u1", "c1", ["0"]) as streams:
            assert await streams.read(streams.outputs[0]) == b"out"
            assert await streams.read(streams.outputs[1]) == b"err"
            assert await streams.read(streams.outputs[0]) == b""
            assert await streams.write(b"nobody reads") is False
            assert await streams.exit_code == 0
        await until(lambda: len(os.listdir("/proc/self/fd")) <= before)


# -- logs --------------------------------------------------------------------------------------


def line(text: str) -> str:
    return f"2026-01-01T00:00:00.000000000Z stdout F {text}\n"


async def collect(source: LogSource, options: LogOptions) -> bytes:
    return b"".join([chunk async for chunk in read_log(source, options)])


async def test_a_log_is_followed_to_its_very_end(tmp_path: Path) -> None:
    path, running = tmp_path / "0.log", [True]
    path.write_text(line("one"))
    following = asyncio.create_task(collect(LogSource(path, lambda: running[0]), LogOptions(follow=True)))
    await asyncio.sleep(0.05)
    with path.open("a") as file:
        file.write(line("two") + "2026-01-01T00:00:00Z stdout F thr")
        file.flush()
        await asyncio.sleep(0.15)
        # The rest of a line and the end of the program come together.
        file.write("ee\n")
        file.flush()
        running[0] = False
    assert await asyncio.wait_for(following, 30) == b"one\ntwo\nthree\n"


async def test_a_log_that_is_rotated_while_it_is_followed(tmp_path: Path) -> None:
    path, running = tmp_path / "0.log", [True]
    path.write_text(line("old"))
    following = asyncio.create_task(collect(LogSource(path, lambda: running[0]), LogOptions(follow=True)))
    await asyncio.sleep(0.05)
    path.rename(tmp_path / "0.log.1")
    await asyncio.sleep(0.15)
    path.write_text(line("new"))
    await asyncio.sleep(0.25)
    running[0] = False
    assert await asyncio.wait_for(following, 30) == b"old\nnew\n"


async def test_parts_of_a_log(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    path.write_text("".join(line(str(number)) for number in range(10_000)))
    source = LogSource(path, lambda: False)
    assert (await collect(source, LogOptions(tail=2))) == b"9998\n9999\n"
    assert (await collect(source, LogOptions(limit=3))) == b"0\n1"
    assert len((await collect(source, LogOptions())).splitlines()) == 10_000
    with pytest.raises(FileNotFoundError):
        await collect(LogSource(tmp_path / "none", lambda: False), LogOptions())


# -- events and status -------------------------------------------------------------------------


class RecordingClient:
    """Takes what the agent writes; fails as told."""

    def __init__(self) -> None:
        self.written: list[tuple[str, str, dict[str, Any]]] = []
        self.failures: list[ApiError] = []

    async def create(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return self._take("create", path, body)

    async def patch(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return self._take("patch", path, body)

    def _take(self, verb: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        if self.failures:
            raise self.failures.pop(0)
        self.written.append((verb, path, body))
        return {"metadata": {"resourceVersion": str(100 + len(self.written))}}


@asynccontextmanager
async def running(work: Any) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
        if task.done():
            task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_equal_events_raise_a_count() -> None:
    api: Any = RecordingClient()
    recorder = EventRecorder(api, "worker-1")
    async with running(recorder.run()):
        for _ in range(3):
            recorder.pod(POD, "Warning", "BackOff", "again", "spec.containers{main}")
        recorder.pod(POD, "Normal", "Started", "Container started")
        await until(lambda: len(api.written) == 4)
    (first, _, event), (second, path, patch), _, other = api.written
    assert (first, second, other[0]) == ("create", "patch", "create")
    assert event["source"] == {"component": "kubelet", "host": "worker-1"} and event["count"] == 1
    assert event["involvedObject"]["fieldPath"] == "spec.containers{main}"
    assert path.endswith(event["metadata"]["name"]) and patch["count"] == 2


async def test_events_survive_an_absent_server_and_never_pour() -> None:
    api: Any = RecordingClient()
    api.failures = [ApiError(0, "Unreachable", "gone"), ApiError(500, "", "boom")]
    recorder = EventRecorder(api, "worker-1")
    async with running(recorder.run()):
        for number in range(100):
            recorder.pod(POD, "Warning", "Unhealthy", f"message {number}")
        await until(lambda: len(api.written) == 25)
        await asyncio.sleep(0.05)
    assert len(api.written) == 25


async def test_only_the_latest_status_is_written_and_again_until_it_is_there() -> None:
    api: Any = RecordingClient()
    writer = StatusWriter(api, POD)
    api.failures = [ApiError(0, "Unreachable", "gone")]
    async with running(writer.run()):
        writer.write({"phase": "Pending"})
        writer.write({"phase": "Running"})
        assert await asyncio.wait_for(writer.flushed(), 30)
        writer.write({"phase": "Running"})
        assert not writer.pending
    assert [body for _, _, body in api.written] == [
        {"metadata": {"uid": "u1"}, "status": {"phase": "Running"}}
    ]


async def test_a_pod_that_is_gone_needs_no_status() -> None:
    api: Any = RecordingClient()
    writer = StatusWriter(api, POD)
    api.failures = [NotFoundError(404, "NotFound", "gone")]
    async with running(writer.run()):
        writer.write({"phase": "Failed"})
        assert not await asyncio.wait_for(writer.flushed(), 30)
        writer.write({"phase": "Succeeded"})
        assert not await asyncio.wait_for(writer.flushed(), 30)


async def test_a_pod_that_goes_while_the_server_is_away_needs_no_status() -> None:
    api: Any = RecordingClient()
    writer = StatusWriter(api, POD)
    api.failures = [ApiError(0, "Unreachable", "gone")] * 100
    async with running(writer.run()):
        writer.write({"phase": "Failed"})
        await until(lambda: len(api.failures) < 100)
        writer.gone = True
        assert not await asyncio.wait_for(writer.flushed(), 30)
