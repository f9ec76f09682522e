"""The demo application as a client."""

import json
import signal
import socket
import threading
import time

from program import ENV, options, place_of, say


def ask(url, timeout):
    """One GET over a connection of its own: the status as text, and the body.

    A program of a plain node goes through its proxy, except to itself.
    """
    if not url.startswith("http://"):
        raise ValueError("a URL starts with http://")
    host, _, path = url[7:].partition("/")
    proxy = ENV.get("http_proxy") or ENV.get("HTTP_PROXY") or ""
    target = url if proxy else "/" + path
    name, _, port = (proxy.split("://")[-1].strip("/") if proxy else host).partition(":")
    if "K8SLAB_ADDRESS" in ENV and host.partition(":")[0] in ("localhost", "127.0.0.1"):
        target, name, port = "/" + path, *place_of(int(host.partition(":")[2] or 80))
    request = f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()
    with socket.create_connection((name, int(port or 80)), timeout) as connection:
        connection.sendall(request)
        data = b""
        while part := connection.recv(65536):
            data += part
    head, _, body = data.partition(b"\r\n\r\n")
    return (head.split(b" ")[1].decode() if head.startswith(b"HTTP/1.") else "no HTTP answer"), body


def client(words):
    """Send requests at a steady rate, each over a connection of its own; never again what failed."""
    where, chosen = options(words, {"rate": 5.0, "count": 0, "seconds": 0.0, "timeout": 5.0})
    if len(where) != 1 or not where[0].startswith("http://"):
        raise SystemExit("demo: client needs one URL that starts with http://")
    url = where[0]
    sums, who, lock, stop = {"sent": 0, "answered": 0, "failed": 0}, {}, threading.Lock(), threading.Event()

    def once():
        began, result, pod = time.monotonic(), "failed", ""
        try:
            said, body = ask(url, chosen["timeout"])
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
