"""kubectl logs, exec, attach and run through the API server, on a process node."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
import time
from typing import TYPE_CHECKING

import pytest

from k8slab.commands import run
from tests.embedded.conftest import until
from tests.embedded.node_objects import get, is_ready, pod_manifest, program, shell

if TYPE_CHECKING:
    from tests.embedded.conftest import RunningCluster


def start(cluster: RunningCluster, namespace: str, name: str, command: str) -> None:
    manifest = pod_manifest(name, shell(command))
    cluster.kubectl(f"-n {namespace} apply -f -", stdin=manifest)
    until(lambda: is_ready(get(cluster, f"-n {namespace} pod {name}")), f"{name} to be Ready")


def kubectl(cluster: RunningCluster, arguments: str) -> list[str]:
    config = f"--kubeconfig={cluster.cluster.kubeconfig}"
    return [str(cluster.cluster.kubectl), config, *arguments.split()]


def test_logs_with_every_option(cluster: RunningCluster, namespace: str) -> None:
    start(cluster, namespace, "talk", "for i in 1 2 3 4 5; do echo line $i; done; echo oops >&2; sleep 600")
    until(lambda: "oops" in cluster.kubectl(f"-n {namespace} logs talk"), "all lines")
    assert cluster.kubectl(f"-n {namespace} logs talk").splitlines()[:2] == ["line 1", "line 2"]
    assert cluster.kubectl(f"-n {namespace} logs talk --tail=2") == "line 5\noops\n"
    stamped = cluster.kubectl(f"-n {namespace} logs talk --timestamps --tail=1").split()
    assert stamped[1] == "oops" and stamped[0].startswith("20") and stamped[0].endswith("Z")
    assert cluster.kubectl(f"-n {namespace} logs talk --limit-bytes=6") == "line 1"
    assert cluster.kubectl(f"-n {namespace} logs talk --since=1h").count("line") == 5
    said = cluster.kubectl(f"-n {namespace} logs talk --previous", check=False)
    assert 'previous terminated container "main" in pod "talk" not found' in said


def test_following_a_log_ends_with_the_program(cluster: RunningCluster, namespace: str) -> None:
    manifest = pod_manifest(
        "count", shell("for i in 1 2 3; do echo $i; sleep 0.5; done"), restartPolicy="Never"
    )
    cluster.kubectl(f"-n {namespace} apply -f -", stdin=manifest)
    until(
        lambda: cluster.kubectl(f"-n {namespace} logs count", check=False).startswith("1"), "the first line"
    )
    assert cluster.kubectl(f"-n {namespace} logs -f count", timeout=30) == "1\n2\n3\n"


def test_the_log_of_the_run_before(cluster: RunningCluster, namespace: str) -> None:
    start(cluster, namespace, "twice", "echo born; sleep 600")
    cluster.kubectl(f"-n {namespace} exec twice -- sh -c 'echo dying > /proc/1/fd/1; true'", check=False)
    os.kill(program(cluster, get(cluster, f"-n {namespace} pod twice")), 9)

    def restarted() -> bool:
        status = get(cluster, f"-n {namespace} pod twice")["status"]["containerStatuses"][0]
        return status["restartCount"] == 1 and "running" in status["state"]

    until(restarted, "the restart")
    assert cluster.kubectl(f"-n {namespace} logs twice --previous").startswith("born\n")


def test_exec_passes_streams_and_exit_code(cluster: RunningCluster, namespace: str) -> None:
    start(cluster, namespace, "box", "sleep 600")
    shell_in_box = kubectl(cluster, f"-n {namespace} exec -i box -- sh -c")
    command = [*shell_in_box, "cat; echo problem >&2; exit 5"]
    done = subprocess.run(command, input=b"x" * 300_000, capture_output=True, timeout=60, check=False)
    assert done.stdout == b"x" * 300_000
    assert done.stderr.startswith(b"problem\n") and done.returncode == 5
    missing = cluster.kubectl(f"-n {namespace} exec box -- no-such-program", check=False)
    assert "no-such-program" in missing and "not found" in missing
    assert "container nobody is not valid for pod box" in cluster.kubectl(
        f"-n {namespace} exec box -c nobody -- true", check=False
    )


def test_exec_with_a_terminal_of_the_right_size(cluster: RunningCluster, namespace: str) -> None:
    start(cluster, namespace, "screen", "sleep 600")
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 123, 0, 0))
    command = kubectl(cluster, f"-n {namespace} exec -it screen -- sh")
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    seen = ""
    try:
        os.write(
            ours, b"until [ \"$(stty size)\" = '40 123' ]; do sleep 0.1; done; echo si''ze is right; exit\n"
        )
        deadline = time.monotonic() + 30
        while "size is right" not in seen and time.monotonic() < deadline:
            try:
                seen += os.read(ours, 4096).decode(errors="replace")
            except OSError:
                break
    finally:
        os.close(ours)
        code = process.wait(20)
    assert "size is right" in seen and code == 0


def test_run_and_attach(cluster: RunningCluster, namespace: str) -> None:
    command = kubectl(cluster, f"-n {namespace} run t -i --rm --restart=Never --image=busybox -- sh -c")
    done = subprocess.run(
        [*command, "read line; echo got $line"],
        input=b"hello\n",
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert b"got hello" in done.stdout and b'pod "t" deleted' in done.stdout, done


PYTHON_CLIENT = """
import sys
from kubernetes import client, config
from kubernetes.stream import stream

kubeconfig, namespace, name, verb = sys.argv[1:]
api = client.CoreV1Api(config.new_client_from_config(kubeconfig))
call = {"exec": api.connect_get_namespaced_pod_exec, "attach": api.connect_get_namespaced_pod_attach}[verb]
own = {"command": ["sh", "-c", "echo tick; exit 3"]} if verb == "exec" else {}
joined = stream(call, name, namespace, stdin=False, stdout=True, stderr=True, tty=False,
                _preload_content=False, **own)
said = ""
while "tick" not in said and joined.is_open():
    joined.update(timeout=1)
    said += joined.read_stdout(timeout=0.1)
if verb == "exec":
    joined.run_forever(timeout=10)
print(said.split()[0], joined.returncode if verb == "exec" else "")
"""


@pytest.mark.parametrize(("verb", "seen"), [("exec", "tick 3"), ("attach", "tick")])
def test_the_python_client_works_as_well(
    cluster: RunningCluster, namespace: str, verb: str, seen: str
) -> None:
    """It speaks v4.channel.k8s.io. In a process of its own, for it leaves its socket open."""
    start(cluster, namespace, f"py-{verb}", "while true; do echo tick; sleep 0.2; done")
    argv = [
        sys.executable,
        "-c",
        PYTHON_CLIENT,
        str(cluster.cluster.kubeconfig),
        namespace,
        f"py-{verb}",
        verb,
    ]
    assert run(argv, timeout=60).stdout.strip() == seen


def test_what_is_not_served_says_what_to_do(cluster: RunningCluster, namespace: str) -> None:
    start(cluster, namespace, "port", "sleep 600")
    said = cluster.kubectl(f"-n {namespace} port-forward port 0:8080", check=False, timeout=30)
    assert "do not forward ports; reach the Pod through a Service" in said
