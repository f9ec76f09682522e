"""What the demo application can be asked for beyond the basics: see test_demo_application.py for those."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process.applet_programs import IMAGES, PYTHON, Running, free_port, run

DEMO = (PYTHON, "-I", "-S", "-E", "-B", str(IMAGES / "demo" / "demo.py"))


class Web:
    """A running copy that serves HTTP."""

    def __init__(self, *words: str, **variables: str) -> None:
        self.port = free_port()
        variables = {"K8SLAB_ADDRESS": "127.0.0.1", "POD_NAME": "web-1", "COLOUR": "orange", **variables}
        self.running = Running(*DEMO, "serve", "--port", str(self.port), *words, **variables)

    def ask(self, path: str, method: str = "GET", **headers: str) -> tuple[int, str]:
        """Status and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, headers=headers)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()


@pytest.fixture
def web() -> Iterator[Web]:
    made = Web()
    try:
        made.running.line("listens on")
        yield made
    finally:
        made.running.close()


def test_the_page_for_browsers_is_plain_and_escaped() -> None:
    made = Web(POD_NAME="<b>&", NODE_NAME="worker-1")
    try:
        made.running.line("listens on")
        status, page = made.ask("/", Accept="text/html,application/xhtml+xml")
        assert status == 200 and page.startswith("<!doctype html>")
        assert "&lt;b&gt;&amp;" in page and "<b>" not in page
        assert "#e69f00" in page and "version 1, orange" in page and "worker-1" in page
        for path in ("/ready/fail", "/crash", "/memory?mb=50"):
            assert f'<form method="post" action="{path}">' in page
        assert "src=" not in page and "http" not in page.replace("<!doctype html>", ""), (
            "nothing from elsewhere"
        )
        assert json.loads(made.ask("/", Accept="*/*")[1])["colour"] == "orange"
    finally:
        made.running.close()


def test_it_lists_everything_that_can_be_asked(web: Web) -> None:
    status, text = web.ask("/help")
    assert status == 200
    for path in ("/files", "/dns", "/fetch", "/status", "/log", "/headers", "/slow"):
        assert path in text


def test_a_probe_fails_as_often_as_it_was_told(web: Web) -> None:
    assert web.ask("/ready/fail?count=2", "POST")[0] == 200
    assert [web.ask("/healthz/ready")[0] for _ in range(4)] == [503, 503, 200, 200]
    assert web.ask("/live/fail?count=1", "POST")[0] == 200
    assert web.ask("/live/ok", "POST")[0] == 200
    assert [web.ask("/healthz/live")[0] for _ in range(2)] == [200, 200]


def test_it_shows_headers_folders_names_and_any_status(web: Web, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    told = json.loads(web.ask("/headers", **{"X-Forwarded-For": "1.2.3.4"})[1])
    assert told["from"] == "127.0.0.1" and told["headers"]["x-forwarded-for"] == "1.2.3.4"
    assert web.ask(f"/files?path={tmp_path}") == (200, "file\nfolder/\n")
    assert web.ask(f"/files?path={tmp_path}/nothing")[0] == 404
    assert web.ask("/dns?name=localhost")[1].splitlines()[-1] in ("127.0.0.1", "::1")
    assert web.ask("/dns?name=no-such-name.invalid")[0] == 502
    assert (web.ask("/status?code=418")[0], web.ask("/status?code=99")[0]) == (418, 400)


def test_it_asks_another_server(web: Web) -> None:
    status, text = web.ask(f"/fetch?url=http://localhost:{web.port}/counter")
    assert (status, text) == (200, "200\n0\n")
    assert web.ask(f"/fetch?url=http://127.0.0.1:{free_port()}/")[0] == 502
    assert web.ask("/fetch?url=https://x/") == (502, "a URL starts with http://\n")


def test_it_writes_as_many_lines_as_told(web: Web) -> None:
    assert web.ask("/log?lines=3") == (200, "3 lines\n")
    web.running.line("line 3 of 3")


def test_starting_takes_as_long_as_told() -> None:
    made = Web("--start", "30")
    try:
        made.running.line("starting takes 30 s")
        with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", made.port), 1):
            pass
        made.running.process.terminate()
        assert made.running.process.wait(60) == 143
    finally:
        made.running.close()


@pytest.mark.parametrize("mode", ["serve", "store", "job"])
def test_what_it_needs_and_lacks_ends_it_with_an_error(mode: str) -> None:
    done = run(*DEMO, mode, "--require", "PASSWORD,USER_NAME", USER_NAME="root")
    assert done.returncode == 1
    assert done.stderr.startswith("demo: error: cannot start without PASSWORD\n")
    assert run(*DEMO, mode, "--require").returncode == 1


def test_with_what_it_needs_it_runs() -> None:
    done = run(*DEMO, "job", "--seconds", "0", "--require", "PASSWORD", PASSWORD="x")
    assert (done.returncode, done.stdout) == (0, "done, exit code 0\n")


@pytest.mark.parametrize(("index", "code"), [("0", 0), ("2", 1)])
def test_one_index_of_a_job_fails(index: str, code: int) -> None:
    done = run(*DEMO, "job", "--seconds", "0", "--fail-index", "2", JOB_COMPLETION_INDEX=index)
    assert (done.returncode, done.stdout) == (code, f"part {index}: done, exit code {code}\n")


def test_the_store_makes_its_folder_and_nc_talks_to_it(tmp_path: Path) -> None:
    port = free_port()
    running = Running(
        *(*DEMO, "store", "--port", str(port), "--file", str(tmp_path / "a" / "b" / "data")),
        K8SLAB_ADDRESS="127.0.0.1",
    )
    try:
        running.line("store listens on")
        said = run("nc", "127.0.0.1", str(port), stdin="SET name Ada\nGET name\nQUIT\n")
        assert said.stdout == "OK\nAda\n"
        assert (tmp_path / "a" / "b" / "data").read_text() == '{"name": "Ada"}\n'
    finally:
        running.close()


def test_the_dockerfile_takes_every_file_along() -> None:
    dockerfile = (IMAGES / "demo" / "Dockerfile").read_text()
    assert "COPY *.py /app/" in dockerfile
    assert {each.suffix for each in (IMAGES / "demo").iterdir() if each.is_file()} == {".py", ""}
