"""What the runtime knows of its Pods and containers, and its journal of it on disk."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from k8slab.folders import remove_tree
from k8slab.processes import ProcessIdentity


class Refusal(Exception):
    """A request that the runtime does not fulfil.

    Args:
        message: why.
        reason: one word for programs, such as `NotFound`.
    """

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason


@dataclass
class Container:
    """One run of one container; the fields up to `log` are its record in the protocol.

    Args:
        container: its id, 64 hexadecimal digits.
        pod: uid of its Pod.
        name: its name in the Pod.
        attempt: 0 for the first run.
        state: `running` or `exited`.
        pid: the program's, as the host sees it.
        created: epoch seconds, as are `started` and `finished`.
        exit_code: as a shell tells it: 128 plus the number of a signal that ended it.
        signal: number of the signal that ended it, or 0.
        oom: whether it was ended for its memory.
        reason: one word if there is more to say than the exit code does.
        message: why its program was never executed, or empty.
        log: path of its log.
        keeper: the process that keeps the program, if it is not the program itself.
        identities: pid and start time of program and keeper, to recognise them again.
        argv: the program and its arguments as they run.
        env: its environment.
        working_dir: where it starts.
        root: folder that is (or stands for) its `/`.
        mounts: source, target and read_only of each.
        memory_limit: bytes, or 0.
        tty: whether it has a terminal.
        user: the user id it sees as its own; the sandboxed level only.
        group: its group id, likewise.
        capabilities: names of its capabilities without `CAP_`, reaching no further than its namespaces.
        read_only_root: whether its `/` is read-only; volumes are as they say.
        share_with: id of the Pod's container whose processes it joins, or empty; the sandboxed level only.
    """

    container: str
    pod: str
    name: str
    attempt: int
    state: str = "running"
    pid: int | None = None
    created: float = 0.0
    started: float | None = None
    finished: float | None = None
    exit_code: int | None = None
    signal: int | None = None
    oom: bool = False
    reason: str = ""
    message: str = ""
    log: str = ""
    keeper: int | None = None
    identities: list[list[int]] = field(default_factory=list)
    argv: list[str] = field(default_factory=list)
    env: list[list[str]] = field(default_factory=list)
    working_dir: str = "/"
    root: str = ""
    mounts: list[dict[str, Any]] = field(default_factory=list)
    memory_limit: int = 0
    tty: bool = False
    user: int = 0
    group: int = 0
    capabilities: list[str] = field(default_factory=list)
    read_only_root: bool = False
    share_with: str = ""

    @property
    def running(self) -> bool:
        """Whether its program runs."""
        return self.state == "running"

    def record(self) -> dict[str, Any]:
        """The container record of the protocol."""
        return {name: getattr(self, name) for name in RECORD}

    def remember(self, *pids: int) -> None:
        """Note who its processes are, while they live."""
        for pid in pids:
            identity = ProcessIdentity.of(pid)
            if identity is not None:
                self.identities.append([identity.pid, identity.start_time])


RECORD = (
    *("container", "pod", "name", "attempt", "state", "pid", "created", "started", "finished"),
    *("exit_code", "signal", "oom", "reason", "message", "log"),
)
"""The fields of the container record."""


@dataclass
class Pod:
    """A Pod's sandbox and its containers.

    Args:
        pod: its uid.
        name: its name.
        namespace: its namespace.
        hostname: what its programs see as their host's name.
        address: its address, 10.K.x.y.
        created: epoch seconds.
        containers: by id, in the order of their start.
    """

    pod: str
    name: str
    namespace: str
    hostname: str
    address: str
    created: float
    containers: dict[str, Container] = field(default_factory=dict)

    def summary(self) -> dict[str, Any]:
        """The Pod as `list` tells it."""
        facts = {name: getattr(self, name) for name in ("pod", "name", "namespace", "address", "created")}
        return {**facts, "containers": [each.record() for each in self.containers.values()]}


class Journal:
    """The node's folder: a file for each Pod, written before the step it tells of; container trees and logs.

    Args:
        folder: the node's folder (`ClusterFolder.node`).
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._pods = folder / "pods"
        self._pods.mkdir(parents=True, exist_ok=True)

    def pod_folder(self, uid: str) -> Path:
        """The folder of a Pod: its entry and its containers' trees."""
        return self._pods / uid

    def logs(self, pod: Pod) -> Path:
        """The folder of a Pod's logs."""
        return self.folder / "logs" / f"{pod.namespace}_{pod.name}_{pod.pod}"

    def save(self, pod: Pod) -> None:
        """Write a Pod's entry in one step: never half a file."""
        folder = self.pod_folder(pod.pod)
        folder.mkdir(exist_ok=True)
        temporary = folder / ".pod.json"
        # Environments hold Secrets: nobody else reads them.
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(asdict(pod), file)
        temporary.replace(folder / "pod.json")

    def load(self) -> Iterator[Pod]:
        """The Pods of the runtime that was here before; an entry that cannot be read is left out and said."""
        for path in sorted(self._pods.glob("*/pod.json")):
            try:
                values = json.loads(path.read_text())
                runs = {key: Container(**each) for key, each in values.pop("containers").items()}
                yield Pod(**values, containers=runs)
            except (ValueError, TypeError, KeyError) as error:
                print(f"the journal entry {path} cannot be read and is left out: {error}", flush=True)

    def remove(self, pod: Pod) -> None:
        """Remove all of a Pod: its entry goes last."""
        remove_tree(self.logs(pod))
        remove_tree(self.pod_folder(pod.pod))
