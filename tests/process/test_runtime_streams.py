"""Exec, attach, terminals and logs of the runtime, over real descriptors."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from k8slab.processes import ProcessIdentity
from tests.process.runtime_bench import Bench, eventually, running_bench


@pytest.fixture(params=["sandboxed", "plain"])
def isolation(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=("root", "nobody") if os.geteuid() == 0 else ("root",))
def bench(request: pytest.FixtureRequest, isolation: Any) -> Iterator[Bench]:
    with running_bench(isolation, request.param) as running:
        yield running


def read_until(descriptor: int, wanted: bytes, seconds: float = 60) -> bytes:
    """Read until something appears, or the end."""
    data, deadline = b"", time.monotonic() + seconds
    while wanted not in data and time.monotonic() < deadline:
        if select.select([descriptor], [], [], 0.1)[0]:
            try:
                part = os.read(descriptor, 4096)
            except OSError:
                break
            if not part:
                break
            data += part
    assert wanted in data, data
    return data


def names(record: dict[str, Any]) -> dict[str, str]:
    return {"pod": record["pod"], "container": record["container"]}


def test_exec_runs_beside_the_program_with_its_environment(bench: Bench) -> None:
    record = bench.shell(bench.pod(), "sleep 1000", env=[["GREETING", "hello there"]])
    code, out, err = bench.execute(record, 'echo "$GREETING"; echo problem >&2; exit 7')
    assert (code, out, err) == (7, "hello there\n", "problem\n")
    code, out, _ = bench.execute(record, "kill -9 $$")
    assert code == 137


def test_exec_takes_input_and_its_end(bench: Bench) -> None:
    record = bench.shell(bench.pod(), "sleep 1000")
    answer = bench.client.ask("exec", argv=["cat"], stdin=True, **names(record))
    stdin, stdout, stderr = bench.client.take()
    os.write(stdin, b"to and fro")
    assert read_until(stdout, b"fro") == b"to and fro"
    os.close(stdin)
    assert bench.client.event("exec_exited", exec=answer["exec"])["exit_code"] == 0
    assert os.read(stdout, 10) == b""
    os.close(stdout)
    os.close(stderr)


def test_exec_of_what_is_not_there_is_refused(bench: Bench) -> None:
    record = bench.shell(bench.pod(), "sleep 1000")
    answer = bench.client.try_ask("exec", argv=["no-such-program"], **names(record))
    assert "executable file not found in $PATH" in answer["error"]
    assert bench.client.take() == []
    os.kill(record["pid"], signal.SIGKILL)
    bench.exited(record)
    assert bench.client.try_ask("exec", argv=["true"], **names(record))["reason"] == "NotRunning"


def test_exec_ends_with_its_connection(bench: Bench) -> None:
    record = bench.shell(bench.pod(), "sleep 1000")
    client = type(bench.client)(bench.folder.runtime_socket("worker-1"))
    client.ask("exec", argv=["sh", "-c", "echo up; sleep 987654"], **names(record))
    read_until(client.descriptors[1], b"up")
    eventually(_sleepers)
    (found,) = _sleepers()
    client.close()
    eventually(lambda: ProcessIdentity.of(found) is None)
    assert ProcessIdentity.of(record["pid"]) is not None


def _sleepers() -> list[int]:
    found = []
    for path in Path("/proc").iterdir():
        with suppress(OSError):
            if path.name.isdigit() and (path / "cmdline").read_bytes() == b"sleep\x00987654\x00":
                found.append(int(path.name))
    return found


def test_a_terminal_is_one_and_can_be_resized(bench: Bench) -> None:
    record = bench.shell(bench.pod(), "sleep 1000")
    script = (
        "echo term=$TERM; stty size; trap 'stty size; exit 3' WINCH; echo ready; while :; do sleep 0.02; done"
    )
    answer = bench.client.ask("exec", argv=["sh", "-c", script], tty=True, stdin=True, **names(record))
    (terminal,) = bench.client.take()
    assert b"term=xterm" in read_until(terminal, b"ready")
    bench.client.ask("resize", exec=answer["exec"], rows=33, columns=101)
    read_until(terminal, b"33 101")
    assert bench.client.event("exec_exited", exec=answer["exec"])["exit_code"] == 3
    os.close(terminal)


def test_control_c_in_a_terminal_interrupts(bench: Bench) -> None:
    record = bench.shell(bench.pod(), "sleep 1000")
    script = "trap 'echo caught; exit 9' INT; echo ready; while :; do sleep 0.02; done"
    answer = bench.client.ask("exec", argv=["sh", "-c", script], tty=True, **names(record))
    (terminal,) = bench.client.take()
    read_until(terminal, b"ready")
    os.write(terminal, b"\x03")
    assert bench.client.event("exec_exited", exec=answer["exec"])["exit_code"] == 9
    os.close(terminal)


def test_attach_shares_the_programs_own_streams(bench: Bench) -> None:
    record = bench.shell(bench.pod(), "while read word; do echo got $word; done; exit 6", stdin=True)
    bench.client.ask("attach", **names(record))
    stdin, stdout, stderr = bench.client.take()
    os.write(stdin, b"one\n")
    read_until(stdout, b"got one\n")
    assert bench.printed(record) == ["stdout F got one"]
    for descriptor in (stdin, stdout, stderr):
        os.close(descriptor)
    bench.client.ask("attach", **names(record))
    stdin, stdout, stderr = bench.client.take()
    os.write(stdin, b"two\n")
    read_until(stdout, b"got two\n")
    os.kill(record["pid"], signal.SIGKILL)
    bench.exited(record)
    assert os.read(stdout, 10) == b"" and os.read(stderr, 10) == b""
    for descriptor in (stdin, stdout, stderr):
        os.close(descriptor)


def test_stdin_once_ends_with_the_first_who_attached(bench: Bench) -> None:
    record = bench.shell(bench.pod(), "cat; exit 8", stdin=True, stdin_once=True)
    bench.client.ask("attach", **names(record))
    stdin, stdout, stderr = bench.client.take()
    os.write(stdin, b"all\n")
    os.close(stdin)
    assert bench.exited(record)["exit_code"] == 8
    assert bench.printed(record) == ["stdout F all"]
    os.close(stdout)
    os.close(stderr)


def test_attach_to_a_terminal(bench: Bench) -> None:
    script = "stty -echo; echo ready; read word; echo got $word; read more"
    record = bench.shell(bench.pod(), script, stdin=True, tty=True)
    bench.client.ask("attach", **names(record))
    (terminal,) = bench.client.take()
    eventually(lambda: "stdout F ready" in bench.printed(record))
    os.write(terminal, b"word\n")
    read_until(terminal, b"got word")
    bench.client.ask("resize", container=record["container"], rows=20, columns=70)
    os.write(terminal, b"\x03")
    assert bench.exited(record)["exit_code"] in (2, 130)
    while os.read(terminal, 100):
        continue
    os.close(terminal)


def test_logs_are_cri(bench: Bench) -> None:
    pod = bench.pod()
    script = "printf 'a line\\n\\nlong '; head -c 40000 /dev/zero | tr '\\0' x; echo; printf 'no newline'"
    record = bench.shell(pod, script)
    bench.exited(record)
    path = Path(record["log"])
    expected = bench.folder.node("worker-1") / "logs" / f"default_web-1_{pod}" / "app" / "0.log"
    assert path == expected
    lines = path.read_text().splitlines()
    moment = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z"
    assert all(re.fullmatch(rf"{moment} stdout [FP] .*", line) for line in lines)
    texts = bench.printed(record)
    assert texts[:2] == ["stdout F a line", "stdout F "]
    long = [line for line in texts if "x" in line]
    assert [line.split(" ")[1] for line in long] == ["P", "P", "F"]
    assert "".join(line.split(" ", 2)[2] for line in long) == "long " + "x" * 40000
    assert texts[-1] == "stdout F no newline"


def test_a_log_is_rotated_and_old_files_go(bench: Bench) -> None:
    record = bench.shell(
        bench.pod(),
        "i=0; while [ $i -lt 62 ]; do head -c 1000000 /dev/zero | tr '\\0' 'y'; "
        "i=$((i+1)); done; echo; echo end",
    )
    bench.exited(record)
    path = Path(record["log"])
    files = sorted(path.parent.glob("0.log*"))
    assert len(files) == 5
    assert all(file.stat().st_size < 11 << 20 for file in files)
    assert bench.printed(record)[-1] == "stdout F end"


def test_secrets_stand_in_no_argument_list(bench: Bench) -> None:
    record = bench.shell(bench.pod(), "sleep 1000", env=[["PASSWORD", "hunter2-of-the-test"]])
    lines = []
    for path in Path("/proc").iterdir():
        if path.name.isdigit() and int(path.name) != os.getpid():
            try:
                lines.append((path / "cmdline").read_bytes())
            except OSError:
                continue
    assert not any(b"hunter2-of-the-test" in line for line in lines)
    _, out, _ = bench.execute(record, "echo $PASSWORD")
    assert out == "hunter2-of-the-test\n"
    journal = bench.folder.node("worker-1") / "pods" / record["pod"] / "pod.json"
    assert journal.stat().st_mode & 0o077 == 0
    assert "hunter2" in json.dumps(json.loads(journal.read_text()))
