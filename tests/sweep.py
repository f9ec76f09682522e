"""The folders a test run works in, and the sweep that looks for what it left behind."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from k8slab.folders import cache_folder

SESSION_VARIABLE = "K8SLAB_TEST_SESSION"
"""Every process that descends from the test run carries it, unless it was given another environment."""

GONE_SECONDS = 20.0
"""A cluster ends 5 s after its last holder; its processes have until here."""

AMBIENT_KUBECONFIG = """\
apiVersion: v1
kind: Config
current-context: production
contexts: [{name: production, context: {cluster: production, user: nobody}}]
clusters: [{name: production, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: nobody, user: {}}]
"""

OTHERS_FOLDERS = frozenset({".cache", ".config", ".ipython", ".jupyter", ".kube", ".local", ".pki"})
"""What Jupyter and Chromium make in a home; nothing in them may be ours."""


class Surroundings:
    """A state folder and a home of the run's own, on a short path (unix sockets), with the user's real cache.

    The home holds a kubeconfig whose current context is called production: nobody may read or change it.
    """

    def __init__(self) -> None:
        self._environment = dict(os.environ)
        self._real_kubeconfig = Path.home() / ".kube" / "config"
        self._real_hash = _hash(self._real_kubeconfig)
        self.token = str(uuid.uuid4())
        self.folder = Path(tempfile.mkdtemp(prefix="k8s-", dir="/tmp"))
        self.home = self.folder / "home"
        self._kubeconfig = self.home / ".kube" / "config"
        self._kubeconfig.parent.mkdir(parents=True)
        self._kubeconfig.write_text(AMBIENT_KUBECONFIG)
        # The real cache, by name: the home it is usually found by is another one now.
        os.environ["K8SLAB_CACHE_DIR"] = str(cache_folder())
        os.environ["K8SLAB_STATE_DIR"] = str(self.folder / "state")
        os.environ["HOME"] = str(self.home)
        # For the kubectl that tests run themselves; the one of a lab is given a folder by the guard.
        os.environ["KUBECACHEDIR"] = str(self.folder / "kubectl")
        os.environ[SESSION_VARIABLE] = self.token
        for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"):
            os.environ.pop(name, None)
        sys.addaudithook(_refuse_network)

    def processes_left(self) -> list[str]:
        """Processes of this run that are still there after a while, as one sentence each; they are ended."""
        deadline = time.monotonic() + GONE_SECONDS
        while (left := dict(self._processes())) and time.monotonic() < deadline:
            time.sleep(0.1)
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        return [f"Process {pid} is left after {GONE_SECONDS:.0f} s: {what}" for pid, what in left.items()]

    def files_left(self) -> list[str]:
        """Files of ours outside cache and state, and kubeconfigs that changed, as one sentence each."""
        problems = []
        if _hash(self._real_kubeconfig) != self._real_hash:
            problems.append(f"{self._real_kubeconfig} was changed.")
        kube = [path for path in self._kubeconfig.parent.rglob("*") if path != self._kubeconfig]
        if kube or _hash(self._kubeconfig) != hashlib.sha256(AMBIENT_KUBECONFIG.encode()).hexdigest():
            problems.append(f"~/.kube was changed: {[str(path.relative_to(self.home)) for path in kube]}")
        for path in self.home.rglob("*"):
            inside = path.relative_to(self.home)
            if inside.parts[0] not in OTHERS_FOLDERS or "k8slab" in path.name:
                problems.append(f"~/{inside} was written outside cache and state.")
        clusters = self.folder / "state" / "clusters"
        if clusters.exists():
            problems += [
                f"The cluster {path.name} was not removed." for path in clusters.iterdir() if path.is_dir()
            ]
        return problems

    def remove(self) -> None:
        """Remove the folders and give back the environment."""
        os.environ.clear()
        os.environ.update(self._environment)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _processes(self) -> Iterator[tuple[int, str]]:
        if not Path("/proc/self/fd").is_dir():
            return
        marks = (self.token.encode(), os.fsencode(self.folder))
        for name in os.listdir("/proc"):
            if name.isdigit() and int(name) != os.getpid() and _carries(Path("/proc", name), marks):
                line = (
                    _read(Path("/proc", name, "cmdline"))
                    .replace(b"\0", b" ")
                    .decode(errors="replace")
                    .strip()
                )
                if line:
                    yield int(name), line


def _carries(process: Path, marks: tuple[bytes, ...]) -> bool:
    """Whether environment, command line, working folder or an open file of a process names this run."""
    words = _read(process / "environ") + _read(process / "cmdline")
    try:
        links = [process / "cwd", *(process / "fd").iterdir()]
    except OSError:
        links = []
    for link in links:
        try:
            words += os.fsencode(os.readlink(link))
        except OSError:
            continue
    return any(mark in words for mark in marks)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""


def _refuse_network(event: str, arguments: tuple[Any, ...]) -> None:
    """Audit hook: tests of this process reach loopback and the lab's own addresses, and nothing else."""
    if event != "socket.connect" or not isinstance(arguments[1], tuple):
        return
    host = str(arguments[1][0])
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return
    if not address.is_loopback and not host.startswith("10."):
        raise AssertionError(f"A test connected to {host}: tests use no network but loopback.")
