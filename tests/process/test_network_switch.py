"""Services and DNS on the Pods' side of the switch: a real switch, and programs inside its network."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from k8slab.folders import ClusterFolder
from k8slab.node.isolation import obstacle
from tests.process.lab_network import Bench, exchange, name_server, running_network, until_listening

pytestmark = pytest.mark.skipif(bool(obstacle()), reason=f"sandboxed level: {obstacle()}")

VIP = "128.5"

TCP_CLIENT = """
import socket, sys
connection = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=20)
connection.sendall(b"hi"); connection.shutdown(socket.SHUT_WR)
print(connection.makefile().read(), end="")
"""

UDP_CLIENT = """
import socket, sys
asker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); asker.settimeout(20)
asker.sendto(bytes.fromhex(sys.argv[3]), (sys.argv[1], int(sys.argv[2])))
print(asker.recv(4096).hex(), end="")
"""

SERVER = """
import socket, sys
server = socket.create_server((sys.argv[1], int(sys.argv[2])))
print("listening", flush=True)
while True:
    connection, peer = server.accept()
    connection.sendall(f"pod {peer[0]} {connection.makefile().read()}".encode()); connection.close()
"""


class Switch:
    """A switch that a test can kill and start again."""

    def __init__(self) -> None:
        self.process: asyncio.subprocess.Process | None = None

    async def start(self, folder: ClusterFolder) -> None:
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "k8slab.network.switch", "--cluster-folder", str(folder.path)),
            stdout=asyncio.subprocess.PIPE,
        )
        assert self.process.stdout is not None
        async with asyncio.timeout(60):
            assert (await self.process.stdout.readline()).strip() == b"ready"

    async def end(self, number: int = signal.SIGTERM) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(number)
        if self.process is not None:
            await self.process.communicate()

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def inside(self, script: str, *arguments: object) -> tuple[str, ...]:
        """A Python script in the switch's network, as any process that shares a Pod's network runs."""
        enter = ("nsenter", "-t", str(self.pid), "-U", "--preserve-credentials", "-n")
        return (*enter, sys.executable, "-c", script, *map(str, arguments))

    async def run(self, script: str, *arguments: object) -> tuple[int, str]:
        """Run a script inside to its end; its exit code and what it printed."""
        child = await asyncio.create_subprocess_exec(
            *self.inside(script, *arguments),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await child.communicate()
        return child.returncode or 0, output.decode()

    @asynccontextmanager
    async def server(self, address: str, port: int) -> AsyncIterator[None]:
        """A program that listens inside."""
        child = await asyncio.create_subprocess_exec(
            *self.inside(SERVER, address, port), stdout=asyncio.subprocess.PIPE
        )
        try:
            assert child.stdout is not None
            async with asyncio.timeout(60):
                assert await child.stdout.readline() == b"listening\n"
            yield
        finally:
            child.terminate()
            await child.communicate()


@pytest.fixture
async def switch() -> AsyncIterator[Switch]:
    made = Switch()
    yield made
    await made.end()


@pytest.fixture
async def bench(short_path: Path, switch: Switch) -> AsyncIterator[Bench]:
    async with running_network(short_path, "sandboxed", switch.start) as running:
        yield running


async def listening_inside(bench: Bench, switch: Switch, port: int, tail: str = VIP) -> None:
    """Wait until a ClusterIP's port is listened on among the Pods."""

    async with asyncio.timeout(60):
        while (await switch.run(TCP_CLIENT, bench.address(tail), port))[0]:
            await asyncio.sleep(0.05)


async def test_a_service_is_reached_from_both_sides(bench: Bench, switch: Switch) -> None:
    # The gateway stands for a Pod: an address of the Pods' range that somebody listens on.
    gateway = bench.plan.gateway
    async with switch.server(gateway, 80):
        bench.service("web", VIP, 80)
        bench.endpoints("web", 80, "0.1")
        await listening_inside(bench, switch, 80)
        code, printed = await switch.run(TCP_CLIENT, bench.address(VIP), 80)
        assert (code, printed) == (0, f"pod {gateway} hi")
        await until_listening(bench.twin(VIP, 80))
        assert await exchange(bench.twin(VIP, 80), b"hey") == f"pod {gateway} hey".encode()


async def test_pods_reach_the_api_server_at_its_twin_and_it_sees_who_asks(
    bench: Bench, switch: Switch
) -> None:
    async with bench.program("255.1", 6443, name_server("api")):
        bench.service("kubernetes", "128.1", 443)
        bench.endpoints("kubernetes", 6443, "255.1")
        bench.service("web", VIP, 443)
        bench.endpoints("web", 6443, "255.1")
        await listening_inside(bench, switch, 443)
        await listening_inside(bench, switch, 443, "128.1")
        code, printed = await switch.run(TCP_CLIENT, bench.address("128.1"), 443)
        assert code == 0
        # To its own addresses the kernel connects from that very address.
        assert printed == f"api 127.{bench.plan.octet}.128.1 hi"


async def test_an_endpoint_that_is_gone_is_refused_to_pods(bench: Bench, switch: Switch) -> None:
    async with switch.server(bench.plan.gateway, 80):
        bench.service("web", VIP, 80)
        bench.endpoints("web", 80, "0.1")
        await listening_inside(bench, switch, 80)
        bench.endpoints("web", 80, "0.1", ready=False)
        await until_listening(bench.twin(VIP, 80), False)
        # The other side of the switch follows a moment later.
        async with asyncio.timeout(60):
            while not (refused := await switch.run(TCP_CLIENT, bench.address(VIP), 80))[0]:
                await asyncio.sleep(0.05)
        assert refused[0] == 1
        assert "Connection refused" in refused[1]
    bench.endpoints("web", 80, "0.1")
    await until_listening(bench.twin(VIP, 80))
    with pytest.raises(ConnectionResetError):
        await exchange(bench.twin(VIP, 80), b"")  # it counts as ready, and nobody listens


async def test_names_are_answered_over_udp_and_tcp(bench: Bench, switch: Switch) -> None:
    bench.service("web", VIP, 80)
    question = (
        bytes.fromhex("126701000001000000000000") + b"\x03web\x07default\x03svc\x07cluster\x05local\0\0\1\0\1"
    )
    dns = bench.plan.dns_service
    ports = [{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53}]
    bench.service("kube-dns", "128.10", 53, ports=ports)
    bench.dns_endpoints()

    async def answer_to(client: str, message: bytes) -> str:
        """What the name server answers a program; each of its listeners may be opened a moment later."""
        async with asyncio.timeout(60):
            while True:
                code, printed = await switch.run(client, dns, 53, message.hex())
                if not code and printed:
                    return printed
                await asyncio.sleep(0.05)

    answer = await answer_to(UDP_CLIENT, question)
    assert answer.startswith("1267")
    assert bytes.fromhex(answer)[-4:] == bytes(int(part) for part in bench.address(VIP).split("."))
    over_tcp = UDP_CLIENT.replace("SOCK_DGRAM", "SOCK_STREAM").replace(
        "asker.sendto(bytes.fromhex(sys.argv[3]), (sys.argv[1], int(sys.argv[2])))",
        "asker.connect((sys.argv[1], int(sys.argv[2]))); asker.sendall(bytes.fromhex(sys.argv[3]))",
    )
    by_tcp = await answer_to(over_tcp, len(question).to_bytes(2) + question)
    assert bytes.fromhex(by_tcp)[2:] == bytes.fromhex(answer)


async def test_a_restarted_switch_is_served_again(bench: Bench, switch: Switch) -> None:
    async with bench.program("255.1", 6443, name_server("api")):
        bench.service("web", VIP, 443)
        bench.endpoints("web", 6443, "255.1")
        await listening_inside(bench, switch, 443)
        await switch.end(signal.SIGKILL)
        await switch.start(bench.folder)
        await listening_inside(bench, switch, 443)


async def test_a_switch_that_comes_late_is_waited_for(short_path: Path, switch: Switch) -> None:
    async with (
        running_network(short_path, "sandboxed") as bench,
        bench.program("255.1", 6443, name_server("api")),
    ):
        bench.service("web", VIP, 443)
        bench.endpoints("web", 6443, "255.1")
        await until_listening(bench.twin(VIP, 443))
        assert await exchange(bench.twin(VIP, 443), b"hi") == b"api 127.0.0.1 hi"
        await switch.start(bench.folder)
        await listening_inside(bench, switch, 443)
