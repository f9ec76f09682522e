"""kind's command line with one container engine: the commands that a lab needs.

Facts, read in the source of kind 0.33 and seen with its program: everything but a command's own answer
goes to standard error; without a terminal each step is announced as ` • text  ...` and ends as ` ✓ text`
or ` ✗ text`; a failure is exit code 1 and `ERROR: ...`, followed by the output of the engine's command.
kind handles no signal, and its lock beside a kubeconfig stays when it is killed.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from k8slab.cluster.container_engine import PROVIDER_VARIABLE, Engine, environment
from k8slab.commands import run
from k8slab.errors import CommandError, StopError, WaitTimeoutError, last_lines
from k8slab.processes import CLUSTER_VARIABLE, Child, end_processes, processes_of_cluster

DELETE_SECONDS = 180.0
LIST_SECONDS = 30.0
LOAD_SECONDS = 600.0

CLUSTER_LABEL = "io.x-k8s.kind.cluster"
"""Label that kind puts on the container of each node, with the cluster's name."""

ROLE_LABEL = "io.x-k8s.kind.role"
"""Label with the role of that node, `control-plane` or `worker`."""

STEP = re.compile(r"^ ([•✓✗]) (.+?)(?:\s+\.\.\.)?\s*$")

_POLL_SECONDS = 0.05
_ORNAMENT = re.compile(r"[^\x00-\x7f]+")

Announce = Callable[[str, str], None]
"""Told about each step of kind: `•`, `✓` or `✗`, and its text without ornaments."""


class Kind:
    """kind with one container engine. Never touches the user's kubeconfig.

    Args:
        engine: the engine to use.
        program: kind's program.
    """

    def __init__(self, engine: Engine, program: Path) -> None:
        self.engine = engine
        self.program = program
        self.environment = {**environment(), PROVIDER_VARIABLE: engine.name}

    def create(
        self, name: str, configuration: Path, kubeconfig: Path, uuid: str, seconds: float, told: Announce
    ) -> None:
        """Create a cluster and write its kubeconfig into a file of our own.

        Whatever ends this, kind and the engine's commands that it started are gone afterwards.

        Args:
            name: kind's name of the cluster.
            configuration: kind's configuration file.
            kubeconfig: the file to write.
            uuid: marks kind and what it starts, so that a later process finds what a killed one left.
            seconds: how long it may take.
            told: told about kind's steps as they come.

        Raises:
            CommandError: kind failed; WaitTimeoutError: it took longer than `seconds`.
        """
        words = ["create", "cluster", "--name", name, "--config", str(configuration)]
        argv = [str(self.program), *words, "--kubeconfig", str(kubeconfig)]
        log = configuration.with_name("create.log")
        log.unlink(missing_ok=True)
        unlock(kubeconfig)
        child = Child("kind", argv, {**self.environment, CLUSTER_VARIABLE: uuid}, log)
        deadline = time.monotonic() + seconds
        seen = 0
        try:
            while True:
                ended = child.wait(_POLL_SECONDS)
                seen = _tell(log, seen, told)
                if ended:
                    break
                if time.monotonic() > deadline:
                    raise WaitTimeoutError("kind to create the cluster", seconds, last_lines(log))
        finally:
            child.stop(grace=0.5)
            end_marked(uuid)
        if child.exit_code != 0:
            raise CommandError(argv, child.exit_code or 1, log.read_text(errors="replace"))

    def export_kubeconfig(self, name: str, kubeconfig: Path) -> None:
        """Write the kubeconfig of a cluster again."""
        unlock(kubeconfig)
        self._run("export", "kubeconfig", "--name", name, "--kubeconfig", kubeconfig, timeout=LIST_SECONDS)

    def delete(self, name: str, kubeconfig: Path) -> None:
        """Delete a cluster; one that is not there is no error to kind."""
        unlock(kubeconfig)
        self._run("delete", "cluster", "--name", name, "--kubeconfig", kubeconfig, timeout=DELETE_SECONDS)

    def load_archive(self, name: str, archive: Path) -> None:
        """Load an image archive into every node of a cluster."""
        self._run("load", "image-archive", archive, "--name", name, timeout=LOAD_SECONDS)

    def containers(self, name: str) -> list[str]:
        """Full ids of the containers of a cluster's nodes, running or not."""
        words = ("ps", "--all", "--quiet", "--no-trunc", "--filter", f"label={CLUSTER_LABEL}={name}")
        return self.engine.call(*words, timeout=LIST_SECONDS).stdout.split()

    def remove_volumes(self, nodes: Sequence[str]) -> None:
        """Remove the volumes of nodes that never came to be; those that something uses stay.

        With podman kind makes a node's volume before the node, labelled with its name, and deletes it only
        together with the node (pkg/cluster/internal/providers/podman); other engines make both in one step.

        Args:
            nodes: names of the nodes.
        """
        if self.engine.name != "podman":
            return
        for node in nodes:
            listed = self.engine.call("volume", "ls", "--filter", f"label={node}", "--quiet", check=False)
            if found := listed.stdout.split():
                self.engine.call("volume", "rm", *found, check=False)

    def _run(self, *words: str | Path, timeout: float) -> str:
        return run([self.program, *words], timeout=timeout, env=self.environment).stdout


def unlock(kubeconfig: Path) -> None:
    """Remove the lock that a killed kind left beside a kubeconfig of ours; the cluster's own lock is held."""
    kubeconfig.with_name(f"{kubeconfig.name}.lock").unlink(missing_ok=True)


def end_marked(uuid: str) -> None:
    """End kind and the engine's commands that carry a cluster's uuid.

    Raises:
        StopError: one is alive all the same.
    """
    left = end_processes(list(processes_of_cluster(uuid)), grace=0.5)
    if left:
        pids = " ".join(str(each.pid) for each in left)
        raise StopError(
            f"kind, or an engine's command that it started, does not end: {pids}.", f"kill {pids}"
        )


def plain(text: str) -> str:
    """A line of kind's without its pictures: `Preparing nodes`."""
    return " ".join(_ORNAMENT.sub(" ", text).split())


def _tell(log: Path, seen: int, told: Announce) -> int:
    """Tell the steps in the whole lines of a log from a byte on; returns where the next look begins."""
    with log.open("rb") as file:
        file.seek(seen)
        new = file.read()
    whole = new[: new.rfind(b"\n") + 1]
    for line in whole.decode(errors="replace").splitlines():
        if match := STEP.match(line):
            told(match[1], plain(match[2]))
    return seen + len(whole)
