"""Which Pod, which namespace and which cluster is meant is looked at again at the moment of each change."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from k8slab import Lab
from k8slab.errors import ConflictError, LabError
from tests.embedded.conftest import RunningCluster, until
from tests.embedded.recording_proxy import RecordingProxy

POD = """
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec: {terminationGracePeriodSeconds: 0, containers: [{name: demo, image: "k8slab/demo:1"}]}
"""


@pytest.fixture
def sandbox(cluster: RunningCluster, namespace: str) -> str:
    cluster.kubectl(f"label namespace {namespace} k8slab.dev/sandbox=true")
    return namespace


@pytest.fixture
def lab(proxy: RecordingProxy, sandbox: str) -> Iterator[Lab]:
    """A lab with its three keys."""
    opened = Lab.open(
        "02-pods",
        backend="existing",
        context="theirs",
        kubeconfig=proxy.kubeconfig,
        namespaces=[sandbox],
        typed="theirs",
    )
    yield opened
    opened.close()


def made(cluster: RunningCluster, namespace: str, folder: Path) -> str:
    """A Pod `web`, running; its uid."""
    file = folder / "pod.yaml"
    file.write_text(POD)
    cluster.kubectl(f"-n {namespace} create -f {file}")
    cluster.kubectl(f"-n {namespace} wait --for=condition=Ready pod/web --timeout=60s")
    return cluster.kubectl(f"-n {namespace} get pod web -o jsonpath={{.metadata.uid}}").strip()


def test_a_pod_that_took_over_the_name_since_the_click_is_not_hit(
    lab: Lab, cluster: RunningCluster, sandbox: str, proxy: RecordingProxy, tmp_path: Path
) -> None:
    made(cluster, sandbox, tmp_path)
    seen = lab.pods("web")[0]
    cluster.kubectl(f"-n {sandbox} delete pod web")
    heir = made(cluster, sandbox, tmp_path)
    assert seen.uid != heir
    acts: tuple[Callable[[], Any], ...] = (
        lambda: lab.kill(seen),
        lambda: lab.kill(seen, force=True),
        lambda: lab.crash(seen),
        lambda: lab.label(seen, "a", "b"),
        lambda: lab.unlabel(seen, "app"),
    )
    for act in acts:
        with pytest.raises((ConflictError, LabError)):
            act()
    left = yaml.safe_load(cluster.kubectl(f"-n {sandbox} get pod web -o yaml"))
    assert left["metadata"]["uid"] == heir
    labels = left["metadata"]["labels"]
    assert labels["app"] == "web"
    assert "a" not in labels
    assert left["status"]["containerStatuses"][0]["restartCount"] == 0
    assert "deletionTimestamp" not in left["metadata"]
    assert not [path for _, path in proxy.changes if path.endswith("/crash")]


@pytest.fixture
def trap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A server to which everything ambient leads; gives the list of those who came."""
    came: list[str] = []
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, address = listening.accept()
                came.append(str(address))
                connection.close()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    ambient = {
        "apiVersion": "v1", "kind": "Config", "current-context": "production",
        "clusters": [{"name": "p", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "p", "user": {"token": "secret"}}],
        "contexts": [{"name": "production", "context": {"cluster": "p", "user": "p"}}],
    }  # fmt: skip
    file = tmp_path / "ambient"
    file.write_text(yaml.safe_dump(ambient))
    monkeypatch.setenv("KUBECONFIG", str(file))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(port))
    monkeypatch.setenv("KUBERNETES_MASTER", f"http://127.0.0.1:{port}")
    yield came
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    thread.join(5)


def look_around(proxy: RecordingProxy, namespaces: tuple[str, ...], typed: str) -> None:
    """Open a lab, and do with it what may be done."""
    lab = Lab.open(
        "02-pods",
        backend="existing",
        context="theirs",
        kubeconfig=proxy.kubeconfig,
        namespaces=namespaces,
        typed=typed,
    )
    try:
        lab.map()
        assert lab.kubectl("get pods").wait(30)
        assert lab.kubectl("get nodes").wait(30)
        lab.needs()
        if typed:
            lab.apply_text(POD).wait(30)
            until(lambda: lab.pods("web")[0].ready == "1/1", "the Pod")
            lab.kill(lab.pods("web")[0])
    finally:
        lab.close()


def test_nothing_ambient_is_asked_for_anything(
    trap: list[str], cluster: RunningCluster, sandbox: str, proxy: RecordingProxy, tmp_path: Path
) -> None:
    home = Path.home() / ".kube"
    before = {path: path.stat().st_mtime_ns for path in [home, *home.rglob("*")]}
    for namespaces, typed in ((), ""), ((sandbox,), "theirs"):
        look_around(proxy, namespaces, typed)
    with pytest.raises(LabError, match="needs the name of a context"):
        Lab.open("02-pods", backend="existing", kubeconfig=proxy.kubeconfig)
    program = [sys.executable, "-m", "k8slab.cli"]
    environment = {**os.environ, "K8SLAB_STATE_DIR": str(tmp_path / "s")}
    for words in (
        ["contexts", "--kubeconfig", str(proxy.kubeconfig)],
        ["kubectl", "get", "pods"],
        ["status"],
    ):
        subprocess.run([*program, *words], env=environment, capture_output=True, timeout=60, check=False)
    assert trap == []
    assert {path: path.stat().st_mtime_ns for path in [home, *home.rglob("*")]} == before
