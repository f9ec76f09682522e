"""postStart, preStop and the grace period.

Texts: pkg/kubelet/kuberuntime/kuberuntime_container.go (`startContainer`, `executePreStopHook`,
`killContainer`).
"""

from __future__ import annotations

import subprocess
import time

from tests.cluster.conftest import ClusterUnderTest, until
from tests.cluster.manifests import pod, python, shell
from tests.cluster.pod_states import apply, is_ready, logged, status_of, told, when

LOOP = "trap 'echo asked; exit 0' TERM; echo up; while true; do sleep 0.1; done"


def gone(cluster: ClusterUnderTest, namespace: str, name: str, seconds: float) -> None:
    until(lambda: cluster.run(f"-n {namespace} get pod {name}").returncode, f"{name} to be gone", seconds)


def test_a_post_start_hook_holds_back_what_comes_after_it(cluster: ClusterUnderTest, namespace: str) -> None:
    mounts = [{"name": "work", "mountPath": "/work"}]
    hook = {"postStart": {"exec": {"command": ["sh", "-c", "sleep 2; touch /work/hooked"]}}}
    first = shell(LOOP, "first", lifecycle=hook, volumeMounts=mounts)
    second = shell("test -e /work/hooked && echo after; sleep 600", "second", volumeMounts=mounts)
    volumes = [{"name": "work", "emptyDir": {}}]
    apply(cluster, namespace, pod("hooked", first, second, volumes=volumes))
    when(cluster, namespace, "hooked", is_ready, "hooked to be Ready")
    logged(cluster, namespace, "hooked -c second", "after")


def test_a_failed_post_start_hook_ends_the_container(cluster: ClusterUnderTest, namespace: str) -> None:
    hook = {"postStart": {"exec": {"command": ["sh", "-c", "exit 9"]}}}
    apply(cluster, namespace, pod("hookless", shell(LOOP, lifecycle=hook)))
    told(cluster, namespace, "hookless", "Warning", "FailedPostStartHook", "PostStartHook failed")
    told(cluster, namespace, "hookless", "Normal", "Killing", "FailedPostStartHook")
    again = when(cluster, namespace, "hookless", lambda now: status_of(now)["restartCount"], "a restart")
    assert not is_ready(again)


def test_a_pre_stop_hook_comes_before_sigterm_and_its_time_counts(
    cluster: ClusterUnderTest, namespace: str
) -> None:
    mounts = [{"name": "work", "mountPath": "/work"}]
    hook = {"preStop": {"exec": {"command": ["sh", "-c", "echo hook >> /work/story; sleep 1"]}}}
    main = shell(
        "trap 'echo term >> /work/story; exit 0' TERM; while true; do sleep 0.1; done",
        lifecycle=hook,
        volumeMounts=mounts,
    )
    watch = "trap '' TERM; echo watching; tail -n +1 -F /work/story 2>/dev/null"
    stays = shell(watch, "witness", volumeMounts=mounts)
    fields = {"volumes": [{"name": "work", "emptyDir": {}}], "terminationGracePeriodSeconds": 4}
    apply(cluster, namespace, pod("stops", main, stays, **fields))
    when(cluster, namespace, "stops", is_ready, "stops to be Ready")
    follow = subprocess.Popen(
        cluster.argv(f"-n {namespace} logs -f stops -c witness"), stdout=subprocess.PIPE, text=True
    )
    assert follow.stdout is not None
    try:
        # Somebody listens: from here on nothing of the story can be missed.
        assert follow.stdout.readline() == "watching\n"
        began = time.monotonic()
        cluster.kubectl(f"-n {namespace} delete pod stops")
        took = time.monotonic() - began
        assert list(follow.stdout) == ["hook\n", "term\n"]
    finally:
        follow.kill()
        follow.wait()
        follow.stdout.close()
    assert 3 < took < 25


def test_failed_and_endless_pre_stop_hooks(cluster: ClusterUnderTest, namespace: str) -> None:
    failing = {"preStop": {"exec": {"command": ["sh", "-c", "exit 5"]}}}
    apply(cluster, namespace, pod("fails", shell(LOOP, lifecycle=failing)))
    when(cluster, namespace, "fails", is_ready, "fails to be Ready")
    cluster.kubectl(f"-n {namespace} delete pod fails --wait=false")
    told(cluster, namespace, "fails", "Warning", "FailedPreStopHook", "PreStopHook failed")
    gone(cluster, namespace, "fails", 60)
    sleeping = {"preStop": {"sleep": {"seconds": 300}}}
    slow = pod("sleeps", shell(LOOP, lifecycle=sleeping), terminationGracePeriodSeconds=400)
    apply(cluster, namespace, slow)
    when(cluster, namespace, "sleeps", is_ready, "sleeps to be Ready")
    cluster.kubectl(f"-n {namespace} delete pod sleeps --wait=false")
    told(cluster, namespace, "sleeps", "Normal", "Killing", "Stopping container main")
    terminating = cluster.get(f"-n {namespace} pod sleeps")
    assert "running" in status_of(terminating)["state"] and is_ready(terminating)
    assert "Terminating" in cluster.kubectl(f"-n {namespace} get pod sleeps")
    # A second delete may ask for less time, never for more.
    cluster.kubectl(f"-n {namespace} delete pod sleeps --grace-period=1 --wait=false")
    gone(cluster, namespace, "sleeps", 60)


def test_a_hook_may_ask_over_http_also_when_a_probe_ends_the_container(
    cluster: ClusterUnderTest, namespace: str
) -> None:
    server = (
        "import http.server as h, os, signal\n"
        "class S(h.BaseHTTPRequestHandler):\n"
        "  def do_GET(self):\n"
        "    print(self.path, flush=True)\n"
        "    self.send_response(500 if self.path == '/live' else 200); self.end_headers()\n"
        "  def log_message(self, *a): pass\n"
        "signal.signal(signal.SIGTERM, lambda *a: (print('term', flush=True), os._exit(0)))\n"
        "address = os.environ.get('K8SLAB_ADDRESS', '')\n"
        "h.HTTPServer((address, 8080), S).serve_forever()"
    )
    probe = {"httpGet": {"path": "/live", "port": 8080}, "periodSeconds": 1, "failureThreshold": 1}
    hook = {"preStop": {"httpGet": {"path": "/stop", "port": "web"}}}
    main = python(
        server,
        lifecycle=hook,
        livenessProbe={**probe, "initialDelaySeconds": 3},
        # It is asked whether it lives only once it listens.
        startupProbe={"tcpSocket": {"port": 8080}, "periodSeconds": 1, "failureThreshold": 60},
        ports=[{"name": "web", "containerPort": 8080}],
    )
    apply(cluster, namespace, pod("asks", main))
    when(cluster, namespace, "asks", lambda now: status_of(now)["restartCount"] == 1, "a restart", 90)
    said = cluster.kubectl(f"-n {namespace} logs asks --previous").splitlines()
    assert said == ["/live", "/stop", "term"]
    text = "Container main failed liveness probe, will be restarted"
    told(cluster, namespace, "asks", "Normal", "Killing", text)
