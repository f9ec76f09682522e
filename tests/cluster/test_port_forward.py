"""`kubectl port-forward` to a Pod, a Service and a Deployment, over both ways in which kubectl asks for it.

Texts: client-go's tools/portforward/portforward.go lines 470, 513 and 522, kubectl's pkg/cmd/portforward/
portforward.go line 409, and cri-streaming's pkg/streaming/portforward/httpstream.go line 263 (all v0.36).
"""

from __future__ import annotations

import hashlib
import os
import re
import socket
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from tests.cluster.conftest import ClusterUnderTest, until
from tests.cluster.manifests import pod, python, run_ready, shell

# Port 7000 takes everything, then answers with its length and digest and 10 MB of its own; 7001 echoes, and
# listens last. A process node without namespaces says where a program may listen.
PROGRAM = """
import hashlib, os, socket, struct, threading
host = os.environ.get("K8SLAB_ADDRESS", "0.0.0.0")
def digest(c):
    seen, length = hashlib.sha256(), 0
    while data := c.recv(65536):
        seen.update(data)
        length += len(data)
    c.sendall(f"{length} {seen.hexdigest()}\\n".encode() + bytes(range(256)) * 40960)
def echo(c):
    while data := c.recv(65536):
        c.sendall(data)
listeners = [socket.create_server((host, port), backlog=200) for port in (7000, 7001)]
def serve(listener, answer):
    while True:
        c, _ = listener.accept()
        def run(c=c):
            with c:
                answer(c)
        threading.Thread(target=run, daemon=True).start()
threading.Thread(target=serve, args=(listeners[0], digest), daemon=True).start()
serve(listeners[1], echo)
"""
SERVER = python(
    PROGRAM,
    ports=[{"containerPort": 7000}, {"containerPort": 7001, "name": "echo"}],
    readinessProbe={"tcpSocket": {"port": 7001}, "periodSeconds": 1},
)

WAYS = {"WebSocket": {}, "SPDY": {"KUBECTL_PORT_FORWARD_WEBSOCKETS": "false"}}


@dataclass
class Forwarding:
    """A running `kubectl port-forward`.

    Args:
        process: kubectl.
        ports: local port by the Pod's port.
        said: what kubectl printed since.
    """

    process: subprocess.Popen[str]
    ports: dict[int, int]
    said: list[str] = field(default_factory=list)

    def connect(self, port: int) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.ports[port]), timeout=60)

    def exchange(self, port: int, data: bytes) -> bytes:
        """Send everything, say that no more comes, and read to the end."""
        with self.connect(port) as connection, ThreadPoolExecutor(1) as sender:

            def send() -> None:
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)

            sending = sender.submit(send)
            answer = read_all(connection)
            sending.result()
        return answer


def read_all(connection: socket.socket) -> bytes:
    received = bytearray()
    while data := connection.recv(1 << 20):
        received += data
    return bytes(received)


@contextmanager
def forwarding(cluster: ClusterUnderTest, line: str, ports: int, **env: str) -> Iterator[Forwarding]:
    """Run `kubectl ... port-forward ...` until so many ports are forwarded; kill it at the end."""
    process = subprocess.Popen(
        cluster.argv(f"{line} --address 127.0.0.1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **env},
    )
    assert process.stdout is not None
    found: dict[int, int] = {}
    seen: list[str] = []
    reader: threading.Thread | None = None
    try:
        while len(found) < ports:
            text = process.stdout.readline()
            seen.append(text)
            assert text, f"kubectl {line} ended: {seen}"
            match = re.match(r"Forwarding from 127\.0\.0\.1:(\d+) -> (\d+)", text)
            if match:
                found[int(match[2])] = int(match[1])
        running = Forwarding(process, found)
        reader = threading.Thread(target=running.said.extend, args=(process.stdout,))
        reader.start()
        yield running
    finally:
        process.kill()
        process.wait()
        if reader is not None:
            reader.join()
        process.stdout.close()


@pytest.mark.parametrize("way", WAYS)
def test_many_connections_and_large_transfers(cluster: ClusterUnderTest, namespace: str, way: str) -> None:
    run_ready(cluster, namespace, pod("server", SERVER))
    line = f"-n {namespace} port-forward pod/server 0:7000 0:7001"
    with forwarding(cluster, line, 2, **WAYS[way]) as forwarded:
        blob = os.urandom(10 << 20)
        head, _, rest = forwarded.exchange(7000, blob).partition(b"\n")
        assert head.decode() == f"{len(blob)} {hashlib.sha256(blob).hexdigest()}"
        assert rest == bytes(range(256)) * 40960

        parts = [os.urandom(100_000) for _ in range(50)]
        with ThreadPoolExecutor(50) as clients:
            answers = list(clients.map(lambda part: forwarded.exchange(7001, part), parts))
        assert answers == parts

        # A client that goes away in the middle disturbs nobody.
        for _ in range(5):
            with forwarded.connect(7001) as connection:
                connection.sendall(b"x" * 200_000)
        assert forwarded.exchange(7001, b"still here") == b"still here"


def test_services_deployments_and_names_of_ports(cluster: ClusterUnderTest, namespace: str) -> None:
    run_ready(cluster, namespace, pod("server", SERVER))
    cluster.kubectl(f"-n {namespace} expose pod server --name front --port 80 --target-port echo")
    with forwarding(cluster, f"-n {namespace} port-forward service/front 0:80", 1) as forwarded:
        # A Service's port is looked up once, by kubectl: what is forwarded is the Pod's.
        assert forwarded.exchange(7001, b"by the service") == b"by the service"
    cluster.kubectl(f"-n {namespace} create deployment sleeper --image=busybox:1.36 -- sleep 600")
    cluster.kubectl(f"-n {namespace} wait deployment/sleeper --for=condition=Available --timeout=120s")
    with forwarding(cluster, f"-n {namespace} port-forward deployment/sleeper 0:7001", 1) as forwarded:
        with forwarded.connect(7001) as connection:
            assert read_all(connection) == b""
        assert forwarded.process.wait(60) == 1


def test_a_closed_port_and_a_pod_that_does_not_run(cluster: ClusterUnderTest, namespace: str) -> None:
    run_ready(cluster, namespace, pod("quiet", shell("sleep 600")))
    with forwarding(cluster, f"-n {namespace} port-forward pod/quiet 0:9", 1) as forwarded:
        with forwarded.connect(9) as connection:
            assert read_all(connection) == b""
        assert forwarded.process.wait(60) == 1
        until(lambda: "lost connection to pod" in "".join(forwarded.said), "kubectl's last words")
        said = "".join(forwarded.said)
        local = forwarded.ports[9]
        assert f"an error occurred forwarding {local} -> 9: error forwarding port 9 to pod " in said
        assert ", uid : " in said and "connection refused" in said
    done = pod("done", shell("true"), restartPolicy="Never")
    cluster.kubectl(f"-n {namespace} apply -f -", stdin=done)
    cluster.kubectl(f"-n {namespace} wait pod/done --for=jsonpath={{.status.phase}}=Succeeded --timeout=60s")
    refused = cluster.run(f"-n {namespace} port-forward pod/done 0:80")
    assert "unable to forward port because pod is not running. Current status=Succeeded" in refused.stderr


@pytest.mark.needs("own network")
def test_what_listens_on_localhost_alone_is_reached(cluster: ClusterUnderTest, namespace: str) -> None:
    program = PROGRAM.replace('os.environ.get("K8SLAB_ADDRESS", "0.0.0.0")', '"127.0.0.1"')
    # Without ports in its manifest nobody waits for it to listen.
    run_ready(cluster, namespace, pod("private", python(program)))

    def echoed() -> bool:
        with forwarding(cluster, f"-n {namespace} port-forward pod/private 0:7001", 1) as forwarded:
            try:
                return forwarded.exchange(7001, b"from outside") == b"from outside"
            except ConnectionError:
                # Nobody listens yet: kubectl lets go of the connection, and ends.
                return False

    until(echoed, "the program to listen")
