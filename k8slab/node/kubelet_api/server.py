"""The kubelet's own API: logs, exec, attach, pods, stats; over TLS, for the API server alone."""

from __future__ import annotations

import logging
import ssl
import time
from typing import Any

from aiohttp import web

from k8slab.folders import ClusterFolder
from k8slab.network.addresses import KUBELET_PORT
from k8slab.node.kubelet_api.containers import ContainerApi
from k8slab.node.kubelet_api.metrics import CONTENT_TYPE, kubelet_metrics, resource_metrics
from k8slab.node.kubelet_api.source import NotServedError, PodSource
from k8slab.node.node_use import summary

log = logging.getLogger(__name__)

API_SERVER = "kube-apiserver-kubelet-client"
METRICS_SERVER = "k8slab:metrics-server"
"""May read metrics and nothing else, as a kubelet's webhook would let it for `get nodes/metrics`."""


class KubeletApi:
    """Serves the kubelet's API for as long as the context lasts.

    Args:
        folder: the cluster's folder, for certificates.
        address: the twin of the node's address.
        name: the node's name.
        source: the node's Pods.
    """

    def __init__(self, folder: ClusterFolder, address: str, name: str, source: PodSource) -> None:
        self._address = address
        self._name = name
        self._source = source
        self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(folder.certificate("ca")))
        self._tls.verify_mode = ssl.CERT_REQUIRED
        pair = folder.certificate(f"kubelet-{name}"), folder.key(f"kubelet-{name}")
        self._tls.load_cert_chain(str(pair[0]), str(pair[1]))
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> KubeletApi:
        application = web.Application(middlewares=[self._authorize])
        application.add_routes(
            [
                web.get("/healthz", self._healthz),
                web.get("/pods", self._pods),
                web.get("/stats/summary", self._stats),
                web.get("/metrics", self._metrics),
                web.get("/metrics/resource", self._resource_metrics),
                web.get("/configz", self._configuration),
                *ContainerApi(self._source).routes(),
                web.route("*", "/{path:.*}", self._not_served),
            ]
        )
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._address, KUBELET_PORT, ssl_context=self._tls).start()
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    # -- who may -------------------------------------------------------------------------------

    @web.middleware
    async def _authorize(self, request: web.Request, handler: Any) -> web.StreamResponse:
        user = _user(request)
        may = user == API_SERVER
        if not may and not (user == METRICS_SERVER and request.path.startswith("/metrics")):
            resource = f"resource=nodes, subresource(s)=[{request.path.split('/')[1]}]"
            return web.Response(status=403, text=f"Forbidden (user={user}, verb=get, {resource})")
        try:
            response: web.StreamResponse = await handler(request)
        except NotServedError as error:
            return web.Response(status=error.status, text=str(error))
        return response

    # -- plain answers -------------------------------------------------------------------------

    async def _healthz(self, request: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def _pods(self, request: web.Request) -> web.Response:
        items = self._source.pods()
        return web.json_response({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items})

    async def _stats(self, request: web.Request) -> web.Response:
        return web.json_response(summary(await self._source.stats()))

    async def _metrics(self, request: web.Request) -> web.Response:
        text = kubelet_metrics(await self._source.stats(), time.process_time())
        return web.Response(body=text.encode(), headers={"Content-Type": CONTENT_TYPE})

    async def _resource_metrics(self, request: web.Request) -> web.Response:
        try:
            text = resource_metrics(await self._source.stats())
        except NotServedError as error:
            log.debug("nothing could be measured: %s", error)
            text = resource_metrics(None)
        return web.Response(body=text.encode(), headers={"Content-Type": CONTENT_TYPE})

    async def _configuration(self, request: web.Request) -> web.Response:
        return web.json_response({"kubeletconfig": self._source.configuration()})

    async def _not_served(self, request: web.Request) -> web.Response:
        code, reason, text = refusal(request.path.lstrip("/"), self._name)
        status = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": text,
            "reason": reason,
            "code": code,
        }
        return web.json_response(status, status=code)


def refusal(path: str, node: str) -> tuple[int, str, str]:
    """What is said of a path that is not served. Pure.

    Args:
        path: the path, without the slash in front.
        node: the node's name.

    Returns:
        HTTP status code, the reason of a Status, and a sentence.
    """
    if path.split("/")[0] == "logs":
        text = "logs endpoint is disabled. A process node has no /var/log of its own"
        return (
            405,
            "MethodNotAllowed",
            f"{text}; the agent's own log is logs/{node}-agent.log in the cluster's folder.",
        )
    served = "/healthz, /pods, /configz, /stats/summary, /metrics and /metrics/resource"
    return 501, "NotImplemented", f"k8slab's nodes do not serve /{path}; they serve {served}."


def _user(request: web.Request) -> str:
    """The user that a request's client certificate names; empty if it names none."""
    transport = request.transport
    certificate: dict[str, Any] = (transport.get_extra_info("peercert") if transport else None) or {}
    parts = [pair for group in certificate.get("subject", ()) for pair in group]
    return str(next((value for key, value in parts if key == "commonName"), ""))
