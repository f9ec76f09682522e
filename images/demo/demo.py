"""k8slab's demo application: one small program that shows what a cluster does with programs.

    demo.py serve [--port 8080] [--drain 2]        an HTTP server (the default)
    demo.py store [--port 6379] [--file PATH]      a tiny key-value store over TCP, one command a line
    demo.py job [--seconds 5] [--exit-code 0]      works for a while and ends
    demo.py client URL [--rate 5] [--count 0]      sends requests, a line each and a summary at the end

Standard library only and few imports of it, so that twenty copies fit beside everything else.
Environment: VERSION and COLOUR (what it reports), PORT, DRAIN_SECONDS, POD_NAME, POD_IP, NODE_NAME,
COUNTER_FILE (keeps /counter over restarts), HTTP_PROXY (client). On a k8slab process node K8SLAB_ADDRESS
is where to listen, K8SLAB_PORT_OFFSET is added to ports below 1024, and K8SLAB_ROOT is the container's `/`.
"""

import json
import os
import select
import signal
import socket
import sys
import threading
import time

ENV = os.environ
STARTED = time.time()
LARGEST_BODY = 10 << 20
LONGEST_REQUEST = 64 << 10
KEEP_ALIVE_SECONDS = 75
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


def say(text):
    """Write one line at once; a log that nobody can write to is no reason to stop."""
    try:
        os.write(1, (text + "\n").encode())
    except OSError:
        pass


def unquote(text):
    """Undo %xx and + in a query."""
    first, *rest = text.replace("+", " ").encode().split(b"%")
    try:
        return (first + b"".join(bytes([int(part[:2], 16)]) + part[2:] for part in rest)).decode()
    except ValueError:
        return text


def options(words, known):
    """Positional words and `--name value` pairs; `known` holds the defaults."""
    found, positional, words = dict(known), [], list(words)
    while words:
        word = words.pop(0)
        name, equals, value = word[2:].partition("=")
        if not word.startswith("--"):
            positional.append(word)
        elif name in known and (equals or words):
            found[name] = type(known[name])(value if equals else words.pop(0))
        else:
            raise SystemExit(f"demo: unknown option {word}\n{__doc__}")
    return positional, found


def listener(port):
    """A listening socket where this program is meant to listen."""
    address = ENV.get("K8SLAB_ADDRESS", "")
    if address and port < 1024:
        port += int(ENV.get("K8SLAB_PORT_OFFSET", "0"))
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind((address or "0.0.0.0", port))
    made.listen(1024)
    return made


def inside(path):
    """A path of the container, where the host shows it."""
    root = ENV.get("K8SLAB_ROOT", "")
    return root + path if root and path.startswith("/") and not path.startswith(root) else path


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
        say(f"demo version {self.version} ({self.colour}) listens on {self.listener.getsockname()}")
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
                try:
                    # Ends idle connections; a request that has arrived already is read and answered.
                    connection.shutdown(socket.SHUT_RD)
                except OSError:
                    pass
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
            connection.settimeout(KEEP_ALIVE_SECONDS)
            with self.lock:
                self.idle.add(connection)
            threading.Thread(target=self.converse, args=(connection, peer[0]), daemon=True).start()
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
        headers = {key.strip().lower(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
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
        connection.sendall(
            f"HTTP/1.1 {status} {WORDS[status]}\r\nContent-Type: {kind}; charset=utf-8\r\n"
            f"Content-Length: {len(payload)}\r\nConnection: {'keep-alive' if keep else 'close'}\r\n\r\n".encode()
            + (b"" if words[0] == "HEAD" else payload)
        )
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
            self.memory = self.memory + [b"\1" * (size << 20)] if size > 0 else []
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


def end_with(code):
    """Have SIGTERM and SIGINT end the program with an exit code."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(code))


def store(words):
    """A key-value store: PING, GET k, SET k v, INCR k, DEL k, KEYS, QUIT; every change is in the file first."""
    _, chosen = options(words, {"port": int(ENV.get("PORT", "6379")), "file": ENV.get("STORE_FILE", "")})
    values, lock, log = {}, threading.Lock(), None
    if chosen["file"]:
        log = open(inside(chosen["file"]), "a+")  # noqa: SIM115: open as long as the program runs
        log.seek(0)
        for line in log:
            change = json.loads(line)
            values.update(change)
            values = {key: value for key, value in values.items() if value is not None}

    def change(key, value):
        if log:
            log.write(json.dumps({key: value}) + "\n")
            log.flush()
            os.fsync(log.fileno())
        values[key] = value
        if value is None:
            del values[key]

    def obey(line):
        verb, _, rest = line.strip().partition(" ")
        key, _, value = rest.partition(" ")
        with lock:
            if verb == "SET" and key:
                change(key, value)
            elif verb == "INCR" and key:
                change(key, str(int(values.get(key, "0")) + 1))
                return values[key]
            elif verb == "DEL" and key in values:
                change(key, None)
            elif verb == "GET":
                return values.get(key, "(nil)")
            elif verb == "KEYS":
                return " ".join(sorted(values))
            elif verb != "PING" and verb != "DEL":
                return "ERR known: PING, GET k, SET k v, INCR k, DEL k, KEYS, QUIT"
        return "PONG" if verb == "PING" else "OK"

    def serve(connection):
        with connection, connection.makefile("rw") as stream:
            for line in stream:
                if line.strip() == "QUIT":
                    return
                try:
                    stream.write(obey(line) + "\n")
                    stream.flush()
                except ValueError as error:
                    stream.write(f"ERR {error}\n")

    end_with(0)
    door = listener(chosen["port"])
    say(f"store listens on {door.getsockname()} with {len(values)} keys")
    while True:
        threading.Thread(target=serve, args=(door.accept()[0],), daemon=True).start()


def job(words):
    """Work for a while, say so each second, and end with an exit code."""
    _, chosen = options(words, {"seconds": 5.0, "exit-code": 0})
    end_with(143)
    end = time.monotonic() + chosen["seconds"]
    while (left := end - time.monotonic()) > 0:
        say(f"working, {left:.0f} s to go")
        time.sleep(min(1.0, left))
    say(f"done, exit code {chosen['exit-code']}")
    return chosen["exit-code"]


def client(words):
    """Send requests at a steady rate, each over a connection of its own; never again what failed."""
    where, chosen = options(words, {"rate": 5.0, "count": 0, "seconds": 0.0, "timeout": 5.0})
    if len(where) != 1 or not where[0].startswith("http://"):
        raise SystemExit(f"demo: client needs one URL that starts with http://\n{__doc__}")
    url = where[0]
    host, _, path = url[7:].partition("/")
    proxy = ENV.get("http_proxy") or ENV.get("HTTP_PROXY") or ""
    target = url if proxy else "/" + path
    name, _, port = (proxy.split("://")[-1].strip("/") if proxy else host).partition(":")
    request = f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
    sums, who, lock, stop = {"sent": 0, "answered": 0, "failed": 0}, {}, threading.Lock(), threading.Event()

    def once():
        began, result, pod = time.monotonic(), "failed", ""
        try:
            with socket.create_connection((name, int(port or 80)), chosen["timeout"]) as connection:
                connection.sendall(request)
                data = b""
                while part := connection.recv(65536):
                    data += part
            head, _, body = data.partition(b"\r\n\r\n")
            said = head.split(b" ")[1].decode() if head.startswith(b"HTTP/1.") else "no HTTP answer"
            result = "answered" if said.startswith("2") else "failed"
            pod = str(json.loads(body).get("pod", "")) if body.startswith(b"{") else ""
        except (OSError, ValueError) as error:
            said = str(error)
        with lock:
            sums[result] += 1
            who[pod] = who.get(pod, 0) + (result == "answered")
        moment = time.time()
        clock = time.strftime("%H:%M:%S", time.localtime(moment)) + f".{int(moment % 1 * 1000):03}"
        say(f"{clock} {said} {pod or '-'} {(time.monotonic() - began) * 1000:.1f} ms")

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    began, threads = time.monotonic(), []
    while not stop.is_set():
        if 0 < chosen["count"] <= sums["sent"] or 0 < chosen["seconds"] <= time.monotonic() - began:
            break
        threads = [thread for thread in threads if thread.is_alive()]
        threads.append(threading.Thread(target=once, daemon=True))
        threads[-1].start()
        sums["sent"] += 1
        stop.wait(max(0.0, began + sums["sent"] / chosen["rate"] - time.monotonic()))
    for thread in threads:
        thread.join(chosen["timeout"])
    say("summary " + json.dumps({**sums, "by": {pod: count for pod, count in sorted(who.items()) if pod}}))
    return 0 if sums["failed"] == 0 else 1


def serve(words):
    """Run the HTTP server."""
    known = {"port": int(ENV.get("PORT", "8080")), "drain": float(ENV.get("DRAIN_SECONDS", "2"))}
    _, chosen = options(words, known)
    threading.stack_size(256 << 10)
    Server(chosen["port"], chosen["drain"]).run()


MODES = {"serve": serve, "store": store, "job": job, "client": client}

if __name__ == "__main__":
    mode, arguments = (sys.argv[1], sys.argv[2:]) if len(sys.argv) > 1 else ("serve", [])
    if mode.startswith("--"):
        mode, arguments = "serve", sys.argv[1:]
    if mode not in MODES:
        raise SystemExit(f"demo: unknown mode {mode}\n{__doc__}")
    sys.exit(MODES[mode](arguments))
