"""The table of Services: what is usable, what is chosen, and what a change leaves behind."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8slab.network.addresses import AddressPlan
from k8slab.network.services.endpoint_slices import is_usable
from k8slab.network.services.objects import Key
from k8slab.network.services.table import REMEMBERED_CLIENTS, Endpoint, Front, ServiceTable

PLAN = AddressPlan(7)
WEB = Front("10.7.128.5", 80)


def service(name: str = "web", address: str = "10.7.128.5", **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "default", "name": name, "uid": f"uid-{name}"},
        "spec": {"clusterIP": address, "ports": [{"port": 80, "protocol": "TCP"}], **spec},
    }


def endpoint(address: str, **conditions: bool) -> dict[str, Any]:
    return {"addresses": [address], "conditions": conditions}


def endpoint_slice(*endpoints: dict[str, Any], name: str = "web-abc", **fields: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "namespace": "default",
            "name": name,
            "labels": {"kubernetes.io/service-name": "web"},
        },
        "addressType": "IPv4",
        "endpoints": list(endpoints),
        "ports": [{"name": "", "port": 8080, "protocol": "TCP"}],
        **fields,
    }


def table_of(*items: dict[str, Any]) -> ServiceTable:
    table = ServiceTable(PLAN)
    for item in items:
        (table.put_slice if "endpoints" in item else table.put_service)(item)
    return table


@pytest.mark.parametrize(
    ("conditions", "usable"),
    [
        ({}, True),
        ({"ready": True}, True),
        ({"ready": True, "serving": True, "terminating": False}, True),
        ({"ready": False}, False),
        ({"ready": False, "serving": True, "terminating": True}, False),
        ({"ready": True, "serving": True, "terminating": True}, False),
    ],
)
def test_only_ready_and_not_terminating_endpoints_are_usable(conditions: Any, usable: bool) -> None:
    assert is_usable(conditions) is usable
    table = table_of(service(), endpoint_slice(endpoint("10.7.16.2", **conditions)))
    assert table.endpoints(WEB) == ((Endpoint("10.7.16.2", 8080),) if usable else ())
    assert table.fronts() == (frozenset({WEB}) if usable else frozenset())


def test_there_is_no_fallback_to_endpoints_that_terminate() -> None:
    table = table_of(
        service(), endpoint_slice(endpoint("10.7.16.2", ready=False, serving=True, terminating=True))
    )
    assert table.choose(WEB) is None


def test_the_order_in_which_service_and_slice_arrive_does_not_matter() -> None:
    slice_first = table_of(endpoint_slice(endpoint("10.7.16.2")), service())
    assert slice_first.endpoints(WEB) == table_of(service(), endpoint_slice(endpoint("10.7.16.2"))).endpoints(
        WEB
    )
    assert slice_first.fronts() == {WEB}


def test_an_update_replaces_what_was_known() -> None:
    table = table_of(service(), endpoint_slice(endpoint("10.7.16.2"), endpoint("10.7.16.3")))
    table.put_slice(endpoint_slice(endpoint("10.7.16.2", ready=False), endpoint("10.7.16.3")))
    assert table.endpoints(WEB) == (Endpoint("10.7.16.3", 8080),)


def test_several_slices_add_up_and_an_address_counts_once() -> None:
    table = table_of(
        service(),
        endpoint_slice(endpoint("10.7.16.2"), endpoint("10.7.16.3")),
        endpoint_slice(endpoint("10.7.16.3"), endpoint("10.7.16.4"), name="web-def"),
    )
    assert [each.address for each in table.endpoints(WEB)] == ["10.7.16.2", "10.7.16.3", "10.7.16.4"]
    table.drop_slice(endpoint_slice(name="web-def"))
    assert [each.address for each in table.endpoints(WEB)] == ["10.7.16.2", "10.7.16.3"]


def test_ports_meet_by_name() -> None:
    ports = [{"name": "http", "port": 80}, {"name": "metrics", "port": 9090}]
    slice_ports = [{"name": "metrics", "port": 19090, "protocol": "TCP"}, {"name": "http", "port": 18080}]
    table = table_of(service(ports=ports), endpoint_slice(endpoint("10.7.16.2"), ports=slice_ports))
    assert table.endpoints(WEB) == (Endpoint("10.7.16.2", 18080),)
    assert table.endpoints(Front("10.7.128.5", 9090)) == (Endpoint("10.7.16.2", 19090),)


def test_a_port_that_left_the_service_is_forgotten() -> None:
    table = table_of(service(), endpoint_slice(endpoint("10.7.16.2")))
    table.put_service(service(ports=[{"port": 81}]))
    assert table.fronts() == {Front("10.7.128.5", 81)}


def test_a_deleted_service_is_forgotten_and_may_come_back_under_another_address() -> None:
    table = table_of(service(), endpoint_slice(endpoint("10.7.16.2")))
    table.drop_service(service())
    assert table.fronts() == frozenset()
    assert table.choose(WEB) is None
    table.put_service(service(address="10.7.128.6"))
    assert table.fronts() == {Front("10.7.128.6", 80)}


@pytest.mark.parametrize("address", ["None", ""])
def test_a_headless_service_has_no_front(address: str) -> None:
    table = table_of(service(address=address), endpoint_slice(endpoint("10.7.16.2")))
    assert table.fronts() == frozenset()
    found = [each.address for part in table.slices(Key("default", "web")) for each in part.backends]
    assert found == ["10.7.16.2"]


def test_an_external_name_and_another_proxys_service_have_no_front() -> None:
    slices = endpoint_slice(endpoint("10.7.16.2"))
    assert table_of(service(type="ExternalName", externalName="x.y"), slices).fronts() == frozenset()
    other = service()
    other["metadata"]["labels"] = {"service.kubernetes.io/service-proxy-name": "mine"}
    assert table_of(other, slices).fronts() == frozenset()


def test_slices_without_a_service_of_other_families_and_protocols_are_left_out() -> None:
    nobodys = endpoint_slice(endpoint("10.7.16.2"))
    del nobodys["metadata"]["labels"]
    assert table_of(service(), nobodys).fronts() == frozenset()
    assert (
        table_of(service(), endpoint_slice(endpoint("fd00::1"), addressType="IPv6")).fronts() == frozenset()
    )
    udp = [{"name": "", "port": 53, "protocol": "UDP"}]
    assert table_of(service(), endpoint_slice(endpoint("10.7.16.2"), ports=udp)).fronts() == frozenset()


def test_the_choice_is_random_over_all_endpoints() -> None:
    table = table_of(service(), endpoint_slice(*(endpoint(f"10.7.16.{n}") for n in range(2, 6))))
    chosen = {table.choose(WEB) for _ in range(400)}
    assert chosen == set(table.endpoints(WEB))


def test_session_affinity_keeps_a_client_until_the_time_is_over_or_the_endpoint_gone() -> None:
    now = 0.0
    turns = iter(range(1000))
    table = ServiceTable(PLAN, choice=lambda usable: usable[next(turns) % len(usable)], clock=lambda: now)
    config = {"clientIP": {"timeoutSeconds": 100}}
    table.put_service(service(sessionAffinity="ClientIP", sessionAffinityConfig=config))
    table.put_slice(endpoint_slice(endpoint("10.7.16.2"), endpoint("10.7.16.3")))
    first = table.choose(WEB, "10.7.16.9")
    assert first is not None
    now = 90
    assert table.choose(WEB, "10.7.16.9") == first
    now = 180  # each use renews it
    assert table.choose(WEB, "10.7.16.9") == first
    assert table.choose(WEB, "10.7.16.8") != first
    now = 281
    other = table.choose(WEB, "10.7.16.9")
    assert other is not None
    now = 282
    table.put_slice(endpoint_slice(endpoint("10.7.16.4"), endpoint(other.address, ready=False)))
    assert table.choose(WEB, "10.7.16.9") == Endpoint("10.7.16.4", 8080)


def test_without_affinity_the_client_does_not_matter() -> None:
    table = table_of(service(), endpoint_slice(*(endpoint(f"10.7.16.{n}") for n in range(2, 6))))
    assert len({table.choose(WEB, "10.7.16.9") for _ in range(400)}) == 4


def test_expired_clients_are_forgotten() -> None:
    now = 0.0
    table = ServiceTable(PLAN, clock=lambda: now)
    table.put_service(service(sessionAffinity="ClientIP"))
    table.put_slice(endpoint_slice(endpoint("10.7.16.2")))
    for number in range(REMEMBERED_CLIENTS):
        table.choose(WEB, f"10.7.{number // 250}.{number % 250}")
    now = 10_801
    table.choose(WEB, "10.7.99.1")
    assert len(table._remembered) == 1


addresses = st.sampled_from([f"10.7.16.{number}" for number in range(2, 6)])
slices = st.builds(
    lambda name, found: endpoint_slice(
        *(endpoint(address, ready=ready, terminating=ending) for address, ready, ending in found), name=name
    ),
    st.sampled_from(["a", "b"]),
    st.lists(st.tuples(addresses, st.booleans(), st.booleans()), max_size=4),
)


@given(st.lists(st.tuples(st.booleans(), slices), max_size=12))
def test_after_any_history_the_table_is_what_the_last_objects_say(history: list[tuple[bool, Any]]) -> None:
    table = table_of(service())
    last: dict[str, Any] = {}
    for put, item in history:
        name = item["metadata"]["name"]
        if put:
            table.put_slice(item)
            last[name] = item
        else:
            table.drop_slice(item)
            last.pop(name, None)
    wanted = {
        Endpoint(each["addresses"][0], 8080)
        for item in last.values()
        for each in item["endpoints"]
        if each["conditions"]["ready"] and not each["conditions"]["terminating"]
    }
    assert set(table.endpoints(WEB)) == wanted
    assert table.fronts() == (frozenset({WEB}) if wanted else frozenset())
