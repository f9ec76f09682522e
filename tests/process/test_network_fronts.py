"""Node ports, load balancers, UDP and DNS with real sockets on loopback, at the plain level."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest

from k8slab.network.services import datagram_relay
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


class Echo(asyncio.DatagramProtocol):
    """A UDP program that answers with its name and what it was sent."""

    def __init__(self, name: bytes) -> None:
        self.name = name
        self.clients: set[int] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        self.clients.add(address[1])
        self.transport.sendto(self.name + b" " + data, address)


@asynccontextmanager
async def udp_program(bench: Bench, tail: str, port: int, name: bytes) -> AsyncIterator[Echo]:
    loop = asyncio.get_running_loop()
    transport, echo = await loop.create_datagram_endpoint(lambda: Echo(name), bench.twin(tail, port))
    try:
        yield echo
    finally:
        transport.close()


class Asker:
    """A UDP client with a port of its own."""

    def __init__(self, place: tuple[str, int]) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.connect(place)

    async def ask(self, data: bytes) -> bytes:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(60):
            while True:
                try:
                    await loop.sock_sendall(self.socket, data)
                    # Who asked twice would take the first answer for that of its next question.
                    async with asyncio.timeout(10):
                        return await loop.sock_recv(self.socket, 4096)
                except (ConnectionRefusedError, TimeoutError):
                    await asyncio.sleep(0.01)

    def __enter__(self) -> Asker:
        return self

    def __exit__(self, *error: object) -> None:
        self.socket.close()


async def test_a_service_is_reached_at_every_address_it_has(bench: Bench) -> None:
    bench.node("worker-2", "255.12", "20.0/22")
    ports = [{"port": 80, "nodePort": 30080}]
    async with bench.program("16.2", 8080, name_server("a")):
        status = {"loadBalancer": {"ingress": [{"ip": bench.address("192.3")}]}}
        bench.service("web", VIP, 80, ports=ports, type="LoadBalancer", status=status)
        bench.endpoints("web", 8080, "16.2")
        for tail, port in ((VIP, 80), ("255.11", 30080), ("255.12", 30080), ("192.3", 80)):
            await until_listening(bench.twin(tail, port))
            assert (await exchange(bench.twin(tail, port), b"hi")).startswith(b"a ")
        bench.endpoints("web", 8080, "16.2", ready=False)
        for tail, port in ((VIP, 80), ("255.11", 30080), ("255.12", 30080), ("192.3", 80)):
            await until_listening(bench.twin(tail, port), False)


async def test_a_node_says_whether_it_has_endpoints(bench: Bench) -> None:
    bench.service(
        "web", VIP, 80, type="LoadBalancer", externalTrafficPolicy="Local", healthCheckNodePort=30900
    )
    place = bench.twin("255.11", 30900)
    await until_listening(place)

    async def asked() -> bytes:
        reader, writer = await asyncio.open_connection(*place)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        try:
            return await reader.read()
        finally:
            writer.close()

    # pkg/proxy/healthcheck/service_health.go:244
    assert (await asked()).startswith(b"HTTP/1.1 503 ")
    bench.endpoints("web", 8080, "16.2", node="worker-1")
    await until(lambda: bench.network.table.fronts())
    answer = await asked()
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"X-Load-Balancing-Endpoint-Weight: 1\r\n" in answer
    assert b'"localEndpoints": 1,' in answer


async def test_a_udp_client_stays_with_its_endpoint_while_that_is_ready(bench: Bench) -> None:
    ports = [{"port": 9000, "protocol": "UDP", "nodePort": 30090}]
    async with udp_program(bench, "16.2", 9001, b"a") as a, udp_program(bench, "16.3", 9001, b"b") as b:
        bench.service("echo", VIP, 9000, ports=ports)
        bench.endpoints("echo", 9001, "16.2", "16.3", protocol="UDP")
        with Asker(bench.twin(VIP, 9000)) as asker:
            first = (await asker.ask(b"hi")).split()[0]
            assert {(await asker.ask(b"%d" % number)).split()[0] for number in range(20)} == {first}
            assert len(a.clients | b.clients) == 1
            # Its endpoint goes: the next datagram is led to the other one.
            bench.endpoints("echo", 9001, "16.3" if first == b"a" else "16.2", protocol="UDP")
            await until(lambda: bench.api.queues["/apis/discovery.k8s.io/v1/endpointslices"].empty())
            async with asyncio.timeout(60):
                while (await asker.ask(b"hi")).split()[0] == first:
                    continue
        bench.endpoints("echo", 9001, "16.2", "16.3", protocol="UDP")
        seen: set[bytes] = set()
        async with asyncio.timeout(60):
            while seen != {b"a", b"b"}:
                with Asker(bench.twin("255.11", 30090)) as asker:
                    seen.add((await asker.ask(b"hi")).split()[0])


async def test_a_silent_udp_client_is_forgotten(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SWEEP_SECONDS", "REPLIED_SECONDS", "UNREPLIED_SECONDS"):
        monkeypatch.setattr(datagram_relay, name, 0.05)
    async with udp_program(bench, "16.2", 9001, b"a") as echo:
        bench.service("echo", VIP, 9000, ports=[{"port": 9000, "protocol": "UDP"}])
        bench.endpoints("echo", 9001, "16.2", protocol="UDP")
        with Asker(bench.twin(VIP, 9000)) as asker:
            assert await asker.ask(b"hi") == b"a hi"
            # A new flow comes from a new port: the program sees another client.
            async with asyncio.timeout(60):
                while len(echo.clients) < 2:
                    await asyncio.sleep(0.15)
                    assert await asker.ask(b"again") == b"a again"


async def test_without_an_endpoint_datagrams_are_refused(bench: Bench) -> None:
    bench.service("echo", VIP, 9000, ports=[{"port": 9000, "protocol": "UDP"}])
    bench.endpoints("echo", 9001, "16.2", protocol="UDP", ready=False)
    await until(lambda: bench.api.queues["/apis/discovery.k8s.io/v1/endpointslices"].empty())
    with Asker(bench.twin(VIP, 9000)) as asker:
        asker.socket.send(b"hi")
        with pytest.raises(ConnectionRefusedError):
            await asyncio.get_running_loop().sock_recv(asker.socket, 99)


def question(name: str, kind: int) -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack("!6H", 4711, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!2H", kind, 1)


async def test_the_cluster_dns_is_the_endpoint_of_an_ordinary_service(bench: Bench) -> None:
    ports = [{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53}]
    message = question("kube-dns.default.svc.cluster.local", 1)
    with Asker(bench.twin("255.10", 53)) as asker:  # the node itself, without a Service
        assert (await asker.ask(message))[3] & 0xF == 3
    bench.service("kube-dns", "128.10", 53, ports=ports)
    bench.dns_endpoints()
    with Asker(bench.twin("128.10", 53)) as asker:
        answer = await asker.ask(message)
        assert answer[-4:] == socket.inet_aton(bench.address("128.10"))
    await until_listening(bench.twin("128.10", 53))
    framed = len(message).to_bytes(2) + message
    assert (await exchange(bench.twin("128.10", 53), framed))[2:] == answer
    bench.service("kube-dns", "128.10", 53, ports=ports, verb="deleted")
    await until_listening(bench.twin("128.10", 53), False)


async def test_an_endpoint_that_is_a_front_itself_is_no_way_round_in_circles(bench: Bench) -> None:
    bench.service("loop", VIP, 8000, ports=[{"port": 8000, "nodePort": 30080}])
    bench.endpoints("loop", 30080, "255.11")
    await until_listening(bench.twin(VIP, 8000))
    with pytest.raises(ConnectionResetError):
        await exchange(bench.twin(VIP, 8000), b"hi")
    assert await accepts(bench.twin(VIP, 8000))
