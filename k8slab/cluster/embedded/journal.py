"""The journal: what a supervisor is about to do, on disk before it does it.

It tells a later kernel whether the cluster lives, and what to sweep when its supervisor was
killed. Written in one step by rename, so that it is never half.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from k8slab.processes import ProcessIdentity, cluster_of

State = Literal["starting", "running", "stopping", "failed"]


@dataclass(frozen=True)
class Journal:
    """What is known on disk about one cluster.

    Args:
        name: the cluster's name.
        uuid: its identity.
        octet: K of its addresses.
        supervisor: pid and start time of its supervisor; None before it was started.
        state: how far it is.
        keep: whether it stays when nobody holds it.
        processes: pid and start time of what was started, by name; None for one about to start.
        failure: why it failed, in words; empty if it did not.
        seconds_to_ready: from the supervisor's start to all nodes Ready; None until then.
    """

    name: str
    uuid: str
    octet: int
    supervisor: ProcessIdentity | None = None
    state: State = "starting"
    keep: bool = False
    processes: dict[str, ProcessIdentity | None] = field(default_factory=dict)
    failure: str = ""
    seconds_to_ready: float | None = None

    def with_process(self, name: str, identity: ProcessIdentity | None) -> Journal:
        """The journal with one process more, or the identity of one filled in."""
        return replace(self, processes={**self.processes, name: identity})

    def without_process(self, name: str) -> Journal:
        """The journal without a process that has ended for good."""
        return replace(self, processes={key: each for key, each in self.processes.items() if key != name})

    def supervisor_is_alive(self) -> bool:
        """Whether the supervisor it names still runs: pid, start time and cluster uuid agree."""
        return (
            self.supervisor is not None
            and self.supervisor.is_alive()
            and cluster_of(self.supervisor.pid) == self.uuid
        )

    def write(self, path: Path) -> None:
        """Write it, private to its owner, in one step. It need not outlive the machine: no fsync."""
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(asdict(self), file)
        temporary.replace(path)

    @staticmethod
    def read(path: Path) -> Journal | None:
        """The journal at a path, or None if there is none or it is no journal of ours."""
        try:
            values: dict[str, Any] = json.loads(path.read_text())
            values["supervisor"] = _identity(values["supervisor"])
            values["processes"] = {name: _identity(each) for name, each in values["processes"].items()}
            return Journal(**values)
        except (OSError, ValueError, KeyError, TypeError):
            return None


def _identity(values: dict[str, int] | None) -> ProcessIdentity | None:
    return ProcessIdentity(**values) if values else None
