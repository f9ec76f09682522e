"""A container's standard streams: into its log, and to everyone who is attached."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Callable
from fcntl import ioctl
from termios import TIOCSWINSZ

from k8slab.node.runtime.log import ContainerLog

CHUNK = 65536
LARGEST_BACKLOG = 1 << 18
"""Bytes that may wait for a reader; then nothing more is read for them until they are gone."""


class Feed:
    """Writes to a descriptor as fast as its reader reads.

    Args:
        descriptor: the writing end; it is closed at the end.
        emptied: called when all that waited is written, or nobody reads any more.
    """

    def __init__(self, descriptor: int, emptied: Callable[[], None]) -> None:
        self._descriptor = descriptor
        self._emptied = emptied
        self._waiting = b""
        self._ending = False
        self._writing = False
        os.set_blocking(descriptor, False)

    @property
    def open(self) -> bool:
        """Whether it still takes data."""
        return self._descriptor >= 0 and not self._ending

    @property
    def full(self) -> bool:
        """Whether so much waits that its source should wait as well."""
        return len(self._waiting) > LARGEST_BACKLOG

    def write(self, data: bytes) -> None:
        """Take data; without a reader it is lost."""
        if self.open:
            self._waiting += data
            self._flush()

    def end(self) -> None:
        """Close once all that waits is written."""
        self._ending = True
        self._flush()

    def _flush(self) -> None:
        if self._descriptor < 0:
            return
        try:
            while self._waiting:
                self._waiting = self._waiting[os.write(self._descriptor, self._waiting) :]
        except BlockingIOError:
            if not self._writing:
                self._writing = True
                asyncio.get_running_loop().add_writer(self._descriptor, self._flush)
            return
        except OSError:
            # Nobody reads any more.
            self._close()
            return
        if self._writing:
            self._writing = False
            asyncio.get_running_loop().remove_writer(self._descriptor)
            self._emptied()
        if self._ending:
            self._close()

    def _close(self) -> None:
        if self._descriptor >= 0:
            if self._writing:
                self._writing = False
                asyncio.get_running_loop().remove_writer(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1
            self._waiting = b""
            self._emptied()


class Source:
    """Reads a descriptor as data comes, until its end.

    Args:
        descriptor: the reading end; it is closed at the end.
        arrived: called with data.
        ended: called once at the end.
    """

    def __init__(
        self, descriptor: int, arrived: Callable[[bytes], None], ended: Callable[[], None] | None = None
    ) -> None:
        self._descriptor = descriptor
        self._arrived = arrived
        self._ended = ended
        self._paused = False
        os.set_blocking(descriptor, False)
        asyncio.get_running_loop().add_reader(descriptor, self._read)

    def pause(self, paused: bool) -> None:
        """Stop reading for a while, so that who writes has to wait; or go on."""
        if self._descriptor >= 0 and paused != self._paused:
            self._paused = paused
            if paused:
                asyncio.get_running_loop().remove_reader(self._descriptor)
            else:
                asyncio.get_running_loop().add_reader(self._descriptor, self._read)

    def drain(self) -> None:
        """Read what is there now, then close."""
        while self._descriptor >= 0 and self._read():
            pass
        self.close()

    def close(self) -> None:
        """Stop reading."""
        if self._descriptor >= 0:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1
            if self._ended is not None:
                self._ended()

    def _read(self) -> bool:
        try:
            data = os.read(self._descriptor, CHUNK)
        except BlockingIOError:
            return False
        except OSError:
            # A pty whose other side is closed answers EIO where a pipe answers its end.
            data = b""
        if data:
            self._arrived(data)
            return True
        self.close()
        return False


class Streams:
    """The streams of one running container.

    Args:
        log: where its output goes.
        tty: whether it has a terminal.
        stdin: whether its standard input stays open for those who attach; else it reads nothing.
        stdin_once: whether its input ends with the first who attached.
    """

    def __init__(self, log: ContainerLog, tty: bool, stdin: bool, stdin_once: bool) -> None:
        self._log = log
        self._once = stdin_once
        self._input: Feed | None = None
        self._sources: dict[str, Source] = {}
        self._inputs: list[Source] = []
        self._outputs: dict[str, list[Feed]] = {"stdout": [], "stderr": []}
        self._terminal = -1
        self._theirs: list[int] = []
        if tty:
            master, slave = os.openpty()
            self._terminal = master
            self._theirs = [slave]
            self.stdio = [slave, slave, slave]
            self._sources["stdout"] = Source(os.dup(master), lambda data: self._output("stdout", data))
            self._input = Feed(os.dup(master), self._pace_inputs) if stdin else None
            return
        if stdin:
            reading, writing = os.pipe()
            self._input = Feed(writing, self._pace_inputs)
        else:
            reading = os.open(os.devnull, os.O_RDONLY)
        self.stdio = [reading]
        for name in ("stdout", "stderr"):
            theirs, ours = self._pipe(name)
            self.stdio.append(theirs)
            self._sources[name] = ours
        self._theirs = list(self.stdio)

    def _pipe(self, name: str) -> tuple[int, Source]:
        reading, writing = os.pipe()
        return writing, Source(reading, lambda data: self._output(name, data), lambda: self._log.end(name))

    def started(self) -> None:
        """Let go of the ends that belong to the program."""
        for descriptor in self._theirs:
            os.close(descriptor)
        self._theirs = []

    def _output(self, stream: str, data: bytes) -> None:
        self._log.write(stream, data)
        for feed in self._outputs[stream]:
            feed.write(data)
        self._outputs[stream] = [feed for feed in self._outputs[stream] if feed.open]
        self._pace_output(stream)

    def _pace_output(self, stream: str) -> None:
        """Let the program wait while somebody attached is far behind, as it does on containerd."""
        self._sources[stream].pause(any(feed.full for feed in self._outputs[stream]))

    def _pace_inputs(self) -> None:
        """Let those who attached wait while the program does not read."""
        full = self._input is not None and self._input.full
        for source in self._inputs:
            source.pause(full)

    def attach(self) -> list[int]:
        """Descriptors for someone who attaches: stdin, stdout, stderr, or one for the terminal."""
        if self._terminal >= 0:
            ours, theirs = socket.socketpair()
            self._outputs["stdout"].append(self._feed(os.dup(ours.fileno()), "stdout"))
            self._listen(ours.detach())
            return [theirs.detach()]
        reading, writing = os.pipe()
        self._listen(reading)
        descriptors = [writing]
        for name in ("stdout", "stderr"):
            reading, writing = os.pipe()
            self._outputs[name].append(self._feed(writing, name))
            descriptors.append(reading)
        return descriptors

    def _feed(self, descriptor: int, stream: str) -> Feed:
        return Feed(descriptor, lambda: self._pace_output(stream))

    def _listen(self, descriptor: int) -> None:
        if self._input is None:
            # Who writes to a container without stdin is told so by EPIPE.
            if self._terminal < 0:
                os.close(descriptor)
                return
            self._inputs.append(Source(descriptor, lambda data: None))
            return
        into = self._input

        def take(data: bytes) -> None:
            into.write(data)
            self._pace_inputs()

        self._inputs.append(Source(descriptor, take, into.end if self._once else None))

    def resize(self, rows: int, columns: int) -> None:
        """Set the terminal's size; nothing happens without one."""
        if self._terminal >= 0:
            set_size(self._terminal, rows, columns)

    def finish(self) -> None:
        """The program has ended: take what it printed last, then close everything."""
        self.started()
        for source in self._sources.values():
            source.drain()
        self._log.close()
        for feeds in self._outputs.values():
            for feed in feeds:
                feed.end()
        for source in self._inputs:
            source.close()
        if self._input is not None:
            self._input.end()
        if self._terminal >= 0:
            os.close(self._terminal)
            self._terminal = -1


def set_size(terminal: int, rows: int, columns: int) -> None:
    """Set the size of the terminal behind a pty."""
    ioctl(terminal, TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
