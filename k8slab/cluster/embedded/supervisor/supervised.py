"""One process under supervision: started, watched to its end, stopped, started again."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from k8slab.cluster.embedded.control_plane import ProcessSpecification
from k8slab.errors import StartError
from k8slab.processes import Child, ProcessIdentity

STOP_GRACE = 3.0
"""Seconds from SIGTERM to SIGKILL."""


@dataclass(frozen=True)
class Ending:
    """How a process ended: exit code (negative for a signal) and its life in seconds."""

    exit_code: int
    seconds: float

    def __str__(self) -> str:
        after = f"after {self.seconds:.1f} s"
        if self.exit_code < 0:
            return f"was ended by {signal.Signals(-self.exit_code).name} {after}"
        return f"exited with code {self.exit_code} {after}"


class SupervisedProcess:
    """A process that should run, and what became of it.

    Args:
        specification: what to run.
        environment: its whole environment.
        log: where its output goes.
        prefix: gives the words to put before its command when it is started.
        changed: called with this object whenever it was started or has ended.
    """

    def __init__(
        self,
        specification: ProcessSpecification,
        environment: Mapping[str, str],
        log: Path,
        prefix: Callable[[], tuple[str, ...]],
        changed: Callable[[SupervisedProcess], None],
    ) -> None:
        self.specification = specification
        self.log = log
        self.wanted = False
        self.restarts = -1
        self.ending: Ending | None = None
        self._environment = environment
        self._prefix = prefix
        self._changed = changed
        self._child: Child | None = None
        self._ended = asyncio.Event()

    @property
    def name(self) -> str:
        """Its name."""
        return self.specification.name

    @property
    def pid(self) -> int | None:
        """Its process id, or None while it does not run."""
        return self._child.pid if self._child is not None else None

    @property
    def identity(self) -> ProcessIdentity | None:
        """Its pid and start time, or None while it does not run."""
        return self._child.identity if self._child is not None else None

    def start(self) -> None:
        """Start it; nothing happens if it runs."""
        self.wanted = True
        if self._child is not None:
            return
        self._ended.clear()
        argv = (*self._prefix(), *self.specification.argv)
        self._child = Child(self.name, argv, self._environment, self.log)
        self.restarts += 1
        descriptor = os.pidfd_open(self._child.pid)
        asyncio.get_running_loop().add_reader(descriptor, self._reap, self._child, descriptor)
        self._changed(self)

    def _reap(self, child: Child, descriptor: int) -> None:
        exit_code = child.exit_code
        if exit_code is None:
            return
        asyncio.get_running_loop().remove_reader(descriptor)
        os.close(descriptor)
        self.ending = Ending(exit_code, time.time() - child.started)
        self._child = None
        self._ended.set()
        self._changed(self)

    async def stop(self, grace: float = STOP_GRACE, first: int = signal.SIGTERM) -> None:
        """End it and keep it down: SIGTERM, and SIGKILL after `grace` seconds."""
        self.wanted = False
        if self._child is None:
            return
        self._child.signal(first)
        try:
            await asyncio.wait_for(self._ended.wait(), grace)
        except TimeoutError:
            if self._child is not None:
                self._child.signal(signal.SIGKILL)
            await self._ended.wait()

    def check(self) -> None:
        """Raise if it has ended although it should run.

        Raises:
            StartError: with its exit code and the last lines of its log.
        """
        if self.wanted and self._child is None and self.ending is not None:
            cure = ""
            log_text = self.log.read_text(errors="replace")[-4096:]
            if "address already in use" in log_text:
                cure = (
                    "Another program holds the port: end it, or start the cluster again to get other ports."
                )
            elif "no space left on device" in log_text or "database space exceeded" in log_text:
                cure = f"Free some space on the file system of {self.log.parent}, then start again."
            raise StartError(self.name, str(self.ending), self.log, cure)

    def record(self) -> dict[str, Any]:
        """What the supervisor's protocol says of it."""
        state = "running" if self._child is not None else ("failed" if self.wanted else "stopped")
        return {
            "name": self.name,
            "kind": self.specification.kind,
            "pid": self.pid,
            "state": state,
            "wanted": self.wanted,
            "started": self._child.started if self._child is not None else 0.0,
            "restarts": max(0, self.restarts),
            "exit_code": self.ending.exit_code if self.ending is not None else None,
            "log": str(self.log),
        }
