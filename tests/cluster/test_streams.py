"""exec, attach, `run -it --rm` and cp: streams, terminals, signals and exit codes.

Texts: kubectl's pkg/cmd/{exec,cp,run}, client-go's tools/remotecommand/v4.go, the kubelet's
pkg/kubelet/kubelet_pods.go lines 2807 (`GetExec`) and 2819 (`GetAttach`), and cri-streaming's
pkg/streaming/remotecommand/exec.go lines 46 to 66 (all of Kubernetes 1.36).
"""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from tests.cluster.conftest import ClusterUnderTest, until
from tests.cluster.manifests import pod, python, run_ready, shell
from tests.cluster.terminal import Terminal

WAYS: dict[str, dict[str, str]] = {"WebSocket": {}, "SPDY": {"KUBECTL_REMOTE_COMMAND_WEBSOCKETS": "false"}}


def execute(
    cluster: ClusterUnderTest,
    line: str,
    *command: str,
    stdin: bytes = b"",
    env: Mapping[str, str] = MappingProxyType({}),
) -> subprocess.CompletedProcess[bytes]:
    """`kubectl <line> -- <command>` with bytes in and out."""
    return subprocess.run(
        [*cluster.argv(line), "--", *command],
        input=stdin,
        capture_output=True,
        timeout=120,
        check=False,
        env={**os.environ, **env},
    )


@pytest.mark.parametrize("way", WAYS)
def test_exec_passes_every_byte_and_the_exit_code(
    cluster: ClusterUnderTest, namespace: str, way: str
) -> None:
    run_ready(cluster, namespace, pod("box", shell("sleep 600")))
    env = WAYS[way]
    blob = os.urandom(10 << 20)
    done = execute(
        cluster,
        f"-n {namespace} exec -i box",
        *("sh", "-c", "cat; echo problem >&2; exit 5"),
        stdin=blob,
        env=env,
    )
    assert done.stdout == blob and done.returncode == 5
    assert done.stderr.splitlines() == [b"problem", b"command terminated with exit code 5"]
    line = f"-n {namespace} exec box"
    large = execute(cluster, line, "head", "-c", "52428800", "/dev/zero", env=env)
    assert hashlib.sha256(large.stdout).digest() == hashlib.sha256(bytes(50 << 20)).digest()
    # A command that ends long before its input does.
    early = execute(cluster, f"-n {namespace} exec -i box", "head", "-c", "5", stdin=blob, env=env)
    assert early.stdout == blob[:5] and early.returncode == 0
    for script, code in (("exit 126", 126), ("no-such-program", 127), ("kill -9 $$", 137)):
        assert execute(cluster, line, "sh", "-c", script, env=env).returncode == code, script
    missing = execute(cluster, line, "no-such-program", env=env)
    assert missing.returncode == 1
    assert b"error: Internal error occurred: error executing command in container: " in missing.stderr
    assert b'exec: "no-such-program": executable file not found in $PATH' in missing.stderr
    assert b'exec: "/etc/passwd": permission denied' in execute(cluster, line, "/etc/passwd", env=env).stderr


def test_exec_of_what_is_not_there(cluster: ClusterUnderTest, namespace: str) -> None:
    once = shell("exit 0", name="once")
    run_ready(cluster, namespace, pod("two", shell("sleep 600", name="stays"), restartPolicy="Never"))
    said = cluster.run(f"-n {namespace} exec two -c nobody -- true").stderr
    assert "container nobody is not valid for pod two" in said
    manifest = pod("half", shell("sleep 600", name="stays"), once, restartPolicy="Never")
    cluster.kubectl(f"-n {namespace} apply -f -", stdin=manifest)
    ended = ".status.containerStatuses[?(@.name=='once')].state.terminated.exitCode"
    cluster.kubectl(f'-n {namespace} wait pod/half "--for=jsonpath={{{ended}}}=0" --timeout=60s')
    assert 'container not found ("once")' in cluster.run(f"-n {namespace} exec half -c once -- true").stderr
    attached = cluster.run(f"-n {namespace} attach half -c once").stderr
    assert f"container once not found in pod half_{namespace}" in attached
    cluster.kubectl(f"-n {namespace} apply -f -", stdin=pod("done", once, restartPolicy="Never"))
    cluster.kubectl(f"-n {namespace} wait pod/done --for=jsonpath={{.status.phase}}=Succeeded --timeout=60s")
    said = cluster.run(f"-n {namespace} exec done -- true").stderr
    assert "cannot exec into a container in a completed pod; current phase is Succeeded" in said


def test_a_terminal(cluster: ClusterUnderTest, namespace: str) -> None:
    run_ready(cluster, namespace, pod("screen", shell("sleep 600")))
    with Terminal(cluster.argv(f"-n {namespace} exec -it screen -- sh")) as terminal:
        terminal.expect_prompt()
        terminal.type("until [ \"$(stty size)\" = '40 123' ]; do sleep 0.1; done; echo si''ze is right\n")
        terminal.expect("size is right")
        terminal.resize(31, 77)
        terminal.type("until [ \"$(stty size)\" = '31 77' ]; do sleep 0.1; done; echo new si''ze\n")
        terminal.expect("new size")
        terminal.type("trap 'echo caug''ht' INT; sh -c \"echo beg''un; exec sleep 300\"\n")
        # It says so itself: from now on it is what Ctrl-C ends.
        terminal.expect("begun")
        terminal.type("\x03")
        terminal.expect("caught")
        terminal.type("tty; exit 6\n")
        terminal.expect("/dev/")
        assert terminal.wait() == 6
    with Terminal(cluster.argv(f"-n {namespace} exec -it screen -- cat")) as terminal:
        terminal.type("echoed\n")
        terminal.expect("echoed")
        terminal.expect("echoed")
        terminal.type("\x04")
        assert terminal.wait() == 0


def test_run_a_shell_in_a_terminal_and_lose_it(cluster: ClusterUnderTest, namespace: str) -> None:
    line = f"-n {namespace} run t -it --rm --restart=Never --image=busybox:1.36 -- sh"
    with Terminal(cluster.argv(line)) as terminal:
        time.sleep(0.2)
        terminal.expect_prompt()
        terminal.type("echo pr''ompt $((40 + 2)); exit 4\n")
        terminal.expect("prompt 42")
        # kubectl's own words: pkg/cmd/run/run.go, handleAttachPod and the deletion after it.
        assert terminal.wait(60) == 4
        assert 'pod "t" deleted' in terminal.seen
        assert f"pod {namespace}/t terminated (Error)" in terminal.seen
    until(lambda: cluster.run(f"-n {namespace} get pod t").returncode == 1, "the Pod to be gone")
    piped = execute(
        cluster,
        f"-n {namespace} run u -i --rm --restart=Never --image=busybox:1.36",
        *("sh", "-c", "read line; echo got $line"),
        stdin=b"hello\n",
    )
    assert b"got hello" in piped.stdout and b'pod "u" deleted' in piped.stdout, piped


def test_attach(cluster: ClusterUnderTest, namespace: str) -> None:
    command = 'while read line; do echo "got $line"; done; echo end of input; sleep 600'
    run_ready(cluster, namespace, pod("ear", shell(command, stdin=True, stdinOnce=True)))
    process = subprocess.Popen(
        cluster.argv(f"-n {namespace} attach -i ear"), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        process.stdin.write(b"one\ntwo\n")
        process.stdin.flush()
        assert [process.stdout.readline() for _ in range(2)] == [b"got one\n", b"got two\n"]
        process.stdin.close()
        # stdinOnce: the program's input ends with the first who attached.
        assert process.stdout.readline() == b"end of input\n"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    screen = shell('while read line; do echo "heard $line"; done', stdin=True, tty=True)
    run_ready(cluster, namespace, pod("shell", screen))
    with Terminal(cluster.argv(f"-n {namespace} attach -it shell")) as terminal:
        until(lambda: _typed(terminal), "an answer")
    restarts = cluster.get(f"-n {namespace} pod shell")["status"]["containerStatuses"][0]["restartCount"]
    assert restarts == 0, "detaching from a terminal ends nothing"


def _typed(terminal: Terminal) -> bool:
    terminal.type("hello\n")
    try:
        terminal.expect("heard hello", 5)
    except AssertionError:
        return False
    return True


def test_a_slow_reader_of_an_attached_program_loses_nothing(
    cluster: ClusterUnderTest, namespace: str
) -> None:
    """The program waits, as containerd has it (internal/cri/io/container_io.go: one write to all)."""
    command = "read go; head -c 8388608 /dev/zero | tr '\\0' x; echo; sleep 600"
    run_ready(cluster, namespace, pod("loud", shell(command, stdin=True)))
    process = subprocess.Popen(
        cluster.argv(f"-n {namespace} attach -i loud"), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        process.stdin.write(b"go\n")
        process.stdin.flush()
        time.sleep(2)  # Long enough for every buffer on the way to be full.
        assert process.stdout.readline() == b"x" * (8 << 20) + b"\n"
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def test_what_a_command_leaves_behind(cluster: ClusterUnderTest, namespace: str) -> None:
    """containerd waits for the command, and 2 s at most for its output (`waitTimeout` in its exec.go)."""
    run_ready(cluster, namespace, with_volume("box"))
    started = time.monotonic()
    line = f"-n {namespace} exec box"
    assert execute(cluster, line, "sh", "-c", "sleep 300 & echo started").stdout == b"started\n"
    assert time.monotonic() - started < 60
    # kubectl is killed in the middle: its command goes on, as on containerd.
    loop = "i=0; while true; do i=$((i+1)); echo $i > beat; sleep 0.2; done"
    process = subprocess.Popen([*cluster.argv(line), "--", "sh", "-c", loop])

    def beat() -> str:
        return cluster.run(f"-n {namespace} exec box -- cat beat").stdout.strip()

    try:
        until(beat, "the first beat")
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    before = until(beat, "a beat")
    until(lambda: beat() not in (before, ""), "another beat")


def test_a_container_that_ignores_the_signal_ends_its_commands(
    cluster: ClusterUnderTest, namespace: str
) -> None:
    deaf = python("import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(600)")
    run_ready(cluster, namespace, pod("deaf", deaf))
    process = subprocess.Popen(
        [*cluster.argv(f"-n {namespace} exec deaf"), "--", "sleep", "500"], stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    try:
        until(
            lambda: (
                b"sleep\x00500"
                in execute(
                    cluster, f"-n {namespace} exec deaf", "sh", "-c", "cat /proc/[0-9]*/cmdline"
                ).stdout
            ),
            "the command to run",
        )
        cluster.kubectl(f"-n {namespace} delete pod deaf --wait=false")
        assert process.wait(60) == 137
        assert b"command terminated with exit code 137" in process.stderr.read()
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def with_volume(name: str) -> str:
    """A Pod whose shell works in a volume; without namespaces /tmp is the host's."""
    mounts = [{"name": "data", "mountPath": "/data"}]
    container = shell("sleep 600", workingDir="/data", volumeMounts=mounts)
    return pod(name, container, volumes=[{"name": "data", "emptyDir": {}}])


def test_copying_both_ways(cluster: ClusterUnderTest, namespace: str, tmp_path: Path) -> None:
    run_ready(cluster, namespace, with_volume("box"))
    blob = os.urandom(3 << 20)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "blob").write_bytes(blob)
    (tmp_path / "folder" / "text").write_text("a line\n")
    cluster.kubectl(f"-n {namespace} cp {tmp_path}/folder box:/data/there")
    listed = cluster.kubectl(f"-n {namespace} exec box -- ls there")
    assert listed.split() == ["blob", "text"]
    cluster.kubectl(f"-n {namespace} cp box:there {tmp_path}/back")
    assert (tmp_path / "back" / "blob").read_bytes() == blob
    assert (tmp_path / "back" / "text").read_text() == "a line\n"
    # What tar says of it kubectl may or may not have printed by the time it ends (cp.go, newTarPipe).
    cluster.run(f"-n {namespace} cp box:nowhere {tmp_path}/nothing")
    assert not (tmp_path / "nothing").exists()


PYTHON_CLIENT = """
import socket, sys
from kubernetes import client, config
from kubernetes.stream import portforward, stream

kubeconfig, namespace, name, verb = sys.argv[1:]
api = client.CoreV1Api(config.new_client_from_config(kubeconfig))
if verb == "portforward":
    forward = portforward(api.connect_get_namespaced_pod_portforward, name, namespace, ports="7001")
    connection = forward.socket(7001)
    connection.setblocking(True)
    connection.sendall(b"there and back")
    print(connection.recv(100).decode(), forward.error(7001))
    forward.close()
    sys.exit()
call = {"exec": api.connect_get_namespaced_pod_exec, "attach": api.connect_get_namespaced_pod_attach}[verb]
own = {"command": ["sh", "-c", "echo tick; exit 3"]} if verb == "exec" else {}
joined = stream(call, name, namespace, stdin=False, stdout=True, stderr=True, tty=False,
                _preload_content=False, **own)
said = ""
while "tick" not in said and joined.is_open():
    joined.update(timeout=1)
    said += joined.read_stdout(timeout=0.1)
if verb == "exec":
    joined.run_forever(timeout=60)
print(said.split()[0], joined.returncode if verb == "exec" else "")
"""

ECHO = """
import os, socket
listener = socket.create_server((os.environ.get("K8SLAB_ADDRESS", "0.0.0.0"), 7001))
while True:
    connection, _ = listener.accept()
    while data := connection.recv(65536):
        connection.sendall(data)
"""


def test_the_python_client_works_as_well(cluster: ClusterUnderTest, namespace: str) -> None:
    """It speaks v4.channel.k8s.io. In a process of its own, for it leaves its socket open."""
    pytest.importorskip("kubernetes")
    run_ready(cluster, namespace, pod("tick", shell("while true; do echo tick; sleep 0.2; done")))
    listens = {"tcpSocket": {"port": 7001}, "periodSeconds": 1}
    echo = python(ECHO, ports=[{"containerPort": 7001}], readinessProbe=listens)
    run_ready(cluster, namespace, pod("echo", echo))

    def output(name: str, verb: str) -> str:
        argv = [sys.executable, "-c", PYTHON_CLIENT, str(cluster.kubeconfig), namespace, name, verb]
        return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True).stdout.strip()

    assert output("tick", "exec") == "tick 3"
    assert output("tick", "attach") == "tick"
    assert output("echo", "portforward") == "there and back None"
