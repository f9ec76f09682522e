"""Child processes, and how to recognise one again: the only use of Popen in the package.

A pid alone proves nothing, since the operating system gives it out again. A process counts
as ours when its pid, its start time and the cluster's uuid in its environment all agree.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

CLUSTER_VARIABLE = "K8SLAB_CLUSTER"
"""Environment variable that carries the cluster's uuid in each of its processes."""


@dataclass(frozen=True)
class ProcessIdentity:
    """Which process is meant, also after its pid was given to another.

    Args:
        pid: process id.
        start_time: clock ticks after boot at which it started (field 22 of /proc/pid/stat).
    """

    pid: int
    start_time: int

    @staticmethod
    def of(pid: int) -> ProcessIdentity | None:
        """The identity of a running process, or None if there is none of that pid."""
        fields = _stat(pid)
        if fields is None or fields[0] in ("Z", "X"):
            return None
        return ProcessIdentity(pid, int(fields[19]))

    def is_alive(self) -> bool:
        """Whether this very process still runs."""
        return ProcessIdentity.of(self.pid) == self

    def send(self, number: int) -> bool:
        """Send a signal to this very process; False if it is gone."""
        if not self.is_alive():
            return False
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            return False
        return True


def _stat(pid: int) -> list[str] | None:
    """State and what follows it in /proc/pid/stat; the name before it may hold spaces."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return text.rpartition(")")[2].split()


def cluster_of(pid: int) -> str:
    """The cluster uuid in a process's environment, or an empty string."""
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return ""
    prefix = f"{CLUSTER_VARIABLE}=".encode()
    for entry in environment.split(b"\0"):
        if entry.startswith(prefix):
            return entry[len(prefix) :].decode(errors="replace")
    return ""


def processes_of_cluster(uuid: str) -> Iterator[ProcessIdentity]:
    """Every process of this host that carries a cluster's uuid, but not the caller."""
    if not os.path.isdir("/proc"):
        # Elsewhere than on Linux only kind runs, and what it starts ends with it.
        return
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid() and cluster_of(int(name)) == uuid:
            identity = ProcessIdentity.of(int(name))
            if identity is not None:
                yield identity


def reap_orphans(own: Iterable[int]) -> None:
    """Take the exit status of adopted processes that have ended, so that none stays a zombie.

    Args:
        own: pids of children that somebody else waits for; those are left alone.
    """
    known = set(own)
    while True:
        try:
            # WNOWAIT looks without taking: a child of somebody else's must keep its status.
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if ended is None or ended.si_pid in known:
            return
        os.waitpid(ended.si_pid, 0)


def end_processes(identities: Iterable[ProcessIdentity], grace: float = 2.0) -> list[ProcessIdentity]:
    """End processes: SIGTERM, then SIGKILL after `grace` seconds.

    Returns:
        Those that are alive all the same.
    """
    alive = [identity for identity in identities if identity.send(signal.SIGTERM)]
    for number, seconds in ((signal.SIGKILL, grace), (0, 2.0)):
        deadline = time.monotonic() + seconds
        while (alive := [each for each in alive if each.is_alive()]) and time.monotonic() < deadline:
            time.sleep(0.02)
        for identity in alive:
            identity.send(number)
    return alive


class Child:
    """A child process of the caller, in a session of its own, with its output in a log.

    Args:
        name: what it is called in messages.
        argv: program and arguments.
        environment: its whole environment.
        log: file that its output is appended to.
    """

    def __init__(self, name: str, argv: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self.name = name
        self.log = log
        self.started = time.time()
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            self._popen = subprocess.Popen(
                list(argv),
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                start_new_session=True,
            )
        finally:
            os.close(descriptor)
        self.pid = self._popen.pid
        self.identity = ProcessIdentity.of(self.pid)

    @property
    def exit_code(self) -> int | None:
        """How it ended (negative for a signal), or None while it runs."""
        return self._popen.poll()

    def signal(self, number: int) -> None:
        """Send it a signal; nothing happens if it has ended."""
        if self.exit_code is None:
            self._popen.send_signal(number)

    def wait(self, seconds: float) -> bool:
        """Wait for its end at most so long; whether it has ended."""
        try:
            self._popen.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def stop(self, grace: float = 5.0) -> int:
        """End it: SIGTERM, SIGKILL after `grace` seconds. Returns the exit code."""
        self.signal(signal.SIGTERM)
        if not self.wait(grace):
            self.signal(signal.SIGKILL)
        return self._popen.wait()


def memory_of(pids: Iterable[int]) -> int:
    """Memory of processes together, in bytes: proportional set size, so shared pages count once."""
    import psutil

    total = 0
    for pid in pids:
        try:
            total += psutil.Process(pid).memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return total
