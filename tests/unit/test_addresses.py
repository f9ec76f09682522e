"""The address plan: a one-to-one map between a cluster's addresses and loopback."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8slab.network.addresses import PORT_OFFSET, AddressPlan

octets = st.integers(1, 254)


@given(octets, st.integers(0, 255), st.integers(0, 255))
def test_twin_and_original_are_inverse(octet: int, third: int, fourth: int) -> None:
    plan = AddressPlan(octet)
    address = f"10.{octet}.{third}.{fourth}"
    assert plan.original(plan.twin(address)) == address
    assert IPv4Address(plan.twin(address)).is_loopback


@given(octets)
def test_ranges_do_not_overlap(octet: int) -> None:
    plan = AddressPlan(octet)
    ranges = [plan.pods, plan.services, plan.load_balancers]
    for index, one in enumerate(ranges):
        assert one.subnet_of(plan.cluster)
        assert not any(one.overlaps(other) for other in ranges[index + 1 :])
        assert IPv4Address(plan.node(7)) not in one


@given(st.integers(1, 65535))
def test_ports_below_1024_move_by_the_offset_and_stay_ports(port: int) -> None:
    moved = AddressPlan(7, PORT_OFFSET).twin_port(port)
    assert moved == (port + PORT_OFFSET if port < 1024 else port)
    assert 1 <= moved <= 65535
    assert AddressPlan(7).twin_port(port) == port


@pytest.mark.parametrize("address", ["10.8.0.1", "192.168.0.1", "web", "127.7.0.1", ""])
def test_addresses_of_others_have_no_twin(address: str) -> None:
    with pytest.raises(ValueError, match="not in"):
        AddressPlan(7).twin(address)


@pytest.mark.parametrize("twin", ["127.8.0.1", "10.7.0.1"])
def test_what_is_no_twin_has_no_original(twin: str) -> None:
    with pytest.raises(ValueError, match="no twin"):
        AddressPlan(7).original(twin)
