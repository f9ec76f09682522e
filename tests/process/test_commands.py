"""Running programs to their end."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path

import pytest

from k8slab.commands import find_program, run
from k8slab.errors import CommandError, MissingToolError, WaitTimeoutError


def test_output_and_input() -> None:
    done = run(["sh", "-c", "cat; echo err >&2"], timeout=10, input="é\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, "é\n", "err\n")
    assert done.argv == ("sh", "-c", "cat; echo err >&2")


def test_nothing_is_read_without_input() -> None:
    assert run(["cat"], timeout=10).stdout == ""


def test_environment_and_folder(tmp_path: Path) -> None:
    done = run([sys.executable, "-c", "import os; print(os.environ['A'], os.getcwd())"], timeout=20,
               env={"A": "1"}, cwd=tmp_path)  # fmt: skip
    assert done.stdout.split() == ["1", str(tmp_path)]


def test_failure_shows_command_and_output() -> None:
    with pytest.raises(CommandError, match=r"(?s)`sh -c 'echo no >&2; exit 3'` ended with exit code 3:\nno"):
        run(["sh", "-c", "echo no >&2; exit 3"], timeout=10)
    assert run(["sh", "-c", "exit 3"], timeout=10, check=False).returncode == 3
    assert run(["sh", "-c", "kill -9 $$"], timeout=10, check=False).returncode == -signal.SIGKILL


def test_missing_program(tmp_path: Path) -> None:
    with pytest.raises(MissingToolError, match="no-such-program"):
        run(["no-such-program"], timeout=1)
    (tmp_path / "plain").write_text("text")
    with pytest.raises(MissingToolError, match="Permission denied"):
        run([tmp_path / "plain"], timeout=1)
    with pytest.raises(FileNotFoundError):
        run(["true"], timeout=1, cwd=tmp_path / "nowhere")


def test_time_out_kills_and_shows_what_was_printed(tmp_path: Path) -> None:
    started = time.monotonic()
    pid = tmp_path / "pid"
    with pytest.raises(WaitTimeoutError, match=r"Waited 1 s for .*last seen: hello"):
        run(["sh", "-c", f"echo $$ > {pid}; echo hello; exec sleep 60"], timeout=1)
    assert time.monotonic() - started < 30
    assert not Path(f"/proc/{pid.read_text().strip()}").exists()


def test_find_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_program("tool") is None
    (tmp_path / "tool").write_text("#!/bin/sh\n")
    assert find_program("tool") is None
    (tmp_path / "tool").chmod(0o755)
    assert find_program("tool") == tmp_path / "tool"
