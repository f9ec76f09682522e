"""An API server on loopback that lists and watches as the real one does, and fails on command."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
import time
from collections import deque
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

Event = tuple[int, str, str, dict[str, Any]]

HTTP_FAULTS = {"401": 401, "403": 403, "410": 410, "429": 429, "500": 500}


class FakeApiServer:
    """Objects with versions, a log of events, and a queue of faults. Use it as a context manager.

    Args:
        port: the port; a free one if 0.
        cluster: uid of its `kube-system` namespace.
        tls: serve with this; http if None.
    """

    def __init__(self, port: int = 0, cluster: str = "cluster-1", tls: ssl.SSLContext | None = None) -> None:
        self.changed = threading.Condition()
        self.cluster = cluster
        self.revision = 100
        self.compacted = 0
        self.objects: dict[str, dict[str, dict[str, Any]]] = {}
        self.events: list[Event] = []
        self.faults: deque[str] = deque()
        self.always: Callable[[str, bool], str] = lambda path, watch: ""
        self.requests: list[tuple[float, str, bool]] = []
        self.tokens: list[str] = []
        self.page = 0
        self.snapshots: dict[str, list[dict[str, Any]]] = {}
        self.bookmarks = 0.05
        self.stopping = False
        self.frozen = False
        self.spoke = 0.0
        """When it last began to send anything, in epoch seconds: nobody can have heard it before."""
        self.sockets: set[socket.socket] = set()
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.fake = self
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.01,), name="fake-api-server"
        )

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def __enter__(self) -> FakeApiServer:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        with self.changed:
            self.stopping = True
            self.changed.notify_all()
        self.cut()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def kubeconfig(self, folder: Path, token: str = "first") -> Path:
        """Write a kubeconfig for this server."""
        path = folder / "kubeconfig.yaml"
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "fake",
            "clusters": [{"name": "fake", "cluster": {"server": f"http://127.0.0.1:{self.port}"}}],
            "users": [{"name": "fake", "user": {"token": token}}],
            "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "fake"}}],
        }
        path.write_text(json.dumps(config))
        return path

    def cut(self) -> None:
        """Reset every connection."""
        with self.changed:
            open_now = list(self.sockets)
        for one in open_now:
            reset(one)

    def freeze(self) -> None:
        """Say nothing more on any connection, as a stopped process does; new ones are accepted."""
        with self.changed:
            self.frozen = True
            self.changed.notify_all()

    def thaw(self) -> None:
        """Go on where it stopped."""
        with self.changed:
            self.frozen = False
            self.changed.notify_all()

    def become(self, cluster: str, revision: int) -> None:
        """Be another, empty cluster from now on; who is connected hears nothing of it."""
        with self.changed:
            self.cluster, self.revision, self.compacted = cluster, revision, revision
            self.objects.clear()
            self.events.clear()
            self.snapshots.clear()

    def put(self, plural: str, name: str, uid: str, **fields: Any) -> dict[str, Any]:
        """Create or change an object; a new uid under an old name is another object."""
        with self.changed:
            known = self.objects.setdefault(plural, {}).get(name)
            if known is not None and known["metadata"]["uid"] != uid:
                self.delete(plural, name)
                known = None
            self.revision += 1
            metadata = {
                "name": name,
                "namespace": "lesson",
                "uid": uid,
                "resourceVersion": str(self.revision),
            }
            obj = {"metadata": metadata, **fields}
            self.objects[plural][name] = obj
            self._log(plural, "MODIFIED" if known else "ADDED", obj)
            return obj

    def delete(self, plural: str, name: str) -> None:
        """Delete an object, if it is there."""
        with self.changed:
            obj = self.objects.get(plural, {}).pop(name, None)
            if obj is not None:
                self.revision += 1
                metadata = {**obj["metadata"], "resourceVersion": str(self.revision)}
                self._log(plural, "DELETED", {**obj, "metadata": metadata})

    def compact(self) -> None:
        """Forget the past: a watch from before now is answered 410."""
        with self.changed:
            self.compacted = self.revision
            self.events.clear()

    def versions(self, plural: str) -> dict[str, str]:
        """What a list would show: uid to resourceVersion."""
        with self.changed:
            found = self.objects.get(plural, {}).values()
            return {obj["metadata"]["uid"]: obj["metadata"]["resourceVersion"] for obj in found}

    def asked(self, plural: str, watch: bool | None = None) -> int:
        """How many requests there were for a kind."""
        with self.changed:
            return sum(
                1
                for _, path, is_watch in self.requests
                if path.endswith("/" + plural) and watch in (None, is_watch)
            )

    def _log(self, plural: str, verb: str, obj: dict[str, Any]) -> None:
        self.events.append((self.revision, plural, verb, obj))
        self.changed.notify_all()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    fake: FakeApiServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is what the tests do."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def setup(self) -> None:
        super().setup()
        with self.server.fake.changed:
            self.server.fake.sockets.add(self.connection)

    def finish(self) -> None:
        with self.server.fake.changed:
            self.server.fake.sockets.discard(self.connection)
        super().finish()

    def log_message(self, *arguments: Any) -> None:
        """Nothing: the tests read `requests`."""

    def do_GET(self) -> None:
        fake = self.server.fake
        url = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        watch = query.get("watch") == "true"
        if not self._awake():
            return
        with fake.changed:
            fake.requests.append((time.monotonic(), url.path, watch))
            fake.tokens.append(self.headers.get("Authorization", ""))
            fault = fake.always(url.path, watch)
            if not fault and fake.faults and not url.path.endswith("kube-system"):
                fault = fake.faults.popleft()
        if fault in HTTP_FAULTS:
            self._refuse(HTTP_FAULTS[fault])
        elif fault == "mute":
            self._hang()
        elif fault == "reset":
            reset(self.connection)
        elif url.path.endswith("/namespaces/kube-system"):
            self._json(200, {"kind": "Namespace", "metadata": {"name": "kube-system", "uid": fake.cluster}})
        elif watch:
            self._watch(url.path.rsplit("/", 1)[1], int(query["resourceVersion"]), fault)
        else:
            self._list(url.path.rsplit("/", 1)[1], query, fault)

    def _refuse(self, status: int) -> None:
        reason = {401: "Unauthorized", 403: "Forbidden", 410: "Expired", 429: "TooManyRequests"}.get(
            status, ""
        )
        body = {"kind": "Status", "code": status, "reason": reason, "message": f"fault {status}"}
        self._json(status, body, {"Retry-After": "2"} if status == 429 else {})

    def _json(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        data = json.dumps(body, ensure_ascii=False).encode()
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.server.fake.spoke = time.time()
        self.end_headers()
        self.wfile.write(data)

    def _awake(self) -> bool:
        """Wait while the server is frozen; whether the client is still there."""
        fake = self.server.fake
        with fake.changed:
            while fake.frozen and not fake.stopping and not _closed(self.connection):
                fake.changed.wait(0.02)
            return not fake.frozen

    def _hang(self) -> None:
        fake = self.server.fake
        with fake.changed:
            while not fake.stopping and self.connection in fake.sockets and not _closed(self.connection):
                fake.changed.wait(0.05)

    def _list(self, plural: str, query: dict[str, str], fault: str) -> None:
        fake = self.server.fake
        with fake.changed:
            found = [fake.objects[plural][name] for name in sorted(fake.objects.get(plural, {}))]
            revision = str(fake.revision)
            if "continue" in query:
                found = fake.snapshots[query["continue"].partition(":")[0]]
            else:
                fake.snapshots[revision] = found
        start = 0
        if "continue" in query:
            if fault == "page-410":
                self._refuse(410)
                return
            revision, _, at = query["continue"].partition(":")
            start = int(at)
        size = fake.page or len(found) or 1
        metadata = {"resourceVersion": revision}
        if start + size < len(found):
            metadata["continue"] = f"{revision}:{start + size}"
        self._json(200, {"kind": "List", "metadata": metadata, "items": found[start : start + size]})

    def _watch(self, plural: str, revision: int, fault: str) -> None:
        fake = self.server.fake
        if revision < fake.compacted:
            self._refuse(410)
            return
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        if fault == "last answer":
            self.send_header("Connection", "close")
        self.end_headers()
        if fault == "eof":
            self.wfile.write(b"0\r\n\r\n")
            return
        if fault in ("silent", "last answer"):
            self._hang()
            return
        if fault.startswith("in-band-"):
            status = {"kind": "Status", "code": int(fault[8:]), "message": fault}
            self._send({"type": "ERROR", "object": status})
            self.wfile.write(b"0\r\n\r\n")
            return
        fake.spoke = time.time()
        while self._awake():
            with fake.changed:
                news = [event for event in fake.events if event[0] > revision and event[1] == plural]
                if not news and not fake.stopping:
                    fake.changed.wait(fake.bookmarks)
                if fake.stopping or self.connection not in fake.sockets:
                    return
                if fake.frozen:
                    continue
                now = fake.revision
                compacted = revision < fake.compacted
                news = [event for event in fake.events if event[0] > revision and event[1] == plural]
            if compacted:
                self._send({"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired"}})
                self.wfile.write(b"0\r\n\r\n")
                return
            for at, _, verb, obj in news:
                event = {"type": verb, "object": obj}
                if fault == "unknown":
                    self._send({"type": "NEWFANGLED", "object": {"answer": 42}})
                if fault == "truncated":
                    self._chunk(json.dumps(event).encode()[:40])
                    self.wfile.write(b"0\r\n\r\n")
                    return
                for _ in range(2 if fault == "duplicate" else 1):
                    self._send(event, byte_by_byte=fault == "split")
                revision = at
            if fault == "duplicate":
                for _, _, verb, obj in reversed(news):
                    self._send({"type": verb, "object": obj})
            if not news:
                revision = now
                self._send({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": str(now)}}})

    def _send(self, event: dict[str, Any], byte_by_byte: bool = False) -> None:
        line = json.dumps(event, ensure_ascii=False).encode() + b"\n"
        for piece in [line[i : i + 1] for i in range(len(line))] if byte_by_byte else [line]:
            self._chunk(piece)

    def _chunk(self, data: bytes) -> None:
        self.server.fake.spoke = time.time()
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()


def reset(connection: socket.socket) -> None:
    """Close a connection with RST rather than FIN."""
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


def _closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
