"""`k8slab contexts`: every context of a file with what its server says, and files that are none."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import create_server

import pytest
import yaml


class Unauthorized(BaseHTTPRequestHandler):
    """Answers as an API server does to whom it does not know."""

    def do_GET(self) -> None:
        body = b'{"kind": "Status", "reason": "Unauthorized", "message": "Unauthorized", "code": 401}'
        self.send_response(401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on the terminal."""


@pytest.fixture
def unauthorized() -> Iterator[str]:
    """URL of a server that lets nobody in."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Unauthorized)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join(5)


def contexts(kubeconfig: Path) -> subprocess.CompletedProcess[str]:
    """What the command prints of a file."""
    argv = [sys.executable, "-m", "k8slab.cli", "contexts", "--kubeconfig", str(kubeconfig)]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)


def test_each_context_says_in_plain_words_what_its_cluster_answers(tmp_path: Path, unauthorized: str) -> None:
    with closing(create_server(("127.0.0.1", 0))) as reserved:
        nobody = f"https://127.0.0.1:{reserved.getsockname()[1]}"
    servers = {"barred": unauthorized, "off": nobody}
    content = {
        "clusters": [{"name": name, "cluster": {"server": url}} for name, url in servers.items()],
        "users": [
            {"name": "token", "user": {"token": "x"}},
            {"name": "program", "user": {"exec": {"command": "touch", "args": [str(tmp_path / "ran")]}}},
        ],
        "contexts": [
            *({"name": name, "context": {"cluster": name, "user": "token"}} for name in servers),
            {"name": "cloud", "context": {"cluster": "off", "user": "program"}},
            {"name": "half", "context": {"cluster": "gone", "user": "token"}},
        ],
    }
    file = tmp_path / "config"
    file.write_text(yaml.safe_dump(content))

    done = contexts(file)

    assert done.returncode == 0, done.stderr
    lines = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert "does not let this user in: Unauthorized" in lines["barred"]
    assert "does not answer: Connection refused." in lines["off"]
    assert "not asked: it runs `touch" in lines["cloud"] and not (tmp_path / "ran").exists()
    assert "its cluster or its user is not in this file" in lines["half"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "There is no kubeconfig "),
        ("a: [\n", "does not parse: expected the node content, but found '<stream end>' in line 2. "),
        ("- a\n", "is no kubeconfig. "),
    ],
)
def test_a_file_that_is_no_kubeconfig_is_one_line(tmp_path: Path, text: str | None, said: str) -> None:
    file = tmp_path / "config"
    if text is not None:
        file.write_text(text)

    done = contexts(file)

    assert done.returncode == 1 and done.stdout == ""
    assert said in done.stderr and len(done.stderr.splitlines()) == 1
