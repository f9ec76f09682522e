"""A Pod's resolv.conf: the four policies, what `dnsConfig` adds, and the limits of the file."""

from __future__ import annotations

from typing import Any

import pytest

from k8slab.node.pods.pod_dns import pod_dns

HOST = "# mine\nnameserver 9.9.9.9\nsearch old.example\nsearch . lab.example. x\noptions timeout:3 rotate\n"
CLUSTER = ("shop.svc.cluster.local", "svc.cluster.local", "cluster.local")


def pod(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "web", "namespace": "shop"}, "spec": spec}


def test_a_pod_asks_the_cluster_first() -> None:
    assert pod_dns(pod(), "10.7.128.10", HOST).text == (
        f"search {' '.join(CLUSTER)}\nnameserver 10.7.128.10\noptions ndots:5\n"
    )


@pytest.mark.parametrize(
    ("spec", "servers"),
    [
        ({"dnsPolicy": "Default"}, ("9.9.9.9",)),
        ({"dnsPolicy": "ClusterFirst", "hostNetwork": True}, ("9.9.9.9",)),
        ({"dnsPolicy": "ClusterFirstWithHostNet", "hostNetwork": True}, ("10.7.128.10",)),
        ({"dnsPolicy": "None"}, ()),
    ],
)
def test_each_policy_has_its_name_servers(spec: dict[str, Any], servers: tuple[str, ...]) -> None:
    assert pod_dns(pod(**spec), "10.7.128.10", HOST).servers == servers


def test_the_nodes_own_file_is_read_as_a_kubelet_reads_it() -> None:
    found = pod_dns(pod(dnsPolicy="Default"), "x", HOST)
    assert found.searches == ("lab.example", "x")
    assert found.options == ("timeout:3", "rotate")


def test_a_pods_own_configuration_is_added_and_its_options_win() -> None:
    own = {
        "nameservers": ["10.7.128.10", "1.2.3.4"],
        "searches": ["cluster.local", "my.example"],
        "options": [{"name": "ndots", "value": "2"}, {"name": "edns0"}],
    }
    found = pod_dns(pod(dnsConfig=own), "10.7.128.10", "")
    assert found.servers == ("10.7.128.10", "1.2.3.4")
    assert found.searches == (*CLUSTER, "my.example")
    assert found.options == ("ndots:2", "edns0")
    assert found.omitted == ()


def test_what_does_not_fit_is_left_out_and_said() -> None:
    own = {"nameservers": ["1.1.1.1", "2.2.2.2", "3.3.3.3"], "searches": [f"d{n}.example" for n in range(32)]}
    found = pod_dns(pod(dnsConfig=own), "10.7.128.10", "")
    assert found.servers == ("10.7.128.10", "1.1.1.1", "2.2.2.2")
    assert found.searches == (*CLUSTER, *own["searches"][:29])
    # pkg/kubelet/network/dns/dns.go, formDNSNameserversFitsLimits and formDNSSearchFitsLimits
    assert found.omitted[0] == (
        "Nameserver limits were exceeded, some nameservers have been omitted, "
        "the applied nameserver line is: 10.7.128.10 1.1.1.1 2.2.2.2"
    )
    assert found.omitted[1].startswith(
        "Search Line limits were exceeded, some search paths have been omitted,"
    )


def test_a_search_line_has_an_end() -> None:
    long = [f"{index}{'a' * 200}.example" for index in range(20)]
    found = pod_dns(pod(dnsPolicy="None", dnsConfig={"searches": [*long, "b" * 254]}), "x", "")
    assert found.searches == tuple(long[:9])
    assert len(found.omitted) == 1
