"""Names of the cluster: by the Kubernetes DNS specification, as a Pod's resolver would look for them."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Any

import pytest

from k8slab.network.addresses import AddressPlan
from k8slab.network.dns.names import Names, UnknownNameError
from k8slab.network.pod_table import LOOK_AHEAD, PodTable
from k8slab.network.services.table import ServiceTable

PLAN = AddressPlan(7)


def service(name: str, namespace: str, **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"ports": [{"name": "http", "port": 80}], **spec},
    }


@pytest.fixture
def names() -> Names:
    table = ServiceTable(PLAN)
    for namespace in ("default", "shop", "bare"):
        table.put_namespace({"metadata": {"name": namespace}})
    table.put_service(service("web", "default", clusterIP="10.7.128.5"))
    table.put_service(service("web", "shop", clusterIP="10.7.128.6"))
    table.put_service(service("db", "shop", clusterIP="None"))
    table.put_service(service("empty", "shop", clusterIP="None"))
    table.put_service(
        service("alias", "shop", type="ExternalName", externalName="web.default.svc.cluster.local")
    )
    table.put_service(
        service("circle", "shop", type="ExternalName", externalName="circle.shop.svc.cluster.local")
    )
    table.put_service(service("outside", "shop", type="ExternalName", externalName="example.org"))
    table.put_slice(
        {
            "metadata": {"namespace": "shop", "name": "db-1", "labels": {"kubernetes.io/service-name": "db"}},
            "endpoints": [
                {"addresses": ["10.7.16.2"], "hostname": "db-0", "conditions": {"ready": True}},
                {"addresses": ["10.7.16.3"], "conditions": {"ready": True}},
                {"addresses": ["10.7.16.4"], "hostname": "db-2", "conditions": {"ready": False}},
            ],
            "ports": [{"name": "sql", "port": 5432}],
        }
    )
    table.put_slice(
        {
            "metadata": {
                "namespace": "default",
                "name": "web-1",
                "labels": {"kubernetes.io/service-name": "web"},
            },
            "endpoints": [{"addresses": ["10.7.32.2"]}],
            "ports": [{"name": "http", "port": 8080}],
        }
    )
    return Names(PLAN, table)


@pytest.mark.parametrize(
    ("name", "addresses"),
    [
        ("web.default.svc.cluster.local", ("10.7.128.5",)),
        ("WEB.Default.svc.Cluster.local.", ("10.7.128.5",)),
        ("db.shop.svc.cluster.local", ("10.7.16.2", "10.7.16.3")),
        ("db-0.db.shop.svc.cluster.local", ("10.7.16.2",)),
        ("10-7-16-3.db.shop.svc.cluster.local", ("10.7.16.3",)),
        ("10-7-16-9.default.pod.cluster.local", ("10.7.16.9",)),
        ("8-8-8-8.bare.pod.cluster.local", ("8.8.8.8",)),
        ("_http._tcp.web.default.svc.cluster.local", ("10.7.128.5",)),
        ("_sql._tcp.db.shop.svc.cluster.local", ("10.7.16.2", "10.7.16.3")),
        ("10-7-32-2.web.default.svc.cluster.local", ("10.7.32.2",)),
        ("ns.dns.cluster.local", ("10.7.128.10",)),
    ],
)
def test_full_names_stand_for_addresses(names: Names, name: str, addresses: tuple[str, ...]) -> None:
    answer = names.lookup(name)
    assert answer.exists
    assert set(answer.addresses) == set(addresses)


@pytest.mark.parametrize(
    "name",
    ["cluster.local", "svc.cluster.local", "default.svc.cluster.local", "bare.pod.cluster.local"],
)
def test_names_without_addresses_exist(names: Names, name: str) -> None:
    answer = names.lookup(name)
    assert answer.exists
    assert answer.addresses == ()


@pytest.mark.parametrize(
    "name",
    [
        "wbe.default.svc.cluster.local",
        "web.nowhere.svc.cluster.local",
        "nowhere.svc.cluster.local",
        "db-2.db.shop.svc.cluster.local",
        "10-7-16-2.db.shop.svc.cluster.local",  # it has a host name
        "x.web.default.svc.cluster.local",
        "8-8-8-8.nowhere.pod.cluster.local",
        "8-8-8.default.pod.cluster.local",
        "empty.shop.svc.cluster.local",  # as from CoreDNS: headless, and nobody is ready
        "_http._udp.web.default.svc.cluster.local",
        "_x._tcp.web.default.svc.cluster.local",
        "a._http._tcp.web.default.svc.cluster.local",
        "web.default.cluster.local",
        "1.128.7.10.in-addr.arpa",
        "7.10.in-addr.arpa",
        "web.default",
        "notcluster.local",
        "example.org",
        "",
    ],
)
def test_other_names_do_not_exist(names: Names, name: str) -> None:
    assert not names.lookup(name).exists


@pytest.mark.parametrize(
    ("name", "namespace", "address"),
    [
        ("web", "default", "10.7.128.5"),
        ("web", "shop", "10.7.128.6"),
        ("web.shop", "default", "10.7.128.6"),
        ("web.shop.svc", "default", "10.7.128.6"),
        ("web.shop.svc.cluster.local", "default", "10.7.128.6"),
        ("web.shop.svc.cluster.local.", "default", "10.7.128.6"),
        ("db-0.db", "shop", "10.7.16.2"),
        ("alias", "shop", "10.7.128.5"),
        ("10.7.16.2", "default", "10.7.16.2"),
    ],
)
def test_a_pod_resolves_names_from_its_namespace(
    names: Names, name: str, namespace: str, address: str
) -> None:
    assert names.resolve(name, namespace) == address


@pytest.mark.parametrize(
    ("name", "targets"),
    [
        ("_http._tcp.web.default.svc.cluster.local", {(80, "web.default.svc.cluster.local")}),
        ("web.default.svc.cluster.local", {(80, "web.default.svc.cluster.local")}),
        (
            "_SQL._TCP.db.shop.svc.cluster.local",
            {(5432, "db-0.db.shop.svc.cluster.local"), (5432, "10-7-16-3.db.shop.svc.cluster.local")},
        ),
    ],
)
def test_ports_and_hosts_are_told(names: Names, name: str, targets: set[tuple[int, str]]) -> None:
    assert {(target.port, target.host) for target in names.lookup(name).targets} == targets


@pytest.mark.parametrize(
    ("name", "pointer"),
    [
        ("5.128.7.10.in-addr.arpa", "web.default.svc.cluster.local"),
        ("2.16.7.10.in-addr.arpa.", "db-0.db.shop.svc.cluster.local"),
        ("3.16.7.10.IN-ADDR.arpa", "10-7-16-3.db.shop.svc.cluster.local"),
        ("2.32.7.10.in-addr.arpa", "10-7-32-2.web.default.svc.cluster.local"),
    ],
)
def test_addresses_have_names(names: Names, name: str, pointer: str) -> None:
    assert names.lookup(name).pointers == (pointer,)


def test_the_version_of_the_specification_is_told(names: Names) -> None:
    assert names.lookup("dns-version.cluster.local").text == "1.1.0"


def test_a_headless_name_gives_each_of_its_addresses(names: Names) -> None:
    assert {names.resolve("db.shop", "default") for _ in range(200)} == {"10.7.16.2", "10.7.16.3"}


@pytest.mark.parametrize(
    "name", ["db", "wbe", "web.", "example.org", "empty.shop", "circle.shop", "outside.shop"]
)
def test_what_stands_for_nothing_is_said(names: Names, name: str) -> None:
    with pytest.raises(UnknownNameError, match="kubectl get services"):
        names.resolve(name, "default")


def pod(uid: str, address: str, namespace: str = "default", phase: str = "Running") -> dict[str, Any]:
    return {"metadata": {"uid": uid, "namespace": namespace}, "status": {"podIP": address, "phase": phase}}


RANGES = [IPv4Network("10.7.0.0/22"), IPv4Network("10.7.16.0/22"), IPv4Network("10.7.32.0/22")]


def test_the_pod_table_knows_who_has_an_address() -> None:
    pods = PodTable(PLAN)
    pods.put(pod("a", "10.7.16.2"))
    pods.put(pod("b", "10.7.16.3", "shop"))
    pods.put(pod("node", "10.7.255.11"))
    pods.put(pod("new", ""))
    simulated = pod("simulated", "10.7.40.2")
    simulated["metadata"]["labels"] = {"k8slab.dev/simulated": "true"}
    pods.put(simulated)
    assert pods.addresses() == {"10.7.16.2", "10.7.16.3"}
    assert pods.namespace("10.7.16.3") == "shop"
    pods.put(pod("a", "10.7.16.2", phase="Succeeded"))
    assert pods.addresses() == {"10.7.16.3"}
    assert pods.namespace("10.7.16.2") == ""


def test_the_next_addresses_of_each_node_are_expected() -> None:
    pods = PodTable(PLAN)
    assert pods.expected() == frozenset()
    pods.give_out(RANGES)
    first = pods.expected()
    assert len(first) == 3 * LOOK_AHEAD
    assert "10.7.16.2" in first and "10.7.0.2" in first
    assert "10.7.16.1" not in first and "10.7.0.1" not in first
    pods.put(pod("a", "10.7.16.40"))
    assert {"10.7.16.41", "10.7.16.56", "10.7.32.2"} <= pods.expected()
    assert "10.7.16.57" not in pods.expected()
    pods.drop(pod("a", "10.7.16.40"))
    pods.put(pod("older", "10.7.16.30"))
    assert "10.7.16.41" in pods.expected()
    pods.put(pod("b", "10.7.64.9"))  # of no range that is known: nothing can be foreseen
    assert "10.7.64.10" not in pods.expected()
    pods.put(pod("a", "10.7.19.253"))  # more than half a round ahead: older, as after going round
    assert "10.7.16.41" in pods.expected()


def test_a_range_is_gone_round() -> None:
    pods = PodTable(PLAN)
    pods.give_out(RANGES)
    for third in (17, 18, 19):
        pods.put(pod(f"a{third}", f"10.7.{third}.253"))
    assert {"10.7.19.254", "10.7.16.2", "10.7.16.16"} <= pods.expected()
    assert not {"10.7.19.255", "10.7.16.0", "10.7.16.1"} & pods.expected()
    pods.put(pod("b", "10.7.16.3"))
    assert "10.7.16.4" in pods.expected()
    assert "10.7.19.254" not in pods.expected()


def test_a_range_that_is_learnt_late_counts_the_pods_it_has() -> None:
    pods = PodTable(PLAN)
    pods.put(pod("a", "10.7.16.40"))
    pods.give_out(RANGES)
    assert {"10.7.16.41", "10.7.32.2"} <= pods.expected()
    pods.give_out(RANGES[:2])
    assert "10.7.16.41" in pods.expected()
    assert "10.7.32.2" not in pods.expected()


def test_an_address_that_was_given_out_again_belongs_to_the_newer_pod() -> None:
    pods = PodTable(PLAN)
    pods.put(pod("old", "10.7.16.2"))
    pods.put(pod("new", "10.7.16.2", "shop"))
    assert pods.namespace("10.7.16.2") == "shop"
    pods.drop(pod("old", "10.7.16.2"))
    assert pods.addresses() == {"10.7.16.2"}
    pods.drop(pod("new", "10.7.16.2", "shop"))
    assert pods.addresses() == frozenset()
