"""The web server that stands in for nginx and httpd, as their images run it."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process.applet_programs import IMAGES, PYTHON, Running, free_port, run

WEB = IMAGES / "web-server"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "usr/share/nginx/html"
    folder.mkdir(parents=True)
    (folder / "index.html").write_text("<p>home</p>")
    (folder / "sub").mkdir()
    (folder / "sub" / "a b.txt").write_text("text")
    (folder / "empty").mkdir()
    (tmp_path / "secret").write_text("not for the web")
    return tmp_path


@pytest.fixture
def server(root: Path) -> Iterator[tuple[Running, int]]:
    offset = free_port() - 80
    running = Running(
        str(WEB / "nginx-bin" / "nginx"),
        "-g",
        "daemon off;",
        K8SLAB_ROOT=str(root),
        K8SLAB_ADDRESS="127.0.0.1",
        K8SLAB_PORT_OFFSET=str(offset),
    )
    try:
        assert f"127.0.0.1:{80 + offset}" in running.line("stand-in for nginx")
        yield running, 80 + offset
    finally:
        running.close()


def ask(port: int, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read()
    finally:
        connection.close()


def test_it_serves_files_and_names_itself(server: tuple[Running, int]) -> None:
    running, port = server
    status, headers, body = ask(port, "/")
    assert (status, headers["Content-Type"], body) == (200, "text/html", b"<p>home</p>")
    assert headers["Server"] == "k8slab-stand-in"
    assert running.line('"GET / HTTP/1.1" 200 11').startswith("127.0.0.1 - - [")
    assert ask(port, "/sub/a%20b.txt?x=1")[1]["Content-Type"] == "text/plain"
    assert ask(port, "/", "HEAD")[1]["Content-Length"] == "11"
    assert ask(port, "/", **{"If-None-Match": headers["ETag"]})[0] == 304
    status, headers, _ = ask(port, "/sub")
    assert (status, headers["Location"]) == (301, "/sub/")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/empty/", 403),
        ("GET", "/../../../../secret", 404),
        ("GET", "/%2e%2e/%2e%2e/%2e%2e/%2e%2e/secret", 404),
        ("GET", "/index.html%00", 400),
        ("POST", "/", 405),
    ],
)
def test_what_is_not_there_is_refused_on_a_page_of_its_own(
    server: tuple[Running, int], method: str, path: str, status: int
) -> None:
    found, headers, body = ask(server[1], path, method)
    assert found == status and headers["Server"] == "k8slab-stand-in"
    assert b"k8slab's static web server, a stand-in for nginx" in body
    assert b"nginx/" not in body


def test_what_is_no_http_is_a_bad_request(server: tuple[Running, int]) -> None:
    with socket.create_connection(("127.0.0.1", server[1]), 5) as connection:
        connection.sendall(b"hello\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 400 ")


def test_a_connection_serves_many_requests_and_a_file_that_changes(
    server: tuple[Running, int], root: Path
) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server[1], timeout=10)
    for text in ("one", "two"):
        (root / "usr/share/nginx/html/index.html").write_text(text)
        connection.request("GET", "/")
        assert connection.getresponse().read().decode() == text
    connection.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT])
def test_signals_end_it_after_what_is_in_flight(server: tuple[Running, int], number: signal.Signals) -> None:
    running, port = server
    with (
        socket.create_connection(("127.0.0.1", port), 5) as idle,
        socket.create_connection(("127.0.0.1", port), 5) as busy,
    ):
        idle.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert idle.recv(4096).startswith(b"HTTP/1.1 200")
        busy.sendall(b"GET / HTTP/1.1\r\n")
        running.line('"GET / HTTP/1.1" 200')
        running.process.send_signal(number)
        answers: list[bytes] = []
        rest = threading.Timer(0.3, lambda: busy.sendall(b"Host: x\r\n\r\n"))
        rest.start()
        answers.append(busy.recv(4096))
        rest.join()
    assert answers[0].startswith(b"HTTP/1.1 200") and b"Connection: close" in answers[0]
    assert running.process.wait(60) == 0


def test_httpd_has_its_stand_in_too(tmp_path: Path) -> None:
    offset = free_port() - 80
    (tmp_path / "usr/local/apache2/htdocs").mkdir(parents=True)
    running = Running(
        str(WEB / "httpd-bin" / "httpd-foreground"),
        K8SLAB_ROOT=str(tmp_path),
        K8SLAB_ADDRESS="127.0.0.1",
        K8SLAB_PORT_OFFSET=str(offset),
    )
    try:
        running.line("stand-in for httpd")
        assert ask(80 + offset, "/")[0] == 403
    finally:
        running.close()


@pytest.mark.parametrize(
    ("name", "word", "code"), [("nginx", "-v", 0), ("nginx", "-t", 1), ("httpd", "-v", 0), ("httpd", "-t", 1)]
)
def test_it_never_gives_the_product_s_version(name: str, word: str, code: int) -> None:
    got = run(str(WEB / f"{name}-bin" / name), word)
    assert got.returncode == code and f"stand-in for {name}" in got.stderr


def test_it_is_small() -> None:
    running = [
        Running(
            PYTHON,
            *("-I", "-S", "-E", "-B", str(WEB / "server.py"), "--root", "/tmp", "--port", str(free_port())),
            K8SLAB_ADDRESS="127.0.0.1",
        )
        for _ in range(3)
    ]
    try:
        for each in running:
            each.line("listens")
            text = Path(f"/proc/{each.process.pid}/smaps_rollup").read_text()
            assert int(text.partition("\nPss:")[2].split()[0]) <= 8 << 10
    finally:
        for each in running:
            each.close()


def test_every_program_of_an_image_can_be_executed() -> None:
    folders = [
        "applets/bin",
        "applets/fallback",
        *(f"web-server/{each}" for each in ("nginx-bin", "httpd-bin")),
    ]
    programs = [file for folder in folders for file in (IMAGES / folder).iterdir()]
    assert len(programs) == 9
    assert all(os.access(program, os.X_OK) for program in (*programs, WEB / "httpd-host/httpd-foreground"))
