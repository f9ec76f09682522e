"""Whether a container engine runs on this machine: a cluster's ports are bound to its loopback, not ours.

Asked before anything else is: nothing here waits for the engine, which may be far away.
Sources: docker's precedence is DOCKER_HOST, DOCKER_CONTEXT, the context in its configuration, and `docker
context inspect` shows the outcome (cli/command/cli.go, resolveContextName); podman's is CONTAINER_CONNECTION,
CONTAINER_HOST, the default connection, the last only where it is a remote client (cmd/podman/root.go,
setupRemoteConnection; cmd/podman/registry/remote.go). The virtual machine of `podman machine` hands the
ports of its containers on to this machine's loopback (libpod/networking_machine.go), and its own address
is there too; Docker Desktop, Colima and Rancher Desktop do the same behind a unix socket.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from k8slab.cluster.api_connection import is_loopback
from k8slab.commands import run
from k8slab.errors import LabError

ASK_SECONDS = 10.0

_CONTAINER_MARKS = (Path("/.dockerenv"), Path("/run/.containerenv"))
"""What docker and podman put into a container's file system."""


@dataclass(frozen=True)
class Elsewhere:
    """An engine whose ports are not found on this machine's loopback.

    Args:
        where: its address, or what it is.
        said_by: what leads there, such as `DOCKER_HOST`.
    """

    where: str
    said_by: str

    def __str__(self) -> str:
        return f"on another machine ({self.where}, by {self.said_by}), whose ports are out of reach here"


def elsewhere(program: Path, environment: dict[str, str]) -> Elsewhere | None:
    """Where an engine is that a client program leads to; None if it is here, or nobody can say.

    Args:
        program: the engine's client.
        environment: of its calls.
    """
    found = {"docker": _docker, "podman": _podman}.get(program.name, _nowhere)(program, environment)
    if found is not None and not is_here(found.where):
        return found
    return _around_us(program, environment)


def is_here(address: str) -> bool:
    """Whether an engine's address is one of this machine.

    Args:
        address: such as `unix:///var/run/docker.sock`, `tcp://10.0.0.7:2376` or `ssh://me@far`.
    """
    try:
        host = urlsplit(address).hostname or ""
    except ValueError:
        return True
    return not host or is_loopback(address) or host in ("0.0.0.0", socket.gethostname().lower())


def _docker(program: Path, environment: dict[str, str]) -> Elsewhere | None:
    said_by = next((each for each in ("DOCKER_HOST", "DOCKER_CONTEXT") if os.environ.get(each)), "")
    words = ("context", "inspect", "--format", "{{.Name}} {{.Endpoints.docker.Host}}")
    name, _, address = _answer(program, environment, *words).partition(" ")
    if not address:
        # A client from before 19.03 knows no contexts.
        address = os.environ.get("DOCKER_HOST", "")
    return Elsewhere(address, said_by or f"the docker context {name}") if address else None


def _podman(program: Path, environment: dict[str, str]) -> Elsewhere | None:
    named, address = os.environ.get("CONTAINER_CONNECTION"), os.environ.get("CONTAINER_HOST")
    if address and not named:
        return Elsewhere(address, "CONTAINER_HOST")
    if not named and sys.platform == "linux":
        return None
    try:
        listed = json.loads(_answer(program, environment, "system", "connection", "list", "--format", "json"))
        for each in listed:
            if each.get("Name") == named if named else each.get("Default"):
                said_by = "CONTAINER_CONNECTION" if named else "podman's default connection"
                return Elsewhere(str(each.get("URI") or ""), said_by)
    except (ValueError, TypeError, AttributeError):
        pass
    return None


def _nowhere(program: Path, environment: dict[str, str]) -> Elsewhere | None:
    """nerdctl speaks to a containerd through a unix socket only."""
    return None


def _around_us(program: Path, environment: dict[str, str]) -> Elsewhere | None:
    """The engine that runs the very container we are in, through its socket: its loopback is not ours."""
    if not any(mark.exists() for mark in _CONTAINER_MARKS):
        return None
    words = ("container", "inspect", "--format", "{{.HostConfig.NetworkMode}}", socket.gethostname())
    mode = _answer(program, environment, *words)
    if not mode or mode == "host":
        return None
    return Elsewhere("it runs the container that this is", "its socket")


def _answer(program: Path, environment: dict[str, str], *words: str) -> str:
    try:
        return run([program, *words], timeout=ASK_SECONDS, env=environment).stdout.strip()
    except LabError:
        return ""
