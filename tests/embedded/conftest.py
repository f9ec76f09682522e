"""A real embedded cluster for each level of isolation, and what its tests ask of it."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest

from k8slab.cluster.api import Api
from k8slab.cluster.embedded.backend import EmbeddedCluster
from k8slab.commands import run
from k8slab.errors import CommandError
from k8slab.folders import ClusterFolder
from tests.embedded.recording_proxy import RecordingProxy
from tests.embedded_clusters import EmbeddedClusters, isolated_as

__all__ = ["RunningCluster", "cluster", "isolated_as", "namespace", "until"]

T = TypeVar("T")


@dataclass(frozen=True)
class RunningCluster:
    """An embedded cluster under test."""

    cluster: EmbeddedCluster
    api: Api

    @property
    def folder(self) -> ClusterFolder:
        return self.cluster.folder

    @property
    def isolation(self) -> str:
        return self.cluster.isolation

    def kubectl(
        self, arguments: str, timeout: float = 60, stdin: str | None = None, check: bool = True
    ) -> str:
        """Run the real kubectl; its standard output, or with check=False both outputs."""
        argv = [str(self.cluster.kubectl), f"--kubeconfig={self.cluster.kubeconfig}", *shlex.split(arguments)]
        completed = run(argv, timeout=timeout, input=stdin, check=check)
        return completed.stdout if check else completed.stdout + completed.stderr


def until(condition: Callable[[], T], what: str, seconds: float = 60) -> T:
    """Wait until a condition is true and return its value; fail with what was seen last.

    What does not answer yet (a refused connection, a kubectl that is told no) or is not there yet (a field of
    a status, the first of some Pods) is waited for as well.
    """
    deadline = time.monotonic() + seconds
    seen: T | Exception | None = None
    while time.monotonic() < deadline:
        try:
            seen = condition()
            if seen:
                return seen
        except (AssertionError, LookupError, OSError, CommandError) as error:
            seen = error
        time.sleep(0.05)
    raise AssertionError(f"waited {seconds} s for {what}; last seen: {seen!r}")


@pytest.fixture(scope="session", params=["sandboxed", "plain"])
def cluster(request: pytest.FixtureRequest, embedded_clusters: EmbeddedClusters) -> RunningCluster:
    """One cluster a level, with three nodes, the same that tests/cluster asks; it ends with the session."""
    embedded = embedded_clusters.at(request.param)
    return RunningCluster(embedded, Api(embedded.kubeconfig))


@pytest.fixture
def namespace(cluster: RunningCluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of the test's own, removed in the background afterwards."""
    name = f"t-{abs(hash(request.node.nodeid)) % 10**8}"
    cluster.kubectl(f"create namespace {name}")
    until(
        lambda: "default" in cluster.kubectl(f"-n {name} get serviceaccounts -o name"),
        "the default service account",
    )
    yield name
    cluster.kubectl(f"delete namespace {name} --wait=false")


@pytest.fixture
def proxy(cluster: RunningCluster, tmp_path: Path) -> Iterator[RecordingProxy]:
    """The cluster as a stranger's: a proxy in front of it that writes every request down."""
    with RecordingProxy(cluster.cluster.kubeconfig, tmp_path) as recording:
        yield recording
