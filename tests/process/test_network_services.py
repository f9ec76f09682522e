"""Services, egress and forward proxies with real sockets on loopback, at the plain level."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from k8slab.network import forward_proxy
from k8slab.network.acceptor import listen_tcp
from k8slab.network.addresses import FORWARD_PROXY_PORT
from tests.process.lab_network import (
    Bench,
    accepts,
    exchange,
    name_server,
    running_network,
    until,
    until_listening,
)

VIP = "128.5"


@pytest.fixture
async def bench(short_path: Path) -> AsyncIterator[Bench]:
    async with running_network(short_path, "plain") as running:
        yield running


async def test_connections_go_to_the_ready_endpoints_at_random(bench: Bench) -> None:
    front = bench.twin(VIP, 80)
    assert front[1] == 61_080  # below 1024 the offset counts
    async with bench.program("16.2", 8080, name_server("a")), bench.program("16.3", 8080, name_server("b")):
        bench.service("web", VIP, 80)
        bench.endpoints("web", 8080, "16.2", "16.3")
        await until_listening(front)
        answers = [(await exchange(front, b"hi")).split()[0] for _ in range(60)]
        assert set(answers) == {b"a", b"b"}


async def test_an_endpoint_that_terminates_gets_no_connection_from_then_on(bench: Bench) -> None:
    front = bench.twin(VIP, 8000)
    async with bench.program("16.2", 8080, name_server("a")), bench.program("16.3", 8080, name_server("b")):
        bench.service("web", VIP, 8000)
        bench.endpoints("web", 8080, "16.2", "16.3")
        await until_listening(front)
        bench.endpoints("web", 8080, "16.3")
        await until(lambda: bench.api.queues["/apis/discovery.k8s.io/v1/endpointslices"].empty())
        answers = {(await exchange(front, b"")).split()[0] for _ in range(40)}
        assert answers == {b"b"}


async def test_without_a_ready_endpoint_the_kernel_refuses(bench: Bench) -> None:
    front = bench.twin(VIP, 8000)
    async with bench.program("16.2", 8080, name_server("a")):
        bench.service("web", VIP, 8000)
        assert not await accepts(front)
        bench.endpoints("web", 8080, "16.2")
        await until_listening(front)
        bench.endpoints("web", 8080, "16.2", ready=False, serving=True, terminating=True)
        await until_listening(front, False)
        bench.endpoints("web", 8080, "16.2")
        await until_listening(front)
        bench.service("web", VIP, 8000, verb="deleted")
        await until_listening(front, False)


async def test_an_endpoint_that_refuses_is_a_reset_and_no_other_is_tried(bench: Bench) -> None:
    front = bench.twin(VIP, 8000)
    asked: list[str] = []

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.read():
            asked.append("b")
            writer.write(b"b")

    async with bench.program("16.3", 8080, count):
        bench.service("web", VIP, 8000)
        bench.endpoints("web", 8080, "16.2", "16.3")  # nobody listens on 16.2
        await until_listening(front)
        resets = 0
        for _ in range(40):
            try:
                assert await exchange(front, b"x") == b"b"
            except ConnectionResetError:
                resets += 1
        assert 0 < resets < 40
        assert len(asked) == 40 - resets


async def test_half_closed_connections_stay_half_open(bench: Bench) -> None:
    front = bench.twin(VIP, 8000)
    big = bytes(range(256)) * 20_000
    async with bench.program("16.2", 8080, name_server("a")):
        bench.service("web", VIP, 8000)
        bench.endpoints("web", 8080, "16.2")
        await until_listening(front)
        # The program answers only after the client has ended, and its answer is longer than any buffer.
        answer = await exchange(front, big)
        assert answer.endswith(big)
        answers = await asyncio.gather(*(exchange(front, b"%d" % number) for number in range(200)))
        assert [int(each.split()[-1]) for each in answers] == list(range(200))


async def test_a_reset_by_the_program_is_a_reset_for_the_client(bench: Bench) -> None:
    front = bench.twin(VIP, 8000)

    async def die(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(1)
        program: socket.socket = writer.get_extra_info("socket")
        program.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async with bench.program("16.2", 8080, die):
        bench.service("web", VIP, 8000)
        bench.endpoints("web", 8080, "16.2")
        await until_listening(front)
        with pytest.raises(ConnectionResetError):
            await exchange(front, b"x")


async def test_an_open_connection_outlives_its_endpoint_and_its_service(bench: Bench) -> None:
    front = bench.twin(VIP, 8000)

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line)

    async with bench.program("16.2", 8080, echo):
        bench.service("web", VIP, 8000)
        bench.endpoints("web", 8080, "16.2")
        await until_listening(front)
        reader, writer = await asyncio.open_connection(*front)
        writer.write(b"one\n")
        assert await reader.readline() == b"one\n"
        bench.service("web", VIP, 8000, verb="deleted")
        await until_listening(front, False)
        writer.write(b"two\n")
        assert await reader.readline() == b"two\n"
        writer.close()


async def test_a_port_that_is_taken_is_told_once_and_served_when_it_is_free(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    front = bench.twin(VIP, 8000)
    holder = listen_tcp(*front)
    async with bench.program("16.2", 8080, name_server("a")):
        bench.service("web", VIP, 8000)
        bench.endpoints("web", 8080, "16.2")
        await until(lambda: "cannot be listened on" in caplog.text)
        await asyncio.sleep(0.3)
        assert caplog.text.count("cannot be listened on") == 1
        holder.close()
        await until(lambda: "is listened on now" in caplog.text)
        assert (await exchange(front, b"")).startswith(b"a ")


async def test_what_the_network_does_not_serve_is_said(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    ports = [{"port": 53, "protocol": "SCTP"}]
    bench.service("dns", VIP, 53, ports=ports, externalIPs=["203.0.113.7"])
    await until(lambda: "port 53/SCTP is not served" in caplog.text)
    await until(lambda: "externalIPs 203.0.113.7 is not served" in caplog.text)


async def connect(bench: Bench, request: bytes) -> bytes:
    """Speak to the egress as the API server does, and read what it answers."""
    reader, writer = await asyncio.open_unix_connection(str(bench.folder.egress_socket))
    try:
        writer.write(request)
        writer.write_eof()
        return await reader.read()
    finally:
        writer.close()


def connect_request(place: str) -> bytes:
    return f"CONNECT {place} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()


async def test_the_egress_reaches_pods_services_and_the_control_plane(bench: Bench) -> None:
    async with (
        bench.program("16.2", 8080, name_server("pod")),
        bench.program("255.1", 6443, name_server("api")),
    ):
        bench.service("kubernetes", "128.1", 443)
        bench.endpoints("kubernetes", 6443, "255.1")
        await until_listening(bench.twin("128.1", 443))
        answer = await connect(bench, connect_request(f"{bench.address('16.2')}:8080") + b"hi")
        assert answer.startswith(b"HTTP/1.1 200 ")
        head, _, body = answer.partition(b"\r\n\r\n")
        assert b"Content-Length" not in head
        assert body == b"pod 127.0.0.1 hi"
        for place in ("255.1:6443", "128.1:443"):
            answer = await connect(bench, connect_request(bench.address(place)))
            assert answer.partition(b"\r\n\r\n")[2] == b"api 127.0.0.1 "


async def test_the_egress_refuses_in_words(bench: Bench) -> None:
    for place in (
        "127.0.0.1:22",
        "8.8.8.8:53",
        "169.254.169.254:80",
        "localhost:80",
        f"10.{bench.plan.octet - 1}.0.1:1",
    ):
        answer = await connect(bench, connect_request(place))
        assert answer.startswith(b"HTTP/1.1 403 "), place
        assert b"is no address of this cluster" in answer
    assert (await connect(bench, connect_request(bench.address("128.9:80")))).startswith(b"HTTP/1.1 503 ")
    refused = await connect(bench, connect_request(bench.address("16.9:80")))
    assert refused.startswith(b"HTTP/1.1 502 ")
    assert b"Connection refused" in refused
    for request in (
        b"GET / HTTP/1.1\r\n\r\n",
        b"nonsense\r\n\r\n",
        connect_request("10.1.2.3:x"),
        b"CONNECT",
    ):
        assert (await connect(bench, request)).startswith(b"HTTP/1.1 400 "), request
    assert await connect(bench, b"") == b""


async def test_the_egress_socket_is_its_owners_alone(bench: Bench) -> None:
    assert bench.folder.egress_socket.stat().st_mode & 0o777 == 0o600


async def web(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A small HTTP server that answers with the request's head and the client's address."""
    head = await reader.readuntil(b"\r\n\r\n")
    body = head + writer.get_extra_info("peername")[0].encode()
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body)


async def ask_proxy(bench: Bench, tail: str, target: str) -> bytes:
    reader, writer = await asyncio.open_connection(*bench.twin(tail, FORWARD_PROXY_PORT))
    try:
        writer.write(f"GET {target} HTTP/1.1\r\nHost: x\r\nProxy-Connection: keep-alive\r\n\r\n".encode())
        return await reader.read()
    finally:
        writer.close()


async def test_each_pod_has_a_proxy_that_knows_its_namespace(bench: Bench) -> None:
    proxy = bench.twin("16.7", FORWARD_PROXY_PORT)
    async with bench.program("16.2", 8080, web):
        bench.service("web", VIP, 80)
        bench.endpoints("web", 8080, "16.2")
        bench.pod("16.7")
        bench.pod("16.8", "shop")
        await until_listening(proxy)
        await until_listening(bench.twin("16.8", FORWARD_PROXY_PORT))
        await until_listening(bench.twin(VIP, 80))
        answer = await ask_proxy(bench, "16.7", "http://web/a?b=c")
        assert answer.startswith(b"HTTP/1.1 200 OK")
        assert b"GET /a?b=c HTTP/1.1\r\n" in answer
        assert b"Proxy-Connection" not in answer
        assert answer.endswith(bench.twin("16.7", 1)[0].encode())  # the program sees who asks
        for target in (
            "http://web.default",
            "http://web.default.svc.cluster.local:80/",
            f"http://{bench.address('16.2')}:8080/",
        ):
            assert (await ask_proxy(bench, "16.8", target)).startswith(b"HTTP/1.1 200 OK"), target
        unknown = await ask_proxy(bench, "16.8", "http://web/")
        assert unknown.startswith(b"HTTP/1.1 502 ")
        assert b"'web' stands for nothing in this cluster" in unknown
        assert (await ask_proxy(bench, "16.7", "http://8.8.8.8/")).startswith(b"HTTP/1.1 403 ")
        assert (await ask_proxy(bench, "16.7", "/")).startswith(b"HTTP/1.1 400 ")
        bench.pod("16.7", verb="deleted")
        bench.pod("16.60")  # far ahead: 16.7 is neither in use nor expected any more
        await until_listening(proxy, False)


async def test_localhost_is_the_pod_itself(bench: Bench) -> None:
    async with bench.program("16.7", 8080, web):
        bench.pod("16.7")
        await until_listening(bench.twin("16.7", FORWARD_PROXY_PORT))
        for host in ("localhost", "127.0.0.1"):
            answer = await ask_proxy(bench, "16.7", f"http://{host}:8080/")
            assert answer.startswith(b"HTTP/1.1 200 OK"), host


async def test_a_pod_may_ask_before_the_api_shows_its_address(bench: Bench) -> None:
    proxy = bench.twin("16.2", FORWARD_PROXY_PORT)
    await until_listening(proxy)
    async with bench.program("32.9", 8080, web):
        bench.service("web", VIP, 80)
        bench.endpoints("web", 8080, "32.9")
        await until_listening(bench.twin(VIP, 80))
        asking = asyncio.create_task(ask_proxy(bench, "16.2", "http://web/"))
        await until(lambda: bench.api.queues["/api/v1/pods"].empty())
        assert not asking.done()
        bench.pod("16.2")
        assert (await asking).startswith(b"HTTP/1.1 200 OK")


async def test_a_pod_that_the_api_does_not_know_is_told(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forward_proxy, "KNOWN_SECONDS", 0.1)
    await until_listening(bench.twin("16.2", FORWARD_PROXY_PORT))
    answer = await ask_proxy(bench, "16.2", "http://web/")
    assert answer.startswith(b"HTTP/1.1 502 ")
    assert b"No Pod of this cluster has the address" in answer


async def test_the_proxy_gives_connect_a_tunnel(bench: Bench) -> None:
    async with bench.program("16.2", 5432, name_server("db")):
        bench.service("db", VIP, 5432)
        bench.endpoints("db", 5432, "16.2")
        bench.pod("16.7")
        await until_listening(bench.twin("16.7", FORWARD_PROXY_PORT))
        await until_listening(bench.twin(VIP, 5432))
        answer = await exchange(
            bench.twin("16.7", FORWARD_PROXY_PORT), connect_request("db:5432") + b"select"
        )
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        assert body == b"db " + bench.twin("16.7", 1)[0].encode() + b" select"


async def test_the_proxy_resets_where_the_network_fails(bench: Bench) -> None:
    bench.service("web", VIP, 80)
    bench.pod("16.7")
    await until_listening(bench.twin("16.7", FORWARD_PROXY_PORT))
    await until(lambda: bench.api.queues["/api/v1/services"].empty())
    with pytest.raises(ConnectionResetError):
        await ask_proxy(bench, "16.7", "http://web/")  # no endpoint
    with pytest.raises(ConnectionResetError):
        await ask_proxy(bench, "16.7", f"http://{bench.address('16.2')}/")  # nobody listens


async def test_session_affinity_knows_a_client_by_its_twin(bench: Bench) -> None:
    front = bench.twin(VIP, 8000)
    async with bench.program("16.2", 8080, name_server("a")), bench.program("16.3", 8080, name_server("b")):
        bench.service("web", VIP, 8000, sessionAffinity="ClientIP")
        bench.endpoints("web", 8080, "16.2", "16.3")
        await until_listening(front)
        chosen = set()
        for number in range(10, 30):
            source = bench.twin(f"16.{number}", 1)[0]
            answers = {await exchange(front, b"", source) for _ in range(4)}
            assert len(answers) == 1
            chosen |= {answer.split()[0] for answer in answers}
        assert chosen == {b"a", b"b"}
