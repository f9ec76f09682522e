"""The demo application's HTTP server."""

import json
import os
import select
import signal
import socket
import threading
import time
from contextlib import suppress

from program import ENV, inside, listener, options, place, say

STARTED = time.time()
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
    503: "Service Unavailable",
}
# Okabe and Ito's colours, which can be told apart by (nearly) everyone; the word stands beside them.
COLOURS = {"blue": "#0072b2", "green": "#009e73", "orange": "#e69f00", "pink": "#cc79a7", "red": "#d55e00"}
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{pod}</title>
<body style="font:1.2rem/1.6 system-ui,sans-serif;margin:3rem;border-left:1rem solid {hex};padding-left:2rem">
<h1>{pod}</h1><p>version {version}, {colour}</p><p>address {address}<br>requests answered: {served}</p>"""
INDEX = """GET / /env /healthz/ready /healthz/live /counter /file?path=P /slow?seconds=N
POST /ready/fail /ready/ok /live/fail /live/ok /counter; PUT, POST (append), DELETE /file?path=P
any /crash /exit?code=N /hang /memory?mb=N /cpu?seconds=N
"""


def unquote(text):
    """Undo %xx and + in a query."""
    first, *rest = text.replace("+", " ").encode().split(b"%")
    try:
        return (first + b"".join(bytes([int(part[:2], 16)]) + part[2:] for part in rest)).decode()
    except ValueError:
        return text


class Server:
    """The HTTP server: a thread for each connection, the main one accepts and ends."""

    def __init__(self, port, drain):
        self.drain, self.ready, self.live = drain, True, True
        self.draining = self.hung = False
        self.served = self.counter = 0
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
                status, kind, text = self.reply(words[0], words[1], headers, body, connection)
            except (OSError, ValueError) as error:
                status, kind, text = 500, "text/plain", f"{error}\n"
        keep = keep and not self.draining
        payload = text if isinstance(text, bytes) else text.encode()
        lines = [
            f"HTTP/1.1 {status} {WORDS[status]}",
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

    def reply(self, method, target, headers, body, connection):
        """Status, content type and body for one request."""
        path, _, query = target.partition("?")
        asked = {key: unquote(value) for key, _, value in (pair.partition("=") for pair in query.split("&"))}
        plain = "text/plain"
        while self.hung:
            time.sleep(3600)
        with self.lock:
            self.served += path[:8] != "/healthz"
        if path == "/":
            return self.about(headers.get("accept", ""), connection)
        if path == "/healthz/ready":
            good = self.ready and not self.draining
            return (200, plain, "ok\n") if good else (503, plain, "not ready\n")
        if path == "/healthz/live":
            return (200, plain, "ok\n") if self.live else (503, plain, "not alive\n")
        if path in ("/ready/ok", "/ready/fail", "/live/ok", "/live/fail"):
            if method != "POST":
                return 405, plain, f"send POST {path}\n"
            setattr(self, path.split("/")[1], path.endswith("ok"))
            return 200, plain, f"ready: {self.ready}, live: {self.live}\n"
        if path == "/crash":
            say("asked to crash")
            os._exit(1)
        if path == "/exit":
            say(f"asked to exit with code {asked.get('code', '0')}")
            os._exit(int(asked.get("code", "0")) & 255)
        if path == "/hang":
            say("asked to hang: nothing is answered from now on")
            self.hung = True
            self.waker.send(b"h")
            time.sleep(1e8)
        if path == "/slow":
            time.sleep(min(float(asked.get("seconds", "1")), 600))
            return 200, plain, "that took a while\n"
        if path == "/memory":
            size = int(asked.get("mb", "10"))
            self.memory = [*self.memory, b"\1" * (size << 20)] if size > 0 else []
            return 200, plain, f"holds {sum(map(len, self.memory)) >> 20} MB\n"
        if path == "/cpu":
            seconds = min(float(asked.get("seconds", "1")), 600)
            threading.Thread(target=burn, args=(seconds,), daemon=True).start()
            return 200, plain, f"burns one core for {seconds:g} s\n"
        if path == "/env":
            return 200, "application/json", json.dumps(dict(sorted(ENV.items())), indent=1) + "\n"
        if path == "/counter":
            return 200, plain, f"{self.count(method == 'POST')}\n"
        if path == "/file":
            return self.file(method, inside(asked.get("path", "")), body)
        return 404, plain, INDEX

    def about(self, accept, connection):
        """What this copy is, as the client likes it."""
        address = ENV.get("POD_IP") or connection.getsockname()[0]
        if "POD_IP" not in ENV and "K8SLAB_ADDRESS" in ENV:
            address = "10." + address.partition(".")[2]
        facts = {
            "hostname": ENV.get("HOSTNAME") or socket.gethostname(),
            "pod": self.name,
            "version": self.version,
            "colour": self.colour,
            "served": self.served,
            "address": address,
            "node": ENV.get("NODE_NAME", ""),
            "uptime": round(time.time() - STARTED, 1),
        }
        if "text/html" in accept:
            return 200, "text/html", PAGE.format(hex=COLOURS.get(self.colour, "#555"), **facts)
        if "text/plain" in accept:
            return 200, "text/plain", f"{self.name} version {self.version} {self.colour} {self.served}\n"
        return 200, "application/json", json.dumps(facts) + "\n"

    def count(self, more):
        """The counter's value, one higher if asked; kept in COUNTER_FILE where that is set."""
        path = inside(ENV.get("COUNTER_FILE", ""))
        with self.lock:
            if path and os.path.exists(path):
                with open(path) as file:
                    self.counter = int(file.read() or 0)
            if more:
                self.counter += 1
                if path:
                    with open(path, "w") as file:
                        file.write(str(self.counter))
            return self.counter

    def file(self, method, path, body):
        """Read, write, append to or delete a file."""
        if method in ("PUT", "POST"):
            with open(path, "wb" if method == "PUT" else "ab") as file:
                file.write(body)
            return 200, "text/plain", f"{len(body)} bytes written\n"
        if not os.path.exists(path):
            return 404, "text/plain", "no such file\n"
        if method == "DELETE":
            os.unlink(path)
            return 200, "text/plain", "deleted\n"
        with open(path, "rb") as file:
            return 200, "text/plain", file.read()


def burn(seconds):
    """Use one core for a while."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        sum(range(1000))


def serve(words):
    """Run the HTTP server."""
    known = {"port": int(ENV.get("PORT", "8080")), "drain": float(ENV.get("DRAIN_SECONDS", "2"))}
    _, chosen = options(words, known)
    threading.stack_size(256 << 10)
    Server(chosen["port"], chosen["drain"]).run()
