"""The cluster's DNS, asked from a Pod as its programs ask it: what CoreDNS answers with kubeadm's settings.

Names and records are those of the Kubernetes DNS specification 1.1.0 (github.com/kubernetes/dns).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.conftest import ClusterUnderTest, until
from tests.cluster.pod_clients import RESOLVER, inside, service, start_client, start_server

pytestmark = pytest.mark.needs("own network")

CLIENT = Path(__file__).with_name("dns_client.py").read_text()
NO_ERROR, NAME_ERROR = 0, 3


class Asker:
    """Asks the cluster's DNS from the Pod `client` of a namespace."""

    def __init__(self, cluster: ClusterUnderTest, namespace: str) -> None:
        self.cluster = cluster
        self.namespace = namespace
        self.domain = f"{namespace}.svc.cluster.local"

    def ask(self, name: str, kind: str = "A", way: str = "udp") -> dict[str, Any]:
        """One question and the whole answer."""
        found: dict[str, Any] = inside(self.cluster, self.namespace, CLIENT, name, kind, way)
        assert found["same"] and found["asked"] == name
        return found

    def values(self, name: str, kind: str = "A") -> list[Any]:
        """The values of one type in the answer to a question, sorted."""
        return sorted(each["value"] for each in self.ask(name, kind)["answers"] if each["type"] == kind)

    def nothing(self, name: str, kind: str, code: int) -> None:
        """A name or a type that is not there: no answer, and a SOA record says how long that holds."""
        found = self.ask(name, kind)
        assert (found["code"], found["answers"]) == (code, [])
        assert [each["type"] for each in found["authority"]] == ["SOA"]
        assert found["authority"][0]["name"] == "cluster.local"
        assert found["authoritative"]


@pytest.fixture
def asker(cluster: ClusterUnderTest, namespace: str) -> Asker:
    """A client, two Pods with names of their own, and a Service of each kind before them."""
    for name in ("db-0", "db-1"):
        start_server(cluster, namespace, name, hostname=name, subdomain="peers")
    start_client(cluster, namespace)
    manifests = [
        service("web"),
        service("peers", clusterIP="None"),
        service("empty", selector={"tier": "nobody"}, clusterIP="None"),
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": "alias"},
                "spec": {"type": "ExternalName", "externalName": f"web.{namespace}.svc.cluster.local"},
            }
        ),
    ]
    cluster.kubectl(f"-n {namespace} apply -f -", stdin="\n---\n".join(manifests))
    asker = Asker(cluster, namespace)
    until(lambda: len(asker.values(f"peers.{asker.domain}")) == 2, "both Pods under the headless name")
    # The last of the Services: who knows it has heard of the others.
    until(lambda: asker.values(f"alias.{asker.domain}"), "the alias")
    return asker


def test_names_of_services_and_their_pods(asker: Asker) -> None:
    cluster, namespace, domain = asker.cluster, asker.namespace, asker.domain
    address = cluster.get(f"-n {namespace} service web")["spec"]["clusterIP"]
    pods = {
        each["metadata"]["name"]: each["status"]["podIP"]
        for each in cluster.get(f"-n {namespace} pods -l tier=web")["items"]
    }
    found = asker.ask(f"web.{domain}")
    assert [(each["name"], each["value"], each["ttl"]) for each in found["answers"]] == [
        (f"web.{domain}", address, 30)  # kubeadm's Corefile: `ttl 30`
    ]
    assert asker.values(f"peers.{domain}") == sorted(pods.values())
    assert asker.values(f"db-0.peers.{domain}") == [pods["db-0"]]
    dashed = pods["db-0"].replace(".", "-")
    assert asker.values(f"{dashed}.{namespace}.pod.cluster.local") == [pods["db-0"]]
    # Upper and lower case are one, and the question comes back as it was spelled.
    assert asker.values(f"WeB.{domain}") == [address]

    assert asker.values(f"_http._tcp.web.{domain}", "SRV") == [[0, 100, 80, f"web.{domain}"]]
    found = asker.ask(f"_http._tcp.peers.{domain}", "SRV")
    assert sorted(each["value"] for each in found["answers"]) == [
        [0, 50, 8080, f"db-{number}.peers.{domain}"] for number in range(2)
    ]
    brought = {each["name"]: each["value"] for each in found["additional"]}
    assert brought == {f"{name}.peers.{domain}": address for name, address in pods.items()}

    def backwards(address: str) -> str:
        return ".".join(reversed(address.split("."))) + ".in-addr.arpa"

    assert asker.values(backwards(address), "PTR") == [f"web.{domain}"]
    assert f"db-0.peers.{domain}" in asker.values(backwards(pods["db-0"]), "PTR")

    found = asker.ask(f"alias.{domain}")
    assert [(each["type"], each["value"]) for each in found["answers"]] == [
        ("CNAME", f"web.{domain}"),
        ("A", address),
    ]
    assert asker.values("dns-version.cluster.local", "TXT") == ["1.1.0"]
    over_tcp = asker.ask(f"web.{domain}", way="tcp")
    assert [each["value"] for each in over_tcp["answers"]] == [address]


def test_what_is_not_there_is_said_in_the_right_words(asker: Asker) -> None:
    domain = asker.domain
    asker.nothing(f"web.{domain}", "AAAA", NO_ERROR)
    asker.nothing(domain, "A", NO_ERROR)
    asker.nothing(f"nobody.{domain}", "A", NAME_ERROR)
    asker.nothing(f"empty.{domain}", "A", NAME_ERROR)
    asker.nothing(f"_nothing._tcp.web.{domain}", "SRV", NAME_ERROR)
    asker.nothing("web.no-such-namespace.svc.cluster.local", "A", NAME_ERROR)


def test_an_answer_that_is_too_long_is_cut_and_whole_over_tcp(
    cluster: ClusterUnderTest, namespace: str
) -> None:
    start_client(cluster, namespace)
    cluster.kubectl(f"-n {namespace} apply -f -", stdin=service("many", selector={}, clusterIP="None"))
    template = cluster.get(f"-n {namespace} pod client")["status"]["podIP"].rpartition(".")[0]
    slice_of_many = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "many-1", "labels": {"kubernetes.io/service-name": "many"}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 80}],
        "endpoints": [{"addresses": [f"{template}.{number}"]} for number in range(10, 50)],  # musl keeps 48
    }
    cluster.kubectl(f"-n {namespace} apply -f -", stdin=json.dumps(slice_of_many))
    asker = Asker(cluster, namespace)
    name = f"many.{asker.domain}"
    until(lambda: asker.ask(name)["cut"], "an answer that is cut")
    assert len(asker.ask(name, way="tcp")["answers"]) == 40
    # A resolver comes back over TCP by itself.
    assert len(inside(cluster, namespace, RESOLVER, "many")["many"]) == 40


def test_a_pod_finds_short_names_by_its_own_settings(cluster: ClusterUnderTest, namespace: str) -> None:
    start_client(cluster, namespace)
    own = {
        "searches": ["kube-system.svc.cluster.local"],
        "options": [{"name": "ndots", "value": "2"}, {"name": "edns0"}],
    }
    start_client(cluster, namespace, "tuned", dnsConfig=own)
    start_client(cluster, namespace, "alone", dnsPolicy="None", dnsConfig={"nameservers": ["192.0.2.53"]})
    many = {"nameservers": ["192.0.2.1", "192.0.2.2", "192.0.2.3"]}
    start_client(cluster, namespace, "many", dnsConfig=many)
    dns = cluster.get("-n kube-system service kube-dns")["spec"]

    def lines(pod: str) -> list[str]:
        return cluster.kubectl(f"-n {namespace} exec {pod} -- cat /etc/resolv.conf").splitlines()

    search = f"search {namespace}.svc.cluster.local svc.cluster.local cluster.local"
    plain, tuned = lines("client"), lines("tuned")
    assert plain[0].startswith(search)  # a node with search domains of its own adds them
    assert plain[1:] == [f"nameserver {dns['clusterIP']}", "options ndots:5"]
    assert tuned[0].endswith("kube-system.svc.cluster.local")
    # The kubelet keeps them in a map: in any order (pkg/kubelet/network/dns/dns.go:327).
    assert set(tuned[2].split()) == {"options", "ndots:2", "edns0"}
    assert lines("alone") == ["nameserver 192.0.2.53"]
    assert [each for each in lines("many") if each.startswith("nameserver")] == [
        f"nameserver {each}" for each in (dns["clusterIP"], "192.0.2.1", "192.0.2.2")
    ]
    forming = f"-n {namespace} events --field-selector reason=DNSConfigForming"
    events = until(lambda: cluster.get(forming)["items"], "the Event about it")
    # pkg/kubelet/network/dns/dns.go:152
    assert events[0]["message"] == (
        "Nameserver limits were exceeded, some nameservers have been omitted, "
        f"the applied nameserver line is: {dns['clusterIP']} 192.0.2.1 192.0.2.2"
    )

    kubernetes = cluster.get("-n default service kubernetes")["spec"]["clusterIP"]
    assert {(port["port"], port["protocol"]) for port in dns["ports"]} >= {(53, "UDP"), (53, "TCP")}
    wanted = {
        "kubernetes.default": [kubernetes],
        "kube-dns.kube-system.svc": [dns["clusterIP"]],
        "kube-dns": [],
    }
    until(lambda: inside(cluster, namespace, RESOLVER, *wanted) == wanted, "the addresses")
    assert inside(cluster, namespace, RESOLVER, "kube-dns", name="tuned") == {"kube-dns": [dns["clusterIP"]]}
