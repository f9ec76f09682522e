"""k8slab's static web server: it stands in for well-known web servers on hosts that lack them.

    server.py --root FOLDER --for NAME [--port 80]

It serves the files of a folder, logs requests in the combined log format, and says who it is: its Server
header and its pages name k8slab. SIGTERM and SIGQUIT end it after what is in flight. On a k8slab process node
K8SLAB_ADDRESS is where to listen, K8SLAB_PORT_OFFSET is added to ports below 1024, and K8SLAB_ROOT is the
container's `/`.
"""

import os
import select
import signal
import socket
import sys
import threading
import time
from contextlib import suppress

# Beside this file; Python's isolated mode (-I) does not look there by itself.
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from files import found

ENV = os.environ
NAME = "k8slab-stand-in"
LONGEST_HEAD = 16 << 10
KEEP_ALIVE_SECONDS = 65
FIRST_REQUEST_SECONDS = 60
ENDING_SECONDS = 25
WORDS = {
    200: "OK",
    301: "Moved Permanently",
    304: "Not Modified",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
}


def say(text):
    """Write one line of the log."""
    # A log that nobody can write to is no reason to stop serving.
    with suppress(OSError):
        os.write(1, (text + "\n").encode())


def date(moment, form="%a, %d %b %Y %H:%M:%S GMT"):
    """A moment (epoch s) as HTTP writes it."""
    return time.strftime(form, time.gmtime(moment))


class Server:
    """A thread for each connection; the main one accepts, and ends."""

    def __init__(self, root, port, name):
        self.root, self.name = root, name
        self.busy, self.idle, self.lock = set(), set(), threading.Lock()
        self.ending = False
        address = ENV.get("K8SLAB_ADDRESS", "")
        if address and port < 1024:
            port += int(ENV.get("K8SLAB_PORT_OFFSET") or 0)
        self.door = socket.socket()
        self.door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.door.bind((address or "0.0.0.0", port))
        self.door.listen(512)
        self.wake, self.waker = socket.socketpair()
        self.waker.setblocking(False)

    def run(self):
        """Serve until SIGTERM, SIGQUIT or SIGINT; then finish what is in flight."""
        signal.set_wakeup_fd(self.waker.fileno())
        for number in (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT):
            signal.signal(number, self.end)
        # A reload, for those who send it: there is no configuration to read again.
        signal.signal(signal.SIGHUP, lambda *_: None)
        address, port = self.door.getsockname()
        say(f"stand-in for {self.name}: k8slab's static web server listens on {address}:{port}")
        self.door.setblocking(False)
        while not self.ending:
            if self.wake in select.select([self.door, self.wake], [], [])[0]:
                self.wake.recv(64)
            self.accept()
        self.accept()
        self.door.close()
        with self.lock:
            for connection in self.idle:
                try:
                    connection.shutdown(socket.SHUT_RD)
                except OSError:
                    # It has ended by itself.
                    continue
        deadline = time.monotonic() + ENDING_SECONDS
        while (self.busy or self.idle) and time.monotonic() < deadline:
            time.sleep(0.01)
        say("ended")

    def end(self, number, frame):
        """Begin to end."""
        self.ending = True

    def accept(self):
        """Take every connection that waits."""
        while True:
            try:
                connection, peer = self.door.accept()
            except OSError:
                return
            connection.settimeout(FIRST_REQUEST_SECONDS)
            with self.lock:
                self.busy.add(connection)
            threading.Thread(target=self.converse, args=(connection, peer[0]), daemon=True).start()

    def converse(self, connection, peer):
        """Answer the requests of one connection."""
        rest, again = b"", True
        try:
            while again and not (self.ending and not rest and connection in self.idle):
                while b"\r\n\r\n" not in rest:
                    part = connection.recv(8192)
                    if not part or len(rest) > LONGEST_HEAD:
                        return
                    rest += part
                self.move(connection, self.idle, self.busy)
                head, _, rest = rest.partition(b"\r\n\r\n")
                again, rest = self.answer(connection, peer, head.decode("latin-1"), rest)
                self.move(connection, self.busy, self.idle)
                connection.settimeout(KEEP_ALIVE_SECONDS)
        except OSError:
            # The other side has gone: nobody to tell.
            pass
        finally:
            connection.close()
            with self.lock:
                self.busy.discard(connection)
                self.idle.discard(connection)

    def move(self, connection, source, target):
        """Note that a connection has become busy, or idle."""
        with self.lock:
            source.discard(connection)
            target.add(connection)

    def answer(self, connection, peer, head, rest):
        """Answer one request; whether the connection stays open, and what came after the request."""
        first, *lines = head.split("\r\n")
        headers = {
            key.strip().lower(): value.strip() for key, _, value in (each.partition(":") for each in lines)
        }
        words = first.split(" ")
        length = headers.get("content-length", "0")
        keep = (
            "close" not in headers.get("connection", "").lower()
            and words[-1] == "HTTP/1.1"
            and not self.ending
        )
        status, kind, body, more = 400, "text/html", None, []
        if len(words) == 3 and words[2].startswith("HTTP/1."):
            if words[0] in ("GET", "HEAD"):
                status, kind, body, more = found(self.root, words[1], headers)
            else:
                status, more = 405, ["Allow: GET, HEAD"]
        if status == 400 or length != "0" or "transfer-encoding" in headers:
            # A body is of no use here; what follows it cannot be told apart from it unread.
            keep, rest = False, b""
        if body is None:
            word = f"{status} {WORDS[status]}"
            body = (
                b""
                if status == 304
                else (
                    f"<html><head><title>{word}</title></head><body><h1>{word}</h1>"
                    f"<p>k8slab's static web server, a stand-in for {self.name}</p></body></html>\n"
                ).encode()
            )
        lines = [f"HTTP/1.1 {status} {WORDS[status]}", f"Server: {NAME}", f"Date: {date(time.time())}", *more]
        if status != 304:
            lines += [f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
        lines.append(f"Connection: {'keep-alive' if keep else 'close'}")
        data = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")
        connection.sendall(data if words[0] == "HEAD" else data + body)
        clock = date(time.time(), "%d/%b/%Y:%H:%M:%S +0000")
        browser = headers.get("user-agent", "-").replace('"', "'")
        say(
            f'{peer} - - [{clock}] "{first}" {status} {len(body)} "{headers.get("referer", "-")}" "{browser}"'
        )
        return keep, rest


def main(words):
    """Serve a folder."""
    chosen = {"--root": "/", "--port": "80", "--for": "a web server"}
    for name, value in zip(words[::2], words[1::2], strict=True):
        if name not in chosen:
            raise SystemExit(__doc__)
        chosen[name] = value
    threading.stack_size(256 << 10)
    root = chosen["--root"]
    base = ENV.get("K8SLAB_ROOT", "")
    Server(
        root if base and root.startswith(base) else base + root, int(chosen["--port"]), chosen["--for"]
    ).run()


if __name__ == "__main__":
    main(sys.argv[1:])
