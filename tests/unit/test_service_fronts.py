"""Where a Service is knocked at beside its ClusterIP, who is led where, and what is told, not served."""

from __future__ import annotations

from typing import Any

import pytest

from k8slab.network.addresses import AddressPlan
from k8slab.network.services.node_table import NOWHERE, NodeTable
from k8slab.network.services.notices import ServiceNotices
from k8slab.network.services.objects import Key
from k8slab.network.services.table import Endpoint, Front, ServiceTable

PLAN = AddressPlan(7)
KEY = Key("default", "web")


def node(name: str, address: str, pods: str, zone: str = "", **labels: str) -> dict[str, Any]:
    if zone:
        labels["topology.kubernetes.io/zone"] = zone
    return {
        "metadata": {"name": name, "labels": labels},
        "spec": {"podCIDR": pods} if pods else {},
        "status": {
            "addresses": [{"type": "Hostname", "address": name}, {"type": "InternalIP", "address": address}]
        },
    }


NODES = (
    node("worker-1", "10.7.255.11", "10.7.16.0/22", "a"),
    node("worker-2", "10.7.255.12", "10.7.20.0/22", "b"),
)


def service(name: str = "web", address: str = "10.7.128.5", **spec: Any) -> dict[str, Any]:
    status = spec.pop("status", {})
    port = {"name": "http", "port": 80, "nodePort": 30080, "protocol": "TCP"}
    body = {"clusterIP": address, "type": "NodePort", "ports": [port], **spec}
    return {"metadata": {"namespace": "default", "name": name, "uid": name}, "spec": body, "status": status}


def endpoint_slice(*endpoints: dict[str, Any], protocol: str = "TCP", name: str = "web") -> dict[str, Any]:
    labels = {"kubernetes.io/service-name": name}
    return {
        "metadata": {"namespace": "default", "name": f"{name}-1", "labels": labels},
        "addressType": "IPv4",
        "endpoints": list(endpoints),
        "ports": [{"name": "http", "port": 8080, "protocol": protocol}],
    }


HERE = {"addresses": ["10.7.16.2"], "nodeName": "worker-1"}
THERE = {"addresses": ["10.7.20.2"], "nodeName": "worker-2"}


def table_of(item: dict[str, Any], *slices: dict[str, Any], nodes: Any = NODES) -> ServiceTable:
    table = ServiceTable(PLAN)
    for each in nodes:
        table.put_node(each)
    table.put_service(item)
    for each in slices:
        table.put_slice(each)
    return table


def chosen(table: ServiceTable, front: Front, client: str = "") -> set[str]:
    found = (table.choose(front, client) for _ in range(60))
    return {each.address for each in found if each is not None}


def test_a_node_port_is_on_every_node_and_follows_the_nodes() -> None:
    table = table_of(service(), endpoint_slice(HERE, THERE))
    first, second = Front("10.7.255.11", 30080), Front("10.7.255.12", 30080)
    assert table.fronts() == {Front("10.7.128.5", 80), first, second}
    assert chosen(table, first) == chosen(table, second) == {"10.7.16.2", "10.7.20.2"}
    assert not table.put_node(NODES[0])  # it only says that it is alive
    assert table.put_node(node("worker-3", "10.7.255.13", "10.7.24.0/22"))
    assert Front("10.7.255.13", 30080) in table.fronts()
    assert table.drop_node(NODES[1])
    assert second not in table.fronts()


def test_a_simulated_node_has_nothing_that_could_listen() -> None:
    simulated = node("sim-1", "10.7.255.201", "10.7.40.0/22", **{"k8slab.dev/simulated": "true"})
    table = table_of(service(), endpoint_slice(HERE), nodes=(*NODES, simulated))
    assert not any(front.address == "10.7.255.201" for front in table.fronts())


def test_with_the_external_policy_local_a_node_leads_to_its_own_endpoints_only() -> None:
    table = table_of(service(externalTrafficPolicy="Local"), endpoint_slice(HERE))
    assert Front("10.7.255.11", 30080) in table.fronts()
    assert Front("10.7.255.12", 30080) not in table.fronts()
    table.put_slice(endpoint_slice(HERE, THERE))
    assert chosen(table, Front("10.7.255.12", 30080), "10.7.16.9") == {"10.7.20.2"}
    assert chosen(table, Front("10.7.128.5", 80)) == {"10.7.16.2", "10.7.20.2"}


def test_a_load_balancer_and_addresses_of_nodes_are_fronts_and_foreign_ones_are_told() -> None:
    ingress = [{"ip": "10.7.192.3"}, {"hostname": "lb.example"}, {"ip": "203.0.113.5"}]
    table = table_of(
        service(
            type="LoadBalancer",
            externalIPs=["10.7.255.12", "198.51.100.1", "10.7.16.2"],
            status={"loadBalancer": {"ingress": ingress}},
        ),
        endpoint_slice(HERE),
    )
    assert {Front("10.7.192.3", 80), Front("10.7.255.12", 80)} < table.fronts()
    assert {front.address for front in table.fronts()} & {"203.0.113.5", "198.51.100.1", "10.7.16.2"} == set()
    told = " ".join(table.unserved(KEY))
    for address in ("spec.externalIPs 198.51.100.1", "10.7.16.2", "ingress 203.0.113.5"):
        assert f"{address} is not served" in told


def test_what_the_lab_itself_listens_on_is_no_front() -> None:
    ports = [{"name": "http", "port": 10250}]
    table = table_of(service(externalIPs=["10.7.255.11"], ports=ports), endpoint_slice(HERE))
    assert table.fronts() == {Front("10.7.128.5", 10250)}
    assert "not served at port 10250" in table.unserved(KEY)[0]
    for address in (PLAN.api_server, PLAN.addons):
        table = table_of(service(externalIPs=[address], ports=[{"port": 4443}]), endpoint_slice(HERE))
        assert address not in {front.address for front in table.fronts()}
        assert "not served at port 4443" in table.unserved(KEY)[0]


def test_source_ranges_shut_out_others_at_the_load_balancer_alone() -> None:
    item = service(
        type="LoadBalancer",
        loadBalancerSourceRanges=["10.7.20.0/22"],
        status={"loadBalancer": {"ingress": [{"ip": "10.7.192.3"}]}},
    )
    table = table_of(item, endpoint_slice(HERE))
    front = Front("10.7.192.3", 80)
    assert chosen(table, front, "10.7.16.9") == chosen(table, front, "127.0.0.1") == set()
    assert chosen(table, front, "10.7.20.9") == {"10.7.16.2"}
    assert chosen(table, Front("10.7.128.5", 80), "10.7.16.9") == {"10.7.16.2"}


def test_with_the_internal_policy_local_a_pod_stays_on_its_node() -> None:
    table = table_of(service(internalTrafficPolicy="Local"), endpoint_slice(HERE))
    front = Front("10.7.128.5", 80)
    assert chosen(table, front, "10.7.17.9") == {"10.7.16.2"}
    assert chosen(table, front, "10.7.20.9") == set()
    assert chosen(table, front, "127.0.0.1") == {"10.7.16.2"}  # on no node


@pytest.mark.parametrize(
    ("hints", "client", "wanted"),
    [
        ({"forZones": "ab"}, "10.7.16.9", {"10.7.16.2"}),
        ({"forZones": "ab"}, "10.7.20.9", {"10.7.20.2"}),
        ({"forZones": "bb"}, "10.7.16.9", {"10.7.16.2", "10.7.20.2"}),
        ({"forZones": "a"}, "10.7.16.9", {"10.7.16.2", "10.7.20.2"}),  # one says nothing: none counts
        ({"forNodes": ["worker-1", "worker-2"]}, "10.7.16.9", {"10.7.16.2"}),
        ({"forZones": "ab"}, "", {"10.7.16.2", "10.7.20.2"}),
    ],
)
def test_hints_keep_traffic_near(hints: dict[str, Any], client: str, wanted: set[str]) -> None:
    found = []
    for index, each in enumerate((HERE, THERE)):
        said = {kind: [{"name": names[index]}] for kind, names in hints.items() if index < len(names)}
        found.append({**each, "hints": said} if said else each)
    assert chosen(table_of(service(), endpoint_slice(*found)), Front("10.7.128.5", 80), client) == wanted


def test_a_udp_port_is_a_front_of_its_own_and_sctp_is_told() -> None:
    ports = [
        {"name": "http", "port": 53, "protocol": "UDP"},
        {"name": "tcp", "port": 53, "protocol": "TCP"},
        {"name": "x", "port": 54, "protocol": "SCTP"},
    ]
    table = table_of(service(ports=ports), endpoint_slice(HERE, protocol="UDP"))
    assert table.fronts() == {Front("10.7.128.5", 53, "UDP")}
    assert table.endpoints(Front("10.7.128.5", 53, "UDP")) == (Endpoint("10.7.16.2", 8080),)
    assert ["54/SCTP" in each for each in table.unserved(KEY)] == [True]


@pytest.mark.parametrize("address", ["192.0.2.9", "10.7.128.5", "10.7.128.9", "10.7.192.3"])
def test_endpoints_that_are_out_of_reach_are_told(address: str) -> None:
    table = table_of(service(), endpoint_slice({"addresses": [address]}))
    assert table.fronts() == frozenset()
    assert f"endpoint {address} gets no connection" in table.unserved(KEY)[0]
    table.put_slice(endpoint_slice(HERE, {"addresses": ["10.7.255.1"]}))
    assert table.unserved(KEY) == ()


def test_two_services_with_one_address_the_first_has_it_until_it_goes() -> None:
    front = Front("10.7.255.11", 80)
    table = table_of(service(externalIPs=["10.7.255.11"]), endpoint_slice(HERE))
    table.put_service(service("other", "10.7.128.6", externalIPs=["10.7.255.11"], type="ClusterIP"))
    table.put_slice(endpoint_slice(THERE, name="other"))
    assert chosen(table, front) == {"10.7.16.2"}
    assert "default/web has it already" in table.unserved(Key("default", "other"))[0]
    table.drop_service(service())
    assert chosen(table, front) == {"10.7.20.2"}
    assert table.unserved(Key("default", "other")) == ()


def test_a_client_keeps_its_endpoint_at_every_front_of_a_port() -> None:
    many = [{"addresses": [f"10.7.16.{number}"], "nodeName": "worker-1"} for number in range(2, 12)]
    table = table_of(service(sessionAffinity="ClientIP"), endpoint_slice(*many))
    first = chosen(table, Front("10.7.128.5", 80), "10.7.16.99")
    assert len(first) == 1
    assert chosen(table, Front("10.7.255.12", 30080), "10.7.16.99") == first


def test_a_terminating_endpoint_that_is_published_keeps_its_name_and_gets_nothing() -> None:
    ending = {**HERE, "conditions": {"ready": True, "serving": True, "terminating": True}}
    table = table_of(service(), endpoint_slice(ending))
    assert table.fronts() == frozenset()
    assert [backend.usable for part in table.slices(KEY) for backend in part.backends] == [False]


def test_a_node_is_found_by_the_addresses_on_it() -> None:
    nodes = NodeTable(PLAN)
    nodes.put(NODES[0])
    assert nodes.put(node("bare", "10.7.255.13", ""))
    assert nodes.put(node("by-hand", "10.7.255.14", "fd00::/64"))
    assert nodes.put(node("foreign", "192.0.2.1", "10.7.28.0/22")) is False
    assert nodes.of_client("10.7.19.254").name == nodes.of_client("10.7.255.11").name == "worker-1"
    for nowhere in ("10.7.28.1", "127.0.0.1", ""):
        assert nodes.of_client(nowhere) == NOWHERE
    assert [str(each) for each in nodes.pod_ranges()] == ["10.7.16.0/22"]


def test_what_is_not_served_is_said_once_and_again_when_it_comes_back() -> None:
    written: list[str] = []

    class Recorder:
        def record(self, item: Any, kind: str, reason: str, message: str) -> None:
            written.append(f"{item['metadata']['name']} {kind} {reason} {message}")

    notices = ServiceNotices(Recorder())
    notices.tell(KEY, ["of a Service that nobody knows"])
    notices.know(service())
    for sentences in (["a"], ["a", "b"], [], ["a"]):
        notices.tell(KEY, sentences)
    assert written == [f"web Warning NotServed {each}" for each in "aba"]
