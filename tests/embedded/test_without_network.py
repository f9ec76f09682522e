"""Once the components are there, nothing but loopback is used: a cluster on a machine without a network."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from k8slab.commands import run

ROOT = Path(__file__).parents[2]

STORY = """
import sys, time
from pathlib import Path
from k8slab.cluster.embedded.backend import open_embedded
from k8slab.commands import run
from k8slab.progress import SilentProgress

assert len(Path("/proc/net/route").read_text().splitlines()) == 1, "there is a route to somewhere"
cluster = open_embedded("offline", 1, False, SilentProgress())
try:
    kubectl = [cluster.kubectl, f"--kubeconfig={cluster.kubeconfig}"]
    run([*kubectl, "apply", "-f", sys.argv[1]], timeout=60)
    ready = "--for=jsonpath={.status.readyReplicas}=3"
    run([*kubectl, "wait", ready, "replicaset/web", "--timeout=60s"], timeout=90)
    service = "/api/v1/namespaces/default/services/web:http/proxy/"
    # That its Pods are ready does not say that the Service's endpoints are written.
    ends = time.monotonic() + 60
    while (asked := run([*kubectl, "get", "--raw", service], timeout=60, check=False)).returncode:
        assert time.monotonic() < ends, asked.stderr
        time.sleep(0.1)
    print(asked.stdout)
finally:
    cluster.delete()
"""


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A state folder of its own: in another network the same addresses are free again."""
    folder = Path(tempfile.mkdtemp(prefix="k8s-", dir="/tmp"))
    monkeypatch.setenv("K8SLAB_STATE_DIR", str(folder))
    yield folder
    shutil.rmtree(folder)


@pytest.mark.timeout(420)
def test_a_cluster_needs_no_network_but_loopback(state: Path) -> None:
    manifest = ROOT / "manifests" / "03-replicasets" / "web.yaml"
    # A network namespace with nothing in it but lo, as on a machine whose cables are pulled.
    inside = 'ip link set lo up && exec "$0" -c "$1" "$2"'
    cut_off = ["unshare", "--user", "--map-root-user", "--net", "sh", "-c", inside]
    done = run(
        [*cut_off, sys.executable, STORY, manifest],
        timeout=400,
        env={**os.environ, "K8SLAB_ISOLATION": "plain"},
    )
    assert done.stdout.strip()
