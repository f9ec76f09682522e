"""A cloud for one kind cluster: cloud-provider-kind, which serves its LoadBalancers and Ingresses.

It acts on every kind cluster that the engine shows it, and removes every load balancer there is when it ends.
So it is given an engine's program of ours to call, which passes each call on to the real one and narrows the
two listings by which it finds clusters and load balancers to the one cluster it is for.
Source: cloud-provider-kind 0.10, pkg/controller/controller.go (Run, cleanup) and pkg/container/container.go;
kind's pkg/cluster/internal/providers (ListClusters).
"""

from __future__ import annotations

import json
import shlex
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from k8slab.cluster.components.disk import MB
from k8slab.cluster.components.elf import build_info, mapped
from k8slab.cluster.components.programs import RefusedError
from k8slab.cluster.components.single import Source, find_single, locate_single
from k8slab.cluster.kind.command import Kind
from k8slab.cluster.kind.faults import facts_of
from k8slab.commands import run
from k8slab.errors import ClusterStateError, LabError, last_lines
from k8slab.folders import write_private
from k8slab.processes import Child, ProcessIdentity, end_processes
from k8slab.progress import Progress, reason_of

PROGRAM = "cloud-provider-kind"
PACKAGE = f"sigs.k8s.io/{PROGRAM}"
VERSION = "v0.10.0"
"""What is built; its Ingress support is there since 0.9."""

CLUSTER_LABEL = "io.x-k8s.kind.cluster"
BALANCER_LABEL = "io.x-k8s.cloud-provider-kind.cluster"

VARIABLE = "K8SLAB_CLOUD"
"""Carries the cluster's uuid in the environment of its cloud."""

START_SECONDS = 90.0
STOP_SECONDS = 30.0
HELP_SECONDS = 20.0

_STARTED = "Starting cloud controller"
"""What it logs once it has found the cluster."""

_started: list[Child] = []
"""Those that this process started; held, for Python complains of children that nobody holds."""

_NARROWED = """\
#!/bin/sh
# Passes every call on to the real program; a listing of all clusters becomes one of this cluster.
for word do
    shift
    case "$word" in
        label={cluster}|label={balancer}) word="$word={name}" ;;
    esac
    set -- "$@" "$word"
done
exec {program} "$@"
"""


@dataclass(frozen=True)
class Balancer:
    """A container that answers for a LoadBalancer or an Ingress.

    Args:
        address: its address in the engine's network, which is the EXTERNAL-IP or ADDRESS.
        ports: ports of this machine that lead to it, such as `80/tcp` → 32768; its flag
            `--enable-lb-port-mapping` makes them.
    """

    address: str
    ports: dict[str, int]


class KindCloud:
    """The cloud of one kind cluster of ours; lives as long as the cluster, whoever started it.

    Args:
        kind: kind's command line, with the engine.
        folder: of the cluster.
        name: kind's name of the cluster.
        uuid: the cluster's identity.
    """

    def __init__(self, kind: Kind, folder: Path, name: str, uuid: str) -> None:
        self._kind = kind
        self._folder = folder
        self._name = name
        self._uuid = uuid

    @property
    def pid(self) -> int | None:
        """Its process, or None while it does not run."""
        identity = self._identity()
        return identity.pid if identity else None

    def start(self, progress: Progress) -> int:
        """Start it, unless it runs; its pid.

        Args:
            progress: told what is fetched and done.

        Raises:
            ClusterStateError: it cannot run on this system, or ended at once.
            MissingToolError: the program cannot be had.
        """
        if (pid := self.pid) is not None:
            return pid
        if sys.platform != "linux":
            raise ClusterStateError(
                f"On {sys.platform} {PROGRAM} has to run as root, and acts on every kind cluster there is.",
                f"If that is all right with you, run `sudo {PROGRAM}` in a terminal of your own.",
            )
        program = locate_single(source(), progress).program
        log = self._folder / "cloud.log"
        log.unlink(missing_ok=True)
        with progress.step(f"Starting {PROGRAM}, which plays a cloud for {self._name}"):
            child = Child(PROGRAM, [str(program), *self._flags()], self._environment(), log)
            _started.append(child)
            if child.identity is not None:
                noted = {"pid": child.pid, "start_time": child.identity.start_time}
                write_private(self._folder / "cloud.json", json.dumps(noted))
            deadline = time.monotonic() + START_SECONDS
            while _STARTED not in log.read_text(errors="replace"):
                if child.wait(0.1) or time.monotonic() > deadline:
                    child.stop()
                    self._forget()
                    raise ClusterStateError(
                        f"{PROGRAM} did not get hold of {self._name}: {last_lines(log)}",
                        f"Whether the cluster answers says `k8slab status`; the log is {log}.",
                    )
        return child.pid

    def stop(self) -> bool:
        """End it, with the load balancers that it made; whether it ran.

        Raises:
            CommandError: the engine could not say which load balancers are left.
        """
        identity = self._identity()
        if identity is not None:
            end_processes([identity], STOP_SECONDS)
        if identity is not None or (self._folder / "cloud.json").exists():
            # One that was killed has left them.
            left = self._kind.engine.call("ps", "--all", "--quiet", "--filter", self._label()).stdout.split()
            if left:
                self._kind.engine.call("rm", "--force", *left)
        # Asked how it ended, a child that has ended is gone for the operating system too.
        _started[:] = [each for each in _started if each.exit_code is None]
        self._forget()
        return identity is not None

    def restart(self, progress: Progress) -> None:
        """Start it again where it was switched on and nobody ended it, as after a restart of this machine.

        Args:
            progress: told what is done, or why it cannot be.
        """
        if not (self._folder / "cloud.json").exists() or self.pid is not None:
            return
        try:
            # Opening a lab is no moment for a build of minutes.
            if isinstance(found := find_single(source()), list):
                raise ClusterStateError("; ".join(found))
            self.start(progress)
        except LabError as error:
            progress.line(
                f"{PROGRAM} was switched on and has ended; it does not start again: {reason_of(error)}."
                " `k8slab cloud on` tries once more."
            )

    def balancer(self, address: str) -> Balancer | None:
        """What the engine runs at an address that was given to a LoadBalancer or an Ingress; None if nothing.

        Raises:
            CommandError: the engine could not say.
        """
        engine = self._kind.engine
        listed = engine.call("ps", "--quiet", "--no-trunc", "--filter", self._label()).stdout.split()
        for each in engine.inspect(listed):
            settings = each.get("NetworkSettings") or {}
            networks = (settings.get("Networks") or {}).values()
            if address in [(network or {}).get("IPAddress") for network in networks]:
                bound = {key: places[0] for key, places in (settings.get("Ports") or {}).items() if places}
                return Balancer(
                    address, {key: int(place.get("HostPort") or 0) for key, place in bound.items()}
                )
        return None

    def _label(self) -> str:
        return f"label={BALANCER_LABEL}={self._name}"

    def _flags(self) -> list[str]:
        # A rootless engine's network is not this machine's: only mapped ports lead there.
        return ["--enable-lb-port-mapping"] if facts_of(self._kind.engine).rootless else []

    def _environment(self) -> dict[str, str]:
        engine = self._kind.engine
        narrowed = self._folder / "engine" / engine.name
        narrowed.parent.mkdir(mode=0o700, exist_ok=True)
        text = _NARROWED.format(
            cluster=CLUSTER_LABEL,
            balancer=BALANCER_LABEL,
            name=self._name,
            program=shlex.quote(str(engine.program)),
        )
        write_private(narrowed, text)
        narrowed.chmod(0o700)
        known = self._kind.environment
        path = f"{narrowed.parent}:{known.get('PATH', '')}"
        return {**known, "PATH": path, VARIABLE: self._uuid}

    def _identity(self) -> ProcessIdentity | None:
        """The process that was noted, if it still is that one and carries the cluster's uuid."""
        try:
            noted = json.loads((self._folder / "cloud.json").read_text())
            identity = ProcessIdentity(int(noted["pid"]), int(noted["start_time"]))
            environment = Path(f"/proc/{identity.pid}/environ").read_bytes().split(b"\0")
        except (OSError, ValueError, KeyError, TypeError):
            return None
        ours = f"{VARIABLE}={self._uuid}".encode() in environment
        return identity if ours and identity.is_alive() else None

    def _forget(self) -> None:
        (self._folder / "cloud.json").unlink(missing_ok=True)


def source() -> Source:
    """Where cloud-provider-kind can be had: on PATH, in the cache, or built from its Go module."""
    return Source(PROGRAM, VERSION, {}, PACKAGE, PROGRAM, cloud_version, space=1500 * MB)


def cloud_version(program: Path) -> str:
    """What a cloud-provider-kind says that it is; empty where it does not say.

    Raises:
        RefusedError: it does not run, is another program, or knows nothing of Ingress.
    """
    try:
        done = run([program, "--help"], timeout=HELP_SECONDS)
    except LabError as error:
        raise RefusedError(f"{program} does not run: {reason_of(error)}") from error
    if "--enable-default-ingress" not in done.stdout:
        raise RefusedError(f"{program} is no {PROGRAM} of 0.9 or newer.")
    with mapped(program) as content:
        info = build_info(content)
    return info.version if info is not None and info.package == PACKAGE else ""
