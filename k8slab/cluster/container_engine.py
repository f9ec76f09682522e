"""Which container engine answers on this machine: docker, podman or nerdctl, asked in that order."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from k8slab.cluster.engine_place import elsewhere
from k8slab.commands import Completed, find_program, run
from k8slab.errors import CommandError, MissingToolError, WaitTimeoutError

EngineName = Literal["docker", "podman", "nerdctl"]
ENGINES: tuple[EngineName, ...] = ("docker", "podman", "nerdctl")

PROVIDER_VARIABLE = "KIND_EXPERIMENTAL_PROVIDER"
"""kind's own variable that names the engine; one that the user set is honoured."""

ANSWER_SECONDS = 10.0
"""How long an engine may take to list its containers before it counts as not answering."""

_SILENT = (
    "cannot connect",
    "is the docker daemon running",
    "failed to connect to the docker api",
    "cannot access containerd socket",
    "rootless containerd not running",
)
"""What engines say that do not run: docker up to 28 and podman's machine, docker, docker from 29 on, nerdctl
(pkg/clientutil/client.go) and rootless nerdctl (pkg/rootlessutil/parent_linux.go)."""

CALL_SECONDS = 60.0
"""How long one call of an engine may take that does no more than it says."""


AMBIENT = ("KUBECONFIG", "KUBERNETES_", "KUBECTL_", "KUBERC", "KIND_CLUSTER_NAME")
"""How the variables begin that lead to other clusters: the user's files, and the cluster of the Pod that
a lab itself may run in, to which a kubectl without a kubeconfig turns."""


def environment() -> dict[str, str]:
    """This process's environment without what is the user's own of other clusters, not even for reading.

    An image is built without attestations (buildx), whose manifests `ctr images import --all-platforms`, by
    which kind loads it, would have to unpack too.
    """
    kept = {key: value for key, value in os.environ.items() if not key.startswith(AMBIENT)}
    return {**kept, "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}


@dataclass(frozen=True)
class Engine:
    """A container engine that answers.

    Args:
        name: `docker`, `podman` or `nerdctl`.
        program: its command-line program.
    """

    name: EngineName
    program: Path

    def call(
        self, *words: str | Path, timeout: float = CALL_SECONDS, check: bool = True, input: str | None = None
    ) -> Completed:
        """Run one of the engine's commands to its end; the ambient kubeconfig is kept from it.

        Raises:
            CommandError: it failed, and `check` is set; WaitTimeoutError: it took longer than `timeout`.
        """
        return run([self.program, *words], timeout=timeout, env=environment(), check=check, input=input)

    def inspect(self, containers: Sequence[str]) -> list[dict[str, Any]]:
        """What the engine knows of containers, as docker words it; those that are gone are left out."""
        if not containers:
            return []
        done = self.call("container", "inspect", *containers, check=False)
        try:
            found = json.loads(done.stdout or "[]")
        except ValueError:
            found = None
        gone = "no such" in done.stderr.lower()
        if not isinstance(found, list) or (done.returncode != 0 and not gone):
            raise CommandError(done.argv, done.returncode, done.stdout + done.stderr)
        if gone and not found and len(containers) > 1:
            # nerdctl shows none where one is missing (pkg/cmd/container/inspect.go).
            return [shown for each in containers for shown in self.inspect([each])]
        return found


def find_engine() -> tuple[Engine | None, str]:
    """The first engine that answers, and one clause that says what was seen.

    Returns:
        The engine, or None; and a clause such as `docker answers` or `no container engine answers
        (docker: permission denied; podman: not installed; nerdctl: not installed)`.
    """
    wanted = os.environ.get(PROVIDER_VARIABLE)
    names = [name for name in ENGINES if not wanted or name == wanted]
    seen = []
    for name in names:
        program = find_program(name)
        problem = "not installed" if program is None else _problem(program)
        if program is not None and not problem:
            return Engine(name, program), f"{name} answers"
        seen.append(f"{name}: {problem}")
    if not seen:
        return None, f"{PROVIDER_VARIABLE} names {wanted!r}, which is none of {', '.join(ENGINES)}"
    return None, f"no container engine answers ({'; '.join(seen)})"


def _problem(program: Path) -> str:
    """Why an engine cannot be used, in a few words; empty if it can."""
    if place := elsewhere(program, environment()):
        return str(place)
    if program.name == "docker" and _is_podman(program):
        return "podman under docker's name, which kind takes for docker in vain"
    try:
        done = run([program, "ps", "--quiet"], timeout=ANSWER_SECONDS, env=environment(), check=False)
    except WaitTimeoutError:
        return f"no answer within {ANSWER_SECONDS:.0f} s"
    except MissingToolError as error:
        return error.message
    if done.returncode == 0:
        return ""
    words = done.stderr.strip() or done.stdout.strip()
    if "permission denied" in words.lower():
        return "permission denied (is this user in its group?)"
    if any(each in words.lower() for each in _SILENT):
        return "installed, and not running"
    last = words.splitlines()[-1] if words else "no words"
    return f"`{program.name} ps` ended with exit code {done.returncode}: {last}"


def _is_podman(program: Path) -> bool:
    """Whether a docker is podman's script of that name (its package podman-docker)."""
    try:
        done = run([program, "--version"], timeout=ANSWER_SECONDS, env=environment(), check=False)
    except (WaitTimeoutError, MissingToolError):
        return False
    return done.stdout.startswith("podman")
