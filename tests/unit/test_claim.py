"""Claiming an address range: taken and routed ones are passed over."""

from __future__ import annotations

import socket
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from k8slab.cluster.embedded.claim import claim_addresses, routed_networks
from k8slab.errors import StartError
from k8slab.network.addresses import API_SERVER_PORT, AddressPlan

HEADER = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
DEFAULT = "eth0\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
TEN_NINETY = "tun0\t00005A0A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
ALL_OF_TEN = "tun0\t0000000A\t00000000\t0001\t0\t0\t0\t000000FF\t0\t0\t0\n"


def test_a_routing_table_is_read_without_its_default_route() -> None:
    assert routed_networks(HEADER + DEFAULT + TEN_NINETY) == [IPv4Network("10.90.0.0/16")]


def test_a_second_claim_gets_another_octet() -> None:
    with claim_addresses(90).holder as first, claim_addresses(90).holder as second:
        assert first.getsockname()[0] != second.getsockname()[0]


def test_a_claim_is_free_again_when_its_holder_is_closed() -> None:
    claim = claim_addresses(91)
    claim.holder.close()
    with claim_addresses(91).holder as again:
        assert again.getsockname()[0] == claim.plan.claim


def test_a_routed_range_is_passed_over(tmp_path: Path) -> None:
    table = tmp_path / "route"
    table.write_text(HEADER + DEFAULT + TEN_NINETY)
    claim = claim_addresses(90, table)
    claim.holder.close()
    assert claim.plan.octet != 90


def test_a_range_whose_port_another_program_holds_is_passed_over() -> None:
    with claim_addresses(92).holder as holder:
        # A cluster of this machine may have the one or the other range already.
        free = AddressPlan(int(holder.getsockname()[0].split(".")[1]))
    with socket.create_server((free.twin(free.api_server), API_SERVER_PORT)):
        claim = claim_addresses(free.octet)
    claim.holder.close()
    assert claim.plan.octet != free.octet


def test_no_free_range_is_said_with_what_to_do(tmp_path: Path) -> None:
    table = tmp_path / "route"
    table.write_text(HEADER + ALL_OF_TEN)
    with pytest.raises(StartError, match="k8slab down"):
        claim_addresses(1, table)
