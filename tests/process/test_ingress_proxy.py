"""What the ingress proxy does with requests and responses, between real clients and servers on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from k8slab.network.ingress import bodies as ingress_bodies
from k8slab.network.ingress import proxy as ingress_proxy
from tests.process.ingress_bench import IngressBench, Talk, named, running_ingress
from tests.process.lab_network import exchange, until, until_listening
from tests.unit.ingress_manifests import item


@pytest.fixture
async def bench() -> AsyncIterator[IngressBench]:
    """Paths /a and /b lead to the Services a and b, whose Pods are 16.2 and 16.3; /none to nothing."""
    async with running_ingress() as running:
        running.ingress_class()
        running.service("a", "16.2")
        running.service("b", "16.3", headless=True)
        paths = [("/a", "Prefix", "a"), ("/b", "Prefix", "b"), ("/none", "Prefix", "none")]
        running.put(item("web", ("", paths)), "added")
        await until_listening(running.http)
        yield running


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    # One connection, kept: what follows comes by the one before.
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as session:
        yield session


def answering(text: bytes) -> Talk:
    """A program that reads a head and sends these bytes."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(text)
        with contextlib.suppress(ConnectionError):
            await writer.drain()

    return talk


async def told(response: aiohttp.ClientResponse) -> dict[str, Any]:
    assert response.status == 200, await response.text()
    found: dict[str, Any] = await response.json()
    return found


async def test_each_request_of_a_connection_goes_its_own_way(
    bench: IngressBench, client: aiohttp.ClientSession
) -> None:
    sent = {
        "Host": "shop.example:61080",
        "X-Forwarded-For": "192.0.2.1",
        "X-Own": "kept",
        "Connection": "keep-alive, x-hop",
        "x-hop": "not for the server",
    }
    async with bench.serves("16.2", named("a")), bench.serves("16.3", named("b")):
        a = await told(await client.get(bench.url("/a/x%20y?q=1"), headers=sent))
        b = await told(await client.post(bench.url("/b"), data=b"z" * 300_000))
        again = await told(await client.put(bench.url("/a"), data=pieces(b"one", b"two")))
    assert (a["name"], b["name"], again["name"]) == ("a", "b", "a")
    assert a["target"] == "/a/x%20y?q=1"
    headers = {name.lower(): value for name, value in a["headers"].items()}
    assert headers["host"] == headers["x-forwarded-host"] == "shop.example:61080"
    assert headers["x-forwarded-for"] == headers["x-real-ip"] == "127.0.0.1"
    assert (headers["x-forwarded-proto"], headers["x-forwarded-port"]) == ("http", "80")
    assert headers["x-own"] == "kept" and "x-hop" not in headers
    assert (b["length"], again["length"], again["start"]) == (300_000, 6, "onetwo")
    assert a["peer"] == bench.plan.twin(bench.plan.ingress), "it is the controller that connects"


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def test_requests_of_one_connection_spread_over_the_endpoints(
    bench: IngressBench, client: aiohttp.ClientSession
) -> None:
    bench.service("a", "16.2", "16.3")
    async with bench.serves("16.2", named("one")), bench.serves("16.3", named("two")):
        names = {(await told(await client.get(bench.url("/a"))))["name"] for _ in range(40)}
    assert names == {"one", "two"}


async def test_what_the_proxy_answers_itself_keeps_the_connection(
    bench: IngressBench, client: aiohttp.ClientSession
) -> None:
    for path, status in (("/other", 404), ("/none", 503), ("/a", 502), ("/other", 404)):
        async with client.get(bench.url(path)) as response:
            assert (response.status, response.headers["Server"]) == (status, "k8slab-ingress")
            assert response.headers["Connection"] == "keep-alive"
            text = await response.text()
    assert text == "default backend - 404\n"
    async with client.post(bench.url("/a"), data=b"x" * 100_000) as response:
        assert response.status == 502, "nothing listens there, and nothing is tried again"
    async with client.head(bench.url("/other")) as response:
        assert (response.status, response.headers["Content-Length"]) == (404, "22")


@pytest.mark.parametrize(
    ("sent", "version", "expected"),
    [
        (b"HTTP/1.0 200 OK\r\n\r\nup to the end", "1.1", b"up to the end"),
        (b"HTTP/1.0 200 OK\r\n\r\nup to the end", "1.0", b"up to the end"),
        (b"HTTP/1.1 200 OK\nX-Own: 1\n\nup to the end", "1.1", b"up to the end"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcd", "1.1", b"abc"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nX-T: 1\r\n\r\n",
            "1.1",
            b"abcde",
        ),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "1.0", b"abc"),
        (b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", "1.1", b"x"),
    ],
)
async def test_bodies_are_framed_anew(
    bench: IngressBench, sent: bytes, version: str, expected: bytes
) -> None:
    async with bench.talks("16.2", answering(sent)):
        got = await exchange(
            bench.http, f"GET /a HTTP/{version}\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
        )
    head, _, body = got.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n") and b"connection: close" in head.lower()
    if b"chunked" in head:
        assert version == "1.1"
        body = b"".join(body.split(b"\r\n")[1::2])
    assert body == expected


@pytest.mark.parametrize(
    "sent",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n",
    ],
)
async def test_half_a_response_is_not_taken_for_a_whole(bench: IngressBench, sent: bytes) -> None:
    async with bench.talks("16.2", answering(sent)):
        with pytest.raises(ConnectionResetError):
            await exchange(bench.http, b"GET /a HTTP/1.0\r\n\r\n")


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"SSH-2.0-x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"HTTP/1.1 200 OK\r\nBroken header\r\n\r\n",
        b"HTTP/1.1 200 OK\rX-Own: 1\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    ],
)
async def test_a_backend_that_speaks_no_http_is_502(bench: IngressBench, sent: bytes) -> None:
    async with bench.talks("16.2", answering(sent)):
        got = await exchange(bench.http, b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
    assert got.startswith(b"HTTP/1.1 502 ")


async def test_a_silent_backend_is_504(bench: IngressBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingress_proxy, "SILENCE_SECONDS", 0.1)
    ended = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await reader.read()
            await reader.read()
        ended.set()

    async with bench.talks("16.2", silent):
        got = await exchange(bench.http, b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
        assert got.startswith(b"HTTP/1.1 504 ")
        await until(ended.is_set)


@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense\r\n\r\n",
        b"GET /a HTTP/1.1\r\n\r\n",
        b"GET /a HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: +3\r\n\r\nabc",
        b"GET /a HTTP/1.1\r\nHost: x\r\nX : y\r\n\r\n",
        b"GET /a HTTP/1.1\r\nHost: x\r\nX: a\nEvil: b\r\n\r\n",
        b"GET /a HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n",
        b"GET /a HTTP/1.1\nHost: x\n\r\n\r\n",
        b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /a HTTP/1.1\r\nHost: x y\r\n\r\n",
        b"GET /a HTTP/1.1\r\nHost: x/y\r\n\r\n",
        b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\x0b\r\n\r\nabc",
        b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: \xa0chunked\r\n\r\n0\r\n\r\n",
        b"GET /a HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 70_000 + b"\r\n\r\n",
        b"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
async def test_what_is_ambiguous_is_refused(bench: IngressBench, sent: bytes) -> None:
    async with bench.serves("16.2", named("a")):
        got = await exchange(bench.http, sent)
    assert got.startswith(b"HTTP/1.1 400 "), got


async def test_head_and_statuses_without_a_body(bench: IngressBench, client: aiohttp.ClientSession) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        status = int(request.query["status"])
        return web.Response(status=status, text="seven b" if status == 200 else None)

    async with bench.serves("16.2", answer):
        async with client.head(bench.url("/a?status=200")) as response:
            assert response.headers["Content-Length"] == "7"
        for status in (204, 304, 200):
            async with client.get(bench.url(f"/a?status={status}")) as response:
                assert response.status == status
                assert await response.text() == ("seven b" if status == 200 else "")


async def test_a_client_that_expects_to_be_told_is_told(bench: IngressBench) -> None:
    async with bench.serves("16.2", named("a")):
        reader, writer = await asyncio.open_connection(*bench.http)
        writer.write(b"POST /a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"abc")
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        assert json.loads(await reader.readexactly(length))["start"] == "abc"
        writer.close()


async def test_requests_sent_ahead_are_answered_in_order(bench: IngressBench) -> None:
    async with bench.serves("16.2", named("a")), bench.serves("16.3", named("b")):
        first = b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
        second = b"\r\nGET http://y/b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        got = await exchange(bench.http, first + second)
    assert got.index(b'"name": "a"') < got.index(b'"name": "b"')
    assert b'"Host": "y"' in got, "an absolute target says the host (RFC 9112, 3.2.2)"


async def test_a_web_socket_passes_through(bench: IngressBench, client: aiohttp.ClientSession) -> None:
    async def echo(request: web.Request) -> web.StreamResponse:
        channel = web.WebSocketResponse()
        await channel.prepare(request)
        async for message in channel:
            await channel.send_str(f"{request.headers['X-Forwarded-For']} {message.data}")
        return channel

    async with bench.serves("16.2", echo), client.ws_connect(bench.url("/a/socket")) as channel:
        for text in ("one", "two" * 50_000):
            await channel.send_str(text)
            assert await channel.receive_str() == f"127.0.0.1 {text}"


async def test_no_client_gets_past_the_rules_by_changing_to_http_2(bench: IngressBench) -> None:
    wish = b"Connection: Upgrade, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n"
    asked = b"GET /a HTTP/1.1\r\nHost: x\r\n" + wish + b"\r\n"
    async with bench.serves("16.2", named("a")):
        _, _, body = (await exchange(bench.http, asked)).partition(b"\r\n\r\n")
    headers = {name.lower(): value for name, value in json.loads(body)["headers"].items()}
    assert not headers.keys() & {"upgrade", "http2-settings"} and headers["connection"] == "close"


async def test_a_slow_reader_slows_the_backend_down(bench: IngressBench) -> None:
    sent = 0
    left = asyncio.Event()

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 200000000\r\n\r\n")
        try:
            while sent < 200_000_000:
                writer.write(b"x" * 1_000_000)
                sent += 1_000_000
                await writer.drain()
        except ConnectionError:
            left.set()

    async with bench.talks("16.2", pour):
        reader, writer = await asyncio.open_connection(*bench.http)
        writer.write(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        before = -1
        while before != sent:
            before = sent
            await asyncio.sleep(0.2)
        assert sent < 100_000_000, "the proxy took in what its client did not read"
        # A client that goes away in the middle takes the backend's connection with it.
        writer.transport.abort()
        await until(left.is_set)


async def test_a_body_that_breaks_off_breaks_the_request(bench: IngressBench) -> None:
    got: list[bytes | None] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(10)
            got.append(b"whole")
        except (ConnectionError, asyncio.IncompleteReadError):
            got.append(None)

    async with bench.talks("16.2", take):
        answer = await exchange(bench.http, b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf")
        assert answer.startswith(b"HTTP/1.1 400 ")
        await until(lambda: got)
    assert got == [None]


async def test_the_backend_has_time_until_a_long_body_is_there(
    bench: IngressBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Long enough for a backend on a busy machine, and shorter than the client takes.
    monkeypatch.setattr(ingress_proxy, "SILENCE_SECONDS", 1.0)
    async with bench.serves("16.2", named("a")):
        reader, writer = await asyncio.open_connection(*bench.http)
        writer.write(b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nx")
        answer = asyncio.ensure_future(reader.readuntil(b"\r\n\r\n"))
        await asyncio.wait([answer], timeout=1.5)
        assert not answer.done(), "the client has not yet said all"
        writer.write(b"y")
        assert (await answer).startswith(b"HTTP/1.1 200 ")
        writer.close()


async def test_a_client_that_stops_in_the_middle_of_its_body_is_408(
    bench: IngressBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingress_bodies, "SILENCE_SECONDS", 0.1)
    async with bench.serves("16.2", named("a")):
        reader, writer = await asyncio.open_connection(*bench.http)
        writer.write(b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nx")
        assert (await reader.read()).startswith(b"HTTP/1.1 408 ")
        writer.close()


async def test_a_client_that_never_reads_is_reset(
    bench: IngressBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingress_bodies, "SILENCE_SECONDS", 0.1)
    left = asyncio.Event()

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            while True:
                writer.write(b"x" * 1_000_000)
                await writer.drain()
        except ConnectionError:
            left.set()

    async with bench.talks("16.2", pour):
        _, writer = await asyncio.open_connection(*bench.http, limit=1)
        writer.write(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
        await until(left.is_set)
        writer.transport.abort()


async def test_a_backend_may_answer_before_it_has_read_everything(bench: IngressBench) -> None:
    refusal = b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"
    async with bench.talks("16.2", answering(refusal)):
        reader, writer = await asyncio.open_connection(*bench.http)
        writer.write(b"POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nsome")
        assert (await reader.read()).endswith(b"\r\n\r\nno")
        writer.close()
