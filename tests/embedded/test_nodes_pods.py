"""Pids, exit codes and restarts come from the operating system: a program is killed from outside."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, Any

from tests.embedded.node_objects import container_status, demo, is_ready, pod_manifest, program, when

if TYPE_CHECKING:
    from tests.embedded.conftest import RunningCluster


def test_a_program_killed_from_outside_is_seen_and_started_again(
    cluster: RunningCluster, namespace: str
) -> None:
    cluster.kubectl(f"-n {namespace} apply -f -", stdin=pod_manifest("victim", demo()))
    before = when(cluster, f"-n {namespace} pod victim", is_ready, "victim to be Ready")
    pid = program(cluster, before)
    os.kill(pid, signal.SIGKILL)

    def healed(now: dict[str, Any]) -> bool:
        return container_status(now)["restartCount"] == 1 and is_ready(now)

    after = when(cluster, f"-n {namespace} pod victim", healed, "the container to be Ready again")
    last = container_status(after)["lastState"]["terminated"]
    assert (last["exitCode"], last["reason"]) == (137, "Error")
    assert (
        last["containerID"]
        == container_status(before)["containerID"]
        != container_status(after)["containerID"]
    )
    assert program(cluster, after) != pid and not os.path.exists(f"/proc/{pid}")
    # The first restart is at once; the second would be after 10 s.
    started = container_status(after)["state"]["running"]["startedAt"]
    assert (
        time.mktime(time.strptime(started, "%Y-%m-%dT%H:%M:%SZ"))
        - time.mktime(time.strptime(last["finishedAt"], "%Y-%m-%dT%H:%M:%SZ"))
        < 10
    )
