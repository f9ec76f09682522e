"""What commands, debuggers and forwarded ports need of the runtime: patience, processes, sockets."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from k8slab.processes import ProcessIdentity
from tests.process.runtime_bench import Bench, Message, eventually, running_bench
from tests.process.test_runtime_streams import names, read_until


@pytest.fixture(params=["sandboxed", "plain"])
def isolation(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=("root", "nobody") if os.geteuid() == 0 else ("root",))
def bench(request: pytest.FixtureRequest, isolation: Any) -> Iterator[Bench]:
    with running_bench(isolation, request.param) as running:
        yield running


only_sandboxed = pytest.mark.parametrize("isolation", ["sandboxed"], indirect=True)


def running(words: list[str]) -> list[int]:
    """The processes with that command line."""
    wanted = "\0".join([*words, ""]).encode()
    found = []
    for path in Path("/proc").iterdir():
        try:
            if path.name.isdigit() and (path / "cmdline").read_bytes() == wanted:
                found.append(int(path.name))
        except OSError:
            continue
    return found


def test_a_command_may_outlive_who_asked_for_it(bench: Bench) -> None:
    record = bench.shell(bench.pod(), "sleep 1000")
    client = type(bench.client)(bench.folder.runtime_socket("worker-1"))
    script = "echo up; while :; do echo more; done"
    client.ask("exec", argv=["sh", "-c", script], outlives=True, **names(record))
    read_until(client.descriptors[1], b"up")
    (loud,) = running(["sh", "-c", script])
    client.close()
    client = type(bench.client)(bench.folder.runtime_socket("worker-1"))
    client.ask(
        "exec", argv=["sh", "-c", "echo up; read x; sleep 98765"], tty=True, outlives=True, **names(record)
    )
    read_until(client.descriptors[0], b"up")
    (shell,) = running(["sh", "-c", "echo up; read x; sleep 98765"])
    client.close()
    # A terminal hangs up; what writes into a pipe waits, and ends with its container.
    eventually(lambda: ProcessIdentity.of(shell) is None)
    assert ProcessIdentity.of(loud) is not None
    bench.client.ask("stop_container", grace=0, **names(record))
    eventually(lambda: ProcessIdentity.of(loud) is None)


def test_signals_that_the_lab_was_started_to_ignore_are_not_ignored_by_programs(isolation: Any) -> None:
    """As under `nohup`, or behind a shell's `&`."""
    before = {each: signal.signal(each, signal.SIG_IGN) for each in (signal.SIGHUP, signal.SIGINT)}
    try:
        with running_bench(isolation, "root") as bench:
            record = bench.shell(bench.pod(), "sleep 1000")
            _, mask = bench.execute(record, "grep SigIgn /proc/$$/status")[1].split()
            ignored = {number for number in range(1, 65) if int(mask, 16) >> (number - 1) & 1}
            # 32 and 33 are the C library's own: nobody can set them, and what make starts has them ignored.
            assert ignored <= {32, 33}
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_a_terminal_has_a_name_in_the_container(bench: Bench) -> None:
    record = bench.shell(bench.pod(), "sleep 1000")
    answer = bench.client.ask("exec", argv=["sh", "-c", "tty; stty size"], tty=True, **names(record))
    (terminal,) = bench.client.take()
    assert b"/dev/pts/" in read_until(terminal, b"\n")
    assert bench.client.event("exec_exited", exec=answer["exec"])["exit_code"] == 0
    os.close(terminal)


def test_a_program_with_a_terminal_leads_its_session(bench: Bench) -> None:
    """An interactive dash gives the terminal back at its end, and complains if it cannot."""
    record = bench.container(bench.pod(), ["sh", "-i"], stdin=True, tty=True)
    bench.client.ask("attach", **names(record))
    (terminal,) = bench.client.take()
    os.write(terminal, b"ps -o pid=,sid=,tpgid= -p $$ | tr -s ' ' , ; exit 4\n")
    seen = read_until(terminal, b"exit 4")
    assert bench.exited(record)["exit_code"] == 4
    while data := _rest(terminal):
        seen += data
    assert b"tty" not in seen, seen
    if bench.isolation == "sandboxed":
        assert b"1,1," in seen, seen
    os.close(terminal)


def _rest(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:
        return b""


def test_a_slow_reader_makes_the_program_wait(bench: Bench) -> None:
    script = "read go; head -c 4000000 /dev/zero | tr '\\0' x; echo; echo end >&2; sleep 1000"
    record = bench.shell(bench.pod(), script, stdin=True)
    bench.client.ask("attach", **names(record))
    stdin, stdout, stderr = bench.client.take()
    os.write(stdin, b"go\n")
    time.sleep(0.5)  # All buffers on the way are full by then.
    assert Path(record["log"]).stat().st_size < 2_000_000, "the program did not wait"
    received = b""
    while len(received) < 4_000_001:
        received += os.read(stdout, 65536)
    assert received == b"x" * 4_000_000 + b"\n"
    read_until(stderr, b"end")
    # Who goes away without reading does not keep it waiting for ever.
    for descriptor in (stdin, stdout, stderr):
        os.close(descriptor)
    assert bench.execute(record, "echo still here")[1] == "still here\n"


def test_a_program_that_reads_slowly_gets_all_of_its_input(bench: Bench) -> None:
    script = "read first; sleep 0.5; wc -c"
    record = bench.shell(bench.pod(), script, stdin=True, stdin_once=True)
    bench.client.ask("attach", **names(record))
    stdin, stdout, stderr = bench.client.take()
    os.write(stdin, b"first\n")
    for _ in range(40):
        os.write(stdin, bytes(100_000))
    os.close(stdin)
    assert read_until(stdout, b"\n").strip() == b"4000000"
    assert bench.exited(record)["exit_code"] == 0
    os.close(stdout)
    os.close(stderr)


def socket_of(bench: Bench, pod: str) -> socket.socket:
    bench.client.ask("socket", pod=pod, family="inet")
    (descriptor,) = bench.client.take()
    return socket.socket(fileno=descriptor)


@only_sandboxed
def test_a_socket_of_the_pods_own_network(bench: Bench) -> None:
    program = (
        "import socket; s = socket.create_server(('127.0.0.1', 7007)); "
        "c, _ = s.accept(); c.sendall(b'private')"
    )
    pod = bench.pod()
    record = bench.container(pod, [bench.python, "-c", program], ports=[7007])
    assert bench.client.ask("wait_listening", ports=[7007], timeout=60, **names(record))["listening"]
    with socket_of(bench, pod) as connection:
        connection.connect(("127.0.0.1", 7007))
        assert connection.recv(100) == b"private"
    other = bench.pod(2)
    with socket_of(bench, other) as connection, pytest.raises(ConnectionRefusedError):
        connection.connect(("127.0.0.1", 7007))
    refused = bench.client.try_ask("socket", pod="nobody", family="inet")
    assert refused["reason"] == "NotFound"


@pytest.mark.parametrize("isolation", ["plain"], indirect=True)
def test_at_the_plain_level_there_is_no_such_network(bench: Bench) -> None:
    refused = bench.client.try_ask("socket", pod=bench.pod(), family="inet")
    assert refused["reason"] == "NotImplemented"


@only_sandboxed
def test_processes_are_shared_with_a_target(bench: Bench) -> None:
    pod = bench.pod()
    target = bench.shell(pod, "sleep 45671 & sleep 45672")
    eventually(lambda: running(["sleep", "45672"]))
    guest = bench.shell(pod, "setsid sleep 45673 & sleep 45674", name="guest", share_with=target["container"])
    eventually(lambda: running(["sleep", "45674"]))
    listing = "for p in /proc/[0-9]*; do tr '\\0' ' ' < $p/cmdline; echo; done"
    for record in (target, guest):
        told = bench.execute(record, listing)[1]
        assert all(f"sleep {number}" in told for number in (45671, 45672, 45673, 45674)), told
    # What a guest leaves behind ends with it, and its host goes on.
    os.kill(running(["sleep", "45674"])[0], signal.SIGKILL)
    ended: Message = bench.exited(guest)
    assert ended["exit_code"] in (137, 0)
    eventually(lambda: not running(["sleep", "45673"]))
    assert running(["sleep", "45671"]) and running(["sleep", "45672"])
    # A target's end is its guests' end.
    second = bench.shell(pod, "sleep 45675", name="second", share_with=target["container"])
    bench.client.ask("stop_container", grace=0, **names(target))
    assert bench.exited(second)["exit_code"] == 137
    refused = bench.request(pod, ["true"], name="late", share_with=target["container"])
    answer = bench.client.try_ask("start_container", **refused)
    assert answer["reason"] == "CreateContainerError"
    assert answer["error"] == "target container 'app' is not running"
