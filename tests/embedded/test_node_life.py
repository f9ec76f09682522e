"""Nodes that lose their agent or their power, that come, go and reboot: what a cluster makes of it.

On the fast clock: a silent node is NotReady after 15 s, its Pods are evicted 30 s later.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from k8slab.cluster.embedded.backend import open_embedded
from k8slab.errors import ClusterStateError
from k8slab.guard import Guard
from k8slab.processes import ProcessIdentity, processes_of_cluster
from k8slab.progress import SilentProgress
from tests.embedded.conftest import RunningCluster, until
from tests.embedded.fast_cluster import (
    TOLERANT,
    fast_cluster,
    node_is,
    pods,
    until_all_ready,
    workload,
)
from tests.embedded.node_objects import (
    container_status,
    demo,
    get,
    is_ready,
    pod_manifest,
    program,
    when,
)

pytestmark = pytest.mark.timeout(420)


@pytest.fixture(scope="module")
def own() -> Iterator[RunningCluster]:
    with fast_cluster("node-life") as cluster:
        yield cluster


@pytest.fixture
def space(own: RunningCluster, request: pytest.FixtureRequest) -> str:
    name = f"t-{abs(hash(request.node.nodeid)) % 10**8}"
    own.kubectl(f"create namespace {name}")
    until(lambda: "default" in own.kubectl(f"-n {name} get sa -o name"), "the service account")
    return name


def apply(cluster: RunningCluster, namespace: str, manifest: str) -> None:
    cluster.kubectl(f"-n {namespace} apply -f -", stdin=manifest)


def by_node(found: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {each["spec"]["nodeName"]: each for each in found}


def node_events(cluster: RunningCluster, node: str) -> list[tuple[str, str]]:
    found = json.loads(cluster.kubectl(f"get events --field-selector=involvedObject.name={node} -o json"))
    return [(each["reason"], each["message"]) for each in found["items"]]


def test_one_node_loses_its_agent_and_one_its_power(own: RunningCluster, space: str) -> None:
    apply(own, space, workload("Deployment", "web", 3))
    apply(own, space, workload("StatefulSet", "db", 3))
    for node in ("worker-1", "worker-2"):
        stays = pod_manifest(f"stays-{node}", demo(), nodeName=node, tolerations=TOLERANT)
        apply(own, space, stays)
    web = by_node(until_all_ready(own, space, "app=web", 3))
    database = by_node(until_all_ready(own, space, "app=db", 3))
    before = {
        node: until_all_ready(own, space, f"app=stays-{node}", 1)[0] for node in ("worker-1", "worker-2")
    }
    pids = {node: program(own, pod) for node, pod in before.items()}
    boot = get(own, "node worker-2")["status"]["nodeInfo"]["bootID"]

    own.cluster.process("worker-1-agent", "kill")
    assert own.cluster.node("worker-2", "power_off").power == "off"
    # Everything of the one is gone at once, and nobody has told the API server; the other's Pods run on.
    assert ProcessIdentity.of(pids["worker-2"]) is None
    assert ProcessIdentity.of(pids["worker-1"]) is not None
    assert is_ready(get(own, f"-n {space} pod stays-worker-2"))
    with pytest.raises(ClusterStateError, match="worker-2 is powered off"):
        own.cluster.process("worker-2-agent", "start")

    for node in ("worker-1", "worker-2"):
        seen = node_is(own, node, "Unknown")
        messages = {each["message"] for each in seen["status"]["conditions"]}
        assert messages == {"Kubelet stopped posting node status."}

    def tainted(node: dict[str, Any]) -> bool:
        return {("node.kubernetes.io/unreachable", effect) for effect in ("NoSchedule", "NoExecute")} <= {
            (each["key"], each["effect"]) for each in node["spec"].get("taints") or []
        }

    for node in ("worker-1", "worker-2"):
        when(own, f"node {node}", tainted, "the taints of an unreachable node")

    # The Deployment replaces its Pods elsewhere; the StatefulSet waits for those of its own to end.
    def evicted() -> bool:
        found = {each["metadata"]["uid"]: each for each in pods(own, space)}
        gone = [
            each[node]["metadata"]["uid"] for each in (web, database) for node in ("worker-1", "worker-2")
        ]
        return all(found[uid]["metadata"].get("deletionTimestamp") for uid in gone)

    until(evicted, "the evictions", 120)

    def replaced() -> bool:
        alive = [
            each
            for each in pods(own, space, "app=web")
            if not each["metadata"].get("deletionTimestamp") and is_ready(each)
        ]
        return {each["spec"]["nodeName"] for each in alive} == {"worker-3"} and len(alive) == 3

    until(replaced, "the Deployment's replacements on worker-3")
    assert len(pods(own, space, "app=db")) == 3
    assert ProcessIdentity.of(pids["worker-1"]) is not None

    own.cluster.process("worker-1-agent", "start")
    own.cluster.node("worker-2", "power_on")
    for node in ("worker-1", "worker-2"):
        node_is(own, node, "True")
    until_all_ready(own, space, "app=web", 3)
    after = {each["metadata"]["uid"] for each in until_all_ready(own, space, "app=db", 3)}
    assert database["worker-3"]["metadata"]["uid"] in after
    assert not after & {database[node]["metadata"]["uid"] for node in ("worker-1", "worker-2")}

    # The agent that came back found its container; the machine that came back starts its own again.
    adopted = when(own, f"-n {space} pod stays-worker-1", is_ready, "the adopted Pod to be Ready")
    assert program(own, adopted) == pids["worker-1"]
    same = ("containerID", "restartCount")
    assert all(container_status(adopted)[key] == container_status(before["worker-1"])[key] for key in same)

    def again(pod: dict[str, Any]) -> bool:
        return container_status(pod)["restartCount"] == 1 and is_ready(pod)

    rebooted = when(own, f"-n {space} pod stays-worker-2", again, "the container to be started again")
    ended = container_status(rebooted)["lastState"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (255, "Unknown")
    now = get(own, "node worker-2")["status"]["nodeInfo"]["bootID"]
    assert now != boot
    # Text: pkg/kubelet/nodestatus/setters.go line 251 (1.36).
    told = ("Rebooted", f"Node worker-2 has been rebooted, boot id: {now}")
    until(lambda: told in node_events(own, "worker-2"), "the Event about the reboot")


def test_the_out_of_service_taint_lets_a_stateful_set_go_on_elsewhere(
    own: RunningCluster, space: str
) -> None:
    apply(own, space, workload("StatefulSet", "db", 3))
    before = by_node(until_all_ready(own, space, "app=db", 3))
    own.cluster.node("worker-3", "power_off")
    node_is(own, "worker-3", "Unknown")
    own.kubectl("taint node worker-3 node.kubernetes.io/out-of-service=nodeshutdown:NoExecute")

    def moved() -> list[dict[str, Any]]:
        """Three ready Pods: the lost one may still be called ready when its node no longer is."""
        found = until_all_ready(own, space, "app=db", 3)
        assert "worker-3" not in by_node(found), by_node(found).keys()
        return found

    after = until(moved, "the Pod to move", 120)
    assert before["worker-3"]["metadata"]["name"] in {each["metadata"]["name"] for each in after}
    own.kubectl("taint node worker-3 node.kubernetes.io/out-of-service-")
    own.cluster.node("worker-3", "power_on")
    node_is(own, "worker-3", "True")
    # What the API had forgotten meanwhile is not started again.
    until(lambda: not list((own.folder.node("worker-3") / "pods").iterdir()), "the orphans to be removed")


def test_a_node_joins_carries_pods_and_is_removed(own: RunningCluster, space: str) -> None:
    guard = Guard(own.cluster, own.api)
    added = guard.change_node("add")
    assert (added.name, added.power) == ("worker-4", "on")
    node = node_is(own, "worker-4", "True")
    assert node["metadata"]["labels"]["topology.kubernetes.io/zone"] == "lab-a"
    assert node["status"]["addresses"][0]["address"].endswith(".255.14")
    others = [get(own, f"node worker-{index}") for index in (1, 2, 3)]
    machines = {each["status"]["nodeInfo"]["machineID"] for each in (*others, node)}
    assert len(machines) == 4
    assert node["status"]["capacity"] == others[0]["status"]["capacity"]
    ranges = {
        each["spec"]["podCIDR"] for each in (*others, when(own, "node worker-4", _has_range, "a range"))
    }
    assert len(ranges) == 4

    apply(own, space, workload("Deployment", "web", 1, nodeSelector={"kubernetes.io/hostname": "worker-4"}))
    (pod,) = until_all_ready(own, space, "app=web", 1)
    assert "demo version" in own.kubectl(f"-n {space} logs {pod['metadata']['name']}")

    # Another kernel that attaches sees it, and its end takes nothing away.
    other = open_embedded(own.cluster.name, 1, False, SilentProgress())
    assert other.info()["nodes"] == ["worker-1", "worker-2", "worker-3", "worker-4"]
    assert other.info()["clock"] == "fast"
    other.close()
    with pytest.raises(ClusterStateError, match="There is no node 'worker-9'"):
        own.cluster.node("worker-9", "power_off")
    with pytest.raises(ClusterStateError, match="control-plane shows"):
        own.cluster.node("control-plane", "power_off")

    own.kubectl("drain worker-4 --ignore-daemonsets --force --timeout=60s", timeout=90)
    guard.change_node("remove", "worker-4")
    assert "not found" in own.kubectl("get node worker-4", check=False)
    assert not own.folder.node("worker-4").exists() and not own.folder.kubeconfig("worker-4").exists()
    words = [_command_line(each.pid) for each in processes_of_cluster(own.cluster.uuid)]
    assert not [each for each in words if "worker-4" in each]
    assert own.cluster.info()["nodes"] == ["worker-1", "worker-2", "worker-3"]
    # A name is not given twice.
    assert guard.change_node("add").name == "worker-5"
    node_is(own, "worker-5", "True")
    guard.change_node("remove", "worker-5")


def _has_range(node: dict[str, Any]) -> bool:
    return bool(node["spec"].get("podCIDR"))


def _command_line(pid: int) -> list[str]:
    try:
        with open(f"/proc/{pid}/cmdline") as file:
            return file.read().split("\0")
    except OSError:
        return []
