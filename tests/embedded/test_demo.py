"""`k8slab demo`: the story told to its end, written down, and nothing left behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from k8slab.cluster.embedded.journal import Journal
from k8slab.clusters import cluster_names
from k8slab.demonstration import demonstrate
from k8slab.folders import ClusterFolder
from k8slab.progress import CollectedProgress
from tests.embedded.conftest import RunningCluster

FILES = {"map.svg", "map.html", "timeline.html", "summary.json"}


def check_summary(summary: dict[str, Any]) -> None:
    assert summary["backend"] == "embedded"
    assert summary["versions"]["kubernetes"].startswith("v1.")
    assert summary["seconds_to_ready"] > 0
    victim, heir = summary["victim"], summary["heir"]
    assert victim["uid"] != heir["uid"]
    assert victim["name"] != heir["name"]
    phases = summary["healing"]["phases"]
    assert list(phases) == ["replacement created", "scheduled", "process started", "ready", "in endpoints"]
    assert all(seconds >= 0 for seconds in phases.values())
    # The victim was in endpoints, so its heir has healed the gap when it is; the Pod's own
    # condition comes by another watch and may be noticed a moment later.
    assert summary["healing"]["healed"] == phases["in endpoints"]
    requests = summary["requests"]
    assert requests["sent"] == requests["answered"] + requests["failed"]
    assert requests["failed"] == 0, requests["failures"]
    assert {victim["name"], heir["name"]} < set(requests["by_pod"])
    assert len(requests["by_pod"]) == 4


def test_the_story_on_a_running_cluster_leaves_that_cluster_as_it_was(
    cluster: RunningCluster, tmp_path: Path
) -> None:
    progress = CollectedProgress()
    out = tmp_path / "new" / "out"
    summary = demonstrate(out, progress, name=cluster.cluster.name, backend="embedded")
    assert {each.name for each in out.iterdir()} == FILES
    assert json.loads((out / "summary.json").read_text()) == summary
    check_summary(summary)
    assert summary["isolation"] == cluster.isolation
    picture = ElementTree.parse(out / "map.svg").getroot()
    assert picture.tag.endswith("svg")
    assert summary["heir"]["name"] in "".join(picture.itertext())
    assert summary["victim"]["name"] in (out / "timeline.html").read_text()
    assert f"$ kubectl delete pod {summary['victim']['name']} -n demo" in progress.lines
    assert cluster.kubectl("get pods -n demo -o name").strip() == ""
    assert "Ready" in cluster.kubectl("get nodes"), "a cluster that was there stays"


@pytest.mark.timeout(420)
def test_the_command_starts_a_cluster_and_ends_it_again(tmp_path: Path) -> None:
    name = "t-demo"
    environment = {**os.environ, "K8SLAB_ISOLATION": "plain"}
    argv = [sys.executable, "-m", "k8slab.cli", "demo", "--name", name, "--backend", "embedded"]
    done = subprocess.run(
        [*argv, "--nodes", "2", "--out", str(tmp_path)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads((tmp_path / "summary.json").read_text())
    check_summary(summary)
    assert summary["nodes"] == ["worker-1", "worker-2"]
    assert "took its place" in done.stdout
    assert "0 failed" in done.stdout
    assert name not in cluster_names()
    assert Journal.read(ClusterFolder.of(name).journal) is None
