"""The kind backend against programs that play kind, docker and kubectl and record how they were called."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from k8slab.cluster import container_engine
from k8slab.cluster.contract import Cluster
from k8slab.cluster.kind import KindCluster, find_kind, kind_can_run, open_kind
from k8slab.cluster.kind_journal import KindJournal, kind_folder
from k8slab.errors import (
    ClusterError,
    ClusterStateError,
    CommandError,
    LabError,
    MissingToolError,
    StopError,
    WaitTimeoutError,
)
from k8slab.progress import CollectedProgress

STAND_IN = """#!{python}
import json, os, sys, time
from pathlib import Path
here = Path({folder!r})
program, words = Path(sys.argv[0]).name, sys.argv[1:]
names = ("KUBECONFIG", "KIND_EXPERIMENTAL_PROVIDER")
with (here / "calls.jsonl").open("a") as calls:
    calls.write(json.dumps([program, words, {{n: os.environ[n] for n in names if n in os.environ}}]) + "\\n")
state = json.loads((here / "state.json").read_text())
def save():
    (here / "state.json").write_text(json.dumps(state))
def value(flag):
    return words[words.index(flag) + 1]
def refuse(text, code=1):
    print(text, file=sys.stderr)
    sys.exit(code)
key = f"{{program}} {{' '.join(words[:2])}}"
if key in state["refuse"]:
    refuse(state["refuse"][key])
if program in ("docker", "podman", "nerdctl"):
    if words[0] == "ps" and "--all" in words:
        name = value("--filter").rpartition("=")[2]
        print("\\n".join(state["clusters"].get(name, [])))
elif program == "kind":
    if words[:2] == ["get", "clusters"]:
        print("\\n".join(state["clusters"]))
    elif words[:2] == ["create", "cluster"]:
        name = value("--name")
        if name in state["clusters"] or state.get("race"):
            state["clusters"].setdefault(name, ["f" * 64])
            save()
            refuse("ERROR: failed to create cluster: node(s) already exist for a cluster with the name")
        nodes = json.loads(Path(value("--config")).read_text())["nodes"]
        state["serial"] += 1
        state["clusters"][name] = [f"{{state['serial']:032x}}{{i:032x}}" for i in range(len(nodes))]
        save()
        Path(value("--kubeconfig")).write_text("apiVersion: v1\\nkind: Config\\n")
        if state.get("create_hangs"):
            (here / "hangs").touch()
            time.sleep(60)
    elif words[:2] == ["export", "kubeconfig"]:
        Path(value("--kubeconfig")).write_text("apiVersion: v1\\nkind: Config\\n")
    elif words[:2] == ["delete", "cluster"]:
        if not state.get("delete_keeps"):
            state["clusters"].pop(value("--name"), None)
        save()
elif program == "kubectl":
    rest = words[words.index("--cache-dir") + 2:]
    verb = " ".join(rest[:2])
    if verb in state["refuse"]:
        refuse(state["refuse"][verb])
    if "/version" in rest:
        print(json.dumps({{"gitVersion": "v1.34.0"}}))
    elif rest == ["get", "nodes", "--output", "name"]:
        print("node/lab-control-plane\\nnode/lab-worker")
    elif rest == ["get", "nodes"]:
        print("lab-worker   NotReady")
"""


class StandIns:
    """Programs on a PATH of their own that play kind, docker and kubectl."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.write({"clusters": {}, "serial": 0, "refuse": {}})

    def install(self, *programs: str) -> None:
        for program in programs:
            path = self.bin / program
            path.write_text(STAND_IN.format(python=sys.executable, folder=str(self.folder)))
            path.chmod(0o755)

    def state(self) -> dict[str, Any]:
        parsed: dict[str, Any] = json.loads((self.folder / "state.json").read_text())
        return parsed

    def write(self, state: dict[str, Any]) -> None:
        (self.folder / "state.json").write_text(json.dumps(state))

    def change(self, **values: Any) -> None:
        self.write({**self.state(), **values})

    def calls(self, program: str) -> list[tuple[list[str], dict[str, str]]]:
        """Arguments and environment of every call of one program, in order."""
        lines = (self.folder / "calls.jsonl").read_text().splitlines()
        return [(words, env) for name, words, env in map(json.loads, lines) if name == program]

    def verbs(self, program: str) -> list[str]:
        return [" ".join(words[:2]) for words, _ in self.calls(program)]


@pytest.fixture
def stand_ins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIns]:
    made = StandIns(tmp_path)
    made.install("docker", "kind", "kubectl")
    monkeypatch.setenv("PATH", str(made.bin))
    monkeypatch.setenv("K8SLAB_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "of-the-user"))
    monkeypatch.delenv("KIND_EXPERIMENTAL_PROVIDER", raising=False)
    yield made
    assert not (tmp_path / "of-the-user").exists()


def opened(name: str = "lab", nodes: int = 3) -> KindCluster:
    return open_kind(name, nodes, False, CollectedProgress(), "A test.")


# --- which engine answers ---------------------------------------------------------------------------


def test_can_run_where_an_engine_answers_and_kind_is_there(stand_ins: StandIns) -> None:
    assert kind_can_run() == (True, "docker answers and kind is installed")


def test_cannot_run_without_any_engine(stand_ins: StandIns) -> None:
    (stand_ins.bin / "docker").unlink()
    runs, why = kind_can_run()
    assert not runs
    assert "docker: not installed" in why
    assert "podman: not installed" in why


def test_cannot_run_without_kind(stand_ins: StandIns) -> None:
    (stand_ins.bin / "kind").unlink()
    assert kind_can_run() == (False, "docker answers, and the program kind is not installed")
    with pytest.raises(MissingToolError, match="kind is not installed"):
        opened()


@pytest.mark.parametrize(
    ("words", "seen"),
    [
        ("Cannot connect to the Docker daemon at unix:///var/run/docker.sock.", "installed, and not running"),
        ("permission denied while trying to connect to the docker API", "permission denied"),
        ("something odd", "`docker ps` ended with exit code 1: something odd"),
    ],
)
def test_an_engine_that_does_not_answer_says_why(stand_ins: StandIns, words: str, seen: str) -> None:
    stand_ins.change(refuse={"docker ps --quiet": words})
    runs, why = kind_can_run()
    assert not runs
    assert f"docker: {seen}" in why
    with pytest.raises(LabError, match="A kind cluster cannot be made") as caught:
        opened()
    assert "embedded" in caught.value.cure


def test_an_engine_that_hangs_counts_as_not_answering(
    stand_ins: StandIns, monkeypatch: pytest.MonkeyPatch
) -> None:
    (stand_ins.bin / "docker").write_text("#!/bin/sh\nexec /bin/sleep 60\n")
    monkeypatch.setattr(container_engine, "ANSWER_SECONDS", 0.2)
    runs, why = kind_can_run()
    assert not runs
    assert "docker: no answer within" in why


def test_podman_is_taken_where_docker_does_not_answer(stand_ins: StandIns) -> None:
    stand_ins.change(refuse={"docker ps --quiet": "Cannot connect"})
    stand_ins.install("podman")
    cluster = opened()
    assert cluster.info()["engine"] == "podman"
    assert {env["KIND_EXPERIMENTAL_PROVIDER"] for _, env in stand_ins.calls("kind")} == {"podman"}


def test_an_engine_the_user_named_is_honoured(stand_ins: StandIns, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_ins.install("nerdctl")
    monkeypatch.setenv("KIND_EXPERIMENTAL_PROVIDER", "nerdctl")
    assert kind_can_run() == (True, "nerdctl answers and kind is installed")
    monkeypatch.setenv("KIND_EXPERIMENTAL_PROVIDER", "lxc")
    assert "lxc" in kind_can_run()[1]


# --- making, attaching, deleting --------------------------------------------------------------------


def test_create_uses_a_configuration_and_a_kubeconfig_of_our_own(stand_ins: StandIns) -> None:
    cluster = opened()
    (create,) = [words for words, _ in stand_ins.calls("kind") if words[:2] == ["create", "cluster"]]
    assert create[create.index("--name") + 1] == "k8slab-lab"
    assert create[create.index("--kubeconfig") + 1] == str(cluster.kubeconfig)
    configuration = json.loads(Path(create[create.index("--config") + 1]).read_text())
    assert [node["role"] for node in configuration["nodes"]] == ["control-plane", *["worker"] * 3]
    assert cluster.kubeconfig.is_relative_to(os.environ["K8SLAB_STATE_DIR"])
    assert (cluster.kubeconfig.parent / "journal.json").stat().st_mode & 0o777 == 0o600


def test_the_ambient_kubeconfig_reaches_no_program(stand_ins: StandIns) -> None:
    opened().delete()
    for program in ("kind", "kubectl"):
        assert stand_ins.calls(program)
        assert all("KUBECONFIG" not in env for _, env in stand_ins.calls(program))
    for words, _ in stand_ins.calls("kubectl"):
        assert words[0] == "--kubeconfig"
        assert words[words.index("--cache-dir") + 1].startswith(os.environ["K8SLAB_STATE_DIR"])


def test_the_cluster_keeps_the_contract(stand_ins: StandIns) -> None:
    cluster: Cluster = opened()
    assert (cluster.backend, cluster.name, cluster.owned) == ("kind", "lab", True)
    assert (cluster.isolation, cluster.context) == ("containers", "kind-k8slab-lab")
    assert cluster.kubectl == stand_ins.bin / "kubectl"
    info = cluster.info()
    assert info["kubernetes"] == "v1.34.0"
    assert info["nodes"] == ["lab-control-plane", "lab-worker"]
    assert info["seconds_to_ready"] >= 0
    assert {part.part for part in cluster.reality() if part.played} == {"nodes"}
    assert cluster.url("10.96.0.10", 80) is None
    assert cluster.processes() == ()
    with pytest.raises(ClusterStateError, match="etcd"):
        cluster.process("etcd", "kill")
    cluster.close()
    cluster.close()
    assert "k8slab-lab" in stand_ins.state()["clusters"]


def test_the_marker_in_the_cluster_carries_the_uuid_of_the_journal(stand_ins: StandIns) -> None:
    cluster = opened()
    (marker,) = [words for words, _ in stand_ins.calls("kubectl") if "k8slab-owner" in words]
    assert f"--from-literal=uuid={cluster.uuid}" in marker
    journal = KindJournal.read(kind_folder("lab") / "journal.json")
    assert journal is not None
    assert journal.uuid == cluster.uuid
    assert list(journal.containers) == stand_ins.state()["clusters"]["k8slab-lab"]


def test_opening_again_attaches(stand_ins: StandIns) -> None:
    first, second = opened(), opened()
    assert first.uuid == second.uuid
    assert stand_ins.verbs("kind").count("create cluster") == 1


def test_attaching_writes_a_kubeconfig_that_was_removed_again(stand_ins: StandIns) -> None:
    opened().kubeconfig.unlink()
    assert opened().kubeconfig.exists()
    assert stand_ins.verbs("kind").count("export kubeconfig") == 1


def test_attaching_to_a_cluster_that_does_not_answer_says_so(stand_ins: StandIns) -> None:
    opened()
    stand_ins.change(refuse={"get --raw": "connection refused"})
    with pytest.raises(ClusterStateError, match="is there and does not answer") as caught:
        opened()
    assert "k8slab down" in caught.value.cure
    found = find_kind("lab")
    assert found is not None
    found.delete()
    assert stand_ins.state()["clusters"] == {}


def test_delete_removes_the_cluster_and_its_folder_and_may_be_called_twice(stand_ins: StandIns) -> None:
    cluster = opened()
    cluster.delete()
    cluster.delete()
    assert stand_ins.state()["clusters"] == {}
    assert not kind_folder("lab").exists()
    assert stand_ins.verbs("kind").count("delete cluster") == 1
    assert find_kind("lab") is None


def test_delete_that_leaves_containers_is_an_error(stand_ins: StandIns) -> None:
    cluster = opened()
    stand_ins.change(delete_keeps=True)
    with pytest.raises(StopError, match="still there"):
        cluster.delete()
    assert kind_folder("lab").exists()


def test_a_cluster_deleted_by_hand_is_made_again(stand_ins: StandIns) -> None:
    first = opened()
    stand_ins.change(clusters={})
    assert opened().uuid != first.uuid


# --- strangers --------------------------------------------------------------------------------------


def test_a_stranger_of_the_same_name_is_left_alone(stand_ins: StandIns) -> None:
    stand_ins.change(clusters={"k8slab-lab": ["a" * 64]})
    with pytest.raises(ClusterStateError, match="did not make") as caught:
        opened()
    assert "kind delete cluster --name k8slab-lab" in caught.value.cure
    assert stand_ins.state()["clusters"] == {"k8slab-lab": ["a" * 64]}
    assert "delete cluster" not in stand_ins.verbs("kind")
    assert find_kind("lab") is None


def test_a_stranger_that_took_the_place_of_ours_is_not_deleted(stand_ins: StandIns) -> None:
    cluster = opened()
    stand_ins.change(clusters={"k8slab-lab": ["b" * 64]})
    for touch in (cluster.delete, opened):
        with pytest.raises(ClusterStateError, match="did not make"):
            touch()
    assert stand_ins.state()["clusters"] == {"k8slab-lab": ["b" * 64]}


def test_a_stranger_made_while_we_were_about_to_is_not_deleted(stand_ins: StandIns) -> None:
    stand_ins.change(race=True)
    with pytest.raises(ClusterStateError, match="somebody else"):
        opened()
    assert "delete cluster" not in stand_ins.verbs("kind")
    assert not kind_folder("lab").exists()


def test_a_cluster_of_another_engine_is_not_taken_for_gone(stand_ins: StandIns) -> None:
    opened()
    stand_ins.install("podman")
    stand_ins.change(refuse={"docker ps --quiet": "Cannot connect"})
    with pytest.raises(ClusterStateError, match="made with docker"):
        opened()
    assert kind_folder("lab").exists()


# --- failures ---------------------------------------------------------------------------------------


def test_a_create_that_fails_leaves_nothing(stand_ins: StandIns) -> None:
    stand_ins.change(refuse={"kind create cluster": "ERROR: could not find a log line"})
    with pytest.raises(CommandError, match="could not find a log line"):
        opened()
    assert stand_ins.state()["clusters"] == {}
    assert not kind_folder("lab").exists()


def test_nodes_that_are_not_ready_in_time_are_an_error_that_shows_them(stand_ins: StandIns) -> None:
    stand_ins.change(refuse={"wait --for=condition=Ready": "error: timed out waiting for the condition"})
    with pytest.raises(WaitTimeoutError, match="NotReady"):
        opened()
    assert stand_ins.state()["clusters"] == {}


def test_ctrl_c_while_it_is_made_leaves_nothing(stand_ins: StandIns) -> None:
    stand_ins.change(create_hangs=True)
    code = (
        "from k8slab.cluster.kind import open_kind\nfrom k8slab.progress import SilentProgress\n"
        "open_kind('lab', 3, False, SilentProgress())"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE)
    deadline = time.monotonic() + 30
    while not (stand_ins.folder / "hangs").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert b"KeyboardInterrupt" in errors
    assert stand_ins.state()["clusters"] == {}
    assert not kind_folder("lab").exists()


def test_a_create_that_was_killed_is_cleaned_up_by_the_next(stand_ins: StandIns) -> None:
    kind_folder("lab").mkdir(parents=True)
    KindJournal("lab", "u-1", "docker").write(kind_folder("lab") / "journal.json")
    stand_ins.change(clusters={"k8slab-lab": ["c" * 64]})
    assert opened().uuid != "u-1"
    assert stand_ins.verbs("kind").count("delete cluster") == 1


@pytest.mark.parametrize("name", ["", "Lab", "a/b", "-x", "x" * 21])
def test_a_name_that_does_not_fit_is_refused_before_anything_runs(stand_ins: StandIns, name: str) -> None:
    with pytest.raises(ClusterError, match="no name for a cluster"):
        opened(name)
    assert not (stand_ins.folder / "calls.jsonl").exists()


def test_fewer_than_one_worker_is_refused(stand_ins: StandIns) -> None:
    with pytest.raises(ClusterError, match="at least 1"):
        opened(nodes=0)
