"""Probes of every kind, their thresholds and what is said of them.

Texts: pkg/kubelet/prober/prober.go, pkg/probe/http/http.go:110 and :117, pkg/probe/grpc/grpc.go and
pkg/probe/tcp/tcp.go.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.cluster.conftest import ClusterUnderTest
from tests.cluster.manifests import pod, python, shell
from tests.cluster.pod_states import apply, condition, is_ready, status_of, told, when

SERVER = """
import http.server as h, os
class S(h.BaseHTTPRequestHandler):
    def do_GET(self):
        to = {'/near': '/ok', '/far': 'http://example.test/'}.get(self.path)
        code = 302 if to else 200 if self.path == '/ok' and self.headers['X-Key'] == 'k' else 503
        self.send_response(code)
        if to: self.send_header('Location', to)
        self.end_headers()
    def log_message(self, *a): pass
h.HTTPServer((os.environ.get('K8SLAB_ADDRESS', ''), 8080), S).serve_forever()
"""
HEALTH = r"""
import os, socket, struct, threading
s = socket.create_server((os.environ.get('K8SLAB_ADDRESS', ''), 9000))
def frame(kind, flags, stream, data):
    return len(data).to_bytes(3, 'big') + struct.pack('>BBI', kind, flags, stream) + data
def text(raw): return bytes([len(raw)]) + raw
# A real client (grpc-go) reads the settings before it asks, and wants a content type and a status.
head = b'\x88\x0f\x10' + text(b'application/grpc')
tail = b'\x00' + text(b'grpc-status') + text(b'0')
def serve(c):
    with c, c.makefile('rb') as asked:
        c.sendall(frame(4, 0, 0, b''))
        asked.read(24)
        while len(begin := asked.read(9)) == 9:
            data, kind, flags = asked.read(int.from_bytes(begin[:3], 'big')), begin[3], begin[4]
            stream = int.from_bytes(begin[5:], 'big')
            if kind in (4, 6) and not flags & 1:
                c.sendall(frame(kind, 1, 0, data if kind == 6 else b''))
            if kind == 0 and flags & 1:
                m = struct.pack('>BI', 0, 2) + bytes([8, 1 if os.path.exists('/work/well') else 2])
                c.sendall(frame(1, 4, stream, head) + frame(0, 0, stream, m) + frame(1, 5, stream, tail))
while True: threading.Thread(target=serve, args=(s.accept()[0],), daemon=True).start()
"""
WORK: dict[str, Any] = {"volumes": [{"name": "work", "emptyDir": {}}]}
WORK_MOUNT: dict[str, Any] = {"volumeMounts": [{"name": "work", "mountPath": "/work"}]}


def every_second(**probe: Any) -> dict[str, Any]:
    return {"periodSeconds": 1, "failureThreshold": 1, **probe}


def test_http_probes_follow_redirects_and_send_headers(cluster: ClusterUnderTest, namespace: str) -> None:
    headers = [{"name": "X-Key", "value": "k"}]
    ports = [{"name": "web", "containerPort": 8080}]

    def server(path: str) -> dict[str, Any]:
        get = {"path": path, "port": "web", "httpHeaders": headers}
        return python(SERVER, ports=ports, readinessProbe=every_second(httpGet=get))

    for name, path in (("near", "/near"), ("far", "/far"), ("sick", "/sick")):
        apply(cluster, namespace, pod(name, server(path)))
    for name in ("near", "far"):
        when(cluster, namespace, name, is_ready, f"{name} to be Ready")
    told(
        cluster,
        namespace,
        "far",
        "Warning",
        "ProbeWarning",
        "Readiness probe warning: Probe terminated redirects",
    )
    text = "Readiness probe failed: HTTP probe failed with statuscode: 503"
    told(cluster, namespace, "sick", "Warning", "Unhealthy", text)
    sick = when(cluster, namespace, "sick", lambda now: status_of(now)["started"], "sick to be started")
    assert not status_of(sick)["ready"]
    assert condition(sick, "Ready")["message"] == "containers with unready status: [main]"


def test_commands_ports_and_starts(cluster: ClusterUnderTest, namespace: str) -> None:
    command = {"command": ["sh", "-c", "test -e $(PLACE)/well"]}
    main = shell(
        "while [ ! -e /work/go ]; do sleep 0.1; done; touch /work/well; while true; do sleep 0.1; done",
        **WORK_MOUNT,
        env=[{"name": "PLACE", "value": "/work"}],
        startupProbe=every_second(exec=command, failureThreshold=120),
        readinessProbe=every_second(exec=command, successThreshold=2),
        livenessProbe=every_second(exec={"command": ["false"]}, initialDelaySeconds=8),
    )
    apply(cluster, namespace, pod("starts", main, terminationGracePeriodSeconds=1, **WORK))
    early = when(cluster, namespace, "starts", lambda now: status_of(now)["state"].get("running"), "starts")
    assert not status_of(early)["started"] and not status_of(early)["ready"]
    told(cluster, namespace, "starts", "Warning", "Unhealthy", "Startup probe failed: ")
    cluster.kubectl(f"-n {namespace} exec starts -- touch /work/go")
    when(cluster, namespace, "starts", is_ready, "starts to be Ready")
    when(
        cluster,
        namespace,
        "starts",
        lambda now: status_of(now)["restartCount"],
        "the liveness probe to count",
    )
    told(cluster, namespace, "starts", "Warning", "Unhealthy", "Liveness probe failed: ")
    shut = shell("sleep 600", readinessProbe=every_second(tcpSocket={"port": 9999}))
    apply(cluster, namespace, pod("shut", shut))
    text = told(cluster, namespace, "shut", "Warning", "Unhealthy", "Readiness probe failed: dial tcp ")
    assert text.endswith(":9999: connect: connection refused")


def test_grpc_probes_ask_the_health_service(cluster: ClusterUnderTest, namespace: str) -> None:
    probe = every_second(grpc={"port": 9000, "service": "shop"}, timeoutSeconds=3)
    apply(cluster, namespace, pod("rpc", python(HEALTH, readinessProbe=probe, **WORK_MOUNT), **WORK))
    text = 'Readiness probe failed: service unhealthy (responded with "NOT_SERVING")'
    told(cluster, namespace, "rpc", "Warning", "Unhealthy", text)
    cluster.kubectl(f"-n {namespace} exec rpc -- touch /work/well")
    when(cluster, namespace, "rpc", is_ready, "rpc to be Ready")
    nobody = shell("sleep 600", readinessProbe=every_second(grpc={"port": 9001}))
    apply(cluster, namespace, pod("nobody", nobody))
    text = told(cluster, namespace, "nobody", "Warning", "Unhealthy", "Readiness probe failed: timeout: ")
    assert text.endswith(':9001" within 1s: context deadline exceeded')


@pytest.mark.parametrize("policy", ["Never", "Always"])
def test_a_failed_probe_ends_a_container_by_its_own_grace(
    cluster: ClusterUnderTest, namespace: str, policy: str
) -> None:
    probe = every_second(exec={"command": ["false"]}, terminationGracePeriodSeconds=1)
    stubborn = shell("trap '' TERM; while true; do sleep 0.1; done", livenessProbe=probe)
    apply(
        cluster, namespace, pod("stubborn", stubborn, restartPolicy=policy, terminationGracePeriodSeconds=60)
    )
    text = "Container main failed liveness probe"
    if policy == "Never":
        over = when(cluster, namespace, "stubborn", lambda now: now["status"]["phase"] == "Failed", "the end")
        assert status_of(over)["state"]["terminated"]["exitCode"] == 137
        assert told(cluster, namespace, "stubborn", "Normal", "Killing", text) == text
    else:
        when(cluster, namespace, "stubborn", lambda now: status_of(now)["restartCount"], "a restart")
        told(cluster, namespace, "stubborn", "Normal", "Killing", f"{text}, will be restarted")
        cluster.kubectl(f"-n {namespace} delete pod stubborn --grace-period=1")
