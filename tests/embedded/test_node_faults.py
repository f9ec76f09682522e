"""A running workload survives the kill -9 of each part, an absent API server, and a laptop's sleep."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from urllib.request import urlopen

import pytest

from tests.embedded.conftest import RunningCluster, until
from tests.embedded.fast_cluster import (
    fast_cluster,
    kill_9,
    node_is,
    pods,
    signal_everything,
    until_all_ready,
    until_one_run_each,
    workload,
)
from tests.embedded.node_objects import container_status, get

pytestmark = pytest.mark.timeout(420)

NODES = ("worker-1", "worker-2", "worker-3")
GRACE = 15.0
"""The fast clock's: a node that is silent for longer is NotReady."""


@pytest.fixture(scope="module")
def own() -> Iterator[RunningCluster]:
    with fast_cluster("node-faults") as cluster:
        cluster.kubectl("apply -f -", stdin=workload("Deployment", "web", 3))
        until_all_ready(cluster, "default", "app=web", 3)
        yield cluster


def uids(cluster: RunningCluster) -> set[str]:
    return {each["metadata"]["uid"] for each in pods(cluster, "default", "app=web")}


def answers(cluster: RunningCluster) -> bool:
    """Whether the Service answers on this host."""
    address = get(cluster, "-n default service web")["spec"]["clusterIP"]
    url = cluster.cluster.url(address, 80)
    assert url is not None
    try:
        with urlopen(url, timeout=20) as response:
            return int(response.status) == 200
    except OSError as error:
        raise AssertionError(f"{url}: {error}") from error


@pytest.mark.parametrize(
    "process", ["kube-apiserver", "etcd", "network", "kube-controller-manager", "switch"]
)
def test_a_killed_part_comes_back_and_the_workload_goes_on(own: RunningCluster, process: str) -> None:
    before = {each.name: each for each in own.cluster.processes()}[process]
    kill_9(own, process)

    def restarted() -> bool:
        now = {each.name: each for each in own.cluster.processes()}[process]
        return now.pid not in (None, before.pid) and now.restarts == before.restarts + 1

    until(restarted, f"{process} to be started again")
    # The cluster works again: what is asked for now, happens.
    name = f"after-{process}"

    def taken() -> bool:
        """Taken now, or by an attempt whose answer was lost."""
        said = own.kubectl(f"create deployment {name} --image=k8slab/demo:1", check=False)
        return "created" in said or "already exists" in said

    until(taken, "the API server to take something")
    until_all_ready(own, "default", f"app={name}", 1)
    until_all_ready(own, "default", "app=web", 3)
    until(lambda: answers(own), "the Service to answer")
    own.kubectl(f"delete deployment {name}")


def test_a_killed_runtime_takes_its_pods_along_and_starts_them_again(own: RunningCluster) -> None:
    before = uids(own)
    until_one_run_each(own, "default", "app=web", 3)
    pod = pods(own, "default", "app=web")[0]
    restarts = int(container_status(pod)["restartCount"])
    kill_9(own, f"{pod['spec']['nodeName']}-runtime")

    def again() -> bool:
        now = get(own, f"pod {pod['metadata']['name']}")
        return int(container_status(now)["restartCount"]) > restarts

    until(again, "the container to be started again")
    until_all_ready(own, "default", "app=web", 3)
    assert uids(own) == before
    until(lambda: answers(own), "the Service to answer")


def test_an_api_server_that_is_away_for_longer_than_the_grace_evicts_nothing(own: RunningCluster) -> None:
    before = uids(own)
    own.cluster.process("kube-apiserver", "stop")
    time.sleep(GRACE + 5)
    own.cluster.process("kube-apiserver", "start")
    until(lambda: "ok" in own.kubectl("get --raw /readyz", check=False), "the API server")
    # The controller-manager's watches come back with a pause of up to a minute (client-go: reflector.go),
    # and until then it takes old leases for silence.
    for node in NODES:
        node_is(own, node, "True", 90)
    until(lambda: not any(get(own, f"node {node}")["spec"].get("taints") for node in NODES), "no taints", 90)
    until_all_ready(own, "default", "app=web", 3, seconds=90)
    assert uids(own) == before


def test_a_sleep_longer_than_the_grace_is_noticed_and_evicts_nothing(own: RunningCluster) -> None:
    before = uids(own)
    until_one_run_each(own, "default", "app=web", 3)
    restarts = {
        each["metadata"]["uid"]: container_status(each)["restartCount"] for each in pods(own, "default")
    }
    signal_everything(own, signal.SIGSTOP)
    try:
        time.sleep(GRACE + 5)
    finally:
        signal_everything(own, signal.SIGCONT)
    woke = time.monotonic()
    for node in NODES:
        node_is(own, node, "True")
    assert time.monotonic() - woke < 120
    until(lambda: not any(get(own, f"node {node}")["spec"].get("taints") for node in NODES), "no taints")
    assert uids(own) == before
    after = until_all_ready(own, "default", "app=web", 3)
    assert all(container_status(each)["restartCount"] == restarts[each["metadata"]["uid"]] for each in after)
    sleeps = own.cluster.info()["sleeps"]
    assert len(sleeps) == 1 and not sleeps[0]["suspended"]
    assert GRACE <= sleeps[0]["seconds"] < GRACE + 30


def test_simulated_pods_take_nodes_of_their_own_and_say_what_they_are(own: RunningCluster) -> None:
    own.cluster.simulate(3)
    for index in (1, 2, 3):
        node_is(own, f"sim-{index}", "True")
    # A node carries its not-ready taint a moment longer than the condition: who is free first would get all.
    until(
        lambda: "not-ready" not in own.kubectl("get nodes -o jsonpath={.items[*].spec.taints[*].key}"),
        "the new nodes to lose their taint",
    )
    own.kubectl("create namespace many")
    own.kubectl("label namespace many k8slab.dev/simulated=true")
    own.kubectl("-n many create deployment sea --image=anything/at-all --replicas=300")
    own.kubectl("-n many create job once --image=anything/at-all")
    found = until_all_ready(own, "many", "app=sea", 300, seconds=180)
    assert {each["spec"]["nodeName"] for each in found} == {"sim-1", "sim-2", "sim-3"}
    assert len({each["status"]["podIP"] for each in found}) == 300
    assert container_status(found[0])["containerID"].startswith("simulated://")
    own.kubectl("-n many wait --for=condition=complete job/once --timeout=50s")
    name = found[0]["metadata"]["name"]
    for line in (f"logs {name}", f"exec {name} -- ls", f"port-forward {name} 18999:80"):
        assert f"{name} is simulated" in own.kubectl(f"-n many {line}", check=False)
    # Neither sort of node runs the other's Pods, not even those that name their node.
    stray = {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "stray"}}
    container = {"name": "main", "image": "k8slab/demo:1"}
    for namespace, node in (("default", "sim-1"), ("many", "worker-1")):
        body = {**stray, "spec": {"nodeName": node, "containers": [container]}}
        own.kubectl(f"-n {namespace} apply -f -", stdin=json.dumps(body))
    until(
        lambda: "This node is simulated and runs no Pods" in own.kubectl("-n default describe pod stray"),
        "the Event of a real Pod on a simulated node",
    )
    until(
        lambda: get(own, "-n many pod stray")["status"]["reason"] == "NodeAffinity",
        "the real node to refuse a simulated Pod",
    )
    own.kubectl("-n default delete pod stray")
    own.kubectl("-n many delete deployment sea")
    until(lambda: not pods(own, "many", "app=sea"), "the simulated Pods to be gone", 120)
    own.cluster.simulate(1)
    until(lambda: "sim-2" not in own.kubectl("get nodes"), "the surplus nodes to be gone")
    node_is(own, "sim-1", "True")
    own.cluster.simulate(0)
    until(lambda: "sim-" not in own.kubectl("get nodes"), "the simulated nodes to be gone")
