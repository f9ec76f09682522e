"""The demo application's HTTP server."""

import os
import select
import signal
import socket
import threading
import time
from contextlib import suppress

from answers import reply
from program import ENV, end_with, listener, options, place, say

LARGEST_BODY = 10 << 20
LONGEST_REQUEST = 64 << 10
KEEP_ALIVE_SECONDS = 75
FIRST_REQUEST_SECONDS = 5
WORDS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    411: "Length Required",
    413: "Content Too Large",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
}


class Server:
    """The HTTP server: a thread for each connection, the main one accepts and ends."""

    def __init__(self, port, drain):
        self.drain, self.ready, self.live = drain, True, True
        self.draining = self.hung = False
        self.served = self.counter = 0
        self.failing = {}
        self.memory, self.busy, self.idle, self.probes = [], set(), set(), {}
        self.lock = threading.Lock()
        self.port, self.listener = port, listener(port)
        self.name = ENV.get("POD_NAME") or ENV.get("HOSTNAME") or socket.gethostname()
        self.version, self.colour = ENV.get("VERSION", "1"), ENV.get("COLOUR", "blue")
        self.wake, self.waker = socket.socketpair()
        self.waker.setblocking(False)

    def run(self):
        """Serve until SIGTERM, then drain: accept for a while, finish what is in flight, exit 0."""
        signal.set_wakeup_fd(self.waker.fileno())
        signal.signal(signal.SIGTERM, self.terminate)
        signal.signal(signal.SIGINT, self.terminate)
        self.listener.setblocking(False)
        say(f"demo version {self.version} ({self.colour}) listens on {place(self.listener)}")
        end = None
        while end is None or time.monotonic() < end:
            left = None if end is None else max(0.0, end - time.monotonic())
            readable = select.select([self.listener, self.wake], [], [], left)[0]
            if self.wake in readable:
                self.wake.recv(64)
            if self.draining and end is None:
                end = time.monotonic() + self.drain
            self.accept()
        self.accept()
        self.listener.close()
        with self.lock:
            for connection in self.idle:
                # Ends idle connections; a request that has arrived already is read and answered.
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RD)
        while self.busy or self.idle:
            time.sleep(0.01)
        say("drained; bye")

    def terminate(self, number, frame):
        """Begin to drain; without draining, or hung, end at once."""
        if self.drain <= 0 or self.hung:
            say("SIGTERM: exits at once")
            os._exit(143 if self.hung else 0)
        if not self.draining:
            say(f"SIGTERM: not ready any more, accepts for {self.drain:g} s")
        self.draining = True

    def accept(self):
        """Take every connection that waits."""
        while not self.hung:
            try:
                connection, peer = self.listener.accept()
            except OSError:
                return
            connection.settimeout(FIRST_REQUEST_SECONDS)
            # A new connection is busy, not idle: its request is on the way.
            with self.lock:
                self.busy.add(connection)
            threading.Thread(target=self.converse, args=(connection, peer[0]), daemon=True).start()
        # Hung: connections wait in the backlog, for ever.
        time.sleep(0.05)

    def converse(self, connection, peer):
        """Answer the requests of one connection."""
        rest, again = b"", True
        try:
            while again:
                while b"\r\n\r\n" not in rest and len(rest) < LONGEST_REQUEST:
                    part = connection.recv(16384)
                    if not part:
                        return
                    rest += part
                self.move(connection, self.idle, self.busy)
                rest, again = self.answer(connection, peer, rest)
                self.move(connection, self.busy, self.idle)
                connection.settimeout(KEEP_ALIVE_SECONDS)
        except OSError:
            pass
        finally:
            connection.close()
            with self.lock:
                self.idle.discard(connection)
                self.busy.discard(connection)

    def move(self, connection, source, target):
        """Note that a connection has become busy, or idle."""
        with self.lock:
            source.discard(connection)
            target.add(connection)

    def answer(self, connection, peer, data):
        """Answer one request; what came after it, and whether the connection stays open."""
        began = time.monotonic()
        head, _, rest = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in lines)
        headers = {key.strip().lower(): value.strip() for key, _, value in pairs}
        words = first.split(" ")
        length, keep, body = headers.get("content-length", "0"), False, b""
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            status, kind, text = 400, "text/plain", "not HTTP/1\n"
        elif "transfer-encoding" in headers or not length.isdigit():
            status, kind, text = 411, "text/plain", "a Content-Length is needed\n"
        elif int(length) > LARGEST_BODY:
            status, kind, text = 413, "text/plain", "at most 10 MB\n"
        else:
            if headers.get("expect", "").lower() == "100-continue":
                connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            while len(rest) < int(length):
                part = connection.recv(65536)
                if not part:
                    return b"", False
                rest += part
            body, rest = rest[: int(length)], rest[int(length) :]
            keep = "close" not in headers.get("connection", "").lower() and words[2] == "HTTP/1.1"
            try:
                status, kind, text = reply(self, words[0], words[1], headers, body, connection)
            except (OSError, ValueError) as error:
                status, kind, text = 500, "text/plain", f"{error}\n"
        keep = keep and not self.draining
        payload = text if isinstance(text, bytes) else text.encode()
        lines = [
            f"HTTP/1.1 {status} {WORDS.get(status, 'Asked For')}",
            f"Content-Type: {kind}; charset=utf-8",
            f"Content-Length: {len(payload)}",
            f"Connection: {'keep-alive' if keep else 'close'}",
        ]
        header = "\r\n".join(lines).encode() + b"\r\n\r\n"
        connection.sendall(header if words[0] == "HEAD" else header + payload)
        path = words[1] if len(words) > 1 else "?"
        # Probes come every second: they are logged when their answer changes.
        if not path.startswith("/healthz") or self.probes.get(path) != status:
            self.probes[path] = status
            say(f"{peer} {words[0]} {path} {status} {(time.monotonic() - began) * 1000:.1f} ms")
        return rest, keep


def serve(words):
    """Run the HTTP server."""
    known = {
        "port": int(ENV.get("PORT", "8080")),
        "drain": float(ENV.get("DRAIN_SECONDS", "2")),
        "start": float(ENV.get("START_SECONDS", "0")),
    }
    _, chosen = options(words, known)
    threading.stack_size(256 << 10)
    if chosen["start"] > 0:
        end_with(143)
        say(f"starting takes {chosen['start']:g} s")
        time.sleep(chosen["start"])
    Server(chosen["port"], chosen["drain"]).run()
