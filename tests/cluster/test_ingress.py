"""Ingress: rules, what is answered where none fits, certificates, classes that nobody serves (X62 to X64)."""

from __future__ import annotations

import json
import shlex
from typing import Any

import pytest

from tests.cluster import web_pods
from tests.cluster.conftest import ClusterUnderTest, until
from tests.cluster.webhook_server import certificate_for

pytestmark = pytest.mark.needs("ingress")

HANDSHAKE = """
import socket, ssl, sys
address, name, authority = sys.argv[1:]
context = ssl.create_default_context(cadata=authority)
with socket.create_connection((address, 443), timeout=10) as plain:
    with context.wrap_socket(plain, server_hostname=name) as secure:
        secure.sendall(f"GET /x HTTP/1.1\\r\\nHost: {name}\\r\\nConnection: close\\r\\n\\r\\n".encode())
        text = b""
        while part := secure.recv(65536):
            text += part
print(text.partition(b"\\r\\n\\r\\n")[2].decode())
"""


def path(text: str, kind: str, service: str, port: int | str = 80) -> dict[str, Any]:
    where = {"number": port} if isinstance(port, int) else {"name": port}
    return {"path": text, "pathType": kind, "backend": {"service": {"name": service, "port": where}}}


def ingress(name: str, *rules: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": name},
        "spec": {**({"rules": list(rules)} if rules else {}), **spec},
    }


def apply(cluster: ClusterUnderTest, namespace: str, *objects: dict[str, Any]) -> None:
    cluster.kubectl(f"-n {namespace} apply -f -", stdin="\n---\n".join(map(json.dumps, objects)))


def address_of(cluster: ClusterUnderTest, namespace: str, name: str) -> str:
    """The ADDRESS of an Ingress; empty if it has none."""
    status = cluster.get(f"-n {namespace} ingress {name}")["status"]["loadBalancer"]
    return str(status["ingress"][0]["ip"]) if status.get("ingress") else ""


def reason(cluster: ClusterUnderTest, namespace: str, name: str, wanted: str) -> str:
    """The message of an object's Event of that reason, once it is there."""

    def look() -> str:
        found = cluster.get(f"-n {namespace} events --field-selector involvedObject.name={name}")["items"]
        return next((str(each["message"]) for each in found if each["reason"] == wanted), "")

    return until(look, f"the Event {wanted} about {name}")


def test_hosts_and_paths_lead_to_their_services(cluster: ClusterUnderTest, namespace: str) -> None:
    web_pods.start(cluster, namespace, "foo", "bar")
    # The address is shared by every Ingress of the cluster: the namespace makes the names our own.
    host, other = f"shop.{namespace}.example", f"other.{namespace}.example"
    paths = [
        path("/foo", "Prefix", "foo", "web"),
        path("/foo/exact", "Exact", "bar"),
        path("/none", "Prefix", "none"),
    ]
    apply(
        cluster,
        namespace,
        web_pods.service("foo"),
        web_pods.service("bar", clusterIP="None"),
        ingress(
            "shop",
            {"host": host, "http": {"paths": paths}},
            {"host": f"*.{other}", "http": {"paths": [path("/", "Prefix", "bar", "web")]}},
        ),
    )
    address = until(lambda: address_of(cluster, namespace, "shop"), "the ADDRESS")

    def asked(*questions: tuple[str, str]) -> list[web_pods.Answer]:
        """Paths and hosts."""
        full = [(f"http://{address}{url}", name) for url, name in questions]
        return web_pods.ask_all(cluster, namespace, "foo", *full)

    questions = [("/foo/bar?q=1", host), ("/foo/exact", host), ("/anything", f"any.{other}")]

    def all_answered() -> list[web_pods.Answer]:
        """The answers, once the endpoints of both Services are known."""
        found = asked(*questions)
        assert [status for status, _ in found] == [200, 200, 200], found
        return found

    answers = until(all_answered, "an answer to each")
    assert [answer["pod"] for _, answer in answers] == ["foo", "bar", "bar"]
    for (url, name), (_, answer) in zip(questions, answers, strict=True):
        assert (answer["path"], answer["headers"]["host"]) == (url, name)
        assert answer["headers"]["x-forwarded-host"] == name
        assert answer["headers"]["x-forwarded-proto"] == "http" and answer["headers"]["x-forwarded-for"]
    strangers = [("/foobar", host), ("/", host), ("/", other), ("/", f"a.b.{other}"), ("/foo", "x.y")]
    statuses = [status for status, _ in asked(*strangers, ("/none", host))]
    assert statuses == [404, 404, 404, 404, 404, 503]
    # A Service whose only Pod goes has no endpoint left; nothing else answers in its place.
    cluster.kubectl(f"-n {namespace} delete pod bar --timeout=60s", timeout=70)
    until(lambda: asked(("/foo/exact", host))[0][0] == 503, "the refusal")

    assert f"{namespace}/none" in reason(cluster, namespace, "shop", "ServiceNotFound")
    assert reason(cluster, namespace, "shop", "Sync") == "Scheduled for sync"
    row = cluster.kubectl(f"-n {namespace} get ingress shop --no-headers").split()
    assert row[:4] == ["shop", default_class(cluster), f"{host},*.{other}", address]


def default_class(cluster: ClusterUnderTest) -> str:
    default = "ingressclass.kubernetes.io/is-default-class"
    for each in cluster.get("ingressclasses")["items"]:
        if each["metadata"].get("annotations", {}).get(default) == "true":
            return str(each["metadata"]["name"])
    raise AssertionError("no IngressClass is the default one")


def test_a_class_that_nobody_serves_gets_no_address(cluster: ClusterUnderTest, namespace: str) -> None:
    web_pods.start(cluster, namespace, "foo")
    host = f"lone.{namespace}.example"
    rule = {"host": host, "http": {"paths": [path("/", "Prefix", "foo")]}}

    def asked(address: str) -> int:
        return web_pods.ask(cluster, namespace, "foo", f"http://{address}/x", host)[0]

    foreign = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IngressClass",
        "metadata": {"name": namespace},
        "spec": {"controller": "example.com/nobody"},
    }
    apply(
        cluster,
        namespace,
        foreign,
        ingress("lone", rule, ingressClassName=namespace),
        web_pods.service("foo"),
    )
    try:
        # One that came later has its address: whoever gives them has seen the first.
        apply(cluster, namespace, ingress("served", defaultBackend=path("/", "", "foo")["backend"]))
        address = until(lambda: address_of(cluster, namespace, "served"), "the ADDRESS")
        assert address_of(cluster, namespace, "lone") == ""
        # What no rule wants goes to the default backend, this host too: its own Ingress is not looked at.
        until(lambda: asked(address) == 200, "the default backend")
        cluster.kubectl(f"-n {namespace} delete ingress served")
        until(lambda: asked(address) != 200, "its end")
    finally:
        cluster.kubectl(f"delete ingressclass {namespace}")


@pytest.mark.needs("own network")
def test_a_certificate_from_a_secret(cluster: ClusterUnderTest, namespace: str) -> None:
    web_pods.start(cluster, namespace, "foo")
    name = f"tls.{namespace}.example"
    rule = {"host": name, "http": {"paths": [path("/", "Prefix", "foo")]}}
    apply(
        cluster,
        namespace,
        web_pods.service("foo"),
        ingress("secure", rule, tls=[{"hosts": [name], "secretName": "pair"}]),
    )
    address = until(lambda: address_of(cluster, namespace, "secure"), "the ADDRESS")
    assert f"{namespace}/pair" in reason(cluster, namespace, "secure", "TLSSecretNotFound")
    pair = certificate_for([name])
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "pair"},
        "type": "kubernetes.io/tls",
        "stringData": {"tls.crt": pair.certificate, "tls.key": pair.key},
    }
    apply(cluster, namespace, secret)

    def shaken() -> dict[str, Any]:
        words = " ".join(map(shlex.quote, (HANDSHAKE, address, name, pair.certificate)))
        done = cluster.run(f"-n {namespace} exec foo -- python -c {words}")
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    answer = until(shaken, "a handshake with that certificate")
    assert (answer["pod"], answer["headers"]["x-forwarded-proto"]) == ("foo", "https")


@pytest.mark.needs("unenforced NetworkPolicies")
def test_that_a_network_policy_is_not_enforced_is_said(cluster: ClusterUnderTest, namespace: str) -> None:
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "deny"},
        "spec": {"podSelector": {}, "policyTypes": ["Ingress"]},
    }

    def warned(more: str = "") -> bool:
        done = cluster.run(f"-n {namespace} apply -f - {more}", stdin=json.dumps(policy))
        return done.returncode == 0 and "Warning:" in done.stderr and "not enforced" in done.stderr

    # A cluster that is new does not know all of its policies yet.
    until(lambda: warned("--dry-run=server"), "the warning")
    assert warned()
    assert "not enforced" in reason(cluster, namespace, "deny", "NotEnforced")
