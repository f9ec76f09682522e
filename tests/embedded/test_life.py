"""The life of an embedded cluster: who holds it, how it ends, and what is left (nothing)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from k8slab.cluster.components.ladder import locate
from k8slab.cluster.embedded.backend import end, open_embedded
from k8slab.cluster.embedded.journal import Journal
from k8slab.errors import ClusterError
from k8slab.folders import ClusterFolder
from k8slab.processes import processes_of_cluster
from k8slab.progress import SilentProgress
from tests.embedded.conftest import isolated_as, until

OPEN_AND_WAIT = """
    import sys
    from k8slab.cluster.embedded.backend import open_embedded
    from k8slab.progress import SilentProgress
    if "waits" in sys.argv:
        print("ready", flush=True)
        sys.stdin.readline()
    cluster = open_embedded(sys.argv[1], 1, False, SilentProgress())
    print(cluster.uuid, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def plain() -> Iterator[None]:
    with isolated_as("plain"):
        yield


@pytest.fixture
def name(request: pytest.FixtureRequest) -> Iterator[str]:
    name = f"life-{abs(hash(request.node.name)) % 10**6}"
    yield name
    end(ClusterFolder.of(name))


def holder(name: str, *words: str) -> subprocess.Popen[str]:
    """Another Python process that opens the cluster and holds it until its input ends.

    With `waits` it says that it is ready, and opens it when it is sent a line.
    """
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(OPEN_AND_WAIT), name, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def uuid_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    uuid = process.stdout.readline().strip()
    assert uuid, "the holder ended without a cluster"
    return uuid


def let_go(process: subprocess.Popen[str]) -> None:
    process.communicate()


def running(uuid: str) -> list[int]:
    return [identity.pid for identity in processes_of_cluster(uuid)]


def test_kill_9_of_the_only_holder_leaves_nothing_within_15_seconds(name: str) -> None:
    process = holder(name)
    uuid = uuid_of(process)
    assert running(uuid)
    process.kill()
    process.communicate()
    until(lambda: not running(uuid), "every process of the cluster to end", seconds=15)
    until(lambda: not ClusterFolder.of(name).path.exists(), "the folder to be gone", seconds=30)


def test_two_holders_share_a_cluster_and_the_first_to_close_takes_nothing(name: str) -> None:
    one, other = holder(name), holder(name)
    uuid = uuid_of(one)
    assert uuid_of(other) == uuid
    folder = ClusterFolder.of(name)
    journal = Journal.read(folder.journal)
    assert journal is not None
    api_server = journal.processes["kube-apiserver"]
    assert api_server is not None
    let_go(one)
    # One second longer than the linger: a cluster that counted wrongly would be ending by now.
    with pytest.raises(AssertionError, match="waited"):
        until(lambda: not api_server.is_alive(), "the API server to end", seconds=6)
    let_go(other)
    until(lambda: not running(uuid), "every process of the cluster to end")


def test_a_new_kernel_within_the_linger_finds_the_same_cluster(name: str) -> None:
    one = holder(name)
    uuid = uuid_of(one)
    # The linger is short, and a Python process may take longer to begin on a busy machine.
    other = holder(name, "waits")
    assert other.stdin is not None and uuid_of(other) == "ready"
    one.kill()
    one.communicate()
    other.stdin.write("\n")
    other.stdin.flush()
    assert uuid_of(other) == uuid
    let_go(other)


def test_a_killed_supervisor_is_swept_by_the_next_open(name: str) -> None:
    one = holder(name)
    uuid = uuid_of(one)
    journal = Journal.read(ClusterFolder.of(name).journal)
    assert journal is not None and journal.supervisor is not None
    os.kill(journal.supervisor.pid, signal.SIGKILL)
    until(lambda: not journal.supervisor_is_alive(), "the supervisor to be gone")
    assert running(uuid), "the orphans are the point of this test"
    other = holder(name)
    assert uuid_of(other) != uuid
    assert not running(uuid)
    let_go(other)
    let_go(one)


@pytest.mark.parametrize("moment", [0.05, 0.6, 1.5])
def test_interrupting_the_start_leaves_the_next_start_working(name: str, moment: float) -> None:
    one = holder(name)
    with pytest.raises(subprocess.TimeoutExpired):
        one.wait(moment)
    one.send_signal(signal.SIGINT)
    one.communicate()
    other = holder(name)
    assert uuid_of(other)
    let_go(other)


def test_clusters_live_side_by_side(name: str) -> None:
    one, other = holder(name), holder(f"{name}-b")
    uuids = uuid_of(one), uuid_of(other)
    octets = {ClusterFolder.of(each).settings().octet for each in (name, f"{name}-b")}
    assert len(octets) == 2
    let_go(one)
    until(lambda: not running(uuids[0]), "the first cluster to end")
    assert running(uuids[1])
    let_go(other)
    until(lambda: not running(uuids[1]), "the second cluster to end")


def test_a_kept_cluster_outlives_its_holder_and_ends_when_told(name: str) -> None:
    cluster = open_embedded(name, 1, True, SilentProgress())
    cluster.close()
    again = open_embedded(name, 1, False, SilentProgress())
    assert again.uuid == cluster.uuid
    again.delete()
    assert not running(cluster.uuid)
    assert not ClusterFolder.of(name).path.exists()


def test_a_component_that_dies_is_reported_with_exit_code_and_log(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = locate(SilentProgress())
    for program in Path(real.folder).iterdir():
        (tmp_path / program.name).symlink_to(program)
    (tmp_path / "etcd").unlink()
    (tmp_path / "etcd").write_text("#!/bin/sh\necho 'the disk is made of cheese'\nexit 3\n")
    (tmp_path / "etcd").chmod(0o755)

    class Broken:
        kubernetes = real.kubernetes
        folder = tmp_path

    monkeypatch.setattr("k8slab.cluster.embedded.creation.locate", lambda progress: Broken)
    with pytest.raises(ClusterError, match=r"(?s)etcd exited with code 3 .*made of cheese"):
        open_embedded(name, 1, False, SilentProgress())
    monkeypatch.undo()
    open_embedded(name, 1, False, SilentProgress()).delete()
