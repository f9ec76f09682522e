"""Services in a real cluster: who answers, what a Pod can name, and what a graceful deletion costs."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from typing import Any

import pytest

from k8slab.cluster.embedded.identities import plan_of
from k8slab.network.services.table import Endpoint
from tests.embedded.conftest import RunningCluster, until

WEB = """
apiVersion: apps/v1
kind: ReplicaSet
metadata: {{name: web, labels: {{app: web}}}}
spec:
  replicas: {replicas}
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      terminationGracePeriodSeconds: 5
      containers:
        - name: demo
          image: k8slab/demo:1
          args: [serve, --drain, "{drain}"]
          ports: [{{name: http, containerPort: 8080}}]
          readinessProbe: {{httpGet: {{path: /healthz/ready, port: http}}, periodSeconds: 1}}
---
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec:
  selector: {{app: web}}
  ports: [{{name: http, port: 80, targetPort: http}}]
"""

CLIENT = """
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  restartPolicy: Never
  containers:
    - name: demo
      image: k8slab/demo:1
      args: [client, "{url}", --rate, "{rate}", --count, "{count}"]
"""


def web(cluster: RunningCluster, namespace: str, replicas: int = 3, drain: int = 2) -> None:
    """Three Pods behind a Service, all ready, all in its endpoints and all asked."""
    cluster.kubectl(f"-n {namespace} apply -f -", stdin=WEB.format(replicas=replicas, drain=drain))
    until(lambda: len(ready_endpoints(cluster, namespace)) == replicas, f"{replicas} ready endpoints")
    # That they are written does not say that the network has heard of them.
    url = front(cluster, namespace)
    until(lambda: len({ask(url)["pod"] for _ in range(20)}) == replicas, "an answer of each")


def ready_endpoints(cluster: RunningCluster, namespace: str) -> list[Endpoint]:
    path = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
    return [
        Endpoint(endpoint["addresses"][0], port["port"])
        for item in cluster.api.get(path).get("items") or []
        if item["metadata"]["labels"].get("kubernetes.io/service-name") == "web"
        for endpoint in item.get("endpoints") or []
        for port in item.get("ports") or []
        if endpoint["conditions"].get("ready") and not endpoint["conditions"].get("terminating")
    ]


def front(cluster: RunningCluster, namespace: str) -> str:
    """URL of the Service on this host."""
    service = cluster.api.get(f"/api/v1/namespaces/{namespace}/services/web")
    host, port = plan_of(cluster.folder.settings()).twin_endpoint(service["spec"]["clusterIP"], 80)
    return f"http://{host}:{port}/"


def ask(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url, timeout=20) as response:
        answer: dict[str, Any] = json.load(response)
        return answer


def summary(cluster: RunningCluster, namespace: str, name: str) -> dict[str, Any]:
    """Wait for a client Pod to end; what it counted."""

    def printed() -> str:
        return cluster.kubectl(f"-n {namespace} logs {name}", check=False)

    log = until(lambda: text if "summary {" in (text := printed()) else "", f"the end of {name}", 150)
    counted: dict[str, Any] = json.loads(log.rpartition("summary ")[2])
    return counted


def start_client(
    cluster: RunningCluster, namespace: str, url: str, rate: int, count: int, name: str = "client"
) -> None:
    manifest = CLIENT.format(name=name, url=url, rate=rate, count=count)
    cluster.kubectl(f"-n {namespace} apply -f -", stdin=manifest)


def test_the_kubernetes_service_leads_to_the_api_server(cluster: RunningCluster) -> None:
    plan = plan_of(cluster.folder.settings())
    host, port = plan.twin_endpoint(plan.kubernetes_service, 443)
    trusted = ssl.create_default_context(cafile=str(cluster.folder.certificate("ca")))
    trusted.check_hostname = False  # the certificate names the true address, not its twin

    def refused() -> int:
        try:
            urllib.request.urlopen(f"https://{host}:{port}/api", context=trusted, timeout=20)
        except urllib.error.HTTPError as error:
            with error:
                return error.code
        except OSError:
            return 0
        return 200

    # 401: the API server itself spoke, and knows no anonymous users.
    assert until(refused, "an answer of the API server") == 401


def test_all_pods_of_a_service_answer_on_every_way(cluster: RunningCluster, namespace: str) -> None:
    web(cluster, namespace)
    names = {pod["metadata"]["name"] for pod in cluster.api.list("pods", namespace)[0]}
    url = front(cluster, namespace)
    until(lambda: {ask(url)["pod"] for _ in range(30)} == names, "all three Pods at the twin")
    raw = f"get --raw /api/v1/namespaces/{namespace}/services/web:http/proxy/"
    assert until(lambda: json.loads(cluster.kubectl(raw)), "the service proxy")["pod"] in names
    for name in names:
        raw = f"get --raw /api/v1/namespaces/{namespace}/pods/{name}:8080/proxy/"
        assert json.loads(cluster.kubectl(raw))["pod"] == name


@pytest.mark.parametrize("host", ["web", "web.{namespace}", "web.{namespace}.svc.cluster.local"])
def test_a_pod_reaches_a_service_by_name(cluster: RunningCluster, namespace: str, host: str) -> None:
    web(cluster, namespace, replicas=2)
    start_client(cluster, namespace, f"http://{host.format(namespace=namespace)}/", 20, 40)
    counted = summary(cluster, namespace, "client")
    assert counted["sent"] == counted["answered"] == 40
    assert set(counted["by"]) == {
        pod["metadata"]["name"] for pod in cluster.api.list("pods", namespace, labels="app=web")[0]
    }


def test_without_ready_pods_the_service_refuses(cluster: RunningCluster, namespace: str) -> None:
    web(cluster, namespace, replicas=1)
    url = front(cluster, namespace)
    until(lambda: ask(url), "an answer")
    cluster.kubectl(f"-n {namespace} scale replicaset web --replicas=0")

    def refused() -> bool:
        try:
            ask(url)
        except urllib.error.URLError as error:
            return isinstance(error.reason, ConnectionRefusedError)
        except OSError:
            return False
        return False

    until(refused, "a refused connection")


def delete_one(cluster: RunningCluster, namespace: str) -> None:
    """Delete one of the three Pods gracefully, and wait until it is gone and replaced."""
    victim = cluster.api.list("pods", namespace, labels="app=web")[0][0]["metadata"]["name"]
    cluster.kubectl(f"-n {namespace} delete pod {victim} --wait=false")

    def gone() -> bool:
        return all(pod["metadata"]["name"] != victim for pod in cluster.api.list("pods", namespace)[0])

    until(gone, f"the end of {victim}")
    until(lambda: len(ready_endpoints(cluster, namespace)) == 3, "three ready endpoints")


@pytest.mark.timeout(420)
def test_no_request_is_lost_when_programs_drain(cluster: RunningCluster, namespace: str) -> None:
    web(cluster, namespace, drain=2)
    start_client(cluster, namespace, "http://web/", 50, 800)
    until(lambda: " 200 " in cluster.kubectl(f"-n {namespace} logs client", check=False), "the first answer")
    for _ in range(3):
        delete_one(cluster, namespace)
    counted = summary(cluster, namespace, "client")
    assert counted["sent"] == 800
    assert counted["failed"] == 0, counted
    assert len(counted["by"]) > 3


@pytest.mark.timeout(600)
def test_programs_that_do_not_drain_lose_requests(cluster: RunningCluster, namespace: str) -> None:
    """The counterpart: nothing between client and program retries, so what a program refuses is lost."""
    web(cluster, namespace, drain=0)
    start_client(cluster, namespace, "http://web/", 50, 50 * 600)

    def answers() -> list[str]:
        lines = cluster.kubectl(f"-n {namespace} logs client", check=False).splitlines()
        return [line.split(" ")[1] for line in lines if " ms" in line]

    until(lambda: "200" in answers(), "the first answer")
    # One deletion leaves a gap of some 20 ms: it takes a few until a request falls into it.
    for _ in range(40):
        delete_one(cluster, namespace)
        seen = answers()
        if set(seen) != {"200"}:
            break
    assert set(seen) != {"200"}, f"{len(seen)} requests, and none was lost"
    assert seen.count("200") > len(seen) * 0.8
