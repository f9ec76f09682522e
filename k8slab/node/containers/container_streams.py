"""Running a command in a container, or joining its program, over file descriptors from the runtime."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from k8slab.node.runtime.client import Message, RuntimeClient, RuntimeConnection, RuntimeGoneError

CHUNK = 32768
LINGER_SECONDS = 2.0
LONGEST_OUTPUT = 10 * 1024
"""Bytes of an exec probe's output that are kept, as pkg/probe/exec/exec.go."""


@dataclass
class ContainerStreams:
    """The open ends of a program's streams; with a terminal, one descriptor is all three.

    Args:
        connection: the line to the runtime that they came over.
        number: the runtime's id of the command; empty for `attach`.
        stdin: descriptor to write to.
        outputs: descriptors to read from: stdout and stderr, or the terminal alone.
    """

    connection: RuntimeConnection
    number: str
    stdin: int
    outputs: list[int]
    exit_code: asyncio.Future[int]
    _open: set[int] = field(default_factory=set)

    async def read(self, descriptor: int) -> bytes:
        """The next bytes of an output; empty at its end.

        A command may leave something behind that holds its output open: once the command has ended, a
        silence of 2 s is an end as well, as containerd has it (pkg process, exec.go: `waitTimeout`).
        """
        while True:
            try:
                return os.read(descriptor, CHUNK)
            except BlockingIOError:
                if not await self._readable(descriptor):
                    return b""
            except OSError:
                # A terminal whose program ended answers EIO where a pipe answers with its end.
                return b""

    async def _readable(self, descriptor: int) -> bool:
        """Wait until an output may have something; False if nothing more is to be expected."""
        loop = asyncio.get_running_loop()
        arrived: asyncio.Future[None] = loop.create_future()

        def told() -> None:
            if not arrived.done():
                arrived.set_result(None)

        loop.add_reader(descriptor, told)
        try:
            either: set[asyncio.Future[Any]] = {arrived, self.exit_code}
            if not self.exit_code.done():
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not arrived.done():
                await asyncio.wait({arrived}, timeout=LINGER_SECONDS)
            return arrived.done()
        finally:
            # Before the descriptor is closed: its number may be another one's a moment later.
            loop.remove_reader(descriptor)

    async def write(self, data: bytes) -> bool:
        """Write to the program's input; False if nobody reads it any more."""
        view = memoryview(data)
        while view and self.stdin in self._open:
            try:
                view = view[os.write(self.stdin, view) :]
            except BlockingIOError:
                await _writable(self.stdin)
            except OSError:
                return False
        return not view

    def close_stdin(self) -> None:
        """Tell the program that no more input comes; a terminal stays open."""
        if self.stdin not in self.outputs:
            self._close(self.stdin)

    def close(self) -> None:
        """Close every descriptor and the line to the runtime."""
        for descriptor in list(self._open):
            self._close(descriptor)
        self.connection.close()
        if not self.exit_code.done():
            self.exit_code.cancel()

    def _close(self, descriptor: int) -> None:
        if descriptor in self._open:
            self._open.discard(descriptor)
            os.close(descriptor)


async def _writable(descriptor: int) -> None:
    """Wait until a descriptor can be written to."""
    loop, event = asyncio.get_running_loop(), asyncio.Event()
    loop.add_writer(descriptor, event.set)
    try:
        await event.wait()
    finally:
        loop.remove_writer(descriptor)


@asynccontextmanager
async def command_streams(
    runtime: RuntimeClient,
    pod: str,
    container: str,
    argv: Sequence[str],
    tty: bool = False,
    stdin: bool = False,
    outlives: bool = False,
) -> AsyncIterator[ContainerStreams]:
    """Start a command in a container.

    Args:
        runtime: the node's runtime.
        pod: uid of the Pod.
        container: id of the container.
        argv: program and arguments.
        tty: whether it gets a terminal.
        stdin: whether it gets an input.
        outlives: whether it goes on when its streams are closed; else it is killed then.

    Raises:
        RuntimeRefusedError: the program cannot be started.
        RuntimeGoneError: the runtime does not answer.
    """
    fields = {"argv": list(argv), "tty": tty, "stdin": stdin, "outlives": outlives}
    async with _streams(runtime, "exec", {"pod": pod, "container": container, **fields}) as streams:
        yield streams


@asynccontextmanager
async def program_streams(
    runtime: RuntimeClient, pod: str, container: str
) -> AsyncIterator[ContainerStreams]:
    """Join the program of a running container: its output from now on, and its input.

    Raises:
        RuntimeRefusedError: it does not run.
        RuntimeGoneError: the runtime does not answer.
    """
    async with _streams(runtime, "attach", {"pod": pod, "container": container}) as streams:
        yield streams


@asynccontextmanager
async def _streams(
    runtime: RuntimeClient, op: str, fields: dict[str, object]
) -> AsyncIterator[ContainerStreams]:
    exit_code: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    number = ""
    early: list[Message] = []

    def ended(event: Message) -> None:
        if event.get("event") != "exec_exited":
            return
        if not number:
            early.append(event)
        elif str(event["exec"]) == number and not exit_code.done():
            exit_code.set_result(int(event["exit_code"]))

    connection = await runtime.session(ended)
    try:
        answer = await connection.ask(op, **fields)
        descriptors = connection.take_descriptors()
        if len(descriptors) not in (1, 3):
            for descriptor in descriptors:
                os.close(descriptor)
            raise RuntimeGoneError(f"The runtime answered {op} with {len(descriptors)} streams.")
    except BaseException:
        connection.close()
        raise
    number = str(answer.get("exec") or "")
    for event in early:
        ended(event)
    for descriptor in descriptors:
        os.set_blocking(descriptor, False)
    outputs = descriptors if len(descriptors) == 1 else descriptors[1:]
    streams = ContainerStreams(connection, number, descriptors[0], outputs, exit_code, set(descriptors))
    try:
        yield streams
    finally:
        streams.close()


async def run_in_container(
    runtime: RuntimeClient, pod: str, container: str, argv: Sequence[str], timeout: float | None
) -> tuple[int, str]:
    """Run a command in a container to its end.

    Args:
        runtime: the node's runtime.
        pod: uid of the Pod.
        container: id of the container.
        argv: program and arguments.
        timeout: seconds it may take; None for as long as it likes.

    Returns:
        Its exit code, and the first 10 KiB of what it printed.

    Raises:
        TimeoutError: it took longer.
        RuntimeRefusedError: it could not be started.
        RuntimeGoneError: the runtime does not answer.
    """
    kept = bytearray()

    async def drain(streams: ContainerStreams, descriptor: int) -> None:
        while data := await streams.read(descriptor):
            kept.extend(data[: max(0, LONGEST_OUTPUT - len(kept))])

    async with asyncio.timeout(timeout), command_streams(runtime, pod, container, argv) as streams:
        await asyncio.gather(*(drain(streams, descriptor) for descriptor in streams.outputs))
        return await streams.exit_code, kept.decode(errors="replace")
