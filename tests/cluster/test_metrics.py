"""What Pods and nodes use, as kubectl top shows it, and a HorizontalPodAutoscaler that acts on it."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest

from tests.cluster.conftest import ClusterUnderTest, until

pytestmark = pytest.mark.needs("metrics")

METRICS = "/apis/metrics.k8s.io/v1beta1"

BURN = """
import time
while True:
    end = time.monotonic() + 0.05
    while time.monotonic() < end:
        pass
    time.sleep(0.15)
"""

HOLD = """
import time
held = b"1" * (40 << 20)
time.sleep(3600)
"""

TWO_CONTAINERS = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "two", "labels": {"app": "two"}},
    "spec": {
        "terminationGracePeriodSeconds": 1,
        "containers": [
            {"name": "burn", "image": "python:3.12-alpine", "command": ["python", "-c", BURN]},
            {"name": "hold", "image": "python:3.12-alpine", "command": ["python", "-c", HOLD]},
        ],
    },
}

UNITS = {"n": 1e-9, "u": 1e-6, "m": 1e-3, "": 1.0, "Ki": 1024.0, "Mi": 1024.0**2, "Gi": 1024.0**3}


def amount(quantity: str) -> float:
    """A quantity as a number of cores or bytes."""
    match = re.fullmatch(r"(\d+)([a-zA-Z]*)", quantity)
    assert match is not None, quantity
    return int(match[1]) * UNITS[match[2]]


def raw(cluster: ClusterUnderTest, path: str) -> dict[str, Any]:
    """What the API answers at a path."""
    found: dict[str, Any] = json.loads(cluster.kubectl(f"get --raw {path}"))
    return found


def test_top_shows_what_containers_and_nodes_use(cluster: ClusterUnderTest, namespace: str) -> None:
    def is_available() -> bool:
        status = cluster.get("apiservice v1beta1.metrics.k8s.io")["status"]
        return [each["status"] for each in status["conditions"] if each["type"] == "Available"] == ["True"]

    until(is_available, "the API of the metrics")
    cluster.kubectl(f"-n {namespace} apply -f -", stdin=json.dumps(TWO_CONTAINERS))
    pods = f"{METRICS}/namespaces/{namespace}/pods"
    (item,) = until(lambda: raw(cluster, pods)["items"], "the Pod's metrics")
    # k8s.io/metrics/pkg/apis/metrics/v1beta1/types.go:66, PodMetrics.
    assert item["metadata"]["labels"]["app"] == "two"
    assert item["timestamp"].endswith("Z") and re.fullmatch(r"(\dm)?[\d.]+s", item["window"])
    assert {each["name"] for each in item["containers"]} == {"burn", "hold"}

    def settled() -> dict[str, dict[str, str]]:
        """A quarter of a core, or what a busy machine gives of it; the first window holds the start."""
        (found,) = raw(cluster, pods)["items"]
        used: dict[str, dict[str, str]] = {each["name"]: each["usage"] for each in found["containers"]}
        cores = {name: amount(usage["cpu"]) for name, usage in used.items()}
        assert 0.05 < cores["burn"] < 0.5 and cores["hold"] < 0.05, used
        assert 40 << 20 <= amount(used["hold"]["memory"]) < 120 << 20, used
        return used

    used = until(settled, "the figures of a container that burns, and of one that sleeps", 120)
    alone = raw(cluster, f"{pods}/two")
    assert alone["kind"] == "PodMetrics"
    assert raw(cluster, f"{pods}?labelSelector=app%3Dother")["items"] == []
    # k8s.io/kubectl/pkg/metricsutil/metrics_printer.go prints cores as 1m and memory as 1Mi.
    lines = cluster.kubectl(f"-n {namespace} top pod --containers --no-headers").splitlines()
    assert len(lines) == 2 and all(re.fullmatch(r"two +\w+ +\d+m +\d+Mi *", line) for line in lines)
    assert re.match(r"two +\d+m +\d+Mi", cluster.kubectl(f"-n {namespace} top pod -l app=two --no-headers"))

    pod = cluster.get(f"-n {namespace} pod two")
    node = raw(cluster, f"{METRICS}/nodes/{pod['spec']['nodeName']}")
    assert amount(node["usage"]["memory"]) > amount(used["hold"]["memory"])
    ready = {each["metadata"]["name"] for each in cluster.get("nodes")["items"]}

    def shown() -> set[str]:
        return {line.split()[0] for line in cluster.kubectl("top nodes --no-headers").splitlines()}

    until(lambda: shown() == ready, "the figures of every node")

    cluster.kubectl(f"-n {namespace} delete pod two --wait=false")
    until(lambda: not raw(cluster, pods)["items"], "the metrics to go with the Pod")
    gone = cluster.run(f"get --raw {pods}/two")
    # sigs.k8s.io/metrics-server/pkg/api/pod.go: a Pod that is gone, and one that was never measured.
    assert gone.returncode != 0 and "NotFound" in gone.stderr


def test_a_kubelet_tells_its_resource_metrics(cluster: ClusterUnderTest, namespace: str) -> None:
    manifest = {**TWO_CONTAINERS, "metadata": {"name": "told"}}
    cluster.kubectl(f"-n {namespace} apply -f -", stdin=json.dumps(manifest))
    cluster.kubectl(f"-n {namespace} wait --for=condition=Ready pod/told --timeout=60s")
    node = cluster.get(f"-n {namespace} pod told")["spec"]["nodeName"]

    def summed_up() -> dict[str, Any]:
        """The Pod in the summary; a program that has just begun may not have used a tick of a processor."""
        summary = raw(cluster, f"/api/v1/nodes/{node}/proxy/stats/summary")
        (found,) = [each for each in summary["pods"] if each["podRef"]["name"] == "told"]
        assert {each["name"] for each in found["containers"]} == {"burn", "hold"}
        assert found["cpu"]["usageCoreNanoSeconds"] > 0 and summary["node"]["cpu"]["usageCoreNanoSeconds"] > 0
        return summary

    until(summed_up, "the figures of both containers")
    text = cluster.kubectl(f"get --raw /api/v1/nodes/{node}/proxy/metrics/resource")
    # pkg/kubelet/metrics/collectors/resource_metrics.go:31-120.
    for name in ("container_cpu_usage_seconds_total", "container_memory_working_set_bytes"):
        for container in ("burn", "hold"):
            labels = f'container="{container}",namespace="{namespace}",pod="told"'
            assert re.search(rf"^{name}\{{{labels}\}} [\d.e+-]+ \d{{13}}$", text, re.MULTILINE), (name, text)
    assert re.search(rf'^pod_cpu_usage_seconds_total\{{namespace="{namespace}",pod="told"\}} ', text, re.M)
    assert re.search(r"^node_cpu_usage_seconds_total [\d.e+-]+ \d{13}$", text, re.M)
    assert re.search(r"^resource_scrape_error 0$", text, re.M)


def test_who_may_see_metrics_is_a_question_of_roles(cluster: ClusterUnderTest, namespace: str) -> None:
    account = f"system:serviceaccount:{namespace}:default"
    pods = f"get --raw {METRICS}/namespaces/{namespace}/pods --as={account}"
    refused = cluster.run(pods)
    assert refused.returncode != 0 and 'cannot list resource "pods" in API group "metrics.k8s.io"' in (
        refused.stderr
    )
    # The role `view` has it by aggregation, as metrics-server's manifest says.
    cluster.kubectl(
        f"-n {namespace} create rolebinding v --clusterrole=view --serviceaccount={namespace}:default"
    )
    until(lambda: cluster.run(pods).returncode == 0, "the role to take effect")
    assert cluster.run(f"get --raw {METRICS}/nodes --as={account}").returncode != 0


def scaled_deployment() -> str:
    """The demo application with a tenth of a core asked for, its Service, and its autoscaler."""
    labels = {"app": "busy"}
    container = {
        "name": "demo",
        "image": "k8slab/demo:1",
        "ports": [{"containerPort": 8080}],
        "resources": {"requests": {"cpu": "100m"}},
        "readinessProbe": {"httpGet": {"path": "/healthz/ready", "port": 8080}, "periodSeconds": 1},
    }
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "busy"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"terminationGracePeriodSeconds": 1, "containers": [container]},
            },
        },
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "busy"},
        "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": 8080}]},
    }
    target = {"type": "Utilization", "averageUtilization": 50}
    autoscaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "busy"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "busy"},
            "minReplicas": 1,
            "maxReplicas": 3,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
            # Shorter than the cluster's own: a test need not wait for it.
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 5}},
        },
    }
    return "\n---\n".join(json.dumps(each) for each in (deployment, service, autoscaler))


@pytest.mark.needs("images of the kit")
@pytest.mark.timeout(600)
def test_an_autoscaler_follows_the_load_up_and_down(cluster: ClusterUnderTest, namespace: str) -> None:
    cluster.kubectl(f"-n {namespace} apply -f -", stdin=scaled_deployment())
    cluster.kubectl(f"-n {namespace} rollout status deployment/busy --timeout=60s")

    def autoscaler() -> dict[str, Any]:
        status: dict[str, Any] = cluster.get(f"-n {namespace} hpa busy")["status"]
        return status

    def utilization() -> int | None:
        for metric in autoscaler().get("currentMetrics") or []:
            found: int | None = (metric.get("resource") or {}).get("current", {}).get("averageUtilization")
            return found
        return None

    until(lambda: utilization() is not None, "the autoscaler to know the load", 120)

    ends = 0.0

    def grows_under_load() -> bool:
        """Seconds of a processor, which on a busy machine last many times as long; and more if need be."""
        nonlocal ends
        if time.monotonic() >= ends:
            cluster.kubectl(f"get --raw /api/v1/namespaces/{namespace}/services/busy:80/proxy/cpu?seconds=8")
            ends = time.monotonic() + 60
        return bool(autoscaler()["desiredReplicas"] == 3)

    until(grows_under_load, "three replicas under load", 150)
    until(lambda: autoscaler()["desiredReplicas"] == 1, "one replica after the load", seconds=240)
    until(
        lambda: cluster.get(f"-n {namespace} deployment busy")["status"]["replicas"] == 1,
        "the others to be gone",
    )
    # pkg/controller/podautoscaler/horizontal.go:979, of each change of size.
    rescaled = (
        f"-n {namespace} get events --field-selector reason=SuccessfulRescale "
        "-o jsonpath={.items[*].message}"
    )
    for text in (
        "New size: 3; reason: cpu resource utilization (percentage of request) above target",
        "New size: 1; reason: All metrics below target",
    ):
        until(lambda text=text: text in cluster.kubectl(rescaled), f"the Event {text!r}")  # type: ignore[misc]
