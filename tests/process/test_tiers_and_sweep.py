"""The test run's own promises: tiers left out or insisted on, and a sweep that sees what is left."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from k8slab.commands import Completed, run
from tests import sweep
from tests.sweep import Surroundings
from tests.tiers import REQUIRE_VARIABLE

ROOT = Path(__file__).parents[2]


@pytest.fixture
def surroundings(monkeypatch: pytest.MonkeyPatch) -> Iterator[Surroundings]:
    monkeypatch.setattr(sweep, "GONE_SECONDS", 0.3)
    made = Surroundings()
    yield made
    made.remove()


def collect(tmp_path: Path, **environment: str) -> Completed:
    """Collect all tests on a machine without Chromium and bubblewrap."""
    env = {**os.environ, "PATH": str(tmp_path), **environment}
    argv = [sys.executable, "-m", "pytest", "--collect-only", "-p", "no:cacheprovider"]
    return run(argv, timeout=400, env=env, cwd=ROOT, check=False)


@pytest.mark.timeout(420)
def test_a_tier_that_cannot_run_is_left_out_and_named(tmp_path: Path) -> None:
    done = collect(tmp_path, **{REQUIRE_VARIABLE: ""})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "tier browser: left out: none of chromium" in done.stdout
    assert "tier sandboxed: left out: " in done.stdout
    assert "tier embedded: runs" in done.stdout
    assert "left out on this machine" in done.stdout


@pytest.mark.timeout(420)
def test_a_tier_that_is_required_and_cannot_run_is_a_failure(tmp_path: Path) -> None:
    done = collect(tmp_path, **{REQUIRE_VARIABLE: "all"})
    assert done.returncode != 0
    assert f"browser is required by {REQUIRE_VARIABLE} and cannot run" in done.stderr
    assert f"sandboxed is required by {REQUIRE_VARIABLE} and cannot run" in done.stderr


def test_the_sweep_finds_and_ends_a_process_that_was_left(surroundings: Surroundings) -> None:
    child = subprocess.Popen(["sleep", "60"])
    try:
        (problem,) = surroundings.processes_left()
        assert f"Process {child.pid} is left" in problem
        assert child.wait(60) == -9
    finally:
        child.kill()
    assert surroundings.processes_left() == []


def test_the_sweep_finds_a_process_by_its_open_files(surroundings: Surroundings) -> None:
    with (surroundings.folder / "log").open("w") as log:
        child = subprocess.Popen(["sleep", "60"], env={}, cwd="/", stdout=log, executable="/bin/sleep")
    try:
        assert [f"Process {child.pid}"] == [
            each.partition(" is")[0] for each in surroundings.processes_left()
        ]
    finally:
        child.kill()
        child.wait()


def test_the_sweep_finds_files_outside_cache_and_state(surroundings: Surroundings) -> None:
    assert surroundings.files_left() == []
    (surroundings.home / "notes.txt").touch()
    (surroundings.home / ".config" / "k8slab").mkdir(parents=True)
    (surroundings.home / ".kube" / "cache").mkdir()
    (surroundings.folder / "state" / "clusters" / "lab").mkdir(parents=True)
    found = "\n".join(surroundings.files_left())
    for name in ("~/notes.txt", "~/.config/k8slab", ".kube/cache", "The cluster lab"):
        assert name in found


def test_the_sweep_sees_that_the_ambient_kubeconfig_changed(surroundings: Surroundings) -> None:
    (surroundings.home / ".kube" / "config").write_text("current-context: lab\n")
    assert "~/.kube was changed" in "\n".join(surroundings.files_left())


def test_the_run_works_in_a_home_and_a_state_folder_of_its_own(surroundings: Surroundings) -> None:
    assert Path.home() == surroundings.home
    assert os.environ["K8SLAB_STATE_DIR"].startswith(str(surroundings.folder))
    assert not os.environ["K8SLAB_CACHE_DIR"].startswith(str(surroundings.folder))
    assert len(str(surroundings.folder)) <= len("/tmp/k8s-12345678")
