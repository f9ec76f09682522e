"""Services of type LoadBalancer: pending without a provider, an address with one, and its end (X56).

Reasons and texts: k8s.io/cloud-provider v0.36 controllers/service/controller.go lines 342 to 425.
"""

from __future__ import annotations

import json
from ipaddress import IPv4Address
from typing import Any

import pytest

from tests.cluster import web_pods
from tests.cluster.conftest import ClusterUnderTest, until

pytestmark = pytest.mark.needs("load balancers")

FINALIZER = "service.kubernetes.io/load-balancer-cleanup"


def apply(cluster: ClusterUnderTest, namespace: str, *objects: dict[str, Any]) -> None:
    cluster.kubectl(f"-n {namespace} apply -f -", stdin="\n---\n".join(map(json.dumps, objects)))


def given(cluster: ClusterUnderTest, namespace: str, name: str) -> list[dict[str, Any]]:
    """What stands in the status of a Service."""
    found = cluster.get(f"-n {namespace} service {name}")["status"]["loadBalancer"]
    return found.get("ingress") or []


def events(cluster: ClusterUnderTest, namespace: str, name: str) -> list[str]:
    found = cluster.get(f"-n {namespace} events --field-selector involvedObject.name={name}")["items"]
    return [f"{each['type']} {each['reason']} {each['message']}" for each in found]


def asked(cluster: ClusterUnderTest, namespace: str, url: str) -> tuple[int, str]:
    """The status and the path that the Pod `web` was asked for."""
    status, answer = web_pods.ask(cluster, namespace, "web", url)
    return status, str(answer.get("path"))


def test_an_address_comes_serves_and_goes(cluster: ClusterUnderTest, namespace: str) -> None:
    web_pods.start(cluster, namespace, "web")
    foreign = web_pods.service("foreign", type="LoadBalancer", loadBalancerClass="example.com/nobody")
    apply(cluster, namespace, foreign, web_pods.service("web", type="LoadBalancer"))
    standing = until(lambda: given(cluster, namespace, "web"), "the address")
    address = standing[0]["ip"]
    assert standing == [{"ip": address, "ipMode": "VIP"}]
    told = until(
        lambda: [each for each in events(cluster, namespace, "web") if "Ensured" in each], "the Event"
    )
    assert told == ["Normal EnsuredLoadBalancer Ensured load balancer"]
    assert "Normal EnsuringLoadBalancer Ensuring load balancer" in events(cluster, namespace, "web")
    # The class that nobody serves was there first, and still waits.
    rows = cluster.kubectl(f"-n {namespace} get services --no-headers").splitlines()
    shown = {row.split()[0]: row.split()[3] for row in rows}
    assert shown == {"foreign": "<pending>", "web": address}

    until(lambda: asked(cluster, namespace, f"http://{address}/x") == (200, "/x"), "an answer")

    # A change of the ports has it set up again, at the same address.
    other_port = web_pods.service("web", type="LoadBalancer")
    other_port["spec"]["ports"][0]["port"] = 8000
    apply(cluster, namespace, other_port)
    again = f"http://{address}:8000/"
    until(lambda: asked(cluster, namespace, again) == (200, "/"), "an answer at the new port")
    assert given(cluster, namespace, "web") == standing

    other_port["spec"]["type"] = "ClusterIP"
    apply(cluster, namespace, other_port)
    until(lambda: not given(cluster, namespace, "web"), "the address to be taken back")
    metadata = cluster.get(f"-n {namespace} service web")["metadata"]
    assert FINALIZER not in metadata.get("finalizers", [])
    until(
        lambda: "Normal DeletedLoadBalancer Deleted load balancer" in events(cluster, namespace, "web"),
        "the Event",
    )
    until(lambda: asked(cluster, namespace, again)[0] != 200, "no answer any more")


def test_an_address_may_be_asked_for(cluster: ClusterUnderTest, namespace: str) -> None:
    apply(cluster, namespace, web_pods.service("first", type="LoadBalancer"))
    first = until(lambda: given(cluster, namespace, "first"), "the address")[0]["ip"]
    wanted = str(IPv4Address(first) + 500)
    apply(cluster, namespace, web_pods.service("second", type="LoadBalancer", loadBalancerIP=wanted))
    until(lambda: given(cluster, namespace, "second") == [{"ip": wanted, "ipMode": "VIP"}], "the address")
    # Two want it: the other one waits, is told why, and has it once it is free.
    apply(cluster, namespace, web_pods.service("third", type="LoadBalancer", loadBalancerIP=wanted))
    refusal = until(
        lambda: [each for each in events(cluster, namespace, "third") if "Failed" in each], "the refusal"
    )
    assert refusal[0].startswith(
        "Warning SyncLoadBalancerFailed Error syncing load balancer: failed to ensure load balancer: "
    )
    assert given(cluster, namespace, "third") == []
    cluster.kubectl(f"-n {namespace} delete service second --timeout=50s")
    until(lambda: given(cluster, namespace, "third") == [{"ip": wanted, "ipMode": "VIP"}], "the address")
