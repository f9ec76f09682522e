"""What several tests with real processes share."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from k8slab.cluster.components import go_module
from k8slab.cluster.kind import faults as kind_faults
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
        "DOCKER_HOST",
        "DOCKER_CONTEXT",
        "CONTAINER_HOST",
        "CONTAINER_CONNECTION",
        *kind_faults.PROXIES,
    ):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(go_module, "find_go", lambda private: None)
    monkeypatch.setattr(go_module, "install_go", no_go)
    monkeypatch.setenv("K8SLAB_DOWNLOAD_URL", "http://127.0.0.1:9")
    monkeypatch.setattr(kind_faults, "_capabilities_of", lambda name: None)
    monkeypatch.setattr(kind_faults, "MODULES", tmp_path)
    yield made
    assert not (tmp_path / "of-the-user").exists()


@pytest.fixture
def end_create(stand_ins: StandIns) -> Iterator[Callable[[int], str]]:
    """Starts a create of the kind cluster `lab` in a process of its own and ends it where it hangs.

    What hangs is asked for in the state of the stand-ins beforehand, and taken back by the test. The call
    takes the signal and returns what the process said on standard error.
    """
    code = (
        "from k8slab.cluster.kind.backend import open_kind\nfrom k8slab.progress import SilentProgress\n"
        "open_kind('lab', 1, False, SilentProgress())"
    )
    started: list[subprocess.Popen[str]] = []

    def end(number: int) -> str:
        hangs = stand_ins.folder / "hangs"
        hangs.unlink(missing_ok=True)
        process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
        started.append(process)
        deadline = time.monotonic() + 60
        while not hangs.exists() and process.poll() is None:
            assert time.monotonic() < deadline, "the create never came to where it hangs"
            time.sleep(0.02)
        process.send_signal(number)
        return process.communicate(timeout=60)[1]

    yield end
    for process in started:
        process.kill()
        process.communicate()


def no_go(*arguments: object) -> None:
    """Stand for a machine that has no Go and gets none."""
    raise MissingToolError("There is no Go.", "Install Go.")
