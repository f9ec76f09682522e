"""What the doctor says of machines that lack something."""

from __future__ import annotations

import shutil
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from k8slab.cluster import doctor
from k8slab.cluster.components import Components
from k8slab.cluster.components.toolchain import Go
from k8slab.cluster.doctor import Finding, as_json, examine, rendered
from k8slab.errors import ClusterStateError

HERE = Components(Path("/bin"), "v1.36.3", "3.6.8", "from PATH")


@pytest.fixture(autouse=True)
def healthy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has everything; each test takes something away."""
    monkeypatch.setenv("K8SLAB_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("K8SLAB_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.delenv("K8SLAB_IMAGES", raising=False)
    monkeypatch.setattr("platform.system", lambda: "Linux")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr(doctor, "find_without_fetching", lambda: HERE)
    monkeypatch.setattr(doctor, "find_go", lambda private: Go(Path("/go/bin/go"), "go1.26.0"))
    monkeypatch.setattr(doctor, "best_level", lambda: ("sandboxed", "sandboxed, because it works"))
    monkeypatch.setattr(doctor, "free_memory", lambda: 4_000_000_000)
    seen = (None, "no container engine answers")
    monkeypatch.setattr("k8slab.cluster.container_engine.find_engine", lambda: seen)
    monkeypatch.setattr(doctor, "version", {"ipykernel": "7.4.0"}.get)
    monkeypatch.setattr(doctor, "FRONT_END", ("ipykernel",))
    usage = shutil.disk_usage(tmp_path)._replace(free=5 << 30)
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)


def finding(subject: str) -> Finding:
    return next(found for found in examine() if found.subject == subject)


def test_healthy_machine() -> None:
    findings = examine()
    assert {found.state for found in findings} == {"ok"}
    assert all(found.cure == "" for found in findings if found.subject != "kind")
    text = rendered(findings)
    assert text.startswith("ok   platform: linux-amd64 (kernel ")
    assert "ok   control plane: Kubernetes v1.36.3 and etcd 3.6.8 from PATH (/bin)" in text
    assert text.endswith("The embedded backend can run here.")
    assert as_json(findings)[0] == {
        "subject": "platform",
        "state": "ok",
        "seen": findings[0].seen,
        "cure": "",
    }


def test_other_system_is_said_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    findings = examine()
    assert findings[0].subject == "platform" and findings[0].state == "bad"
    assert "kind" in findings[0].cure
    assert rendered(findings).endswith("cannot run here yet: see platform.")


def test_nothing_fetched_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "find_without_fetching", lambda: ["the cache: nothing", "PATH: nothing"])
    found = finding("control plane")
    assert found.state == "warn" and found.seen == "not here yet (the cache: nothing; PATH: nothing)"
    assert found.cure.endswith("python -m k8slab.cluster.components")
    assert finding("Go").state == "ok"
    monkeypatch.setattr(doctor, "find_go", lambda private: None)
    assert finding("Go").state == "warn" and "k8slab[build]" in finding("Go").cure


def test_go_is_not_missed_where_it_is_not_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "find_go", lambda private: None)
    assert finding("Go") == Finding("Go", "ok", "not here, and not needed: the control plane is there")


def test_plain_isolation_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "best_level", lambda: ("plain", "plain, because bwrap is not installed"))
    found = finding("isolation of Pods")
    assert (found.state, found.seen) == ("warn", "plain, because bwrap is not installed")
    assert "bubblewrap" in found.cure


def test_refusal_of_one_check_does_not_stop_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses() -> tuple[str, str]:
        raise ClusterStateError("K8SLAB_ISOLATION is 'x'.", "Unset it.")

    monkeypatch.setattr(doctor, "best_level", refuses)
    assert finding("isolation of Pods") == Finding(
        "isolation of Pods", "bad", "K8SLAB_ISOLATION is 'x'.", "Unset it."
    )
    assert finding("free memory").state == "ok"


def test_little_memory_and_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "free_memory", lambda: 900 << 20)
    assert finding("free memory").state == "warn" and finding("free memory").seen == "0.9 GiB"
    usage = shutil.disk_usage(tmp_path)._replace(free=1 << 29)
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
    found = finding("free disk for clusters")
    assert (found.state, found.seen) == ("bad", f"0.5 GiB at {tmp_path / 'state'}")
    assert "K8SLAB_STATE_DIR" in found.cure
    assert "K8SLAB_CACHE_DIR" in finding("free disk for components").cure


def test_memory_of_a_container_is_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    limit, used = tmp_path / "max", tmp_path / "current"
    monkeypatch.setattr(doctor, "GROUP_LIMITS", ((limit, used),))
    whole = doctor.free_memory()
    used.write_text("400000\n")
    limit.write_text("1000000\n")
    assert doctor.free_memory() == 600_000
    limit.write_text("max\n")
    assert doctor.free_memory() > 600_000 and whole > 600_000
    limit.write_text("300000\n")
    assert doctor.free_memory() == 0


def test_ipykernel(monkeypatch: pytest.MonkeyPatch) -> None:
    for deaf in ("7.0.1", "7.3.0"):
        monkeypatch.setattr(doctor, "version", {"ipykernel": deaf}.get)
        found = finding("ipykernel")
        assert (found.state, found.seen) == ("bad", deaf) and "ipykernel>=7.4" in found.cure
    monkeypatch.setattr(doctor, "version", {"ipykernel": "6.31.0"}.get)
    assert finding("ipykernel").state == "ok"

    def missing(package: str) -> str:
        raise PackageNotFoundError(package)

    monkeypatch.setattr(doctor, "version", missing)
    assert finding("ipykernel") == Finding("ipykernel", "bad", "not installed", "pip install ipykernel")


def test_kind_and_own_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert finding("kind").seen.startswith("not used: no container engine answers")
    assert finding("kind").cure == "For kind install docker, podman or nerdctl."
    assert finding("your own images").seen == f"none ({tmp_path / 'state' / 'images.yaml'} would hold them)"
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "images.yaml").write_text("images: []")
    assert finding("your own images").seen == str(tmp_path / "state" / "images.yaml")


def test_old_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "OLDEST_PYTHON", (4, 0))
    assert finding("Python").state == "bad" and sys.executable in finding("Python").seen
