"""The parts of a kind cluster that can be stopped one by one: static Pods, kubelets, container runtimes.

A static Pod is stopped as an administrator does it: its manifest is moved out of the folder that the
kubelet watches, and moved back to start it. The folder beside it is on the same file system, so a move
is one step, whatever is killed meanwhile. Kubelet and containerd are units of the node's systemd.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from k8slab.cluster.contract import CONTROL_PLANE, ClusterProcess, ProcessAction
from k8slab.cluster.kind.machines import Machine, Machines
from k8slab.errors import ClusterStateError, LabError, WaitTimeoutError

UNITS = {"agent": "kubelet.service", "runtime": "containerd.service"}
"""What the embedded backend plays by a process `<node>-agent` or `<node>-runtime`."""

MANIFESTS = "/etc/kubernetes/manifests"
ASIDE = "/etc/kubernetes/k8slab-stopped"

FRESH_SECONDS = 2.0
"""How long an answer about the parts is good for: every call of a lab asks for it."""

CHANGE_SECONDS = 45.0
"""For a static Pod to go or come."""

GRACE = "2"
"""Seconds between SIGTERM and SIGKILL for a component that is stopped."""

RELIST_SECONDS = 2
"""After this a kubelet has looked at its containers, as it does each second (genericPlegRelistPeriod)."""

_PROPERTIES = "Id,ActiveState,MainPID,NRestarts,ExecMainStatus,ExecMainStartTimestamp"
# A node that boots has no systemd yet for a moment, and says nothing of its units.
_SHOW = f"systemctl show --property={_PROPERTIES} {' '.join(UNITS.values())} || true"
_SEPARATOR = "-- k8slab --"
_SHOW_CONTROL_PLANE = (
    f"{_SHOW}; echo; echo '{_SEPARATOR}'; ls {MANIFESTS}; echo '{_SEPARATOR}';"
    f" crictl ps --all --output json; echo; echo '{_SEPARATOR}';"
    f" for each in $(crictl ps --quiet --name '^({'|'.join(CONTROL_PLANE)})$'); do"
    " crictl inspect --output go-template --template '{{.status.id}} {{.info.pid}}' $each; echo; done"
)


@dataclass(frozen=True)
class Part:
    """One part, and where it is.

    Args:
        name: its name, such as `etcd` or `worker-1-agent`.
        what: `component`, `agent` or `runtime`.
        machine: the node it runs on.
    """

    name: str
    what: str
    machine: Machine


class Parts:
    """The parts of one cluster. Safe to use from several threads.

    Args:
        machines: the cluster's machines.
    """

    def __init__(self, machines: Machines) -> None:
        self._machines = machines
        self._seen: tuple[float, tuple[ClusterProcess, ...]] | None = None

    def all(self, *, fresh: bool = False) -> tuple[ClusterProcess, ...]:
        """Every part: the control plane's, then those of each node.

        Args:
            fresh: look now, whatever was seen a moment ago.
        """
        seen = self._seen
        if seen is not None and not fresh and time.monotonic() - seen[0] < FRESH_SECONDS:
            return seen[1]
        machines = self._machines.all()
        if not machines:
            return ()
        with ThreadPoolExecutor(len(machines)) as pool:
            found = tuple(part for parts in pool.map(self._of, machines) for part in parts)
        self._seen = (time.monotonic(), found)
        return found

    def find(self, name: str) -> Part:
        """The part of that name; a node's own parts also by the short name of the node.

        Raises:
            ClusterStateError: there is none.
        """
        machines = self._machines.all()
        for machine in machines:
            if name in CONTROL_PLANE and machine.role == "control-plane":
                return Part(name, "component", machine)
            for what in UNITS:
                if name in (f"{machine.name}-{what}", f"{machine.short}-{what}"):
                    return Part(f"{machine.name}-{what}", what, machine)
        known = [*CONTROL_PLANE, *(f"{each.name}-{what}" for each in machines for what in UNITS)]
        raise ClusterStateError(
            f"There is no process {name!r} in this cluster.", f"There are: {', '.join(known)}."
        )

    def wait_for_systemd(self, name: str) -> None:
        """Wait until a node that was switched on can say what runs on it.

        Args:
            name: the node's.

        Raises:
            ClusterStateError: it is on, and still says nothing of its units.
        """
        deadline = time.monotonic() + CHANGE_SECONDS
        while True:
            try:
                said = self._machines.run(self._machines.find(name), "sh", "-c", _SHOW)
            except LabError as error:
                said = str(error)
            if "ActiveState=" in said:
                return
            if time.monotonic() > deadline:
                last = " ".join(said.split())[-300:]
                raise ClusterStateError(
                    f"{name} is on, and after {CHANGE_SECONDS:.0f} s its systemd says {last or 'nothing'}",
                    "Look at its container's log with the engine's `logs`, then power it on once more.",
                )
            time.sleep(0.2)

    def change(self, part: Part, action: ProcessAction) -> ClusterProcess:
        """Stop, start or kill one part, and wait until it is so.

        Raises:
            ClusterStateError: its node is not on; WaitTimeoutError: it is not so in time.
        """
        before = self._one(part)
        if part.what == "component" and action == "start":
            self._start_at_once(part, waits=before is not None and before.state == "failed")
        elif part.what == "component":
            self.move(part, back=False)
            for container in self._running(part):
                # The kubelet ends it too, with up to 30 s of grace; a learner waits for it.
                grace = "0" if action == "kill" else GRACE
                self._machines.run(part.machine, "crictl", "stop", "--timeout", grace, container)
        elif action == "start":
            self._machines.run(part.machine, "systemctl", "start", UNITS[part.what])
        elif action == "kill":
            # `stop` alone would let it tidy up; after it the unit stays down, as after any stop.
            unit = UNITS[part.what]
            # One that was still dying when it was stopped counts as failed, not as stopped.
            forget = f"systemctl reset-failed {unit} || true"
            # The unit of containerd holds the shims of all containers, too: without `main` they would die.
            script = f"systemctl kill --kill-whom=main --signal=KILL {unit}; systemctl stop {unit}; {forget}"
            self._machines.run(part.machine, "sh", "-c", script)
        else:
            self._machines.run(part.machine, "systemctl", "stop", UNITS[part.what])
        return self._wait(part, action, before)

    def _start_at_once(self, part: Part, *, waits: bool) -> None:
        """Put a static Pod's manifest back, and have no pause before it starts.

        A kubelet lets a container wait, for 10 s, then 20 s, up to 300 s, as long as it finds an earlier run
        of it that has ended; one that is removed counts no more. What waits already goes and comes, since
        its next look is set for the end of that pause.
        Source: doBackOff in pkg/kubelet/kuberuntime/kuberuntime_manager.go, completeWork in pod_workers.go.
        """
        here, there = f"{MANIFESTS}/{part.name}.yaml", f"{ASIDE}/{part.name}.yaml"
        aside = f"if [ -e {here} ]; then mv {here} {there}; fi; " if waits else ""
        # One script: it goes on to its end also if whoever started it is killed meanwhile.
        script = (
            f"mkdir -p {ASIDE}; {aside}"
            f"ended=$(crictl ps --all --quiet --state Exited --name '^{part.name}$');"
            f' if [ -n "$ended" ]; then crictl rm $ended; sleep {RELIST_SECONDS}; fi;'
            f" if [ -e {there} ]; then mv {there} {here}; fi; [ -e {here} ]"
        )
        self._machines.run(part.machine, "sh", "-c", script)

    def move(self, part: Part, *, back: bool) -> None:
        """Move a static Pod's manifest aside, or back; one that is there already stays.

        Args:
            part: the static Pod.
            back: whether to where the kubelet looks.
        """
        here, there = f"{MANIFESTS}/{part.name}.yaml", f"{ASIDE}/{part.name}.yaml"
        source, target = (there, here) if back else (here, there)
        # Nothing to move is no error: somebody did it already.
        script = f"mkdir -p {ASIDE} && if [ -e {source} ]; then mv {source} {target}; fi && [ -e {target} ]"
        self._machines.run(part.machine, "sh", "-c", script)

    def _running(self, part: Part) -> list[str]:
        return [
            str(each["id"])
            for each in self._machines.containers_of(part.machine)
            if (each.get("metadata") or {}).get("name") == part.name
            and each.get("state") == "CONTAINER_RUNNING"
        ]

    def _one(self, part: Part) -> ClusterProcess | None:
        return next((each for each in self._of(part.machine) if each.name == part.name), None)

    def _wait(self, part: Part, action: ProcessAction, before: ClusterProcess | None) -> ClusterProcess:
        wanted = "running" if action == "start" else "stopped"
        deadline = time.monotonic() + CHANGE_SECONDS
        seen: ClusterProcess | None = before
        while True:
            try:
                seen = self._one(part)
            except LabError:
                # A runtime that was just stopped or started answers nothing for a moment.
                if time.monotonic() > deadline:
                    raise
            if seen is not None and seen.state == wanted:
                self._seen = None
                return seen
            if time.monotonic() > deadline:
                last = seen.state if seen is not None else "nothing"
                raise WaitTimeoutError(
                    f"{part.name} to be {wanted}",
                    CHANGE_SECONDS,
                    last,
                    f"Look at it with `k8slab node containers {part.machine.short}`.",
                )
            time.sleep(0.2)

    def _of(self, machine: Machine) -> list[ClusterProcess]:
        """The parts of one machine; all stopped where it is not on."""
        control_plane = machine.role == "control-plane"
        if machine.power != "on":
            names = list(CONTROL_PLANE) if control_plane else []
            names += [f"{machine.name}-{what}" for what in UNITS]
            return [_process(name, "stopped") for name in names]
        answer = self._machines.run(machine, "sh", "-c", _SHOW_CONTROL_PLANE if control_plane else _SHOW)
        sections = answer.split(_SEPARATOR)
        units = {each.get("Id", ""): each for each in _blocks(sections[0])}
        own = [_unit(f"{machine.name}-{what}", units.get(unit, {})) for what, unit in UNITS.items()]
        if not control_plane or len(sections) < 4:
            return own
        return [*_static_pods(sections[1].split(), sections[2], sections[3]), *own]


def _static_pods(manifests: list[str], listed: str, pids: str) -> Iterator[ClusterProcess]:
    try:
        containers = json.loads(listed)["containers"] or []
    except (ValueError, KeyError, TypeError):
        # containerd is down; its containers run on, and nobody can say more of them.
        for name in CONTROL_PLANE:
            yield _process(name, "running" if f"{name}.yaml" in manifests else "stopped")
        return
    pairs = [line.split() for line in pids.splitlines()]
    numbers = {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}
    for name in CONTROL_PLANE:
        own = [each for each in containers if (each.get("metadata") or {}).get("name") == name]
        latest = max(own, key=lambda each: int(each.get("createdAt") or 0), default=None)
        running = latest is not None and latest.get("state") == "CONTAINER_RUNNING"
        state = "running" if running else "failed" if f"{name}.yaml" in manifests else "stopped"
        yield _process(
            name,
            state,
            pid=numbers.get(str((latest or {}).get("id"))) if running else None,
            started=int((latest or {}).get("createdAt") or 0) / 1e9,
            restarts=int(((latest or {}).get("metadata") or {}).get("attempt") or 0),
        )


def _unit(name: str, shown: Mapping[str, str]) -> ClusterProcess:
    if not shown:
        return _process(name, "stopped")
    active = shown.get("ActiveState", "")
    state = {"active": "running", "inactive": "stopped", "deactivating": "running"}.get(active, "failed")
    pid = int(shown.get("MainPID") or 0) or None
    try:
        text = shown.get("ExecMainStartTimestamp", "").removesuffix(" UTC")
        started = datetime.strptime(text, "%a %Y-%m-%d %H:%M:%S").replace(tzinfo=UTC).timestamp()
    except ValueError:
        started = 0.0
    return _process(
        name,
        state,
        pid=pid if state == "running" else None,
        started=started,
        restarts=int(shown.get("NRestarts") or 0),
        exit_code=int(shown.get("ExecMainStatus") or 0) if state != "running" else None,
    )


def _blocks(text: str) -> Iterator[dict[str, str]]:
    for block in text.split("\n\n"):
        yield dict(line.partition("=")[::2] for line in block.splitlines() if "=" in line)


def _process(
    name: str,
    state: str,
    *,
    pid: int | None = None,
    started: float = 0.0,
    restarts: int = 0,
    exit_code: int | None = None,
) -> ClusterProcess:
    what = "component" if name in CONTROL_PLANE else "node"
    log = f"crictl logs, on the node: {name}" if what == "component" else "journalctl, on the node"
    facts: dict[str, Any] = {"started": started, "restarts": restarts, "exit_code": exit_code, "log": log}
    return ClusterProcess(name=name, kind=what, state=state, pid=pid, foreign=True, **facts)
