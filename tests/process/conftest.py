"""What several tests with real processes share."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from k8slab.cluster import kind_faults
from k8slab.cluster.components import go_module
from k8slab.errors import MissingToolError
from tests.process.kind_standins import StandIns


@pytest.fixture
def short_path() -> Iterator[Path]:
    """Paths of unix sockets are limited to 107 bytes, which pytest's own folders may exceed."""
    with tempfile.TemporaryDirectory(prefix="k8n") as name:
        yield Path(name) / "c"


@pytest.fixture
def stand_ins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIns]:
    """docker, kind and kubectl played, and nothing else on PATH; no Go either."""
    made = StandIns(tmp_path)
    made.install("docker", "kind", "kubectl")
    monkeypatch.setenv("PATH", str(made.bin))
    monkeypatch.setenv("K8SLAB_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("K8SLAB_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "of-the-user"))
    monkeypatch.setenv("KIND_CLUSTER_NAME", "of-the-user")
    for variable in (
        "KIND_EXPERIMENTAL_PROVIDER",
        "K8SLAB_KIND_IMAGE",
        "K8SLAB_DEMO_BASE",
        *kind_faults.PROXIES,
    ):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(go_module, "find_go", lambda private: None)
    monkeypatch.setattr(go_module, "install_go", no_go)
    monkeypatch.setenv("K8SLAB_DOWNLOAD_URL", "http://127.0.0.1:9")
    monkeypatch.setattr(kind_faults, "_capabilities_of", lambda name: None)
    yield made
    assert not (tmp_path / "of-the-user").exists()


def no_go(*arguments: object) -> None:
    """Stand for a machine that has no Go and gets none."""
    raise MissingToolError("There is no Go.", "Install Go.")
