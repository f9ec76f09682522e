"""What becomes of commands, attached programs and forwarded ports when their node's agent is killed."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import time
from typing import TYPE_CHECKING

from tests.embedded.conftest import until
from tests.embedded.node_objects import get, is_ready, pod_manifest, program, shell
from tests.embedded.test_nodes_agent import agent_pid, on_node

if TYPE_CHECKING:
    from tests.embedded.conftest import RunningCluster

BEAT = "i=0; while true; do i=$((i+1)); echo $i > beat; echo $i; sleep 0.1; done"


def kubectl(cluster: RunningCluster, arguments: str, *command: str) -> subprocess.Popen[bytes]:
    config = f"--kubeconfig={cluster.cluster.kubeconfig}"
    argv = [str(cluster.cluster.kubectl), config, *arguments.split(), *(["--", *command] if command else [])]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)


def test_an_agent_that_is_killed_leaves_commands_alone(cluster: RunningCluster, namespace: str) -> None:
    """As with containerd: the stream breaks, the command goes on, and its output waits for nobody."""
    mounts = [{"name": "data", "mountPath": "/data"}]
    talks = "while true; do echo tick; sleep 0.2; done"
    container = shell(talks, workingDir="/data", volumeMounts=mounts)
    manifest = pod_manifest("box", container, volumes=[{"name": "data", "emptyDir": {}}])
    cluster.kubectl(f"-n {namespace} apply -f -", stdin=on_node(manifest, "worker-3"))
    until(lambda: is_ready(get(cluster, f"-n {namespace} pod box")), "the Pod to be Ready")
    pid = program(cluster, get(cluster, f"-n {namespace} pod box"))
    box = f"-n {namespace} exec box"

    def beat() -> str:
        return cluster.kubectl(f"{box} -- cat beat", check=False).strip()

    joined = [
        kubectl(cluster, box, "sh", "-c", BEAT),
        kubectl(cluster, f"-n {namespace} attach box"),
        kubectl(cluster, f"-n {namespace} logs -f box"),
        kubectl(cluster, f"-n {namespace} port-forward box 0:80"),
    ]
    try:
        until(lambda: beat().isdigit(), "the first beat")
        # Each of them is joined: what came later would be joined to the next agent.
        for process, beginning in zip(joined, (b"1", b"tick", b"tick", b"Forwarding from"), strict=True):
            assert process.stdout is not None and process.stdout.readline().startswith(beginning)
        agent = agent_pid(cluster, "worker-3")
        os.kill(agent, signal.SIGKILL)
        codes = [each.wait(60) for each in joined]
        assert codes[0] != 0 and codes[3] == 1, codes
        until(lambda: agent_pid(cluster, "worker-3") not in (0, agent), "the new agent")
        before = until(lambda: seen if (seen := beat()).isdigit() else "", "a beat")
        until(lambda: (seen := beat()).isdigit() and seen != before, "another beat")
    finally:
        for each in joined:
            each.kill()
            each.communicate()
    assert program(cluster, get(cluster, f"-n {namespace} pod box")) == pid


def test_what_a_command_prints_for_nobody_makes_it_wait(cluster: RunningCluster, namespace: str) -> None:
    """Its pipe fills and it waits, as on containerd; it is not killed, and ends with its container."""
    cluster.kubectl(f"-n {namespace} apply -f -", stdin=pod_manifest("box", shell("sleep 600")))
    until(lambda: is_ready(get(cluster, f"-n {namespace} pod box")), "the Pod to be Ready")
    loud = kubectl(cluster, f"-n {namespace} exec box", "sh", "-c", "while true; do echo loud-815; done")
    try:
        assert loud.stdout is not None and loud.stdout.readline() == b"loud-815\n"
    finally:
        loud.kill()
        loud.communicate()
    found = until(lambda: _commands(b"loud-815"), "the command")
    time.sleep(0.5)  # Long enough for any signal to have come.
    assert _commands(b"loud-815") == found
    cluster.kubectl(f"-n {namespace} delete pod box --grace-period=1")
    until(lambda: not _commands(b"loud-815"), "its end")


def _commands(mark: bytes) -> list[int]:
    """The shells in which a command with such a word runs; kubectl carries the word as well."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/cmdline", "rb") as file:
                    words = file.read().split(b"\0")
            except OSError:
                continue
            if words[:2] == [b"sh", b"-c"] and mark in words[2]:
                found.append(int(entry))
    return sorted(found)


def test_a_port_of_the_control_plane_is_forwarded(cluster: RunningCluster) -> None:
    """A mirror Pod has the node's network, and there the API server listens."""
    forwarding = kubectl(cluster, "-n kube-system port-forward pod/kube-apiserver-control-plane 0:6443")
    try:
        assert forwarding.stdout is not None
        port = int(forwarding.stdout.readline().split()[2].rpartition(b":")[2])
        context = ssl.create_default_context(cafile=str(cluster.folder.certificate("ca")))
        with (
            socket.create_connection(("127.0.0.1", port), timeout=30) as connection,
            context.wrap_socket(connection, server_hostname="kubernetes.default.svc") as wrapped,
        ):
            wrapped.sendall(b"GET /version HTTP/1.1\r\nHost: kubernetes\r\nConnection: close\r\n\r\n")
            assert wrapped.recv(100).startswith(b"HTTP/1.1 ")
    finally:
        forwarding.kill()
        forwarding.communicate()
    said = cluster.kubectl("-n kube-system exec etcd-control-plane -- ls", check=False)
    assert "etcd is an ordinary process of this host" in said
