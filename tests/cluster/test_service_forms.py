"""The forms of a Service beside the ClusterIP, asked from a Pod with a network of its own."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cluster.conftest import ClusterUnderTest, until
from tests.cluster.manifests import pod, python, run_ready
from tests.cluster.pod_clients import (
    RESOLVER,
    TCP_CLIENT,
    UDP_CLIENT,
    UDP_SERVER,
    endpoint_slice,
    inside,
    service,
    start_client,
    start_server,
    who,
)

pytestmark = pytest.mark.needs("own network")


def nodes(cluster: ClusterUnderTest) -> dict[str, str]:
    """Name and InternalIP of each node on which Pods run."""
    return {
        node["metadata"]["name"]: address["address"]
        for node in cluster.get("nodes")["items"]
        if not node["spec"].get("taints")
        for address in node["status"]["addresses"]
        if address["type"] == "InternalIP"
    }


def until_answered(
    cluster: ClusterUnderTest, namespace: str, url: str, by: str, count: int = 1, client: str = "client"
) -> None:
    """Wait until one Pod answers all requests to a URL; until nobody answers if it is empty."""
    until(lambda: set(who(cluster, namespace, url, count, client)) == {by}, f"{by!r} at {url} for {client}")


def stored(cluster: ClusterUnderTest, namespace: str, name: str) -> dict[str, Any]:
    """The spec of a Service as the API server completed it."""
    spec: dict[str, Any] = cluster.get(f"-n {namespace} service {name}")["spec"]
    return spec


def test_a_node_port_is_open_on_every_node(cluster: ClusterUnderTest, namespace: str) -> None:
    places = nodes(cluster)
    here = next(iter(places))
    start_server(cluster, namespace, "web", nodeName=here)
    start_client(cluster, namespace, nodeName=here)
    cluster.kubectl(f"-n {namespace} apply -f -", stdin=service("web", type="NodePort"))
    port = stored(cluster, namespace, "web")["ports"][0]["nodePort"]
    assert 30000 <= port <= 32767
    for address in places.values():
        until_answered(cluster, namespace, f"http://{address}:{port}/", "web")
    refused = cluster.run(
        f"-n {namespace} apply -f -",
        stdin=service("low", {"port": 80, "nodePort": 20000}, type="NodePort"),
    )
    assert (
        "provided port is not in the valid range. The range of valid ports is 30000-32767" in refused.stderr
    )
    # With the policy Local a node without an endpoint does not answer: kube-proxy drops, others may refuse.
    local = service("local", type="NodePort", externalTrafficPolicy="Local")
    cluster.kubectl(f"-n {namespace} apply -f -", stdin=local)
    port = stored(cluster, namespace, "local")["ports"][0]["nodePort"]
    for name, address in places.items():
        by = "web" if name == here else ""
        until_answered(cluster, namespace, f"http://{address}:{port}/", by)


def test_the_control_plane_and_the_kubelets_are_reached_at_their_true_addresses(
    cluster: ClusterUnderTest, namespace: str
) -> None:
    start_client(cluster, namespace)
    endpoints = cluster.get("-n default endpointslices -l kubernetes.io/service-name=kubernetes")["items"][0]
    address, port = endpoints["endpoints"][0]["addresses"][0], endpoints["ports"][0]["port"]

    def tried(where: str, number: int) -> str:
        return str(inside(cluster, namespace, TCP_CLIENT, where, number))

    until(lambda: tried(address, port) == "", "a connection to the API server")
    for node in nodes(cluster).values():
        until(lambda node=node: tried(node, 10250) == "", f"one to the kubelet at {node}")  # type: ignore[misc]
        assert tried(node, 7) == "ConnectionRefusedError"


@pytest.mark.needs("load balancers")
def test_a_load_balancer_gets_an_address_and_answers_there(cluster: ClusterUnderTest, namespace: str) -> None:
    start_server(cluster, namespace, "web")
    start_client(cluster, namespace)
    cluster.kubectl(f"-n {namespace} apply -f -", stdin=service("web", type="LoadBalancer"))

    def address() -> str:
        given = cluster.get(f"-n {namespace} service web")["status"]["loadBalancer"].get("ingress") or [{}]
        return str(given[0].get("ip") or "")

    until(address, "an address")
    until(lambda: who(cluster, namespace, f"http://{address()}/") == ["web"], "an answer there")
    cluster.kubectl(f"-n {namespace} delete service web")


def test_an_external_address_of_a_node_leads_to_the_service(
    cluster: ClusterUnderTest, namespace: str
) -> None:
    address = list(nodes(cluster).values())[-1]
    start_server(cluster, namespace, "web")
    start_client(cluster, namespace)
    port = {"name": "http", "port": 8123, "targetPort": "http"}
    applied = cluster.run(f"-n {namespace} apply -f -", stdin=service("web", port, externalIPs=[address]))
    # pkg/api/service/warnings.go:62
    assert "spec.externalIPs is deprecated" in applied.stderr
    until(lambda: who(cluster, namespace, f"http://{address}:8123/") == ["web"], "an answer there")


def test_a_service_without_selector_leads_where_its_slice_says(
    cluster: ClusterUnderTest, namespace: str
) -> None:
    start_server(cluster, namespace, "web")
    start_client(cluster, namespace)
    address = cluster.get(f"-n {namespace} pod web")["status"]["podIP"]
    cluster.kubectl(f"-n {namespace} apply -f -", stdin=service("hand", {"port": 80}, selector={}))

    def tried() -> str:
        return str(inside(cluster, namespace, TCP_CLIENT, "hand", 80))

    # Its name takes a moment to be known; nobody stands behind it then.
    until(lambda: tried() == "ConnectionRefusedError", "a refusal")
    port = {"name": "", "port": 9090, "protocol": "TCP"}
    cluster.kubectl(f"-n {namespace} apply -f -", stdin=endpoint_slice("hand", port, address))
    until(lambda: who(cluster, namespace, "http://hand/") == ["web"], "an answer")


@pytest.mark.needs("process nodes")
def test_what_a_service_cannot_have_here_is_told(cluster: ClusterUnderTest, namespace: str) -> None:
    cluster.kubectl(f"-n {namespace} apply -f -", stdin=service("hand", {"port": 80}, selector={}))
    port = {"name": "", "port": 9090, "protocol": "TCP"}
    cluster.kubectl(f"-n {namespace} apply -f -", stdin=endpoint_slice("hand", port, "192.0.2.9"))
    other = service("other", {"port": 80, "protocol": "SCTP"}, externalIPs=["192.0.2.10"])
    cluster.kubectl(f"-n {namespace} apply -f -", stdin=other)

    def told() -> str:
        events = cluster.get(f"-n {namespace} events --field-selector reason=NotServed")["items"]
        return "\n".join(f"{each['involvedObject']['name']}: {each['message']}" for each in events)

    until(lambda: len(told().splitlines()) == 3, "three Events")
    assert "hand: endpoint 192.0.2.9 gets no connection" in told()
    assert "other: port 80/SCTP is not served" in told()
    assert "other: spec.externalIPs 192.0.2.10 is not served" in told()


def test_a_headless_service_and_an_alias_are_names_alone(cluster: ClusterUnderTest, namespace: str) -> None:
    for name in ("web-a", "web-b"):
        start_server(cluster, namespace, name)
    start_client(cluster, namespace)
    cluster.kubectl(f"-n {namespace} apply -f -", stdin=service("web"))
    cluster.kubectl(f"-n {namespace} apply -f -", stdin=service("peers", clusterIP="None"))
    target = f"web.{namespace}.svc.cluster.local"
    alias: dict[str, Any] = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "alias"}}
    alias["spec"] = {"type": "ExternalName", "externalName": target}
    cluster.kubectl(f"-n {namespace} apply -f -", stdin=json.dumps(alias))
    addresses = sorted(
        each["status"]["podIP"] for each in cluster.get(f"-n {namespace} pods -l tier=web")["items"]
    )
    wanted = {"peers": addresses, "alias": [stored(cluster, namespace, "web")["clusterIP"]], "nobody": []}
    until(lambda: inside(cluster, namespace, RESOLVER, *wanted) == wanted, "the addresses")
    # No proxy stands before the Pods: the port is theirs.
    assert who(cluster, namespace, "http://peers:8080/")[0] in ("web-a", "web-b")
    # That the name is known does not say that the node has heard of the endpoints behind it.
    until(lambda: who(cluster, namespace, "http://alias/")[0] in ("web-a", "web-b"), "an answer of the alias")
    assert "clusterIP" not in stored(cluster, namespace, "alias")


def test_datagrams_reach_a_udp_service(cluster: ClusterUnderTest, namespace: str) -> None:
    for name in ("echo-a", "echo-b"):
        manifest = json.loads(pod(name, python(UDP_SERVER)))
        manifest["metadata"]["labels"]["tier"] = "echo"
        run_ready(cluster, namespace, json.dumps(manifest))
    start_client(cluster, namespace)
    port = {"port": 90, "protocol": "UDP", "targetPort": 9000}
    manifest_text = service("echo", port, selector={"tier": "echo"}, type="NodePort")
    cluster.kubectl(f"-n {namespace} apply -f -", stdin=manifest_text)

    def asked(host: str, number: int) -> list[str]:
        answers: list[str] = inside(cluster, namespace, UDP_CLIENT, host, number)
        return answers

    seen: set[str] = set()

    def both_answered() -> bool:
        seen.update(each.split()[0] for each in asked("echo", 90) if each.startswith("echo-"))
        return seen == {"echo-a", "echo-b"}

    # Endpoints are chosen at random; and a program may not have bound its port when its Pod is Ready.
    until(both_answered, "an answer of each")
    for _ in range(5):
        answers = asked("echo", 90)
        assert [each.split()[-1] for each in answers] == list("01234")
        # One client keeps its endpoint, as long as it keeps its port.
        assert len({each.split()[0] for each in answers}) == 1
    node_port = stored(cluster, namespace, "echo")["ports"][0]["nodePort"]
    for address in nodes(cluster).values():
        until(
            lambda address=address: asked(address, node_port)[0].startswith("echo-"),  # type: ignore[misc]
            f"an answer at {address}",
        )


def test_traffic_stays_on_a_node_when_the_service_says_so(cluster: ClusterUnderTest, namespace: str) -> None:
    names = list(nodes(cluster))[:2]
    if len(names) < 2:
        pytest.skip("one node: there is no other to go to")
    for index, name in enumerate(names):
        start_client(cluster, namespace, f"client-{index}", nodeName=name)
    start_server(cluster, namespace, "web-0", nodeName=names[0])
    cluster.kubectl(f"-n {namespace} apply -f -", stdin=service("local", internalTrafficPolicy="Local"))
    near = service("near", trafficDistribution="PreferSameNode")
    cluster.kubectl(f"-n {namespace} apply -f -", stdin=near)
    until(lambda: who(cluster, namespace, "http://local/", name="client-0") == ["web-0"], "an answer")
    assert who(cluster, namespace, "http://local/", name="client-1") == [""]
    # Preferred is not demanded: without one of its own the other node goes elsewhere.
    until(lambda: who(cluster, namespace, "http://near/", name="client-1") == ["web-0"], "an answer")
    start_server(cluster, namespace, "web-1", nodeName=names[1])
    for index in range(2):
        until_answered(cluster, namespace, "http://near/", f"web-{index}", 15, f"client-{index}")
