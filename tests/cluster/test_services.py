"""Services as a Pod sees them: who answers, how requests spread, who stays with whom, who is left out."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from tests.cluster.conftest import ClusterUnderTest, until
from tests.cluster.pod_clients import HTTP_CLIENT, inside, service, start_client, start_server, who

REQUESTS = 180


def ready(cluster: ClusterUnderTest, namespace: str, name: str) -> list[str]:
    """Names of the Pods that a Service's EndpointSlices call ready."""
    slices = cluster.get(f"-n {namespace} endpointslices -l kubernetes.io/service-name={name}")["items"]
    return sorted(
        endpoint["targetRef"]["name"]
        for each in slices
        for endpoint in each.get("endpoints") or []
        if endpoint["conditions"]["ready"]
    )


def test_requests_spread_over_the_pods_of_a_service_and_follow_them(
    cluster: ClusterUnderTest, namespace: str
) -> None:
    """kube-proxy chooses at random, each with the same probability (pkg/proxy/iptables/proxier.go:1485)."""
    names = ["web-a", "web-b", "web-c"]
    for name in names:
        start_server(cluster, namespace, name)
    start_client(cluster, namespace)
    two = (
        {"name": "http", "port": 80, "targetPort": "http"},
        {"name": "m", "port": 81, "targetPort": "metrics"},
    )
    cluster.kubectl(f"-n {namespace} apply -f -", stdin=service("web", *two))
    until(lambda: ready(cluster, namespace, "web") == names, "three ready endpoints")
    until(lambda: set(who(cluster, namespace, "http://web/", 30)) == set(names), "an answer of each")
    counted = Counter(who(cluster, namespace, f"http://web.{namespace}.svc.cluster.local/", REQUESTS))
    assert set(counted) == set(names)
    # A share of a third is 60 ± 6.3: six standard deviations leave no room for chance.
    assert all(20 < each < 100 for each in counted.values()), counted
    answers = inside(cluster, namespace, HTTP_CLIENT, "http://web:81/", 10)
    assert {each["port"] for each in answers} == {9090}
    raw = json.loads(cluster.kubectl(f"get --raw /api/v1/namespaces/{namespace}/services/web:http/proxy/"))
    assert raw["pod"] in names

    cluster.kubectl(f"-n {namespace} exec web-a -- sh -c 'touch ${{TMPDIR:-/tmp}}/unready'")
    until(lambda: ready(cluster, namespace, "web") == names[1:], "that one is left out")
    until(lambda: "web-a" not in who(cluster, namespace, "http://web/", 30), "that nobody is led there")
    cluster.kubectl(f"-n {namespace} delete pod web-b --wait=false")
    until(lambda: set(who(cluster, namespace, "http://web/", 20)) == {"web-c"}, "the last one alone")
    cluster.kubectl(f"-n {namespace} delete pod web-c --wait=false")
    # Refused: none is ready, and kube-proxy rejects (pkg/proxy/iptables/proxier.go:911).
    until(lambda: set(who(cluster, namespace, "http://web/", 3)) == {""}, "that nobody answers")
    cluster.kubectl(
        f"-n {namespace} patch service web --type=merge"
        ' -p \'{"spec": {"publishNotReadyAddresses": true}}\''
    )
    until(lambda: set(who(cluster, namespace, "http://web/", 5)) == {"web-a"}, "the one that is not ready")


def test_a_client_stays_with_its_pod_when_the_service_says_so(
    cluster: ClusterUnderTest, namespace: str
) -> None:
    names = {"web-a", "web-b", "web-c"}
    for name in names:
        start_server(cluster, namespace, name)
    start_client(cluster, namespace)
    sticky: dict[str, Any] = {
        "sessionAffinity": "ClientIP",
        "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 600}},
    }
    cluster.kubectl(f"-n {namespace} apply -f -", stdin=service("web", **sticky))
    until(lambda: len(ready(cluster, namespace, "web")) == 3, "three ready endpoints")
    until(lambda: all(who(cluster, namespace, "http://web/")), "an answer")
    answered = set(who(cluster, namespace, "http://web/", 30))
    assert len(answered) == 1
    assert set(who(cluster, namespace, "http://web/", 5)) == answered
    cluster.kubectl(f"-n {namespace} delete pod {answered.pop()}")
    until(lambda: len(ready(cluster, namespace, "web")) == 2, "two ready endpoints")
    until(
        lambda: len(set(who(cluster, namespace, "http://web/", 10)) & names) == 1,
        "another one, and only that",
    )
