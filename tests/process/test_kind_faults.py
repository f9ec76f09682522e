"""What `k8slab doctor` says of an engine: each fault of it or of its host, with one cure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from k8slab.cluster import doctor
from k8slab.cluster.container_engine import find_engine
from k8slab.cluster.kind import faults as kind_faults
from k8slab.cluster.kind.backend import kind_can_run, open_kind
from k8slab.cluster.kind.cures import cure_of
from k8slab.cluster.kind.faults import CAP_SYS_RESOURCE, INOTIFY, Fault, faults
from k8slab.errors import CommandError
from k8slab.progress import SilentProgress
from tests.process.kind_standins import DOCKER_INFO, StandIns

ROOTLESS = ["name=seccomp,profile=builtin", "name=rootless"]


@pytest.fixture(autouse=True)
def roomy_host(stand_ins: StandIns, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A host whose inotify limits are high enough, whatever this one's are."""
    monkeypatch.setattr(kind_faults, "INOTIFY", dict.fromkeys(INOTIFY, 1))


def found(engine: str = "docker") -> dict[str, Fault]:
    answering, seen = find_engine()
    assert answering is not None, seen
    assert answering.name == engine
    return {each.subject: each for each in faults(answering)}


def told() -> dict[str, tuple[str, str]]:
    """What `doctor` prints of kind: subject → what was seen, and the cure."""
    return {
        each.subject: (each.seen, each.cure) for each in doctor.examine() if each.subject.startswith("kind")
    }


def test_a_good_engine_has_no_fault(stand_ins: StandIns) -> None:
    assert found() == {}
    assert told() == {"kind": ("docker answers and kind is installed", "")}


@pytest.mark.parametrize(
    ("words", "seen", "cure"),
    [
        ("Cannot connect to the Docker daemon. Is it running?", "not running", "systemctl start docker"),
        ("permission denied while trying to connect", "permission denied", "usermod -aG docker"),
    ],
)
def test_an_engine_that_does_not_answer(stand_ins: StandIns, words: str, seen: str, cure: str) -> None:
    stand_ins.change(refuse={"docker ps --quiet": words})
    text, line = told()["kind"]
    assert seen in text
    assert cure in line


def test_no_engine(stand_ins: StandIns) -> None:
    (stand_ins.bin / "docker").unlink()
    text, line = told()["kind"]
    assert "docker: not installed" in text
    assert line == "For kind install docker, podman or nerdctl."


@pytest.mark.parametrize(
    ("changed", "subject", "cure", "blocks"),
    [
        ({"CgroupVersion": "1"}, "control groups", "unified_cgroup_hierarchy", False),
        ({"CgroupVersion": "1", "SecurityOptions": ROOTLESS}, "rootless engine", "unified_cgroup", True),
        ({"SecurityOptions": ROOTLESS, "CgroupDriver": "none"}, "rootless engine", "Delegate=yes", True),
        ({"SecurityOptions": ROOTLESS, "PidsLimit": False}, "rootless engine", "Delegate=yes", True),
        ({"MemTotal": 2_000_000_000}, "engine's memory", "Give it 3 GiB", False),
        ({"ServerVersion": "19.03.1"}, "engine's age", "Update docker to 20.10", True),
        ({"DockerRootDir": "/var/snap/docker/common"}, "snap", "TMPDIR", False),
    ],
)
def test_what_an_engine_says_of_itself(
    stand_ins: StandIns, changed: dict[str, Any], subject: str, cure: str, blocks: bool
) -> None:
    stand_ins.change(info=DOCKER_INFO | changed)
    fault = found()[subject]
    assert cure in fault.cure
    assert fault.blocking is blocks
    assert kind_can_run()[0] is not blocks
    assert told()[f"kind: {subject}"] == (fault.seen, fault.cure)


def test_a_rootless_podman_without_delegation(stand_ins: StandIns) -> None:
    (stand_ins.bin / "docker").unlink()
    stand_ins.install("podman")
    host = {"cgroupVersion": "v2", "cgroupControllers": ["memory", "pids"], "security": {"rootless": True}}
    stand_ins.change(info={"host": host, "version": {"Version": "5.0.0"}})
    assert "Delegate=yes" in found("podman")["rootless engine"].cure
    host["cgroupControllers"] = ["cpu", "memory", "pids"]
    stand_ins.change(info={"host": host, "version": {"Version": "5.0.0"}})
    assert found("podman") == {}


def test_low_inotify_limits(stand_ins: StandIns, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kind_faults, "INOTIFY", {"max_user_instances": 1 << 40})
    fault = found()["inotify limits"]
    assert fault.cure == f"sudo sysctl fs.inotify.max_user_instances={1 << 40}"


def test_a_full_disk(stand_ins: StandIns, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(kind_faults, "DISK", 1 << 60)
    stand_ins.change(info={**DOCKER_INFO, "DockerRootDir": str(tmp_path)})
    assert "docker system df" in found()["engine's disk"].cure


def test_no_addresses_for_a_network(stand_ins: StandIns) -> None:
    stand_ins.change(networks=[f"n{number}" for number in range(32)])
    assert "network prune" in found()["engine's networks"].cure
    stand_ins.change(networks=[*(f"n{number}" for number in range(32)), "kind"])
    assert found() == {}


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:3128", "http://localhost:3128/", "http://[::1]:1"])
def test_a_proxy_that_nodes_cannot_reach(
    stand_ins: StandIns, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    assert "unset HTTPS_PROXY" in found()["proxy"].cure
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    assert found() == {}


def test_an_engine_without_cap_sys_resource(stand_ins: StandIns, monkeypatch: pytest.MonkeyPatch) -> None:
    every = (1 << 41) - 1
    monkeypatch.setattr(kind_faults, "_capabilities_of", lambda name: every & ~(1 << CAP_SYS_RESOURCE))
    assert "CAP_SYS_RESOURCE" in found()["capabilities"].cure
    assert kind_can_run() == (
        False,
        "docker answers, and capabilities: dockerd runs without CAP_SYS_RESOURCE",
    )
    monkeypatch.setattr(kind_faults, "_capabilities_of", lambda name: every)
    assert found() == {}


def test_a_kind_that_is_too_old(stand_ins: StandIns) -> None:
    stand_ins.change(kind_version="v0.20.0")
    text, _ = told()["kind"]
    assert "wanted is v0.30 or newer" in text


@pytest.mark.parametrize(
    ("words", "cure"),
    [
        ("OCI runtime create failed: unable to apply caps: operation not permitted", "CAP_SYS_RESOURCE"),
        ("Failed to create control group inotify object: Too many open files", "max_user_instances"),
        ("write /var/lib/docker/tmp: no space left on device", "disk is full"),
        ("could not find an available, non-overlapping IPv4 address pool", "network prune"),
        ('failed to pull image "kindest/node"', "K8SLAB_KIND_IMAGE"),
        ("failed to join node with kubeadm: command failed", "kubelet"),
        ('could not find a log line that matches "Reached target"', "systemd"),
    ],
)
def test_a_failing_create_says_what_to_do(stand_ins: StandIns, words: str, cure: str) -> None:
    assert cure in cure_of(words)
    stand_ins.change(fails_at=1, words=words)
    with pytest.raises(CommandError) as caught:
        open_kind("lab", 1, False, SilentProgress())
    assert cure in caught.value.cure
    assert stand_ins.clusters() == {}
