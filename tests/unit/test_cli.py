"""The command line: every command is there, and an error is one sentence and exit code 1."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
import typer.testing

from k8slab import cli
from k8slab.cluster import choose
from k8slab.errors import LabError
from k8slab.session.notebook import PREVIOUS, NoLabYet, environment, start


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K8SLAB_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("K8SLAB_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("K8SLAB_BACKEND", raising=False)


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """The exit code of `k8slab ...`."""
    monkeypatch.setattr(sys, "argv", ["k8slab", *words])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    code = caught.value.code
    return code if isinstance(code, int) else 1


def test_every_command_says_what_it_is_for() -> None:
    result = typer.testing.CliRunner().invoke(cli.app, ["--help"])
    for command in ("up", "status", "kubeconfig", "kubectl", "progress", "down", "doctor", "demo", "lab"):
        assert command in result.output


@pytest.mark.parametrize(
    "words",
    [
        ["up", "--backend", "nope"],
        ["up", "--backend", "existing"],
        ["up", "--name", "Not A Name", "--backend", "embedded"],
        ["kubeconfig"],
        ["kubectl", "get", "pods"],
        ["demo", "--out", "/proc/nope/out"],
    ],
    ids=" ".join,
)
def test_an_error_is_one_sentence_on_standard_error_and_exit_code_1(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, *words) == 1
    printed = capsys.readouterr()
    assert "Traceback" not in printed.err
    last = printed.err.strip().splitlines()[-1]
    assert last.startswith("k8slab: ")
    assert last.endswith(".")


def test_an_unknown_backend_says_which_there_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, "up", "--backend", "nope")
    error = capsys.readouterr().err
    assert "'nope'" in error
    assert "embedded" in error
    assert "kind" in error


def test_status_without_clusters(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "status") == 0
    assert "No cluster" in capsys.readouterr().out
    assert run(monkeypatch, "status", "--json") == 0
    assert json.loads(capsys.readouterr().out) == []


def test_down_without_a_cluster_is_no_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "down", "--name", "nope") == 0
    assert "no cluster nope" in capsys.readouterr().out


def test_kubectl_gets_every_word_untouched(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []

    class FakeGuard:
        def __init__(self, *arguments: object) -> None:
            pass

        def become_kubectl(self, namespace: str, arguments: list[str]) -> None:
            seen.append(list(arguments))

    class FakeCluster:
        def api(self) -> None:
            pass

    monkeypatch.setattr("k8slab.clusters.running_cluster", lambda name: FakeCluster())
    monkeypatch.setattr("k8slab.guard.Guard", FakeGuard)
    words = ["exec", "-it", "web-1", "--help", "--", "sh", "-c", "echo --name x"]
    assert run(monkeypatch, "kubectl", *words) == 0
    assert seen == [words]


def test_interrupting_is_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(choose, "open_cluster", interrupted)
    assert run(monkeypatch, "up") in (1, 130)
    assert "Traceback" not in capsys.readouterr().err


def test_lab_becomes_jupyterlab_whose_kernels_know_the_name_lab(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[list[str], dict[str, str]]] = []

    def execve(program: str, argv: list[str], environment: dict[str, str]) -> None:
        seen.append((argv, environment))

    monkeypatch.setattr(os, "execve", execve)
    assert run(monkeypatch, "lab", "--no-browser", "--port=9999") == 0
    argv, given = seen[0]
    assert argv[1:3] == ["-m", "jupyterlab"]
    assert argv[-2:] == ["--no-browser", "--port=9999"]
    assert Path(given["PYTHONSTARTUP"]).name == "notebook_startup.py"
    quiet = Path(given["JUPYTER_CONFIG_PATH"].split(os.pathsep)[0]) / "labconfig" / "page_config.json"
    assert "announcements" in quiet.read_text(), "no question about news, no look at the internet"


def test_a_user_s_own_startup_file_is_run_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = tmp_path / "mine.py"
    mine.write_text("mine = 1\n")
    given = environment({"PYTHONSTARTUP": str(mine)})
    assert given[PREVIOUS] == str(mine)
    again = environment(given)
    assert again[PREVIOUS] == str(mine), "a lab started from a lab does not run itself"
    monkeypatch.setenv(PREVIOUS, str(mine))
    names: dict[str, object] = {}
    start(names)
    assert names["mine"] == 1
    assert isinstance(names["lab"], NoLabYet)


def test_before_the_lab_is_open_every_call_says_so() -> None:
    with pytest.raises(LabError, match="no lab in this notebook yet") as caught:
        NoLabYet().map()
    assert "Lab.open" in caught.value.cure
