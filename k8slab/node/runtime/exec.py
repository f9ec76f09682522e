"""Further commands in running containers; their streams belong to who asked, from the first byte."""

from __future__ import annotations

import os
import secrets
import signal
import struct
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from fcntl import ioctl
from typing import Any

from k8slab.node.runtime.launcher import Launcher
from k8slab.node.runtime.records import Container, Pod, Refusal
from k8slab.node.runtime.spawn import StartError, spawn
from k8slab.node.runtime.streams import set_size

TIOCSPTLCK = 0x40045431
TIOCGPTPEER = 0x5441
"""Requests to a terminal's master that Python does not name: unlock it, open its other side."""


@dataclass
class Session:
    """A command that runs.

    Args:
        number: its id.
        owner: the connection it belongs to.
        pid: as the host sees it.
        terminal: our own descriptor of its pty, or -1.
        container: id of the container that it runs in.
        outlives: whether it goes on when its owner is gone.
        kept: our own descriptors of its outputs, so that it can still write then.
    """

    number: str
    owner: Hashable
    pid: int
    terminal: int
    container: str
    outlives: bool = False
    kept: list[int] = field(default_factory=list)


class Sessions:
    """All commands that run in containers of this node.

    Args:
        launcher: knows how to enter a container.
    """

    def __init__(self, launcher: Launcher) -> None:
        self._launcher = launcher
        self._sessions: dict[str, Session] = {}

    def start(
        self,
        owner: Hashable,
        pod: Pod,
        container: Container,
        argv: list[str],
        tty: bool,
        stdin: bool,
        tell: Callable[[dict[str, Any]], None],
        outlives: bool = False,
    ) -> tuple[str, list[int]]:
        """Start a command.

        Args:
            owner: the connection that asks; when it closes, the command is killed, unless it outlives that.
            pod: the Pod.
            container: a running container of it.
            argv: program and arguments.
            tty: whether it gets a terminal.
            stdin: whether it gets an input.
            tell: called with the event of its end.
            outlives: whether it goes on when the connection closes, as containerd has it for `kubectl exec`:
                its input ends, and its output goes nowhere. With a terminal, that hangs up.

        Returns:
            The command's id, and descriptors that the caller sends on: stdin, stdout, stderr, or the pty.

        Raises:
            Refusal: the container does not run, or the program cannot be executed.
        """
        if not container.running or not container.pid:
            raise Refusal(f"container {container.container!r} does not run", "NotRunning")
        theirs, ours = _terminal(container.pid) if tty else _pipes(stdin)
        command = self._launcher.command(pod, container, argv)
        try:
            pid = spawn(
                command.argv,
                {"TERM": "xterm", **command.env} if tty else command.env,
                theirs if len(theirs) == 3 else theirs * 3,
                terminal=tty,
                folder=command.folder,
                enter=command.enter,
                replace_pid=command.replace_pid,
            )
        except StartError as error:
            _close(ours)
            raise Refusal(f"unable to start container process: {error}", "StartError") from error
        except BaseException:
            _close(ours)
            raise
        finally:
            _close(theirs)
        terminal = os.dup(ours[0]) if tty else -1
        kept = [os.dup(each) for each in ours[1:]] if outlives else []
        session = Session(secrets.token_hex(16), owner, pid, terminal, container.container, outlives, kept)
        self._sessions[session.number] = session
        ended = self._launcher.reaper.watch(pid)
        ended.add_done_callback(lambda status: self._end(session, status.result(), tell))
        return session.number, ours

    def _end(self, session: Session, status: int, tell: Callable[[dict[str, Any]], None]) -> None:
        del self._sessions[session.number]
        if session.terminal >= 0:
            os.close(session.terminal)
        _close(session.kept)
        code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)
        tell({"event": "exec_exited", "exec": session.number, "exit_code": code})

    def pids(self, container: str) -> list[int]:
        """The commands that run in a container."""
        return [each.pid for each in self._sessions.values() if each.container == container]

    def resize(self, number: str, rows: int, columns: int) -> None:
        """Set the size of a command's terminal; nothing happens if it has ended or has none."""
        session = self._sessions.get(number)
        if session is not None and session.terminal >= 0:
            set_size(session.terminal, rows, columns)

    def drop(self, owner: Hashable) -> None:
        """Kill the commands of a connection that was closed, or hang up their terminals."""
        for session in self._sessions.values():
            if session.owner is owner and session.outlives:
                if session.terminal >= 0:
                    os.close(session.terminal)
                    session.terminal = -1
            elif session.owner is owner:
                try:
                    os.killpg(session.pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue


def _terminal(pid: int) -> tuple[list[int], list[int]]:
    """A terminal of the container's own /dev/pts, so that it has a name there; its ends for either side.

    Args:
        pid: the container's program.
    """
    try:
        master = os.open(f"/proc/{pid}/root/dev/ptmx", os.O_RDWR | os.O_NOCTTY)
    except OSError:
        # A container without /dev/ptmx gets a terminal all the same; it has no name inside.
        master, slave = os.openpty()
        return [slave], [master]
    try:
        ioctl(master, TIOCSPTLCK, struct.pack("i", 0))
        return [ioctl(master, TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY)], [master]
    except OSError:
        # What lies there is the container's to choose.
        os.close(master)
        raise


def _pipes(stdin: bool) -> tuple[list[int], list[int]]:
    """Descriptors for a command and for who asked: stdin, stdout and stderr of each."""
    reading, writing = os.pipe()
    if not stdin:
        # Who writes all the same is told so by EPIPE.
        os.close(reading)
        reading = os.open(os.devnull, os.O_RDONLY)
    theirs, ours = [reading], [writing]
    for _ in range(2):
        reading, writing = os.pipe()
        theirs.append(writing)
        ours.append(reading)
    return theirs, ours


def _close(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
