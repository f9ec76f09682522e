"""`python -m k8slab.network` as a process of its own: its start, its end, what it costs."""

from __future__ import annotations

import asyncio
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from k8slab.cluster.embedded.claim import claim_addresses
from k8slab.cluster.embedded.identities import api_server_url
from k8slab.cluster.embedded.pki import write_pki
from k8slab.folders import ClusterFolder
from k8slab.network.addresses import PORT_OFFSET, AddressPlan
from tests.process.fake_api_server import FakeApiServer
from tests.process.lab_network import exchange, settings_of, until, until_listening
from tests.promptness import within


@dataclass
class Prepared:
    """A cluster's folder with everything that the supervisor writes, and its addresses."""

    folder: ClusterFolder
    plan: AddressPlan


@pytest.fixture
def prepared() -> Iterator[Prepared]:
    claim = claim_addresses(120)
    plan = AddressPlan(claim.plan.octet, PORT_OFFSET)
    with tempfile.TemporaryDirectory(prefix="k8n") as name:
        folder = ClusterFolder(Path(name) / "c")
        folder.run.mkdir(parents=True)
        settings = settings_of(plan, "plain")
        folder.write_settings(settings)
        write_pki(folder, settings)
        yield Prepared(folder, plan)
    claim.holder.close()


@asynccontextmanager
async def started(folder: ClusterFolder) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "k8slab.network", "--cluster-folder", str(folder.path)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def busy(process: psutil.Process) -> list[float]:
    """Processor time of each of ten seconds; empty as soon as there is one with next to nothing."""
    seen = []
    for _ in range(10):
        before = process.cpu_times()
        await asyncio.sleep(1.0)
        after = process.cpu_times()
        seen.append(round(after.user + after.system - before.user - before.system, 3))
        if seen[-1] < 0.045:
            return []
    return seen


async def line(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(60):
        return (await process.stdout.readline()).decode().strip()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_serves_before_the_api_server_and_ends_within_a_second(
    prepared: Prepared, number: signal.Signals
) -> None:
    async with started(prepared.folder) as process:
        assert await line(process) == "ready"
        reader, writer = await asyncio.open_unix_connection(str(prepared.folder.egress_socket))
        writer.write(b"CONNECT 8.8.8.8:53 HTTP/1.1\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 403 ")
        writer.close()
        # A client that is in the middle of something does not hold it up.
        idle, hanging = await asyncio.open_unix_connection(str(prepared.folder.egress_socket))
        hanging.write(b"CONN")
        with within(1):
            process.send_signal(number)
            async with asyncio.timeout(30):
                assert await process.wait() == 0
        assert await idle.read() == b""
        hanging.close()
        assert not prepared.folder.egress_socket.exists()


async def test_a_killed_one_is_replaced_by_the_next(prepared: Prepared) -> None:
    async with started(prepared.folder) as first:
        assert await line(first) == "ready"
        first.kill()
        await first.wait()
    assert prepared.folder.egress_socket.exists()
    async with started(prepared.folder) as second:
        assert await line(second) == "ready"
        _, writer = await asyncio.open_unix_connection(str(prepared.folder.egress_socket))
        writer.close()


async def test_it_follows_the_api_server_and_costs_little(prepared: Prepared) -> None:
    plan = prepared.plan
    kubeconfig = prepared.folder.kubeconfig("network")
    with FakeApiServer() as fake:
        fake.bookmarks = 60.0  # as rarely as the real one sends them
        text = kubeconfig.read_text()
        server = api_server_url(settings_of(plan, "plain"))
        assert server in text
        kubeconfig.write_text(text.replace(server, f"http://127.0.0.1:{fake.port}"))
        address, front = f"10.{plan.octet}.128.5", plan.twin_endpoint(f"10.{plan.octet}.128.5", 80)
        fake.put("services", "web", "u1", spec={"clusterIP": address, "ports": [{"port": 80}]})

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"hello")
            writer.close()

        pod = f"10.{plan.octet}.16.2"
        endpoint_slice = fake.put(
            "endpointslices",
            "web-abc",
            "u2",
            addressType="IPv4",
            ports=[{"name": "", "port": 8080}],
            endpoints=[{"addresses": [pod], "conditions": {"ready": True}}],
        )
        endpoint_slice["metadata"]["labels"] = {"kubernetes.io/service-name": "web"}
        program = await asyncio.start_server(talk, *plan.twin_endpoint(pod, 8080))
        async with program, started(prepared.folder) as process:
            assert await line(process) == "ready"
            await until_listening(front)
            assert await exchange(front, b"") == b"hello"
            measured = psutil.Process(process.pid)
            assert measured.num_fds() < 200  # most are the listeners of expected Pods
            own = measured.memory_full_info()
            assert own.uss < 40 * 2**20, f"{own.uss / 2**20:.1f} MiB"
            fake.cut()  # what was known stays, and what happens next is learned all the same
            assert await exchange(front, b"") == b"hello"
            fake.delete("endpointslices", "web-abc")
            await until_listening(front, False)
            assert await busy(measured) == [], "it is busy although nothing happens"


async def test_a_folder_without_a_cluster_is_one_clear_sentence(tmp_path: Path) -> None:
    async with started(ClusterFolder(tmp_path)) as process:
        output, _ = await process.communicate()
        assert process.returncode == 1
        assert output.decode().startswith("The lab network cannot start: There is no kubeconfig at ")
        assert "Traceback" not in output.decode()


async def test_two_thousand_connections_at_once(prepared: Prepared) -> None:
    """Descriptors are raised to the hard limit: the usual soft limit of 1024 is not enough for this."""
    async with started(prepared.folder) as process:
        assert await line(process) == "ready"
        limits = psutil.Process(process.pid).rlimit(psutil.RLIMIT_NOFILE)
        assert limits[0] == limits[1]
        writers = []
        count = min(2000, limits[0] // 4)
        for _ in range(count):
            _, writer = await asyncio.open_unix_connection(str(prepared.folder.egress_socket))
            writers.append(writer)
        await until(lambda: psutil.Process(process.pid).num_fds() > count)
        for writer in writers:
            writer.close()
        await until(lambda: psutil.Process(process.pid).num_fds() < 200)
