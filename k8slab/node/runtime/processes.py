"""What the operating system says about a container's processes."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress

CONTAINER_VARIABLE = "K8SLAB_CONTAINER"
"""Environment variable with the container's id, by which its stray processes are found."""

PAGE = os.sysconf("SC_PAGE_SIZE")
TICK = os.sysconf("SC_CLK_TCK")


def tree(pid: int) -> list[int]:
    """A process and all its descendants; empty if it is gone."""
    found: list[int] = []
    waiting = [pid]
    while waiting:
        current = waiting.pop()
        try:
            tasks = os.listdir(f"/proc/{current}/task")
        except OSError:
            continue
        found.append(current)
        for task in tasks:
            try:
                with open(f"/proc/{current}/task/{task}/children") as file:
                    waiting += [int(child) for child in file.read().split()]
            except OSError:
                continue
    return found


def resident(pids: Iterable[int]) -> int:
    """Resident memory of processes in bytes, shared pages counted in each: quick, and never too low."""
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/statm") as file:
                total += int(file.read().split()[1]) * PAGE
        except (OSError, IndexError):
            continue
    return total


def proportional(pids: Iterable[int]) -> int:
    """Memory of processes in bytes, shared pages divided among those that share them (PSS)."""
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/smaps_rollup") as file:
                total += sum(int(line.split()[1]) << 10 for line in file if line.startswith("Pss:"))
        except OSError:
            continue
    return total


def processor_time(pids: Iterable[int]) -> float:
    """Seconds of processor time that processes and their ended children used."""
    total = 0.0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/stat") as file:
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            continue
        children = sum(int(field) for field in fields[13:15]) / TICK
        own = sum(int(field) for field in fields[11:13]) / TICK
        total += (_clock(pid) or own) + children
    return total


def _clock(pid: int) -> float:
    """Processor time of a process, to the nanosecond; 0.0 if it is gone or the host does not tell.

    A process's clock is named as in include/linux/posix-timers.h of Linux (`make_process_cpuclock`, kind
    `CPUCLOCK_SCHED`). Ticks alone, a hundredth of a second each, would show a quiet program as none.
    """
    try:
        return time.clock_gettime(~pid << 3 | 2)
    except OSError:
        return 0.0


def marked(container: str) -> Iterator[int]:
    """Processes that carry a container's id in their environment."""
    mark = f"{CONTAINER_VARIABLE}={container}".encode()
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            try:
                with open(f"/proc/{name}/environ", "rb") as file:
                    if mark in file.read().split(b"\0"):
                        yield int(name)
            except OSError:
                continue


def left_behind(session: int, folder: str) -> Iterator[int]:
    """Descendants of this process, orphans among them, that are of a session or work below a folder.

    They are found so although they cleared their environment.

    Args:
        session: pid of the container's program, which leads a session of its own.
        folder: what stands for the container's `/`.
    """
    for pid in tree(os.getpid())[1:]:
        with suppress(OSError):
            if os.getsid(pid) == session or f"{os.readlink(f'/proc/{pid}/cwd')}/".startswith(f"{folder}/"):
                yield pid
