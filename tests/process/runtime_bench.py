"""A runtime under test: the real process, at either level, as root or as an ordinary user without rights."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from k8slab.cluster.embedded.claim import claim_addresses
from k8slab.folders import ClusterFolder, ClusterSettings, Isolation
from k8slab.network.addresses import PORT_OFFSET, AddressPlan
from k8slab.processes import processes_of_cluster
from tests.promptness import within

REPOSITORY = Path(__file__).parents[2]
DEMO = REPOSITORY / "images" / "demo" / "demo.py"
NOBODY = 65534
DROP = [
    *("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"),
    *("--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"),
]
NODE = "worker-1"

Message = dict[str, Any]


def eventually(condition: Callable[[], object], seconds: float = 60) -> None:
    """Wait until a condition is true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


def python_of(user: str) -> str:
    """A Python that the user can run; root's own may live below /root, where nobody else can go."""
    if user == "root":
        return os.path.realpath(sys.executable)
    code = "import sys, os; assert os.access(sys.executable, os.X_OK); import k8slab, ctypes"
    for candidate in (os.path.realpath(sys.executable), "/usr/bin/python3"):
        with contextlib.suppress(OSError):
            tried = subprocess.run(
                [*DROP, "env", f"PYTHONPATH={REPOSITORY}", candidate, "-B", "-c", code], capture_output=True
            )
            if tried.returncode == 0:
                return os.path.realpath(candidate)
    raise AssertionError(f"no Python here can be run by uid {NOBODY}")


class Client:
    """One connection to a runtime."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        try:
            self.socket.connect(str(path))
        except OSError:
            self.socket.close()
            raise
        self.socket.settimeout(120)
        self.number = 0
        self.rest = b""
        self.events: list[Message] = []
        self.descriptors: list[int] = []

    def close(self) -> None:
        self.socket.close()
        for descriptor in self.descriptors:
            os.close(descriptor)

    def line(self) -> Message:
        while b"\n" not in self.rest:
            data, descriptors, _, _ = socket.recv_fds(self.socket, 65536, 3)
            self.descriptors += descriptors
            assert data, "the runtime closed the connection"
            self.rest += data
        line, _, self.rest = self.rest.partition(b"\n")
        message: Message = json.loads(line)
        return message

    def try_ask(self, op: str, **fields: Any) -> Message:
        self.number += 1
        self.socket.sendall(json.dumps({"id": self.number, "op": op, **fields}).encode() + b"\n")
        while (message := self.line()).get("id") != self.number:
            self.events.append(message)
        return message

    def ask(self, op: str, **fields: Any) -> Message:
        answer = self.try_ask(op, **fields)
        assert answer["ok"], answer
        return answer

    def event(self, name: str, **wanted: Any) -> Message:
        """The next event of that name with those fields."""
        while True:
            for event in self.events:
                if event["event"] == name and wanted.items() <= event.items():
                    self.events.remove(event)
                    return event
            self.events.append(self.line())

    def take(self) -> list[int]:
        taken, self.descriptors = self.descriptors, []
        return taken


class Bench:
    """A node's runtime with what it needs, in a short folder of its own.

    Args:
        isolation: its level.
        user: `root` or `nobody`; `root` stands for whoever runs the tests.
    """

    def __init__(self, isolation: Isolation, user: str) -> None:
        self.isolation = isolation
        self.python = python_of(user)
        self._prefix = DROP if user == "nobody" else []
        self._claim = claim_addresses(60)
        self.plan = AddressPlan(self._claim.plan.octet, PORT_OFFSET if isolation == "plain" else 0)
        self.path = Path(tempfile.mkdtemp(prefix="k8r", dir="/tmp"))
        self.folder = ClusterFolder(self.path)
        self.folder.run.mkdir()
        self.volumes = self.path / "volumes"
        self.volumes.mkdir()
        self.uuid = f"test-{secrets.token_hex(6)}"
        self.folder.write_settings(
            ClusterSettings(
                *("t", self.uuid, self.plan.octet, self.plan.port_offset, isolation),
                *((NODE,), "v1.36.3", ""),
            )
        )
        if user == "nobody":
            for path in (self.path, *self.path.iterdir()):
                os.chown(path, NOBODY, NOBODY)
        self.switch: subprocess.Popen[bytes] | None = None
        self.runtime: subprocess.Popen[bytes]
        self.client: Client

    def start(self) -> None:
        """Start switch and runtime, and subscribe to the runtime's events."""
        if self.isolation == "sandboxed" and self.switch is None:
            self.folder.switch_socket.unlink(missing_ok=True)
            self.switch = self._launch("k8slab.network.switch")
            eventually(self.folder.switch_socket.exists)
        enter: tuple[str, ...] = ()
        if self.switch:
            enter = ("nsenter", "-U", "-t", str(self.switch.pid), "--preserve-credentials")
        self.runtime = self._launch("k8slab.node.runtime", "--node", NODE, enter=enter)
        eventually(self._answers)
        self.client = Client(self.folder.runtime_socket(NODE))
        self.client.ask("subscribe")

    def _launch(self, module: str, *arguments: str, enter: tuple[str, ...] = ()) -> subprocess.Popen[bytes]:
        argv = [*self._prefix, *enter, self.python, "-B", "-m", module]
        environment = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "PYTHONPATH": str(REPOSITORY),
            "K8SLAB_CLUSTER": self.uuid,
            "LEAKED": "from the user's own shell",
        }
        with (self.path / f"{module}.log").open("ab") as log:
            return subprocess.Popen(
                [*argv, "--cluster-folder", str(self.path), *arguments],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _answers(self) -> bool:
        assert self.runtime.poll() is None, self.log()
        try:
            Client(self.folder.runtime_socket(NODE)).close()
        except OSError:
            return False
        return True

    def log(self) -> str:
        """What the runtime printed."""
        return (self.path / "k8slab.node.runtime.log").read_text()

    def kill_runtime(self) -> None:
        """Power-off."""
        self.client.close()
        self.runtime.kill()
        self.runtime.wait()

    def stop(self) -> None:
        """End everything; nothing of the cluster may be left."""
        self.client.close()
        with within(5):
            for process in (self.runtime, self.switch):
                if process is not None and process.poll() is None:
                    process.send_signal(signal.SIGTERM)
                    assert process.wait(60) == 0, self.log()
        self._claim.holder.close()
        eventually(lambda: not list(processes_of_cluster(self.uuid)))
        assert "Traceback" not in self.log(), self.log()
        shutil.rmtree(self.path)

    def address(self, number: int) -> str:
        return f"10.{self.plan.octet}.16.{number}"

    def place(self, number: int, port: int) -> tuple[str, int]:
        """Where a program inside the Pod's world reaches a Pod's port."""
        address = self.address(number)
        return self.plan.twin_endpoint(address, port) if self.isolation == "plain" else (address, port)

    def pod(self, number: int = 1) -> str:
        """Run a Pod; its uid."""
        uid = f"{secrets.token_hex(4)}-{secrets.token_hex(6)}"
        self.client.ask("run_pod", **self.sandbox(uid, number))
        return uid

    def sandbox(self, uid: str, number: int) -> Message:
        """The fields of a `run_pod` request."""
        name = f"web-{number}"
        where = {"namespace": "default", "hostname": name, "address": self.address(number)}
        return {"pod": uid, "name": name, **where}

    def request(self, pod: str, argv: list[str], **fields: Any) -> Message:
        """A `start_container` request with what it must have."""
        base: Message = {"pod": pod, "container": secrets.token_hex(32), "name": "app", "attempt": 0}
        base |= {"argv": argv, "env": [["POD", "yes"]], "working_dir": "/", "mounts": []}
        base |= {"read_only_paths": self.needs(), "memory_limit": 0}
        base |= {"stdin": False, "tty": False, "ports": []}
        return base | fields

    def needs(self) -> list[str]:
        """Host paths that the demo needs."""
        prefix = str(Path(self.python).parent.parent)
        return [str(DEMO.parent), *([] if prefix == "/usr" else [prefix])]

    def container(self, pod: str, argv: list[str], **fields: Any) -> Message:
        """Start a container; its record."""
        return self.client.ask("start_container", **self.request(pod, argv, **fields))

    def shell(self, pod: str, script: str, **fields: Any) -> Message:
        """Start a container that runs a shell script."""
        return self.container(pod, ["sh", "-c", script], **fields)

    def demo(self, pod: str, *words: str, **fields: Any) -> Message:
        """Start the demo application."""
        return self.container(pod, [self.python, "-I", "-S", "-E", "-B", str(DEMO), *words], **fields)

    def execute(self, record: Message, script: str, **fields: Any) -> tuple[int, str, str]:
        """Run a shell script in a container: exit code, output, errors."""
        answer = self.client.ask(
            "exec", pod=record["pod"], container=record["container"], argv=["sh", "-c", script], **fields
        )
        stdin, stdout, stderr = self.client.take()
        os.close(stdin)
        with open(stdout) as out, open(stderr) as err:
            texts = out.read(), err.read()
        return self.client.event("exec_exited", exec=answer["exec"])["exit_code"], *texts

    def exited(self, record: Message) -> Message:
        """The event of a container's end."""
        return self.client.event("exited", container=record["container"])

    def printed(self, record: Message) -> list[str]:
        """A container's log without times: `stdout F text`."""
        return [line.split(" ", 1)[1] for line in Path(record["log"]).read_text().splitlines()]


@contextlib.contextmanager
def running_bench(isolation: Isolation, user: str) -> Iterator[Bench]:
    """A started bench, stopped afterwards."""
    bench = Bench(isolation, user)
    bench.start()
    try:
        yield bench
    finally:
        bench.stop()
