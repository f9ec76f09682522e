"""Shell images: the network programs that a lesson uses, in a Pod of busybox, at both levels of isolation."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from tests.cluster.conftest import ClusterUnderTest, until

REAL = ("kind", "given")
"""Kinds of cluster that run an image's own programs in its own files."""

Execute = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def shell(cluster: ClusterUnderTest, namespace: str) -> Execute:
    """Runs a line of shell in a Pod, beside a Service `web` with one endpoint."""
    cluster.kubectl(f"-n {namespace} run web --image=nginx:1.29 --port=80 --expose")
    cluster.kubectl(f"-n {namespace} run sh --image=busybox:1.36 --restart=Never -- sleep 3600")
    cluster.kubectl(f"-n {namespace} wait --for=condition=Ready pod/web pod/sh --timeout=60s")

    def execute(line: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        argv = [*cluster.argv(f"-n {namespace} exec -i sh -- sh -c"), line]
        return subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=60, check=False)

    until(lambda: execute("wget -T 5 -qO- http://web").returncode == 0, "an answer of the Service")
    return execute


def test_wget_and_nc_reach_services_by_name(shell: Execute, namespace: str) -> None:
    assert "<html" in shell(f"wget -T 10 -qO- http://web.{namespace}.svc.cluster.local").stdout
    assert shell("wget -q -T 10 -O /tmp/page web && ls /tmp/page").returncode == 0
    assert shell("wget -q --spider http://web").returncode == 0
    lost = shell("wget -qO- http://no-such-service")
    assert lost.returncode == 1 and "bad address 'no-such-service'" in lost.stderr
    missing = shell("wget -qO- http://web/nothing")
    assert missing.returncode == 1 and "404" in missing.stderr
    looked = shell("nc -zv -w 5 web 80")
    assert looked.returncode == 0 and "open" in looked.stderr
    assert shell("nc -z -w 2 web 81").returncode == 1
    talked = shell("nc web 80", stdin="GET / HTTP/1.0\r\nHost: web\r\n\r\n")
    assert talked.stdout.startswith("HTTP/1.1 200 OK")


def test_nslookup_finds_what_the_cluster_s_dns_has(
    shell: Execute, cluster: ClusterUnderTest, namespace: str
) -> None:
    found = shell("nslookup web")
    if cluster.kind == "plain" and "no name server answers here" in found.stderr:
        assert found.returncode == 1
        return
    address = cluster.kubectl(f"-n {namespace} get service web -o jsonpath={{.spec.clusterIP}}")
    # The real busybox asks for the name with every ending, and ends with 1 where one of them does not fit.
    assert found.returncode == 0 or (cluster.kind in REAL and "NXDOMAIN" in found.stdout)
    assert f"Name:\tweb.{namespace}.svc.cluster.local\nAddress: {address}\n" in found.stdout
    lost = shell("nslookup no-such-service")
    assert lost.returncode == 1 and "NXDOMAIN" in lost.stdout


def test_a_pod_serves_with_nc_and_reaches_itself_by_localhost(shell: Execute) -> None:
    line = (
        r"(printf 'HTTP/1.0 200 OK\r\n\r\nhello\n' | nc -l -p 8000 >/dev/null) & "
        "i=0; until wget -T 5 -qO- localhost:8000 || [ $i -ge 60 ]; do i=$((i + 1)); sleep 0.3; done"
    )
    assert shell(line).stdout == "hello\n"


@pytest.mark.needs("own network")
def test_ping_reaches_another_pod(shell: Execute, cluster: ClusterUnderTest, namespace: str) -> None:
    address = cluster.kubectl(f"-n {namespace} get pod web -o jsonpath={{.status.podIP}}")
    done = shell(f"ping -c 2 -w 10 {address}")
    assert done.returncode == 0 and "0% packet loss" in done.stdout


def test_what_programs_expect_of_a_file_tree_is_there(shell: Execute, cluster: ClusterUnderTest) -> None:
    assert shell("umask").stdout.strip() == "0022"
    if cluster.kind != "plain":
        # busybox's own image has neither /run nor getent.
        more = "" if cluster.kind in REAL else "/run/x"
        line = (
            f"touch /tmp/x /var/run/x {more} /dev/shm/x && test -d /sys/class && id -un && stat -c %a / /etc"
        )
        assert shell(line).stdout.split() == ["root", "755", "755"]
        if cluster.kind not in REAL:
            assert shell("getent hosts localhost").stdout.split()[1] == "localhost"


@pytest.mark.needs("own file tree")
def test_volumes_and_folders_find_room_below_usr(cluster: ClusterUnderTest, namespace: str) -> None:
    """An image's own /usr can be written to and mounted on; the host's programs stay where they are."""
    pod = """
apiVersion: v1
kind: Pod
metadata: {name: room}
spec:
  restartPolicy: Never
  volumes: [{name: v, emptyDir: {}}]
  containers:
  - name: c
    image: python:3.12-alpine
    workingDir: /usr/src/app/here
    command: [sh, -c]
    args: ["pwd; touch mine $DATA/x; ls $DATA; python -c 'import json' && ls /usr/bin/env"]
    env: [{name: DATA, value: /usr/share/fresh/data}]
    volumeMounts: [{name: v, mountPath: /usr/share/fresh/data}]
"""
    cluster.kubectl(f"-n {namespace} apply -f -", pod)
    cluster.kubectl(f"-n {namespace} wait --for=jsonpath={{.status.phase}}=Succeeded pod/room --timeout=60s")
    assert cluster.kubectl(f"-n {namespace} logs room").split() == ["/usr/src/app/here", "x", "/usr/bin/env"]
