"""One run of one container, as the runtime tells it (docs/architecture.md, Runtime protocol)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

CONTAINER_ID_PREFIX = "k8slab://"
"""Type and separator in front of a container id, as `containerd://` on a real node."""


@dataclass(frozen=True)
class ContainerRecord:
    """What the runtime knows of one run of a container.

    Args:
        container: its id, 64 hexadecimal digits.
        pod: uid of its Pod.
        name: name of the container in the Pod.
        attempt: 0 for the first run, one more for each restart.
        running: whether its program runs.
        pid: the program's process id as the host sees it; 0 if it never ran.
        created: when it was made (epoch s).
        started: when its program started (epoch s), or None.
        finished: when it ended (epoch s), or None.
        exit_code: what it ended with; 128 plus the signal's number if a signal ended it.
        signal: the signal that ended it, or 0.
        oom: whether it was ended for using more memory than its limit.
        reason: one word if there is more to say than the exit code does, such as `StartError`.
        message: why its program was never executed, or empty.
        log: path of its log.
    """

    container: str
    pod: str
    name: str
    attempt: int
    running: bool
    pid: int = 0
    created: float = 0.0
    started: float | None = None
    finished: float | None = None
    exit_code: int = 0
    signal: int = 0
    oom: bool = False
    reason: str = ""
    message: str = ""
    log: str = ""

    @property
    def api_id(self) -> str:
        """The container id as the API shows it."""
        return CONTAINER_ID_PREFIX + self.container

    @staticmethod
    def of(values: Mapping[str, Any]) -> ContainerRecord:
        """The record in one of the runtime's messages."""
        exit_code = int(values.get("exit_code") or 0)
        number = int(values.get("signal") or 0)
        return ContainerRecord(
            container=values["container"],
            pod=values["pod"],
            name=values["name"],
            attempt=int(values["attempt"]),
            running=values["state"] == "running",
            pid=int(values.get("pid") or 0),
            created=float(values["created"]),
            started=values.get("started"),
            finished=values.get("finished"),
            exit_code=exit_code if exit_code > 0 or not number else 128 + number,
            signal=number,
            oom=bool(values.get("oom")),
            reason=str(values.get("reason") or ""),
            message=str(values.get("message") or ""),
            log=str(values.get("log") or ""),
        )


def newest_first(records: Iterable[ContainerRecord]) -> dict[str, list[ContainerRecord]]:
    """Records by container name, the latest run of each first."""
    runs: dict[str, list[ContainerRecord]] = {}
    for record in sorted(records, key=lambda each: (each.attempt, each.created), reverse=True):
        runs.setdefault(record.name, []).append(record)
    return runs
