"""The kit's wget, nc, nslookup, ping and curl, against servers of this host."""

from __future__ import annotations

import contextlib
import http.server
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.process.applet_programs import IMAGES, Running, free_port, run, until_listens


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers by path: text, a redirect, chunks, an echo, an error."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/text")
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif self.path == "/chunks":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"4\r\nfour\r\n6;x=y\r\n and 6\r\n0\r\n\r\n")
        elif self.path == "/short":
            self.send_response(200)
            self.send_header("Content-Length", "100")
            self.end_headers()
            self.close_connection = True
        else:
            self.answer(
                200 if self.path != "/nothing" else 404, f"{self.command} {self.path}\n{self.headers}"
            )

    def do_HEAD(self) -> None:
        self.answer(200 if self.path != "/nothing" else 404, "")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.answer(200, f"{self.headers['X-Mine']} {body}")

    def answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *words: Any) -> None:
        """Says nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.fixture
def start() -> Iterator[Any]:
    with contextlib.ExitStack() as stack:

        def started(*argv: str, **variables: str) -> Running:
            running = Running(*argv, **variables)
            stack.callback(running.close)
            return running

        yield started


# --- wget -----------------------------------------------------------------------------------------------


def test_wget_writes_to_standard_output_and_says_nothing_when_quiet(port: int) -> None:
    got = run("wget", "-qO-", f"127.0.0.1:{port}/text?x=1")
    assert (got.returncode, got.stderr) == (0, "")
    assert got.stdout.startswith(f"GET /text?x=1\nHost: 127.0.0.1:{port}\n")
    assert "User-Agent: Wget\n" in got.stdout and "Connection: close\n" in got.stdout
    assert run("wget", "-q", "-O", "-", f"http://127.0.0.1:{port}/chunks").stdout == "four and 6"
    assert run("wget", "-qO-", f"http://127.0.0.1:{port}/moved").stdout.startswith("GET /text")


def test_wget_saves_files_as_busybox_does(port: int, tmp_path: Path) -> None:
    got = run("wget", f"http://127.0.0.1:{port}/some/file", folder=tmp_path)
    assert got.returncode == 0
    said = [f"Connecting to 127.0.0.1 (127.0.0.1:{port})", "saving to 'file'", "'file' saved"]
    assert got.stderr.splitlines() == said
    assert (tmp_path / "file").read_text().startswith("GET /some/file")
    again = run("wget", f"http://127.0.0.1:{port}/some/file", folder=tmp_path)
    assert (again.returncode, again.stderr) == (1, "wget: can't open 'file': File exists\n")
    assert run("wget", "-q", "-P", str(tmp_path), f"http://127.0.0.1:{port}").returncode == 0
    assert (tmp_path / "index.html").exists()


def test_wget_says_what_went_wrong(port: int) -> None:
    where = f"http://127.0.0.1:{port}"
    free = free_port()
    for words, said in (
        ([f"{where}/nothing"], "wget: server returned error: HTTP/1.1 404 Not Found"),
        (["http://no-such-name.invalid"], "wget: bad address 'no-such-name.invalid'"),
        ([f"127.0.0.1:{free}"], "wget: can't connect to remote host (127.0.0.1): Connection refused"),
        ([f"{where}/short"], "wget: connection closed prematurely"),
        (["ftp://x"], "wget: not an http or ftp url: ftp://x"),
        (["--fly", where], "wget: unrecognized option '--fly'"),
        ([], "wget: missing URL"),
    ):
        got = run("wget", "-q", "-O", "/dev/null", *words)
        assert got.returncode == 1 and got.stderr.splitlines()[0] == said


def test_wget_asks_posts_and_waits_as_told(port: int, tmp_path: Path) -> None:
    where = f"http://127.0.0.1:{port}"
    spider = run("wget", "--spider", f"{where}/text")
    assert spider.returncode == 0 and spider.stderr.endswith("remote file exists\n")
    assert run("wget", "-q", "--spider", f"{where}/nothing").returncode == 1
    posted = run("wget", "-qO-", "--header", "X-Mine: yes", "--post-data", "a=b", where)
    assert posted.stdout == "yes a=b"
    (tmp_path / "body").write_text("from a file")
    assert "from a file" in run("wget", "-qO-", f"--post-file={tmp_path / 'body'}", where).stdout
    assert "  HTTP/1.1 200 OK\n" in run("wget", "-SqO-", where).stderr
    with socket.create_server(("127.0.0.1", 0)) as silent:
        late = run("wget", "-T", "0.3", "-qO-", f"127.0.0.1:{silent.getsockname()[1]}")
        assert (late.returncode, late.stderr) == (1, "wget: download timed out\n")


# --- nc -------------------------------------------------------------------------------------------------


def test_nc_looks_at_ports(port: int) -> None:
    open_ = run("nc", "-zv", "127.0.0.1", str(port))
    assert (open_.returncode, open_.stderr) == (0, f"127.0.0.1 (127.0.0.1:{port}) open\n")
    free = free_port()
    shut = run("nc", "-z", "-v", "-w", "2", "127.0.0.1", str(free))
    assert (shut.returncode, shut.stderr) == (1, f"nc: 127.0.0.1 (127.0.0.1:{free}): Connection refused\n")
    assert run("nc", "-z", "127.0.0.1", str(free)).stderr == ""
    assert run("nc", "no-such-name.invalid", "1").stderr == "nc: bad address 'no-such-name.invalid'\n"
    assert run("nc", "127.0.0.1", "http").returncode == 1
    assert run("nc", "-x").stderr.startswith("nc: unrecognized option: x\n")


def test_nc_talks_and_passes_on_the_end_of_its_input(port: int) -> None:
    request = f"GET /text HTTP/1.0\r\nHost: x:{port}\r\n\r\n"
    assert run("nc", "127.0.0.1", str(port), stdin=request).stdout.startswith("HTTP/1.1 200 OK\n")


def test_nc_listens_once_or_for_ever(start: Any) -> None:
    port = free_port()
    once = start("nc", "-l", "-p", str(port), K8SLAB_ADDRESS="127.0.0.1")
    # A look at the port would be the one connection it takes.
    while run("nc", "127.0.0.1", str(port), stdin="hello\n").returncode:
        assert once.process.poll() is None
    once.line("hello")
    once.process.stdin.close()
    assert once.process.wait(60) == 0
    for_ever = free_port()
    start(
        "nc", "-lk", "-p", str(for_ever), "-e", "sh", "-c", "read x; echo got $x", K8SLAB_ADDRESS="127.0.0.1"
    )
    until_listens(for_ever)
    for word in ("one", "two"):
        assert run("nc", "127.0.0.1", str(for_ever), stdin=f"{word}\n").stdout == f"got {word}\n"


# --- nslookup -------------------------------------------------------------------------------------------

KNOWN = {
    (b"\3web\7default\3svc\7cluster\5local\0", 1): [(1, socket.inet_aton("10.9.128.5"))],
    (b"\x05_http\x04_tcp\3web\7default\3svc\7cluster\5local\0", 33): [
        (33, struct.pack(">3H", 0, 100, 80) + b"\3web\5local\0")
    ],
    (b"\0015\003128\0019\00210\7in-addr\4arpa\0", 12): [(12, b"\3web\5local\0")],
    (b"\5alias\7default\3svc\7cluster\5local\0", 1): [(5, b"\7example\3com\0"), (1, b"\1\2\3\4")],
    (b"\5empty\0", 28): [],
}


@pytest.fixture
def name_server(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """A name server, and the root of a container whose resolv.conf names this host."""
    (tmp_path / "etc").mkdir()
    search = "search default.svc.cluster.local svc.cluster.local cluster.local"
    text = f"{search}\nnameserver 127.0.0.1\noptions ndots:5\n"
    (tmp_path / "etc" / "resolv.conf").write_text(text)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.bind(("127.0.0.1", 0))
        line.settimeout(30)
        ending = threading.Event()

        def serve() -> None:
            while not ending.is_set():
                query, peer = line.recvfrom(512)
                if len(query) < 12:
                    return
                name, kind = query[12:-4], struct.unpack_from(">H", query, len(query) - 4)[0]
                found = KNOWN.get((name, kind))
                code = 3 if found is None else 0
                answers = b"".join(
                    b"\xc0\x0c" + struct.pack(">2HIH", sort, 1, 5, len(data)) + data
                    for sort, data in found or []
                )
                head = query[:2] + struct.pack(">5H", 0x8400 | code, 1, len(found or []), 0, 0)
                line.sendto(head + query[12:] + answers, peer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield str(line.getsockname()[1]), str(tmp_path)
        ending.set()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", line.getsockname())
        thread.join()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["web"], 0, "Name:\tweb.default.svc.cluster.local\nAddress: 10.9.128.5\n"),
        (["web.default.svc"], 0, "Address: 10.9.128.5\n"),
        (["web.default.svc.cluster.local."], 0, "Address: 10.9.128.5\n"),
        (["-type=srv", "_http._tcp.web"], 0, "service = 0 100 80 web.local\n"),
        (["10.9.128.5"], 0, "5.128.9.10.in-addr.arpa\tname = web.local\n"),
        (
            ["alias"],
            0,
            "canonical name = example.com\nName:\talias.default.svc.cluster.local\nAddress: 1.2.3.4\n",
        ),
        (["nosuch"], 1, "** server can't find nosuch: NXDOMAIN\n"),
        (["-type=aaaa", "empty."], 1, "*** Can't find empty.: No answer\n"),
    ],
)
def test_nslookup_asks_as_a_resolver_does(
    name_server: tuple[str, str], words: list[str], code: int, said: str
) -> None:
    port, root = name_server
    got = run("nslookup", f"-port={port}", *words, K8SLAB_ROOT=root)
    assert got.stdout.startswith(f"Server:\t\t127.0.0.1\nAddress:\t127.0.0.1:{port}\n\n")
    assert said in got.stdout and got.returncode == code


def test_nslookup_without_a_server_says_so(tmp_path: Path) -> None:
    free = str(free_port(socket.SOCK_DGRAM))
    got = run("nslookup", f"-port={free}", "web", "127.0.0.1")
    assert got.returncode == 1 and got.stderr == "nslookup: Connection refused\n"
    got = run("nslookup", "web", K8SLAB_ROOT=str(tmp_path))
    assert (got.returncode, got.stderr) == (1, "nslookup: /etc/resolv.conf names no server\n")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "resolv.conf").write_text("nameserver 10.253.128.10\n")
    at_plain = {"K8SLAB_ROOT": str(tmp_path), "K8SLAB_ADDRESS": "127.253.0.2"}
    got = run("nslookup", f"-port={free}", "web", **at_plain)
    assert got.returncode == 1 and "no name server answers here: at the plain level" in got.stderr
    assert run("nslookup", "-type=zzz", "web").returncode == 1


# --- the plain level ------------------------------------------------------------------------------------


def test_at_the_plain_level_everybody_else_is_reached_by_the_proxy() -> None:
    asked = []
    with socket.create_server(("127.0.0.1", 0)) as proxy:

        def serve() -> None:
            for answer in (b"200 OK", b"502 Bad Gateway", b"403 Forbidden", b""):
                connection, _ = proxy.accept()
                with connection:
                    asked.append(connection.recv(4096).split(b"\r\n")[0].decode())
                    if answer:
                        connection.sendall(b"HTTP/1.1 " + answer + b"\r\n\r\n")
                    if answer.startswith(b"200"):
                        connection.recv(4096)
                        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")

        thread = threading.Thread(target=serve)
        thread.start()
        where = {"K8SLAB_ADDRESS": "127.9.0.5", "http_proxy": f"http://127.0.0.1:{proxy.getsockname()[1]}"}
        got = [run("wget", "-qO-", "http://web:81/", **where) for _ in range(4)]
        thread.join()
    assert asked == ["CONNECT web:81 HTTP/1.1"] * 4
    assert got[0].stdout == "hi"
    assert [each.stderr for each in got[1:]] == [
        "wget: bad address 'web'\n",
        "wget: can't connect to remote host (web): Network is unreachable\n",
        "wget: can't connect to remote host (web): Connection refused\n",
    ]


def test_at_the_plain_level_localhost_is_the_pod_itself(port: int) -> None:
    got = run(
        "wget", "-qO-", f"localhost:{port}", K8SLAB_ADDRESS="127.0.0.1", http_proxy="http://127.0.0.1:1"
    )
    assert got.stdout.startswith("GET /\n")


def test_ping_is_refused_where_there_is_no_network_of_the_pod_s_own() -> None:
    got = run("ping", "-c", "1", "web", K8SLAB_ADDRESS="127.9.0.5")
    assert got.returncode == 1 and got.stderr.startswith("ping: refused: at the plain level")
    assert run("ping", "no-such-name.invalid").stderr == "ping: bad address 'no-such-name.invalid'\n"


# --- curl and the rest ----------------------------------------------------------------------------------


def test_the_stand_in_for_curl_says_that_it_is_one_and_does_the_commonest(port: int) -> None:
    curl, where = str(IMAGES / "applets" / "fallback" / "curl"), f"http://127.0.0.1:{port}"
    assert "stand-in of k8slab" in run(curl, "--version").stdout
    assert run(curl, "-s", f"{where}/text").stdout.startswith("GET /text")
    written = run(curl, "-sL", "-o", "/dev/null", "-w", "%{http_code}\\n", f"{where}/moved")
    assert written.stdout == "200\n"
    assert run(curl, "-s", "-H", "X-Mine: 1", "-d", "a=b", where).stdout == "1 a=b"
    assert run(curl, "-sI", where).stdout.startswith("HTTP/1.1 200 OK\n")
    failed = run(curl, "-sSf", f"{where}/nothing")
    assert (failed.returncode, failed.stderr) == (22, "curl: (22) The requested URL returned error: 404\n")
    assert run(curl, "-s", f"127.0.0.1:{free_port()}").returncode == 7
    assert run(curl, "http://no-such-name.invalid").returncode == 6
    assert run(curl, "--fly", where).returncode == 2


def test_busybox_runs_by_name() -> None:
    assert run("busybox", "echo", "a", "b").stdout == "a b\n"
    assert run("busybox", "no-such-program").returncode == 127
