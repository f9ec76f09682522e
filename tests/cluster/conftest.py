"""A cluster that is asked through kubectl alone. Nothing here knows k8slab's package.

With `K8SLAB_TEST_KUBECONFIG` the same tests run against that cluster's current context; otherwise against an
embedded cluster of each level of isolation, and a kind cluster where one can be made without a network.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

import pytest

from tests import kind_clusters
from tests.cluster.differences import DIFFERENCES

if TYPE_CHECKING:
    from k8slab.cluster.kind.cluster import KindCluster

T = TypeVar("T")

GIVEN = "K8SLAB_TEST_KUBECONFIG"
KIT = "images of the kit"
OURS = ("sandboxed", "plain", *(() if kind_clusters.obstacle() else ("kind",)))
KINDS = ("given",) if os.environ.get(GIVEN) else OURS


@dataclass(frozen=True)
class ClusterUnderTest:
    """A cluster, as far as a kubeconfig shows it.

    Args:
        kind: `sandboxed`, `plain`, `kind`, or `given`.
        kubectl_program: the kubectl to ask with.
        kubeconfig: the file to ask with.
    """

    kind: str
    kubectl_program: Path
    kubeconfig: Path

    def argv(self, line: str) -> list[str]:
        """The whole command of a kubectl line."""
        return [str(self.kubectl_program), f"--kubeconfig={self.kubeconfig}", *shlex.split(line)]

    def run(
        self, line: str, stdin: str | None = None, timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Run a kubectl line, whatever becomes of it."""
        return subprocess.run(
            self.argv(line), input=stdin, capture_output=True, text=True, timeout=timeout, check=False
        )

    def kubectl(self, line: str, stdin: str | None = None, timeout: float = 60) -> str:
        """Run a kubectl line that must succeed; its standard output."""
        done = self.run(line, stdin, timeout)
        assert done.returncode == 0, (
            f"kubectl {line}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
        )
        return done.stdout

    def get(self, line: str) -> dict[str, Any]:
        """`kubectl get` as JSON, such as `-n x pod web`."""
        found: dict[str, Any] = json.loads(self.kubectl(f"get {line} -o json"))
        return found


@pytest.fixture(scope="session", params=KINDS)
def cluster(request: pytest.FixtureRequest) -> ClusterUnderTest:
    """The cluster to ask; one after the other where there are several kinds."""
    kind: str = request.param
    if kind == "given":
        kubectl = shutil.which("kubectl")
        assert kubectl is not None, f"{GIVEN} is set, and there is no kubectl on PATH to ask it with"
        return ClusterUnderTest(kind, Path(kubectl), Path(os.environ[GIVEN]))
    if kind == "kind":
        made = request.getfixturevalue("kind_cluster")
        return ClusterUnderTest(kind, made.kubectl, made.kubeconfig)
    embedded = request.getfixturevalue("embedded_clusters").at(kind)
    return ClusterUnderTest(kind, embedded.kubectl, embedded.kubeconfig)


@pytest.fixture(scope="session")
def kind_cluster(nothing_is_left: None) -> Iterator[KindCluster]:
    """The run's kind cluster."""
    made = kind_clusters.opened()
    try:
        if problem := kind_clusters.brings_images(made):
            pytest.skip(f"on kind: {problem}")
        yield made
    finally:
        made.delete()


@pytest.fixture(autouse=True)
def expectations(request: pytest.FixtureRequest) -> None:
    """Leave out what this kind of cluster is known to lack: `@pytest.mark.needs("own network")`."""
    for marker in request.node.iter_markers("needs"):
        for name in marker.args:
            difference = DIFFERENCES[name]
            kind = request.getfixturevalue("cluster").kind
            if kind in difference.lacking:
                pytest.skip(difference.reason)
            if name == KIT and kind == "kind" and not request.getfixturevalue("kind_cluster").demo_images:
                pytest.skip("The demo application's image could not be built here, so kind has none.")


@pytest.fixture
def namespace(cluster: ClusterUnderTest) -> Iterator[str]:
    """A namespace of the test's own, removed in the background afterwards."""
    name = f"t-{uuid4().hex[:8]}"
    cluster.kubectl(f"create namespace {name}")
    until(
        lambda: cluster.run(f"-n {name} get serviceaccount default").returncode == 0,
        "the default service account",
    )
    yield name
    cluster.kubectl(f"delete namespace {name} --wait=false")


def until(condition: Callable[[], T], what: str, seconds: float = 60) -> T:
    """Wait until a condition is true and return its value; fail with what was seen last."""
    deadline = time.monotonic() + seconds
    seen: T | Exception | None = None
    while time.monotonic() < deadline:
        try:
            seen = condition()
            if seen:
                return seen
        except (AssertionError, LookupError) as error:
            seen = error
        time.sleep(0.1)
    raise AssertionError(f"waited {seconds} s for {what}; last seen: {seen!r}")
