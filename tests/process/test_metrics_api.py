"""The metrics API over real TLS: who is believed, who may, and what is answered."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest
from aiohttp import web

from k8slab.addons.metrics.access import tls
from k8slab.addons.metrics.api import MetricsApi
from k8slab.addons.metrics.objects import AGGREGATED
from k8slab.addons.metrics.scraper import Scraper
from k8slab.addons.metrics.store import Batch, MetricsStore, Point
from k8slab.api_client import ApiClient, Change, Identity
from k8slab.cluster.embedded.certificates import CertificateAuthority
from k8slab.errors import ApiError
from k8slab.folders import ClusterFolder
from k8slab.network.addresses import AddressPlan

METRICS = "/apis/metrics.k8s.io/v1beta1"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


class PodsAndNodes(ApiClient):
    """An API server with one node and two Pods, where jane may read Pods of the namespace shop."""

    def __init__(self) -> None:
        super().__init__(Identity("http://127.0.0.1:1", *[Path("none")] * 3))
        self.reviews: list[dict[str, Any]] = []
        self.queries: list[dict[str, str]] = []
        self.away = False

    async def request(
        self,
        method: str,
        path: str,
        query: dict[str, str] | None = None,
        body: dict[str, Any] | None = None,
        content_type: str = "application/json",
        timeout: float = 30.0,
        accept: str = "",
    ) -> dict[str, Any]:
        if self.away:
            raise ApiError(0, "Unreachable", "connection refused")
        if body is not None:
            self.reviews.append(body["spec"])
            about = body["spec"].get("resourceAttributes", {})
            allowed = body["spec"]["user"] == "jane" and about.get("namespace") == "shop"
            return {"status": {"allowed": allowed}}
        assert "as=PartialObjectMetadataList" in accept
        self.queries.append(dict(query or {}))
        if path.endswith("/nodes"):
            return {"items": [{"metadata": {"name": "n"}}], "metadata": {}}
        again = (query or {}).get("continue")
        names = ["quiet", "web"] if again else ["new"]
        chosen = (query or {}).get("fieldSelector", "").split(",")[0].removeprefix("metadata.name=")
        items = [
            {"metadata": {"name": name, "namespace": "shop", "labels": {"app": name}}}
            for name in names
            if chosen in (name, "status.phase=Running")
        ]
        return {"items": items, "metadata": {} if again else {"continue": "more"}}


@dataclass
class Served:
    """The metrics API, as it is asked."""

    url: str
    folder: ClusterFolder
    api: PodsAndNodes
    session: aiohttp.ClientSession

    async def ask(
        self, path: str, user: str = "root", groups: str = "system:masters", **how: Any
    ) -> tuple[int, Any]:
        headers = {"X-Remote-User": user, "X-Remote-Group": groups, **how.get("headers", {})}
        certificate = how.get("certificate", "front-proxy-client")
        context = ssl.create_default_context(cafile=str(self.folder.certificate("ca")))
        if certificate:
            pair = self.folder.certificate(certificate), self.folder.key(certificate)
            context.load_cert_chain(*map(str, pair))
        async with self.session.request(
            how.get("method", "GET"), self.url + path, headers=headers, ssl=context
        ) as answer:
            return answer.status, await answer.json(content_type=None)


@dataclass
class _Authorities:
    cluster: CertificateAuthority = field(default_factory=lambda: CertificateAuthority("kubernetes"))
    proxy: CertificateAuthority = field(default_factory=lambda: CertificateAuthority("front-proxy"))


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    folder = ClusterFolder(tmp_path / "c")
    folder.pki.mkdir(parents=True)
    authorities = _Authorities()
    pairs = {
        "ca": authorities.cluster.pair,
        "front-proxy-ca": authorities.proxy.pair,
        "metrics-server": authorities.cluster.server("metrics-server", ["127.0.0.1"]),
        "front-proxy-client": authorities.proxy.client("front-proxy-client"),
        "another": authorities.proxy.client("another-client"),
        "admin": authorities.cluster.client("front-proxy-client", ["system:masters"]),
    }
    for name, pair in pairs.items():
        folder.certificate(name).write_text(pair.certificate)
        folder.key(name).write_text(pair.key)
    store = MetricsStore()
    now = time.time()
    for moment in (now - 5, now):
        web_point, node = Point(moment, moment - now + 10, 8 << 20, now - 60), Point(moment, 5.0, 64 << 20)
        store.put(Batch({"n": node}, {("shop", "web"): {"main": web_point}}))
    api = PodsAndNodes()
    runner = web.AppRunner(MetricsApi(api, store).application(), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls(folder, "metrics-server"))
    await site.start()
    port = runner.addresses[0][1]
    async with aiohttp.ClientSession() as session:
        yield Served(f"https://127.0.0.1:{port}", folder, api, session)
    await runner.cleanup()


async def test_only_the_front_proxy_is_believed(served: Served) -> None:
    assert (await served.ask(f"{METRICS}/nodes"))[0] == 200
    for certificate in ("", "another"):
        status, body = await served.ask(f"{METRICS}/nodes", certificate=certificate)
        assert (status, body["reason"]) == (401, "Unauthorized")
    # The right name under the wrong authority does not even get through the handshake.
    with pytest.raises(aiohttp.ClientError):
        await served.ask(f"{METRICS}/nodes", certificate="admin")
    assert (await served.ask(f"{METRICS}/nodes", user=""))[0] == 401


async def test_what_a_user_may_is_asked_back_and_remembered(served: Served) -> None:
    path = f"{METRICS}/namespaces/shop/pods"
    extra = {"X-Remote-Extra-Authentication.kubernetes.io%2Fcredential-Id": "X509"}
    assert (await served.ask(path, "jane", "developers", headers=extra))[0] == 200
    assert (await served.ask(path, "jane", "developers", headers=extra))[0] == 200
    (review,) = served.api.reviews
    assert review["groups"] == ["developers"]
    assert review["extra"] == {"authentication.kubernetes.io/credential-id": ["X509"]}
    wanted = {"group": "metrics.k8s.io", "resource": "pods", "verb": "list", "namespace": "shop"}
    assert review["resourceAttributes"].items() >= wanted.items()
    status, body = await served.ask(f"{METRICS}/nodes", "jane", "developers")
    assert status == 403
    assert body["message"] == (
        'nodes.metrics.k8s.io is forbidden: User "jane" cannot list resource "nodes" '
        'in API group "metrics.k8s.io" at the cluster scope'
    )
    assert (await served.ask("/apis", "jane", "developers"))[0] == 403
    assert served.api.reviews[-1]["nonResourceAttributes"] == {"path": "/apis", "verb": "get"}


async def test_without_the_api_server_nobody_is_let_in(served: Served) -> None:
    served.api.away = True
    status, body = await served.ask(f"{METRICS}/namespaces/shop/pods", "jane", "developers")
    assert (status, body["kind"]) == (503, "Status")


async def test_nodes_and_pods_are_listed_with_their_figures(served: Served) -> None:
    status, body = await served.ask(f"{METRICS}/nodes")
    assert (status, body["kind"]) == (200, "NodeMetricsList")
    assert body["items"][0]["usage"] == {"cpu": "0", "memory": "64Mi"}
    status, body = await served.ask(
        f"{METRICS}/pods?labelSelector=app%3Dweb&fieldSelector=metadata.name%3Dweb"
    )
    (item,) = body["items"]
    assert item["metadata"]["name"] == "web" and item["metadata"]["labels"] == {"app": "web"}
    assert item["containers"][0]["usage"]["cpu"] in ("1", "999999999n", "1000000001n")
    assert (item["window"], body["kind"]) == ("5s", "PodMetricsList")
    assert served.api.queries[-1]["labelSelector"] == "app=web"
    assert served.api.queries[-1]["fieldSelector"] == "metadata.name=web,status.phase=Running"
    status, body = await served.ask(f"{METRICS}/nodes/n")
    assert (status, body["kind"]) == (200, "NodeMetrics")
    status, body = await served.ask(f"{METRICS}/pods", headers={"Accept": TABLE})
    assert body["kind"] == "Table" and body["rows"][0]["cells"][0] == "web"


async def test_what_is_not_there_is_refused_as_an_api_server_refuses(served: Served) -> None:
    for name in ("none", "quiet"):
        status, body = await served.ask(f"{METRICS}/namespaces/shop/pods/{name}")
        assert status == 404
        assert body["message"] == f'podmetrics.metrics.k8s.io "shop/{name}" not found'
    status, body = await served.ask(f"{METRICS}/watched")
    assert (status, body["reason"]) == (404, "NotFound")
    status, body = await served.ask(f"{METRICS}/pods?watch=1")
    assert (status, body["reason"]) == (405, "MethodNotAllowed")
    status, body = await served.ask(f"{METRICS}/pods", method="POST")
    assert (status, body["reason"]) == (405, "MethodNotAllowed")


async def test_a_node_may_go_while_it_is_asked() -> None:
    known, gone = asyncio.Event(), asyncio.Event()
    node = {
        "metadata": {"name": "worker-1"},
        "status": {
            # Not of this cluster: nothing is really asked.
            "addresses": [{"type": "InternalIP", "address": "192.0.2.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        },
    }

    class Nodes:
        async def watch(self, path: str, *, label_selector: str) -> AsyncIterator[Change]:
            yield Change("added", node)
            known.set()
            await gone.wait()
            yield Change("deleted", node)

    scraper = Scraper(cast(ApiClient, Nodes()), AddressPlan(7), MetricsStore())
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(scraper.follow_nodes())
        await known.wait()
        tasks.create_task(scraper.round())
        gone.set()


async def test_discovery_comes_in_both_forms(served: Served) -> None:
    assert (await served.ask("/apis"))[1]["kind"] == "APIGroupList"
    assert (await served.ask("/apis", headers={"Accept": AGGREGATED}))[1]["kind"] == "APIGroupDiscoveryList"
    assert (await served.ask("/apis/metrics.k8s.io"))[1]["preferredVersion"]["version"] == "v1beta1"
    assert {each["name"] for each in (await served.ask(METRICS))[1]["resources"]} == {"nodes", "pods"}
