"""The switch and its client: sockets made in the lab's network, as root and as an ordinary user."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from k8slab.errors import ClusterError
from k8slab.network.addresses import AddressPlan
from k8slab.network.switch import bridge_commands
from k8slab.network.switch_client import SwitchClient
from k8slab.node.isolation import best_level, obstacle
from k8slab.node.runtime.listeners import listeners
from tests.process.runtime_bench import Bench, running_bench

USERS = ("root", "nobody") if os.geteuid() == 0 else ("root",)
sandboxed = pytest.mark.parametrize("level", ["sandboxed"])


@pytest.fixture(params=USERS)
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    with running_bench("sandboxed", request.param) as running:
        yield running


def service(bench: Bench) -> str:
    return f"10.{bench.plan.octet}.128.5"


@sandboxed
async def test_sockets_meet_inside_and_not_on_the_host(bench: Bench, level: str) -> None:
    loop = asyncio.get_running_loop()
    async with SwitchClient(bench.folder.switch_socket) as client:
        with await client.listen(service(bench), 80) as listener, await client.socket() as caller:
            assert listener.gettimeout() == caller.gettimeout() == 0
            await loop.sock_connect(caller, (service(bench), 80))
            accepted, _ = await loop.sock_accept(listener)
            with accepted:
                await loop.sock_sendall(caller, b"hello")
                assert await loop.sock_recv(accepted, 10) == b"hello"
            assert service(bench) not in {each.address for each in listeners()}
            assert bench.switch is not None
            inside = {(each.address, each.port) for each in listeners(bench.switch.pid)}
            assert (service(bench), 80) in inside


@sandboxed
async def test_a_pod_reaches_a_service_address_and_is_reached(bench: Bench, level: str) -> None:
    loop = asyncio.get_running_loop()
    pod = bench.pod()
    server = bench.demo(pod)
    asked = {"pod": pod, "container": server["container"]}
    assert bench.client.ask("wait_listening", ports=[8080], timeout=20, **asked)["listening"]
    async with SwitchClient(bench.folder.switch_socket) as client:
        with await client.listen(service(bench), 80) as listener:
            words = ("client", f"http://{service(bench)}/", "--count", "1", "--timeout", "10")
            bench.demo(pod, *words, name="client")
            accepted, peer = await loop.sock_accept(listener)
            accepted.close()
            assert peer[0] == bench.address(1)
        with await client.socket() as caller:
            await loop.sock_connect(caller, bench.place(1, 8080))
            await loop.sock_sendall(caller, b"GET /healthz/ready HTTP/1.1\r\n\r\n")
            assert (await loop.sock_recv(caller, 100)).startswith(b"HTTP/1.1 200")


@sandboxed
async def test_what_is_not_served_is_refused_at_once(bench: Bench, level: str) -> None:
    loop = asyncio.get_running_loop()
    async with SwitchClient(bench.folder.switch_socket) as client:
        for address in (service(bench), bench.plan.api_server):
            with await client.socket() as caller, pytest.raises(ConnectionRefusedError):
                await loop.sock_connect(caller, (address, 81))
        with await client.socket("udp") as datagrams:
            assert datagrams.type == socket.SOCK_DGRAM
        with await client.listen(service(bench), 80), pytest.raises(ClusterError, match="in use"):
            await client.listen(service(bench), 80)
        with pytest.raises(ClusterError, match="assign"):
            await client.listen("192.0.2.1", 80)


@sandboxed
async def test_many_tasks_share_one_client(bench: Bench, level: str) -> None:
    async with SwitchClient(bench.folder.switch_socket) as client:
        ports = range(1000, 1040)
        listeners = await asyncio.gather(*(client.listen(service(bench), port) for port in ports))
        assert [each.getsockname()[1] for each in listeners] == list(ports)
        for each in listeners:
            each.close()
        task = asyncio.ensure_future(client.socket())
        await asyncio.sleep(0)
        task.cancel()
        assert bench.switch is not None
        assert await client.namespace() == bench.switch.pid


@sandboxed
async def test_the_client_comes_back_after_the_switch_was_restarted(bench: Bench, level: str) -> None:
    async with SwitchClient(bench.folder.switch_socket) as client:
        first = await client.namespace()
        bench.kill_runtime()
        assert bench.switch is not None
        bench.switch.send_signal(signal.SIGKILL)
        bench.switch.wait()
        with pytest.raises(ClusterError, match="does not answer"):
            await client.namespace()
        bench.switch = None
        bench.start()
        assert await client.namespace() not in (first, 0)


@sandboxed
def test_the_switch_leaves_nothing_and_hosts_nothing(bench: Bench, level: str) -> None:
    links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
    assert "k8slab0" not in links
    assert bench.switch is not None
    bench.runtime.terminate()
    bench.runtime.wait()
    bench.switch.terminate()
    assert bench.switch.wait(60) == 0
    assert not bench.folder.switch_socket.exists()


@sandboxed
def test_bad_requests_are_refused(bench: Bench, level: str) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(bench.folder.switch_socket))
        for request in (b"no json\n", b"{}\n", b"[]\n", b'{"op": "fly"}\n', b'{"op": "listen"}\n'):
            connection.sendall(request)
            assert b'"ok": false' in connection.recv(4096)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(bench.folder.switch_socket))
        connection.sendall(b"x" * 5000)
        with suppress(ConnectionResetError):
            assert connection.recv(100) == b""


def test_the_bridge_keeps_its_address() -> None:
    commands = bridge_commands(AddressPlan(7))
    assert "link add k8slab0 address 0a:4b:0a:07:00:01 type bridge" in commands
    assert "addr add 10.7.0.1/17 dev k8slab0" in commands


def test_a_level_can_be_forced_and_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("K8SLAB_ISOLATION", "plain")
    assert best_level() == ("plain", "plain, because K8SLAB_ISOLATION says so")
    monkeypatch.setenv("K8SLAB_ISOLATION", "perfect")
    with pytest.raises(ClusterError, match="sandboxed and plain"):
        best_level()
    monkeypatch.delenv("K8SLAB_ISOLATION")
    level, reason = best_level()
    assert level == ("plain" if obstacle() else "sandboxed")
    assert reason.startswith(f"{level}, because ")


def test_a_missing_program_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("K8SLAB_ISOLATION", raising=False)
    assert best_level() == ("plain", "plain, because bwrap is not installed (package bubblewrap)")
    monkeypatch.setenv("K8SLAB_ISOLATION", "sandboxed")
    with pytest.raises(ClusterError, match="bwrap is not installed"):
        best_level()


@sandboxed
def test_a_sandbox_that_fails_is_reported_in_its_own_words(
    level: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("bwrap", "nsenter", "unshare"):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\necho '{name}: Operation not permitted' >&2\nexit 1\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert obstacle() == "a sandbox cannot be made here (unshare: Operation not permitted)"
