"""The ingress controller: whose Ingresses it takes, where it listens, what it writes and shows."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from typing import Literal, cast

import pytest

from k8slab.api_client import Change
from k8slab.network.acceptor import Acceptor, listen_tcp
from k8slab.network.ingress import controller as ingress_controller
from k8slab.network.ingress.backends import IngressBackends
from k8slab.network.ingress.listeners import IngressListeners
from k8slab.network.ingress.proxy import IngressProxy
from tests.process.ingress_bench import IngressBench, named, running_ingress
from tests.process.lab_network import accepts, exchange, until, until_listening
from tests.unit.ingress_manifests import item


@pytest.fixture
async def bench() -> AsyncIterator[IngressBench]:
    async with running_ingress() as running:
        yield running


async def test_it_listens_from_the_first_ingress_on_and_no_longer(bench: IngressBench) -> None:
    bench.ingress_class()
    web = item("web", ("", [("/", "Prefix", "web")]))
    other = item("other", ("", [("/", "Prefix", "web")]), spec={"ingressClassName": "nginx"})
    bench.put(other, "added")
    await until(lambda: bench.api.queues[ingress_controller.INGRESSES].empty())
    assert not await accepts(bench.http)
    bench.put(web, "added")
    await until_listening(bench.http)
    await until(lambda: bench.api.patches)
    path = "/apis/networking.k8s.io/v1/namespaces/shop/ingresses/web/status"
    assert bench.api.patches == [(path, [{"ip": f"10.{bench.plan.octet}.192.1"}])]
    assert not await accepts(bench.https), "without a certificate nobody answers HTTPS"
    bench.put(web, "deleted")
    await until_listening(bench.http, False)
    assert bench.api.selectors[ingress_controller.SECRETS] == "type=kubernetes.io/tls"


async def test_an_ingress_that_is_no_longer_ours_loses_our_address(bench: IngressBench) -> None:
    bench.ingress_class()
    web = item("web", ("", [("/", "Prefix", "web")]))
    given = [{"ip": bench.plan.ingress}]
    web["status"] = {"loadBalancer": {"ingress": given}}
    foreign = item("foreign", ("", [("/", "Prefix", "web")]), spec={"ingressClassName": "nginx"})
    foreign["status"] = {"loadBalancer": {"ingress": [{"ip": "192.0.2.7"}]}}
    bench.put(foreign, "added")
    bench.put(web, "added")
    await until_listening(bench.http)
    assert bench.api.patches == [], "what stands there already is not written again"
    bench.put({**web, "spec": {**web["spec"], "ingressClassName": "nginx"}})
    await until(lambda: bench.api.patches)
    assert [patch for _, patch in bench.api.patches] == [[]]
    await until_listening(bench.http, False)


async def test_events_say_what_is_amiss_once(bench: IngressBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingress_controller, "PATIENCE_SECONDS", 0.0)
    bench.ingress_class()
    web = item(
        "web",
        ("tls.example", [("/", "Prefix", "absent")]),
        spec={"tls": [{"hosts": ["tls.example"], "secretName": "pair"}]},
        annotations={"nginx.ingress.kubernetes.io/rewrite-target": "/"},
    )
    bench.put(web, "added")
    expected = ["Sync", "AnnotationIgnored", "TLSSecretNotFound", "ServiceNotFound"]
    await until(lambda: bench.api.reasons() == expected)
    about = bench.api.events[0]["involvedObject"]
    assert (about["kind"], about["name"], about["uid"]) == ("Ingress", "web", "uid-web")
    bench.put({**web, "status": {}})
    bench.secret("pair", "tls.example")
    await until_listening(bench.https)
    bench.secret("pair", verb="deleted")
    await until(lambda: bench.api.reasons() == [*expected, "TLSSecretNotFound"])
    await until_listening(bench.https, False)


async def test_parameters_of_a_class_have_no_effect_and_that_is_said(bench: IngressBench) -> None:
    bench.ingress_class("theirs", controller="example.com/other", parameters={"kind": "Odd", "name": "x"})
    bench.ingress_class("ours", parameters={"kind": "Odd", "name": "x"})
    await until(lambda: bench.api.events)
    about = bench.api.events[0]["involvedObject"]
    assert (about["kind"], about["name"]) == ("IngressClass", "ours")
    assert bench.api.reasons() == ["ParametersIgnored"]


async def shown(bench: IngressBench, name: str | None) -> str:
    """The name in the certificate that a client is shown who asks for a name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(cadata=bench.authority.pair.certificate)
    reader, writer = await asyncio.open_connection(*bench.https, ssl=context, server_hostname=name)
    try:
        certificate = writer.get_extra_info("peercert")
        writer.write(f"GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
        assert b'"X-Forwarded-Proto": "https"' in await reader.read()
        return str(certificate["subjectAltName"][0][1])
    finally:
        writer.close()


async def test_the_certificate_follows_the_name_that_is_asked_for(bench: IngressBench) -> None:
    bench.ingress_class()
    bench.service("web", "16.2")
    first = {"hosts": ["a.example"], "secretName": "a"}
    second = {"hosts": ["*.b.example", "exact.b.example"], "secretName": "b"}
    bench.put(item("web", ("", [("/", "Prefix", "web")]), spec={"tls": [first, second]}), "added")
    bench.secret("a", "a.example")
    bench.secret("b", "b-pair")
    await until_listening(bench.https)
    async with bench.serves("16.2", named("web")):
        assert await shown(bench, "a.example") == "a.example"
        # The port opens with the first pair; the second may not be known by then.
        await until_shown(bench, "x.b.example", "b-pair")
        assert await shown(bench, "exact.b.example") == "b-pair"
        assert await shown(bench, "x.y.b.example") == "a.example", "nothing fits: the first one is shown"
        # An address is no server name: the client sends none.
        assert await shown(bench, bench.https[0]) == "a.example"
        bench.secret("a", "renewed.example")
        await until_shown(bench, "a.example", "renewed.example")


async def until_shown(bench: IngressBench, name: str, expected: str) -> None:
    async with asyncio.timeout(60):
        while await shown(bench, name) != expected:
            continue


async def test_a_secret_that_holds_no_pair_is_said(
    bench: IngressBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingress_controller, "PATIENCE_SECONDS", 0.0)
    bench.ingress_class()
    bench.put(item("web", ("", [("/", "Prefix", "web")]), spec={"tls": [{"secretName": "pair"}]}), "added")
    broken = {"metadata": {"namespace": "shop", "name": "pair", "uid": "u"}, "data": {"tls.crt": "AAAA"}}
    bench.api.queues[ingress_controller.SECRETS].put_nowait(Change("added", broken))
    await until(lambda: "TLSSecretInvalid" in bench.api.reasons())
    await until_listening(bench.http)
    assert not await accepts(bench.https)


class PodSide:
    """The switch's side: here a loopback address of its own stands for the network of the Pods."""

    def __init__(self) -> None:
        self.made: list[socket.socket] = []
        self.asked: list[tuple[str, int]] = []

    async def listen(self, address: str, port: int) -> socket.socket:
        self.asked.append((address, port))
        self.made.append(listen_tcp("127.0.0.1", 0))
        return self.made[-1]

    async def socket(self, kind: Literal["tcp", "udp"] = "tcp") -> socket.socket:
        raise AssertionError("nothing is dialled here")


async def test_among_the_pods_it_listens_anew_when_the_switch_was_restarted(bench: IngressBench) -> None:
    side = PodSide()
    proxy = IngressProxy(lambda host, path: None, cast(IngressBackends, None), lambda backend: None)
    async with Acceptor() as acceptor:
        async with IngressListeners(bench.plan, side, acceptor, proxy, lambda: None) as listeners:
            listeners.want((80,))
            await until(lambda: side.made)
            first = side.made[0].getsockname()
            assert b"default backend" in await exchange(first, b"GET / HTTP/1.0\r\n\r\n")
            listeners.reopen_among_pods()
            await until(lambda: len(side.made) == 2)
            await until_listening(first, False)
            second = side.made[1].getsockname()
            assert b"default backend" in await exchange(second, b"GET / HTTP/1.0\r\n\r\n")
        assert side.asked == [(bench.plan.ingress, 80)] * 2
        await until_listening(second, False)
        await until_listening(bench.http, False)
