"""An ingress controller under test: real sockets on loopback, fed by a watch that the test writes."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

from aiohttp import web

from k8slab.api_client import ApiClient, Change
from k8slab.cluster.embedded.certificates import CertificateAuthority
from k8slab.cluster.embedded.claim import claim_addresses
from k8slab.network.acceptor import Acceptor, listen_tcp
from k8slab.network.addresses import PORT_OFFSET, AddressPlan
from k8slab.network.dialler import Dialler
from k8slab.network.ingress.controller import INGRESS_CLASSES, INGRESSES, SECRETS, IngressController
from k8slab.network.services.table import ServiceTable
from tests.process.lab_network import until
from tests.promptness import within

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class FakeApi:
    """What the controller needs of `ApiClient`, and what it did."""

    def __init__(self) -> None:
        self.queues: dict[str, asyncio.Queue[Change]] = {
            path: asyncio.Queue() for path in (INGRESS_CLASSES, INGRESSES, SECRETS)
        }
        self.selectors: dict[str, str] = {}
        self.patches: list[tuple[str, Any]] = []
        self.events: list[dict[str, Any]] = []

    async def watch(self, path: str, *, field_selector: str = "") -> AsyncIterator[Change]:
        self.selectors[path] = field_selector
        yield Change("synced", {})
        while True:
            yield await self.queues[path].get()

    async def patch(self, path: str, body: dict[str, Any], content_type: str = "") -> dict[str, Any]:
        if "/events/" in path:
            # The same is told again: the Event's count rises.
            name = path.rpartition("/")[2]
            self.events.append(next(event for event in self.events if event["metadata"]["name"] == name))
        else:
            self.patches.append((path, body["status"]["loadBalancer"]["ingress"]))
        return {}

    async def create(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self.events.append(body)
        return body

    def reasons(self) -> list[str]:
        return [event["reason"] for event in self.events]


@dataclass
class IngressBench:
    """A running controller, and the objects that a test makes."""

    api: FakeApi
    plan: AddressPlan
    table: ServiceTable
    authority: CertificateAuthority = field(default_factory=lambda: CertificateAuthority("authority"))

    @property
    def http(self) -> tuple[str, int]:
        return self.plan.twin_endpoint(self.plan.ingress, 80)

    @property
    def https(self) -> tuple[str, int]:
        return self.plan.twin_endpoint(self.plan.ingress, 443)

    def url(self, path: str) -> str:
        host, port = self.http
        return f"http://{host}:{port}{path}"

    def ingress_class(self, name: str = "k8slab", **spec: Any) -> None:
        item = {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "IngressClass",
            "metadata": {"name": name, "uid": f"uid-{name}"},
            "spec": {"controller": "k8slab.dev/ingress", **spec},
        }
        self.api.queues[INGRESS_CLASSES].put_nowait(Change("added", item))

    def put(self, item: dict[str, Any], verb: Any = "modified") -> None:
        self.api.queues[INGRESSES].put_nowait(Change(verb, item))

    def secret(self, name: str, *hosts: str, verb: Any = "modified") -> None:
        pair = self.authority.server("test", list(hosts) or ["unused"])
        data = {"tls.crt": pair.certificate, "tls.key": pair.key}
        encoded = {key: base64.b64encode(text.encode()).decode() for key, text in data.items()}
        item = {"metadata": {"namespace": "shop", "name": name, "uid": f"uid-{name}"}, "data": encoded}
        self.api.queues[SECRETS].put_nowait(Change(verb, item))

    def service(
        self, name: str, *tails: str, port: int = 8080, number: int = 80, headless: bool = False
    ) -> None:
        """A Service whose ready endpoints are the Pods with these addresses."""
        metadata = {"namespace": "shop", "name": name}
        address = "None" if headless else f"10.{self.plan.octet}.128.{len(name) + 9}"
        spec = {"clusterIP": address, "ports": [{"name": "web", "port": 80, "protocol": "TCP"}]}
        self.table.put_service({"metadata": metadata, "spec": spec})
        labels = {"kubernetes.io/service-name": name}
        ready = {"ready": True}
        self.table.put_slice(
            {
                "metadata": {"namespace": "shop", "name": f"{name}-abc", "labels": labels},
                "addressType": "IPv4",
                "endpoints": [{"addresses": [self.pod(tail)], "conditions": ready} for tail in tails],
                "ports": [{"name": "web", "port": port, "protocol": "TCP"}],
            }
        )

    def pod(self, tail: str) -> str:
        return f"10.{self.plan.octet}.{tail}"

    @asynccontextmanager
    async def talks(self, tail: str, talk: Talk, port: int = 8080) -> AsyncIterator[None]:
        """A program in a Pod that speaks bytes."""

        async def and_close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await talk(reader, writer)
            finally:
                writer.close()

        listener = listen_tcp(*self.plan.twin_endpoint(self.pod(tail), port))
        server = await asyncio.start_server(and_close, sock=listener)
        try:
            yield
        finally:
            server.close()
            await server.wait_closed()

    @asynccontextmanager
    async def serves(
        self, tail: str, answer: Callable[[web.Request], Awaitable[web.StreamResponse]], port: int = 8080
    ) -> AsyncIterator[None]:
        """A program in a Pod that speaks HTTP."""
        application = web.Application(client_max_size=0)
        application.router.add_route("*", "/{rest:.*}", answer)
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.SockSite(runner, listen_tcp(*self.plan.twin_endpoint(self.pod(tail), port))).start()
            yield
        finally:
            await runner.cleanup()


@asynccontextmanager
async def running_ingress() -> AsyncIterator[IngressBench]:
    """A controller with addresses of its own, cancelled afterwards; it must end within a second."""
    claim = claim_addresses(150)
    plan = AddressPlan(claim.plan.octet, PORT_OFFSET)
    bench = IngressBench(FakeApi(), plan, ServiceTable(plan))
    async with Acceptor() as acceptor:
        dialler = Dialler(plan, bench.table, None)
        task = asyncio.create_task(IngressController(cast(ApiClient, bench.api), dialler, acceptor).run())
        try:
            await until(lambda: len(bench.api.selectors) == 3 or task.done())
            yield bench
        finally:
            task.cancel()
            with within(1):
                ended, _ = await asyncio.wait([task], timeout=30)
            claim.holder.close()
            assert ended, "the controller did not end"
            assert task.cancelled(), task.exception()


def named(name: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """A program that answers with its name, what it was asked for, the body it got, and who asked."""

    async def answer(request: web.Request) -> web.StreamResponse:
        body = await request.read()
        return web.json_response(
            {
                "name": name,
                "method": request.method,
                "target": request.raw_path,
                "headers": dict(request.headers),
                "length": len(body),
                "start": body[:20].decode("latin-1"),
                "peer": request.remote,
            }
        )

    return answer
