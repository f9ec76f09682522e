"""What the demo application answers to each path."""

import json
import os
import socket
import threading
import time

from program import ENV, inside, say

STARTED = time.time()
MOST_SECONDS = 600
PLAIN, JSON = "text/plain", "application/json"
INDEX = """GET / /env /headers /counter /file?path=P /files?path=P /dns?name=N /fetch?url=U
GET /healthz/ready /healthz/live /slow?seconds=N /status?code=N
POST /ready/fail[?count=N] /ready/ok /live/fail[?count=N] /live/ok /counter
PUT, POST (append), DELETE /file?path=P
any /crash /exit?code=N /hang /memory?mb=N /cpu?seconds=N /log?lines=N
"""


def unquote(text):
    """Undo %xx and + in a query."""
    first, *rest = text.replace("+", " ").encode().split(b"%")
    try:
        return (first + b"".join(bytes([int(part[:2], 16)]) + part[2:] for part in rest)).decode()
    except ValueError:
        return text


class Request:
    """One request: `method`, `path`, `asked` (its query), `headers` (in lower case), `body`, `connection`."""

    def __init__(self, method, target, headers, body, connection):
        self.method, self.headers, self.body, self.connection = method, headers, body, connection
        self.path, _, query = target.partition("?")
        pairs = (pair.partition("=") for pair in query.split("&"))
        self.asked = {key: unquote(value) for key, _, value in pairs}

    def number(self, name, usual):
        """A number of the query."""
        return type(usual)(self.asked.get(name) or usual)


def reply(server, method, target, headers, body, connection):
    """Status, content type and body for one request."""
    request = Request(method, target, headers, body, connection)
    while server.hung:
        time.sleep(3600)
    with server.lock:
        server.served += request.path[:8] != "/healthz"
    answer = ROUTES.get(request.path)
    return answer(server, request) if answer else (404, PLAIN, INDEX)


def about(server, request):
    """What this copy is, as the client likes it."""
    address = ENV.get("POD_IP") or request.connection.getsockname()[0]
    if "POD_IP" not in ENV and "K8SLAB_ADDRESS" in ENV:
        address = "10." + address.partition(".")[2]
    facts = {
        "hostname": ENV.get("HOSTNAME") or socket.gethostname(),
        "pod": server.name,
        "version": server.version,
        "colour": server.colour,
        "served": server.served,
        "address": address,
        "node": ENV.get("NODE_NAME", ""),
        "uptime": round(time.time() - STARTED, 1),
    }
    accept = request.headers.get("accept", "")
    if "text/html" in accept:
        from page import page

        return 200, "text/html", page(facts, server.ready, server.live)
    if "text/plain" in accept:
        return 200, PLAIN, f"{server.name} version {server.version} {server.colour} {server.served}\n"
    return 200, JSON, json.dumps(facts) + "\n"


def probe(server, request):
    """A probe's answer; after /ready/fail?count=N so many fail, and then they succeed again."""
    name = request.path.rpartition("/")[2]
    good = getattr(server, name) and not (name == "ready" and server.draining)
    with server.lock:
        left = server.failing.get(name, 0)
        if left:
            server.failing[name] = left - 1
            if left == 1:
                setattr(server, name, True)
    return (200, PLAIN, "ok\n") if good else (503, PLAIN, "not ready\n" if name == "ready" else "not alive\n")


def switch(server, request):
    """Have a probe fail from now on, or succeed."""
    if request.method != "POST":
        return 405, PLAIN, f"send POST {request.path}\n"
    name, good = request.path.split("/")[1], request.path.endswith("ok")
    with server.lock:
        server.failing[name] = 0 if good else request.number("count", 0)
        setattr(server, name, good)
    return 200, PLAIN, f"ready: {server.ready}, live: {server.live}\n"


def crash(server, request):
    """End at once, as a program with a bad fault does."""
    say("asked to crash")
    os._exit(1)


def end(server, request):
    """End with an exit code."""
    say(f"asked to exit with code {request.asked.get('code', '0')}")
    os._exit(request.number("code", 0) & 255)


def hang(server, request):
    """Never answer again."""
    say("asked to hang: nothing is answered from now on")
    server.hung = True
    server.waker.send(b"h")
    time.sleep(1e8)


def slow(server, request):
    """Answer late."""
    time.sleep(min(request.number("seconds", 1.0), MOST_SECONDS))
    return 200, PLAIN, "that took a while\n"


def memory(server, request):
    """Take memory, or with mb=0 give all of it back."""
    size = request.number("mb", 10) if request.asked.get("mb") != "0" else 0
    server.memory = [*server.memory, b"\1" * (size << 20)] if size > 0 else []
    return 200, PLAIN, f"holds {sum(map(len, server.memory)) >> 20} MB\n"


def processor(server, request):
    """Burn one core for a while, beside everything else."""
    seconds = min(request.number("seconds", 1.0), MOST_SECONDS)
    threading.Thread(target=burn, args=(seconds,), daemon=True).start()
    return 200, PLAIN, f"burns one core for {seconds:g} s\n"


def burn(seconds):
    """Use so much processor time."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        sum(range(1000))


def environment(server, request):
    """The program's environment."""
    return 200, JSON, json.dumps(dict(sorted(ENV.items())), indent=1) + "\n"


def headers(server, request):
    """The request's headers, and who it seems to come from."""
    peer = request.connection.getpeername()[0]
    return 200, JSON, json.dumps({"from": peer, "headers": request.headers}, indent=1) + "\n"


def status(server, request):
    """Any status that is asked for."""
    code = request.number("code", 200)
    return (code, PLAIN, f"{code}\n") if 200 <= code < 600 else (400, PLAIN, "a code from 200 to 599\n")


def lines(server, request):
    """Write lines to the log."""
    count = min(request.number("lines", 10), 100_000)
    for number in range(1, count + 1):
        say(f"line {number} of {count}")
    return 200, PLAIN, f"{count} lines\n"


def count(server, request):
    """The counter's value, one higher after POST; kept in COUNTER_FILE where that is set."""
    path = inside(ENV.get("COUNTER_FILE", ""))
    with server.lock:
        if path and os.path.exists(path):
            with open(path) as file:
                server.counter = int(file.read() or 0)
        if request.method == "POST":
            server.counter += 1
            if path:
                with open(path, "w") as file:
                    file.write(str(server.counter))
        return 200, PLAIN, f"{server.counter}\n"


def one_file(server, request):
    """Read, write, append to or delete a file."""
    path = inside(request.asked.get("path", ""))
    if request.method in ("PUT", "POST"):
        with open(path, "wb" if request.method == "PUT" else "ab") as file:
            file.write(request.body)
        return 200, PLAIN, f"{len(request.body)} bytes written\n"
    if not os.path.exists(path):
        return 404, PLAIN, "no such file\n"
    if request.method == "DELETE":
        os.unlink(path)
        return 200, PLAIN, "deleted\n"
    with open(path, "rb") as file:
        return 200, PLAIN, file.read()


def folder(server, request):
    """What lies in a folder."""
    path = inside(request.asked.get("path") or "/")
    if not os.path.isdir(path):
        return 404, PLAIN, "no such folder\n"
    names = (name + ("/" if os.path.isdir(os.path.join(path, name)) else "") for name in os.listdir(path))
    return 200, PLAIN, "".join(f"{name}\n" for name in sorted(names))


def resolve(server, request):
    """The addresses behind a name, as this program's resolver finds them."""
    try:
        found = socket.getaddrinfo(request.asked.get("name", ""), None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        return 502, PLAIN, f"{error}\n"
    return 200, PLAIN, "".join(f"{address}\n" for address in sorted({each[4][0] for each in found}))


def fetch(server, request):
    """What another server answers to this one: a frontend asking its backend."""
    from client import ask

    try:
        said, body = ask(request.asked.get("url", ""), 10)
    except (OSError, ValueError) as error:
        return 502, PLAIN, f"{error}\n"
    return (200 if said.startswith("2") else 502), PLAIN, f"{said}\n".encode() + body


def index(server, request):
    """Everything that can be asked."""
    return 200, PLAIN, INDEX


ROUTES = {
    "/help": index,
    "/": about,
    "/healthz/ready": probe,
    "/healthz/live": probe,
    "/ready/ok": switch,
    "/ready/fail": switch,
    "/live/ok": switch,
    "/live/fail": switch,
    "/crash": crash,
    "/exit": end,
    "/hang": hang,
    "/slow": slow,
    "/memory": memory,
    "/cpu": processor,
    "/env": environment,
    "/headers": headers,
    "/status": status,
    "/log": lines,
    "/counter": count,
    "/file": one_file,
    "/files": folder,
    "/dns": resolve,
    "/fetch": fetch,
}
