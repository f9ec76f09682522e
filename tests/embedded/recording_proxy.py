"""A proxy in front of an API server that writes down every request: what left the process, from outside."""

from __future__ import annotations

import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any

import urllib3
import yaml

from k8slab.cluster.api_connection import connect

REVIEWS = (
    ("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"),
    ("POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"),
    ("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews"),
)
"""What is sent by POST and changes nothing: the API server answers such a review and stores it nowhere
(source: rest.go of selfsubjectaccessreview and selfsubjectrulesreview in pkg/registry/authorization, and of
pkg/registry/authentication/selfsubjectreview, Kubernetes 1.36.3)."""


class RecordingProxy:
    """Listens on loopback without any credential and passes requests on with those of a kubeconfig.

    Args:
        kubeconfig: whose cluster to reach.
        folder: where the kubeconfig that leads here is written, as `stranger.yaml` with the context `theirs`.
    """

    def __init__(self, kubeconfig: Path, folder: Path) -> None:
        self.requests: list[tuple[str, str]] = []
        """Method and path of each, in order."""
        upstream = connect(kubeconfig)
        seen = self.requests

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def pass_on(self) -> None:
                seen.append((self.command, self.path))
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length) if length else None
                kept = {k: v for k, v in self.headers.items() if k.lower() in ("content-type", "accept")}
                answer = upstream.pool.request(
                    self.command, upstream.server + self.path, body=body, headers=kept, preload_content=False,
                    redirect=False, retries=False, timeout=urllib3.Timeout(connect=5, read=60),
                )  # fmt: skip
                self.send_response(answer.status)
                for name in ("Content-Type", "Warning"):
                    if name in answer.headers:
                        self.send_header(name, answer.headers[name])
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                with suppress(OSError, urllib3.exceptions.HTTPError):
                    while data := answer.read1(65536):
                        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
                        self.wfile.flush()
                    self.wfile.write(b"0\r\n\r\n")
                answer.close()

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = pass_on

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                """A client that has gone is no news."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.kubeconfig = folder / "stranger.yaml"
        address = f"http://127.0.0.1:{self._server.server_address[1]}"
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "k", "cluster": {"server": address}}],
            "users": [{"name": "u", "user": {}}],
            "contexts": [{"name": "theirs", "context": {"cluster": "k", "user": "u"}}],
        }
        self.kubeconfig.write_text(yaml.safe_dump(content))

    def __enter__(self) -> RecordingProxy:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    @property
    def changes(self) -> list[tuple[str, str]]:
        """Everything but reads, and questions about one's own rights."""
        return [each for each in self.requests if each[0] not in ("GET", "HEAD") and each not in REVIEWS]
