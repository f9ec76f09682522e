"""Many Pods, a starved agent, parts killed in the middle of things: seen in /proc and in the folders."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from k8slab.commands import run
from tests.embedded.conftest import RunningCluster, until
from tests.embedded.fast_cluster import (
    containers_alive,
    fast_cluster,
    kill_9,
    node_is,
    one_run_each,
    pods,
    until_all_ready,
    workload,
)
from tests.embedded.node_objects import (
    container_status,
    events,
    is_ready,
    pod_manifest,
    shell,
    state,
    when,
)

SLEEPS = "trap 'exit 0' TERM; while :; do sleep 3600 & wait; done"
MANY = 200


@pytest.fixture(scope="module")
def own() -> Iterator[RunningCluster]:
    with fast_cluster("hard") as cluster:
        yield cluster


@pytest.fixture
def space(own: RunningCluster, request: pytest.FixtureRequest) -> Iterator[str]:
    name = f"t-{abs(hash(request.node.nodeid)) % 10**8}"
    own.kubectl(f"create namespace {name}")
    until(lambda: "default" in own.kubectl(f"-n {name} get sa -o name"), "the service account")
    yield name
    own.kubectl(f"delete namespace {name}", timeout=240)


def carriers(word: str) -> list[int]:
    """Processes with a word in their command line."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != os.getpid():
            try:
                line = Path(f"/proc/{entry}/cmdline").read_bytes()
            except OSError:
                continue
            if word.encode() in line.split(b"\0"):
                found.append(int(entry))
    return found


def cables(cluster: RunningCluster) -> set[str]:
    """The ends of Pods' cables at the cluster's bridge."""
    switch = next(each.pid for each in cluster.cluster.processes() if each.name == "switch")
    enter = ["nsenter", f"--target={switch}", "--user", "--preserve-credentials", "--net"]
    links = json.loads(run([*enter, "ip", "-j", "link", "show", "type", "veth"], timeout=20).stdout or "[]")
    return {each["ifname"] for each in links}


def pod_folders(cluster: RunningCluster) -> list[Path]:
    """What the nodes keep of Pods."""
    return sorted(cluster.folder.path.glob("nodes/worker-*/pods/*"))


def echoes(cluster: RunningCluster, exec_line: str) -> bool:
    """Whether a command in a container answers."""
    return cluster.kubectl(f"{exec_line} -- echo here", check=False) == "here\n"


def test_daemons_end_with_their_container(cluster: RunningCluster, namespace: str) -> None:
    mark = f"98{abs(hash(namespace)) % 10**6}"
    child = (
        f"sleep {mark}1 & (setsid sleep {mark}2 &) ; (setsid sh -c 'nohup sleep {mark}3 >/dev/null 2>&1 &')"
    )
    # A daemon that clears its environment carries no mark of its container any more.
    child += f"; (env -i sleep {mark}6 &); (setsid env -i sleep {mark}7 &)"
    words = [f"{mark}{number}" for number in (1, 2, 3, 6, 7)]
    line = f"{child}; sleep {mark}4 & while test ! -e go; do sleep 0.1; done; exit 3"
    manifest = pod_manifest("daemon", shell(line), restartPolicy="Never")
    cluster.kubectl(f"-n {namespace} apply -f -", stdin=manifest)
    until(lambda: all(carriers(word) for word in words), "the daemons")
    cluster.kubectl(f"-n {namespace} exec daemon -- sh -c 'setsid sleep {mark}5 >/dev/null 2>&1 & touch go'")
    when(cluster, f"-n {namespace} pod daemon", lambda pod: state(pod)[0] == "terminated", "its end")
    # They were killed by then; a busy machine takes a moment until they have died of it.
    every = (*words, f"{mark}4", f"{mark}5")
    until(lambda: not [pid for word in every for pid in carriers(word)], "the daemons to be gone")
    # And when a Pod is deleted under them.
    cluster.kubectl(f"-n {namespace} apply -f -", stdin=manifest.replace('"daemon"', '"second"'))
    until(lambda: all(carriers(word) for word in words), "the second's daemons")
    cluster.kubectl(f"-n {namespace} delete pod second --grace-period=1")
    until(lambda: not [pid for word in every for pid in carriers(word)], "the second's daemons to be gone")


@pytest.mark.timeout(900)
def test_two_hundred_pods_at_once_come_and_go_without_a_trace(own: RunningCluster, space: str) -> None:
    folders, wires = pod_folders(own), cables(own)
    limits = {"limits": {"memory": "32Mi"}, "requests": {"cpu": "1m", "memory": "1Mi"}}
    template = json.loads(pod_manifest("x", shell(SLEEPS, resources=limits), terminationGracePeriodSeconds=2))
    body = {
        "replicas": MANY,
        "selector": {"matchLabels": {"app": "x"}},
        "template": {"metadata": {"labels": {"app": "x"}}, "spec": template["spec"]},
    }
    made = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "x"}, "spec": body}
    begun = time.monotonic()
    own.kubectl(f"-n {space} apply -f -", stdin=json.dumps(made))
    found = until_all_ready(own, space, "app=x", MANY, seconds=400)
    up = time.monotonic() - begun
    assert len({each["status"]["podIP"] for each in found}) == MANY
    assert {container_status(each)["restartCount"] for each in found} == {0}
    assert len(cables(own) - wires) == MANY
    one_run_each(own, found)
    name = found[0]["metadata"]["name"]
    assert own.kubectl(f"-n {space} exec {name} -- echo here") == "here\n"
    begun = time.monotonic()
    own.kubectl(f"-n {space} delete deployment x")
    until(lambda: not pods(own, space), "no Pods", 300)
    print(f"{MANY} Pods were Ready after {up:.1f} s and gone after {time.monotonic() - begun:.1f} s")
    ids = {container_status(each)["containerID"].removeprefix("k8slab://") for each in found}
    until(lambda: not ids & set(containers_alive(own)), "no program of theirs")
    until(lambda: pod_folders(own) == folders, "no folder of theirs")
    until(lambda: cables(own) == wires, "no cable of theirs")
    for node in ("worker-1", "worker-2", "worker-3"):
        node_is(own, node, "True")


def test_an_agent_with_a_tenth_of_a_core_restarts_and_evicts_nothing(own: RunningCluster, space: str) -> None:
    own.kubectl(f"-n {space} apply -f -", stdin=workload("Deployment", "web", 6))
    before = until_all_ready(own, space, "app=web", 6)
    pid = next(each.pid for each in own.cluster.processes() if each.name == "worker-1-agent")
    assert pid is not None
    ends = time.monotonic() + 20
    while time.monotonic() < ends:
        os.kill(pid, signal.SIGSTOP)
        time.sleep(0.9)
        os.kill(pid, signal.SIGCONT)
        time.sleep(0.1)
    node_is(own, "worker-1", "True")
    after = until_all_ready(own, space, "app=web", 6)
    assert {each["metadata"]["uid"] for each in after} == {each["metadata"]["uid"] for each in before}
    assert {container_status(each)["restartCount"] for each in after} == {0}
    assert next(each.pid for each in own.cluster.processes() if each.name == "worker-1-agent") == pid


@pytest.mark.timeout(420)
@pytest.mark.parametrize("process", ["agent", "runtime"])
def test_ten_pods_whose_node_is_killed_while_it_makes_them(
    own: RunningCluster, space: str, process: str
) -> None:
    made = [
        json.loads(pod_manifest(f"p{number}", shell(SLEEPS), nodeName="worker-2")) for number in range(10)
    ]
    own.kubectl(
        f"-n {space} apply -f -", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": made})
    )

    def some_run() -> bool:
        return any(state(each)[0] == "running" for each in pods(own, space))

    until(some_run, "the first to run")
    kill_9(own, f"worker-2-{process}")

    def converged() -> list[dict[str, Any]]:
        found = pods(own, space)
        assert all(map(is_ready, found)) and len(found) == 10, [
            (state(each), container_status(each).get("restartCount")) for each in found
        ]
        one_run_each(own, found)
        return found

    found = until(converged, "ten Pods that run once each", 180)
    counts = {container_status(each)["restartCount"] for each in found}
    # An agent leaves its containers alone; a runtime takes them along, those that ran by then.
    assert counts == {0} if process == "agent" else counts <= {0, 1} and 1 in counts
    for each in found:
        # The new agent may have to come up first: that all were Ready may be its predecessor's word.
        until(partial(echoes, own, f"-n {space} exec {each['metadata']['name']}"), "the Pod to answer")
    mine = {each["metadata"]["uid"] for each in found}
    assert mine == {path.name for path in pod_folders(own) if path.name in mine}


@pytest.mark.timeout(420)
def test_a_network_that_is_away_is_no_crash_of_a_container(own: RunningCluster, space: str) -> None:
    """The containers end with their network and start once more; nothing says that they keep crashing."""
    own.kubectl(f"-n {space} apply -f -", stdin=workload("Deployment", "web", 6))
    before = {each["metadata"]["uid"] for each in until_all_ready(own, space, "app=web", 6)}
    for process in ("switch", "network", "addons"):
        kill_9(own, process)
    seen: set[tuple[str, str, int]] = set()

    def again() -> bool:
        found = pods(own, space)
        seen.update((*state(each), int(container_status(each)["restartCount"])) for each in found)
        return all(is_ready(each) and container_status(each)["restartCount"] for each in found)

    until(again, "all containers to run again", 180)
    assert not [each for each in seen if each[1] == "CrashLoopBackOff"], seen
    found = until_all_ready(own, space, "app=web", 6)
    assert {each["metadata"]["uid"] for each in found} == before
    assert {container_status(each)["restartCount"] for each in found} == {1}
    one_run_each(own, found)
    told = {reason for each in found for reason, _ in events(own, space, each["metadata"]["name"])}
    assert "SandboxChanged" in told or "Started" in told
    assert not told & {"Failed", "BackOff"}, told
    when(
        own,
        f"-n {space} deployment web",
        lambda now: now["status"].get("readyReplicas") == 6,
        "the Deployment to count them",
        120,
    )
