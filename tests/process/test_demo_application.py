"""The demo application as a program: what it answers, how it ends, and what it costs."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

DEMO = Path(__file__).parents[2] / "images" / "demo" / "demo.py"
PYTHON = os.path.realpath(sys.executable)


class Program:
    """A running copy of the demo application."""

    def __init__(self, *words: str, address: str = "127.0.0.1", **variables: str) -> None:
        environment = {
            "PATH": os.environ["PATH"],
            "K8SLAB_ADDRESS": address,
            "POD_NAME": "web-1",
            **variables,
        }
        argv = [PYTHON, "-I", "-S", "-E", "-B", str(DEMO), *words]
        self.address = address
        self.began = time.monotonic()
        # Unbuffered, so that `select` knows of every line.
        self.process = subprocess.Popen(
            argv, env=environment, bufsize=0, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
        )
        self.lines: list[str] = []

    def line(self, wanted: str = "", seconds: float = 60) -> str:
        """Read its output until a line holds some text."""
        assert self.process.stdout is not None
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if select.select([self.process.stdout], [], [], 0.1)[0]:
                line = self.process.stdout.readline().decode()
                assert line, f"it ended: {self.lines}"
                self.lines.append(line)
                if wanted in line:
                    return line
        raise AssertionError(f"no line with {wanted!r}: {self.lines}")

    def listens(self) -> int:
        """Wait until it listens; its port."""
        return int(self.line("listens on").partition("listens on ")[2].split()[0].rpartition(":")[2])

    def end(self, seconds: float = 60) -> int:
        """Wait for its end; its exit code."""
        return self.process.wait(seconds)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


Start = Callable[..., Program]


@pytest.fixture
def start() -> Iterator[Start]:
    with contextlib.ExitStack() as stack:

        def started(*words: str, **variables: str) -> Program:
            program = Program(*words, **variables)
            stack.callback(program.close)
            return program

        yield started


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture
def web(start: Start) -> tuple[Program, int]:
    program = start("serve", "--port", str(free_port()), VERSION="2", COLOUR="green")
    return program, program.listens()


def ask(
    port: int, path: str, method: str = "GET", body: bytes | None = None, **headers: str
) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, body=body, headers=headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def test_it_says_who_it_is(web: tuple[Program, int]) -> None:
    _, port = web
    status, body = ask(port, "/")
    facts: dict[str, Any] = json.loads(body)
    assert status == 200
    assert (facts["pod"], facts["version"], facts["colour"]) == ("web-1", "2", "green")
    assert json.loads(ask(port, "/")[1])["served"] == facts["served"] + 1
    status, page = ask(port, "/", Accept="text/html,*/*")
    assert b"<html" in page and b"green" in page and b"web-1" in page
    assert ask(port, "/nothing")[0] == 404


def test_one_connection_serves_many_requests(web: tuple[Program, int]) -> None:
    program, port = web
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        for _ in range(3):
            connection.request("GET", "/")
            first = connection.sock
            assert connection.getresponse().read()
            assert connection.sock is first
    finally:
        connection.close()
    assert [program.line("GET / 200") for _ in range(3)]


def test_probes_follow_their_switches(web: tuple[Program, int]) -> None:
    _, port = web
    for probe in ("ready", "live"):
        assert ask(port, f"/healthz/{probe}")[0] == 200
        assert ask(port, f"/{probe}/fail")[0] == 405
        assert ask(port, f"/{probe}/fail", "POST")[0] == 200
        assert ask(port, f"/healthz/{probe}")[0] == 503
        assert ask(port, "/")[0] == 200
        assert ask(port, f"/{probe}/ok", "POST")[0] == 200
        assert ask(port, f"/healthz/{probe}")[0] == 200


@pytest.mark.parametrize(("path", "code"), [("/crash", 1), ("/exit?code=0", 0), ("/exit?code=42", 42)])
def test_it_ends_as_asked(web: tuple[Program, int], path: str, code: int) -> None:
    program, port = web
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        ask(port, path)
    assert program.end() == code


def test_hung_it_answers_nothing_but_holds_its_port(web: tuple[Program, int]) -> None:
    program, port = web
    for path in ("/hang", "/healthz/live"):
        with socket.create_connection(("127.0.0.1", port), 5) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\n\r\n".encode())
            connection.settimeout(0.3)
            with pytest.raises(TimeoutError):
                connection.recv(10)
    program.process.terminate()
    assert program.end() == 143


def test_memory_is_really_taken_and_given_back(web: tuple[Program, int]) -> None:
    program, port = web
    before = _resident(program.process.pid)
    assert ask(port, "/memory?mb=50")[1] == b"holds 50 MB\n"
    assert _resident(program.process.pid) - before > 45 << 20
    assert ask(port, "/memory?mb=0")[1] == b"holds 0 MB\n"
    assert _resident(program.process.pid) - before < 20 << 20


def test_the_burner_burns_and_the_rest_answers(web: tuple[Program, int]) -> None:
    program, port = web
    ask(port, "/cpu?seconds=0.3")
    assert ask(port, "/healthz/live")[0] == 200
    deadline = time.monotonic() + 60
    while _processor_seconds(program.process.pid) < 0.3:
        assert time.monotonic() < deadline


def test_files_are_read_written_and_deleted(web: tuple[Program, int], tmp_path: Path) -> None:
    _, port = web
    path = f"/file?path={tmp_path}/a%20file"
    assert ask(port, path)[0] == 404
    assert ask(port, path, "PUT", b"one")[0] == 200
    assert ask(port, path, "POST", b"two")[0] == 200
    assert ask(port, path) == (200, b"onetwo")
    assert (tmp_path / "a file").read_text() == "onetwo"
    assert ask(port, path, "DELETE")[0] == 200
    assert not (tmp_path / "a file").exists()
    assert ask(port, f"/file?path={tmp_path}/no/folder", "PUT", b"x")[0] == 500


def test_the_counter_outlives_the_program(start: Start, tmp_path: Path) -> None:
    for expected in (b"1\n", b"2\n"):
        program = start("serve", "--port", str(free_port()), COUNTER_FILE=str(tmp_path / "count"))
        assert ask(program.listens(), "/counter", "POST")[1] == expected
        program.close()


def test_bad_requests_are_answered(web: tuple[Program, int]) -> None:
    _, port = web
    for sent, status in (
        (b"nonsense\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", b"411"),
        (b"PUT /file HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", b"413"),
        (b"GET /memory?mb=many HTTP/1.1\r\n\r\n", b"500"),
    ):
        with socket.create_connection(("127.0.0.1", port), 5) as connection:
            connection.sendall(sent)
            assert connection.recv(100).split()[1] == status
    assert ask(port, "/")[0] == 200


def test_draining_fails_readiness_and_still_answers(start: Start) -> None:
    program = start("serve", "--port", str(free_port()), "--drain", "4")
    port = program.listens()
    slow: list[tuple[int, bytes]] = []
    flying = threading.Thread(target=lambda: slow.append(ask(port, "/slow?seconds=5")))
    flying.start()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/")
    assert connection.getresponse().getheader("Connection") == "keep-alive"
    time.sleep(0.1)
    program.process.terminate()
    program.line("not ready any more")
    assert ask(port, "/healthz/ready")[0] == 503
    assert ask(port, "/healthz/live")[0] == 200
    response = http.client.HTTPResponse(connection.sock)
    connection.sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
    response.begin()
    assert (response.status, response.getheader("Connection")) == (200, "close")
    response.close()
    connection.close()
    assert program.end() == 0
    flying.join()
    assert slow == [(200, b"that took a while\n")]
    with pytest.raises(ConnectionRefusedError):
        ask(port, "/")


def test_an_idle_connection_does_not_hold_it_up(start: Start) -> None:
    program = start("serve", "--port", str(free_port()), "--drain", "0.1")
    connection = http.client.HTTPConnection("127.0.0.1", program.listens(), timeout=10)
    connection.request("GET", "/")
    connection.getresponse().read()
    program.process.terminate()
    assert program.end() == 0
    connection.close()


@pytest.mark.parametrize("drain", ["4", "0"])
def test_under_load_only_the_one_that_drains_loses_nothing(start: Start, drain: str) -> None:
    """The load stops, as a Service's would, while the one that drains still accepts."""
    program = start("serve", "--port", str(free_port()), DRAIN_SECONDS=drain)
    port = program.listens()
    client = start("client", f"http://127.0.0.1:{port}/", "--rate", "100")
    client.line(" 200 web-1 ")
    program.process.terminate()
    if drain == "0":
        while " 200 " in client.line():
            continue
    else:
        program.line("not ready any more")
        # Answered all the same, while it drains.
        assert all(" 200 " in client.line() for _ in range(10))
    client.process.terminate()
    summary = json.loads(client.line("summary").partition(" ")[2])
    assert program.end() == 0
    assert summary["sent"] == summary["answered"] + summary["failed"]
    assert (summary["failed"] == 0) == (drain != "0")
    assert client.end() == (0 if drain != "0" else 1)


def test_a_steady_client_counts_truthfully(start: Start, web: tuple[Program, int]) -> None:
    _, port = web
    client = start("client", f"http://127.0.0.1:{port}/", "--count", "20", "--rate", "200")
    summary = json.loads(client.line("summary").partition(" ")[2])
    assert summary == {"sent": 20, "answered": 20, "failed": 0, "by": {"web-1": 20}}
    assert client.end() == 0
    assert json.loads(ask(port, "/")[1])["served"] == 21
    client = start("client", f"http://127.0.0.1:{free_port()}/", "--count", "3", "--rate", "100")
    assert "refused" in client.line()
    assert '"failed": 3' in client.line("summary")
    assert client.end() == 1


def test_the_client_asks_its_proxy(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        where = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        client = start("client", "http://web.default:8080/path?x=1", "--count", "1", HTTP_PROXY=where)
        connection, _ = proxy.accept()
        with connection:
            request = connection.recv(4096).decode()
            connection.sendall(b'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{"pod": "far"}')
        assert request.startswith(
            "GET http://web.default:8080/path?x=1 HTTP/1.1\r\nHost: web.default:8080\r\n"
        )
        assert " 200 far " in client.line()


def test_ports_below_1024_have_a_twin(start: Start) -> None:
    offset = free_port() - 80
    assert start("serve", "--port", "80", K8SLAB_PORT_OFFSET=str(offset)).listens() == 80 + offset


@pytest.mark.parametrize("signalled", [False, True])
def test_a_job_works_and_ends(start: Start, signalled: bool) -> None:
    job = start("job", "--seconds", "30" if signalled else "0.2", "--exit-code", "3")
    job.line("working")
    if signalled:
        job.process.send_signal(signal.SIGTERM)
    assert job.end() == (143 if signalled else 3)


def test_the_store_keeps_what_it_was_told(start: Start, tmp_path: Path) -> None:
    data = str(tmp_path / "data")

    def talk(port: int, *commands: str) -> list[str]:
        with (
            socket.create_connection(("127.0.0.1", port), 5) as connection,
            connection.makefile("rw") as stream,
        ):
            answers = []
            for command in commands:
                stream.write(command + "\n")
                stream.flush()
                answers.append(stream.readline().strip())
            return answers

    first = start("store", "--port", str(free_port()), "--file", data)
    spoken = (
        "PING",
        "SET name Ada L",
        "GET name",
        "GET other",
        "INCR n",
        "INCR n",
        "DEL name",
        "KEYS",
        "FLY",
    )
    answers = talk(first.listens(), *spoken)
    assert answers[:8] == ["PONG", "OK", "Ada L", "(nil)", "1", "2", "OK", "n"]
    assert answers[8].startswith("ERR")
    first.process.kill()
    first.end()
    second = start("store", "--port", str(free_port()), "--file", data)
    assert talk(second.listens(), "GET n", "GET name", "SET x y", "INCR x", "PING")[:3] == [
        "2",
        "(nil)",
        "OK",
    ]
    second.process.terminate()
    assert second.end() == 0


def test_wrong_words_are_refused_with_the_right_ones(start: Start) -> None:
    for words in (("fly",), ("serve", "--speed", "9"), ("client",), ("client", "https://x")):
        tried = subprocess.run([PYTHON, "-I", "-B", str(DEMO), *words], capture_output=True, text=True)
        assert tried.returncode == 1
        assert "demo:" in tried.stderr and "Traceback" not in tried.stderr


def test_it_is_small_and_starts_fast(start: Start) -> None:
    """At most 8 MB beside other copies, and at most 60 ms of processor time until it listens.

    On a busy machine everything costs more of it: there a bare interpreter's start is the measure.
    """
    before = os.times()
    for _ in range(5):
        subprocess.run([PYTHON, "-I", "-S", "-E", "-B", "-c", ""], check=True)
    after = os.times()
    bare = (after.children_user + after.children_system - before.children_user - before.children_system) / 5
    programs = [start("serve", "--port", str(free_port())) for _ in range(4)]
    for program in programs:
        port = program.listens()
        assert _processor_seconds(program.process.pid) <= max(0.1, 5 * bare)
        ask(port, "/")
    for program in programs:
        text = Path(f"/proc/{program.process.pid}/smaps_rollup").read_text()
        assert int(text.partition("\nPss:")[2].split()[0]) <= 8 << 10


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
