"""A lab network under test: a real one on loopback, fed by a watch that the test writes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from k8slab.api_client import Change
from k8slab.cluster.embedded.claim import claim_addresses
from k8slab.folders import ClusterFolder, ClusterSettings, Isolation
from k8slab.network.acceptor import listen_tcp
from k8slab.network.addresses import PORT_OFFSET, AddressPlan
from k8slab.network.process import ENDPOINT_SLICES, NAMESPACES, NODES, PODS, SERVICES, LabNetwork
from tests.promptness import within


class FakeApi:
    """What `ApiClient.watch` gives, from what the test puts in."""

    def __init__(self) -> None:
        self.queues: dict[str, asyncio.Queue[Change]] = {
            path: asyncio.Queue() for path in (SERVICES, ENDPOINT_SLICES, PODS, NODES, NAMESPACES)
        }

    async def watch(self, path: str) -> AsyncIterator[Change]:
        while True:
            yield await self.queues[path].get()

    def put(self, path: str, item: dict[str, Any], verb: Any = "modified") -> None:
        self.queues[path].put_nowait(Change(verb, item))


@dataclass
class Bench:
    """A running network, its watch, and the objects a test makes."""

    network: LabNetwork
    api: FakeApi
    plan: AddressPlan
    folder: ClusterFolder

    def address(self, tail: str) -> str:
        return f"10.{self.plan.octet}.{tail}"

    def node(self, name: str, tail: str, pods: str) -> None:
        """A node with its address and its range of Pods' addresses, such as `16.0/22`."""
        status = {"addresses": [{"type": "InternalIP", "address": self.address(tail)}]}
        spec = {"podCIDR": self.address(pods)}
        self.api.put(NODES, {"metadata": {"name": name}, "spec": spec, "status": status}, "added")

    def service(self, name: str, tail: str, port: int, *, verb: Any = "added", **spec: Any) -> None:
        metadata = {"namespace": "default", "name": name}
        status = spec.pop("status", {})
        body = {"clusterIP": self.address(tail), "ports": [{"port": port}], **spec}
        self.api.put(SERVICES, {"metadata": metadata, "spec": body, "status": status}, verb)

    def endpoints(
        self, name: str, port: int, *tails: str, protocol: str = "TCP", node: str = "", **conditions: bool
    ) -> None:
        """Say that these addresses are the endpoints, all with the same conditions (ready unless said)."""
        labels = {"kubernetes.io/service-name": name}
        self.api.put(
            ENDPOINT_SLICES,
            {
                "metadata": {"namespace": "default", "name": f"{name}-abc", "labels": labels},
                "addressType": "IPv4",
                "endpoints": [
                    {
                        "addresses": [self.address(tail)],
                        "nodeName": node,
                        "conditions": conditions or {"ready": True},
                    }
                    for tail in tails
                ],
                "ports": [{"name": "", "port": port, "protocol": protocol}],
            },
        )

    def dns_endpoints(self) -> None:
        """The EndpointSlice of the Service `kube-dns`, as the supervisor makes it."""
        labels = {"kubernetes.io/service-name": "kube-dns"}
        ports = [
            {"name": "dns", "port": 53, "protocol": "UDP"},
            {"name": "dns-tcp", "port": 53, "protocol": "TCP"},
        ]
        self.api.put(
            ENDPOINT_SLICES,
            {
                "metadata": {"namespace": "default", "name": "kube-dns-1", "labels": labels},
                "endpoints": [{"addresses": [self.plan.node(0)]}],
                "ports": ports,
            },
        )

    def pod(self, tail: str, namespace: str = "default", verb: Any = "modified") -> None:
        metadata = {"namespace": namespace, "name": f"pod-{tail}", "uid": f"uid-{tail}"}
        status = {"podIP": self.address(tail), "phase": "Running"}
        self.api.put(PODS, {"metadata": metadata, "status": status}, verb)

    def twin(self, tail: str, port: int) -> tuple[str, int]:
        return self.plan.twin_endpoint(self.address(tail), port)

    @asynccontextmanager
    async def program(
        self,
        tail: str,
        port: int,
        talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    ) -> AsyncIterator[None]:
        """A program of a plain Pod: it listens on the Pod's twin."""

        async def and_close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await talk(reader, writer)
            finally:
                writer.close()

        server = await asyncio.start_server(and_close, sock=listen_tcp(*self.twin(tail, port)))
        try:
            yield
        finally:
            server.close()
            await server.wait_closed()


@asynccontextmanager
async def running_network(
    path: Path, isolation: Isolation, before: Callable[[ClusterFolder], Awaitable[None]] | None = None
) -> AsyncIterator[Bench]:
    """A network with addresses of its own, cancelled afterwards; it must end within a second.

    Args:
        path: a short path for the cluster's folder.
        isolation: the level.
        before: what to start once the settings are written.
    """
    claim = claim_addresses(90)
    folder = ClusterFolder(path)
    folder.run.mkdir(parents=True)
    plan = AddressPlan(claim.plan.octet, PORT_OFFSET)
    folder.write_settings(settings_of(plan, isolation))
    if before is not None:
        await before(folder)
    api = FakeApi()
    network = LabNetwork(folder, api)
    task = asyncio.create_task(network.run())
    try:
        await until(lambda: folder.egress_socket.exists() or task.done())
        bench = Bench(network, api, plan, folder)
        bench.node("worker-1", "255.11", "16.0/22")
        yield bench
    finally:
        task.cancel()
        with within(1):
            ended, _ = await asyncio.wait([task], timeout=30)
        claim.holder.close()
        assert ended, "the network did not end"
        assert task.cancelled(), task.exception()


def settings_of(plan: AddressPlan, isolation: Isolation) -> ClusterSettings:
    return ClusterSettings(
        name="t",
        uuid="u",
        octet=plan.octet,
        port_offset=plan.port_offset,
        isolation=isolation,
        nodes=("worker-1",),
        kubernetes="v1.36.3",
        components="",
    )


async def until(condition: Callable[[], object], seconds: float = 60) -> None:
    """Wait until a condition is true."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


async def until_listening(place: tuple[str, int], listening: bool = True) -> None:
    """Wait until connections to a place are accepted, or until they are refused."""
    async with asyncio.timeout(60):
        while await accepts(place) is not listening:
            await asyncio.sleep(0.005)


async def accepts(place: tuple[str, int]) -> bool:
    try:
        _, writer = await asyncio.open_connection(*place)
    except ConnectionRefusedError:
        return False
    writer.close()
    return True


async def exchange(place: tuple[str, int], sent: bytes, source: str = "") -> bytes:
    """Send bytes, say that this was all, and read to the end."""
    local = (source, 0) if source else None
    reader, writer = await asyncio.open_connection(*place, local_addr=local)
    try:
        writer.write(sent)
        writer.write_eof()
        return await reader.read()
    finally:
        writer.close()


def name_server(name: str) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    """A program that reads to the end and answers with its name, the client's address and what it read."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        data = await reader.read()
        peer = writer.get_extra_info("peername")[0]
        writer.write(f"{name} {peer} ".encode() + data)

    return talk
