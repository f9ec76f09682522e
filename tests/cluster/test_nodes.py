"""Nodes as kubectl shows them, and what the scheduler, drain and DaemonSets make of them.

Texts of conditions: pkg/kubelet/nodestatus/setters.go (1.36); of the scheduler:
pkg/scheduler/framework/plugins/noderesources/fit.go line 702, tainttoleration/taint_toleration.go line 131
and nodeunschedulable/node_unschedulable.go line 51; of an eviction that a budget forbids:
pkg/registry/core/pod/storage/eviction.go line 436.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from tests.cluster.conftest import ClusterUnderTest, until
from tests.cluster.manifests import pod, run_ready, shell
from tests.cluster.pod_states import condition, when

KEY = "example.com/reserved"


def workers(cluster: ClusterUnderTest) -> list[dict[str, Any]]:
    """The nodes that take ordinary Pods."""
    nodes = cluster.get("nodes")["items"]
    found = [
        each
        for each in nodes
        if not each["spec"].get("unschedulable")
        and not any(taint["effect"] != "PreferNoSchedule" for taint in each["spec"].get("taints") or [])
    ]
    assert len(found) >= 2, "these tests need two nodes that take Pods"
    return found


def name_of(thing: dict[str, Any]) -> str:
    return str(thing["metadata"]["name"])


@pytest.fixture
def reserved(cluster: ClusterUnderTest) -> Iterator[str]:
    """A node with a taint of the test's own; Pods that are there stay."""
    name = name_of(workers(cluster)[0])
    cluster.kubectl(f"taint node {name} {KEY}=me:NoSchedule")
    yield name
    cluster.kubectl(f"taint node {name} {KEY}-")


@pytest.fixture
def to_drain(cluster: ClusterUnderTest) -> Iterator[str]:
    """A node that is schedulable again afterwards."""
    name = name_of(workers(cluster)[-1])
    yield name
    cluster.kubectl(f"uncordon {name}")


def deployment(name: str, replicas: int, **spec: Any) -> str:
    labels = {"app": name}
    template = {
        "metadata": {"labels": labels},
        "spec": {"terminationGracePeriodSeconds": 1, "containers": [shell("sleep 600")], **spec},
    }
    body = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return json.dumps(
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": body}
    )


def placed(cluster: ClusterUnderTest, namespace: str, app: str) -> list[str]:
    """Nodes of the Pods of an application that are there to stay."""
    pods = cluster.get(f"-n {namespace} pods -l app={app}")["items"]
    return [each["spec"].get("nodeName", "") for each in pods if "deletionTimestamp" not in each["metadata"]]


def until_told(cluster: ClusterUnderTest, namespace: str, name: str, text: str) -> None:
    def told() -> bool:
        events = cluster.get(f"-n {namespace} events --field-selector=involvedObject.name={name}")["items"]
        messages = [each["message"] for each in events]
        assert any(text in each for each in messages), messages
        return True

    until(told, f"an Event with {text!r}")


def test_describe_and_status_read_as_a_kubelets(cluster: ClusterUnderTest) -> None:
    node = workers(cluster)[0]
    name, status = name_of(node), node["status"]
    seen = {each["type"]: (each["status"], each["reason"], each["message"]) for each in status["conditions"]}
    assert seen["Ready"] == ("True", "KubeletReady", "kubelet is posting ready status")
    assert seen["MemoryPressure"] == (
        *("False", "KubeletHasSufficientMemory"),
        "kubelet has sufficient memory available",
    )
    assert seen["DiskPressure"] == ("False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure")
    assert seen["PIDPressure"] == (
        *("False", "KubeletHasSufficientPID"),
        "kubelet has sufficient PID available",
    )
    labels = node["metadata"]["labels"]
    assert labels["kubernetes.io/hostname"] == name and labels["kubernetes.io/os"] == "linux"
    assert labels["kubernetes.io/arch"] == status["nodeInfo"]["architecture"]
    assert {"InternalIP", "Hostname"} <= {each["type"] for each in status["addresses"]}
    assert status["daemonEndpoints"]["kubeletEndpoint"]["Port"] > 0
    info = status["nodeInfo"]
    wanted = ("machineID", "systemUUID", "bootID", "kernelVersion", "osImage", "containerRuntimeVersion")
    assert all(info[key] for key in wanted) and info["kubeletVersion"].startswith("v1.")
    for resource in ("cpu", "memory", "ephemeral-storage", "pods"):
        assert status["capacity"][resource] and status["allocatable"][resource]

    def owner_of_the_lease() -> str:
        """A node that has just come may renew it once before it knows its own uid."""
        lease = cluster.get(f"-n kube-node-lease lease {name}")
        assert lease["spec"]["holderIdentity"] == name
        return str(lease["metadata"]["ownerReferences"][0]["kind"])

    assert until(owner_of_the_lease, "the lease") == "Node"
    text = cluster.kubectl(f"describe node {name}")
    for part in ("Roles:", "Lease:", "KubeletReady", "System Info:", "PodCIDR:", "Allocated resources:"):
        assert part in text
    machines = {each["status"]["nodeInfo"]["machineID"] for each in workers(cluster)}
    assert len(machines) == len(workers(cluster))


def test_a_pod_that_asks_for_too_much_waits_and_says_what_lacks(
    cluster: ClusterUnderTest, namespace: str
) -> None:
    greedy = shell("sleep 600", resources={"requests": {"cpu": "4000"}})
    cluster.kubectl(f"-n {namespace} apply -f -", stdin=pod("greedy", greedy))
    until_told(cluster, namespace, "greedy", "Insufficient cpu")
    # The scheduler tells it first, and then writes the condition (schedule_one.go, handleSchedulingFailure).
    greedy_pod = when(
        cluster,
        namespace,
        "greedy",
        lambda now: condition(now, "PodScheduled").get("reason") == "Unschedulable",
        "the condition",
    )
    assert greedy_pod["status"]["phase"] == "Pending"
    assert condition(greedy_pod, "PodScheduled")["status"] == "False"


def test_a_taint_keeps_pods_away_that_do_not_tolerate_it(
    cluster: ClusterUnderTest, namespace: str, reserved: str
) -> None:
    there = {"kubernetes.io/hostname": reserved}
    cluster.kubectl(f"-n {namespace} apply -f -", stdin=pod("shy", shell("sleep 600"), nodeSelector=there))
    until_told(cluster, namespace, "shy", "had untolerated taint(s)")
    tolerations = [{"key": KEY, "operator": "Equal", "value": "me", "effect": "NoSchedule"}]
    run_ready(
        cluster,
        namespace,
        pod("bold", shell("sleep 600"), nodeSelector=there, tolerations=tolerations),
    )
    cluster.kubectl(f"taint node {reserved} {KEY}-")
    cluster.kubectl(f"-n {namespace} wait pod/shy --for=condition=Ready --timeout=60s", timeout=70)
    # A taint that also evicts, for as long as each Pod tolerates it.
    cluster.kubectl(f"taint node {reserved} {KEY}=me:NoSchedule")
    evicting = f"{KEY}-{uuid4().hex[:4]}"
    patient = [{"key": evicting, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 600}]
    here = [*tolerations, *patient]
    run_ready(
        cluster,
        namespace,
        pod("patient", shell("sleep 600"), nodeSelector=there, tolerations=here),
    )
    cluster.kubectl(f"-n {namespace} delete pod shy --wait=false")
    if cluster.kind == "given":
        pytest.skip("a taint that evicts would evict the Pods of others, too")
    cluster.kubectl(f"taint node {reserved} {evicting}=x:NoExecute")
    try:
        until(lambda: cluster.run(f"-n {namespace} get pod bold").returncode != 0, "the Pod to be evicted")
        assert cluster.get(f"-n {namespace} pod patient")["status"]["phase"] == "Running"
    finally:
        cluster.kubectl(f"taint node {reserved} {evicting}-")


def test_a_daemon_set_runs_once_on_each_node_that_it_tolerates(
    cluster: ClusterUnderTest, namespace: str, reserved: str
) -> None:
    labels = {"app": "everywhere"}
    template = {
        "metadata": {"labels": labels},
        "spec": {"terminationGracePeriodSeconds": 1, "containers": [shell("sleep 600")]},
    }
    body = {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "everywhere"},
        "spec": {"selector": {"matchLabels": labels}, "template": template},
    }
    wanted = {name_of(each) for each in workers(cluster)}
    assert reserved not in wanted
    cluster.kubectl(f"-n {namespace} apply -f -", stdin=json.dumps(body))
    cluster.kubectl(f"-n {namespace} rollout status daemonset/everywhere --timeout=90s", timeout=100)
    assert sorted(placed(cluster, namespace, "everywhere")) == sorted(wanted)
    cluster.kubectl(f"taint node {reserved} {KEY}-")
    until(
        lambda: sorted(placed(cluster, namespace, "everywhere")) == sorted({*wanted, reserved}),
        "the DaemonSet to come to the node that is free again",
    )
    cluster.kubectl(f"taint node {reserved} {KEY}=me:NoSchedule")


def test_zones_spread_the_pods_of_a_deployment(cluster: ClusterUnderTest, namespace: str) -> None:
    zone = "topology.kubernetes.io/zone"
    zones = {name_of(each): each["metadata"]["labels"].get(zone, "") for each in workers(cluster)}
    count = len(set(zones.values()))
    if count < 2 or "" in zones.values():
        pytest.skip("this cluster's nodes lie in no zones of their own")
    spread = {
        "maxSkew": 1,
        "topologyKey": zone,
        "whenUnsatisfiable": "DoNotSchedule",
        "nodeTaintsPolicy": "Honor",
        "labelSelector": {"matchLabels": {"app": "spread"}},
    }
    manifest = deployment("spread", 2 * count, topologySpreadConstraints=[spread])
    cluster.kubectl(f"-n {namespace} apply -f -", stdin=manifest)
    cluster.kubectl(f"-n {namespace} rollout status deployment/spread --timeout=90s", timeout=100)
    found = [zones[node] for node in placed(cluster, namespace, "spread")]
    assert {found.count(each) for each in set(zones.values())} == {2}


def test_drain_respects_a_disruption_budget_and_moves_the_pods(
    cluster: ClusterUnderTest, namespace: str, to_drain: str
) -> None:
    there = {"kubernetes.io/hostname": to_drain}
    affinity = {
        "nodeAffinity": {
            "preferredDuringSchedulingIgnoredDuringExecution": [
                {
                    "weight": 100,
                    "preference": {
                        "matchExpressions": [
                            {"key": "kubernetes.io/hostname", "operator": "In", "values": [to_drain]}
                        ]
                    },
                }
            ]
        }
    }
    cluster.kubectl(f"-n {namespace} apply -f -", stdin=deployment("web", 1, affinity=affinity))
    cluster.kubectl(f"-n {namespace} rollout status deployment/web --timeout=60s", timeout=70)
    assert placed(cluster, namespace, "web") == [to_drain]
    cluster.kubectl(f"-n {namespace} create poddisruptionbudget web --selector=app=web --min-available=1")
    until(
        lambda: cluster.get(f"-n {namespace} pdb web")["status"].get("currentHealthy") == 1,
        "the budget to be counted",
    )
    drain = f"drain {to_drain} --ignore-daemonsets --delete-emptydir-data --pod-selector=app=web"
    refused = cluster.run(f"{drain} --timeout=4s")
    assert refused.returncode != 0
    assert "Cannot evict pod as it would violate the pod's disruption budget." in refused.stderr
    assert placed(cluster, namespace, "web") == [to_drain]
    # Cordoned all the same: what is new goes elsewhere.
    assert cluster.get(f"node {to_drain}")["spec"]["unschedulable"] is True
    assert "SchedulingDisabled" in cluster.kubectl(f"get node {to_drain}")
    cluster.kubectl(f"-n {namespace} apply -f -", stdin=pod("late", shell("sleep 600"), nodeSelector=there))
    until_told(cluster, namespace, "late", "were unschedulable")
    # With a second Pod elsewhere the budget allows one to go.
    cluster.kubectl(f"-n {namespace} scale deployment/web --replicas=2")
    cluster.kubectl(f"-n {namespace} rollout status deployment/web --timeout=60s", timeout=70)
    done = cluster.run(f"{drain} --timeout=60s", timeout=90)
    assert done.returncode == 0, done.stderr
    until(lambda: to_drain not in placed(cluster, namespace, "web"), "the node to be empty")
    cluster.kubectl(f"uncordon {to_drain}")
    cluster.kubectl(f"-n {namespace} wait pod/late --for=condition=Ready --timeout=60s", timeout=70)
