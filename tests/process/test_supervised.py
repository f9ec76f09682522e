"""Supervised processes and process identities, with real children."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from k8slab.cluster.embedded.control_plane import ProcessSpecification
from k8slab.cluster.embedded.supervisor.supervised import SupervisedProcess
from k8slab.errors import StartError
from k8slab.processes import (
    CLUSTER_VARIABLE,
    ProcessIdentity,
    end_processes,
    processes_of_cluster,
)


def supervised(tmp_path: Path, script: str, changes: list[str] | None = None) -> SupervisedProcess:
    return SupervisedProcess(
        ProcessSpecification("child", "component", ("/bin/sh", "-c", script)),
        {"PATH": os.environ["PATH"], CLUSTER_VARIABLE: "uuid-of-the-test"},
        tmp_path / "child.log",
        lambda: (),
        lambda process: changes.append(process.record()["state"]) if changes is not None else None,
    )


async def ended(process: SupervisedProcess) -> None:
    async with asyncio.timeout(60):
        while process.pid is not None:
            await asyncio.sleep(0.01)


async def test_a_child_that_dies_is_reported_with_exit_code_and_last_lines(tmp_path: Path) -> None:
    changes: list[str] = []
    process = supervised(tmp_path, "echo no cheese left; exit 4", changes)
    process.start()
    await ended(process)
    with pytest.raises(StartError, match=r"(?s)child exited with code 4 after .*no cheese left"):
        process.check()
    assert changes == ["running", "failed"]


async def test_a_child_killed_from_outside_is_reported_with_its_signal(tmp_path: Path) -> None:
    process = supervised(tmp_path, "exec sleep 60")
    process.start()
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    await ended(process)
    with pytest.raises(StartError, match="SIGKILL"):
        process.check()


async def test_a_port_that_is_taken_is_said_with_what_to_do(tmp_path: Path) -> None:
    process = supervised(tmp_path, "echo 'listen tcp: bind: address already in use'; exit 1")
    process.start()
    await ended(process)
    with pytest.raises(StartError, match="Another program holds the port"):
        process.check()


async def test_stopping_is_no_failure_and_starting_again_counts(tmp_path: Path) -> None:
    process = supervised(tmp_path, "exec sleep 60")
    process.start()
    first = process.pid
    await process.stop()
    process.check()
    assert process.record()["state"] == "stopped"
    assert process.record()["exit_code"] == -signal.SIGTERM
    process.start()
    assert process.pid not in (None, first)
    assert process.record()["restarts"] == 1
    await process.stop()


async def test_a_child_deaf_to_sigterm_is_killed_after_its_grace(tmp_path: Path) -> None:
    process = supervised(tmp_path, "trap '' TERM; echo deaf; while :; do sleep 0.1; done")
    process.start()
    async with asyncio.timeout(60):
        while "deaf" not in process.log.read_text():
            await asyncio.sleep(0.01)
    await process.stop(grace=0.2)
    assert process.record()["exit_code"] == -signal.SIGKILL
    end_processes(list(processes_of_cluster("uuid-of-the-test")))


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    environment = {**os.environ, CLUSTER_VARIABLE: "uuid-of-a-sleeper"}
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], env=environment) as process:
        yield process
        process.kill()


def test_processes_are_found_by_the_uuid_in_their_environment(sleeper: subprocess.Popen[bytes]) -> None:
    assert [each.pid for each in processes_of_cluster("uuid-of-a-sleeper")] == [sleeper.pid]
    assert not list(processes_of_cluster("uuid-of-nobody"))


def test_a_recycled_pid_is_never_touched(sleeper: subprocess.Popen[bytes]) -> None:
    identity = ProcessIdentity.of(sleeper.pid)
    assert identity is not None
    stranger = ProcessIdentity(sleeper.pid, identity.start_time - 1)
    assert end_processes([stranger], grace=0.1) == []
    assert sleeper.poll() is None
    assert end_processes([identity]) == []
    assert sleeper.wait(60) == -signal.SIGTERM


ORPHANS = """
import os, subprocess, sys, time
from k8slab import linux
from k8slab.processes import reap_orphans
linux.adopt_orphans()
parent = subprocess.Popen(["/bin/sh", "-c", "sleep 0.1 & echo $!"], stdout=subprocess.PIPE, text=True)
orphan = int(parent.communicate()[0])
deadline = time.monotonic() + 60
while os.path.exists(f"/proc/{orphan}") and time.monotonic() < deadline:
    reap_orphans([])
    time.sleep(0.01)
print(os.path.exists(f"/proc/{orphan}"))
"""


def test_adopted_processes_leave_no_zombies() -> None:
    ran = subprocess.run([sys.executable, "-c", ORPHANS], capture_output=True, text=True, timeout=120)
    assert ran.stdout.strip() == "False", ran.stderr


def test_reaping_leaves_the_children_of_others_their_status() -> None:
    program = (
        "import os, subprocess; from k8slab.processes import reap_orphans\n"
        "child = subprocess.Popen(['/bin/sh', '-c', 'exit 7'])\n"
        "os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT); reap_orphans([child.pid]); "
        "print(child.wait())"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert ran.stdout.strip() == "7", ran.stderr
