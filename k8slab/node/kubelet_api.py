"""The kubelet's own API: logs, exec, attach, pods, stats; over TLS, for the API server alone."""

from __future__ import annotations

import logging
import ssl
import time
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from aiohttp import web

from k8slab.folders import ClusterFolder
from k8slab.network.addresses import KUBELET_PORT
from k8slab.node import pod_spec
from k8slab.node.container_streams import ContainerStreams, command_streams, program_streams
from k8slab.node.kubelet_logs import LogOptions, LogSource, read_log
from k8slab.node.kubelet_streams import converse
from k8slab.node.pod_spec import Pod
from k8slab.node.runtime_client import RuntimeClient

log = logging.getLogger(__name__)

API_SERVER = "kube-apiserver-kubelet-client"
MASTERS = "system:masters"


class NotServedError(Exception):
    """Something that this node does not serve; the text says why.

    Args:
        status: HTTP status code.
        message: what to tell the client.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class RunningContainer:
    """A container whose streams can be joined.

    Args:
        runtime: the node's runtime.
        pod: uid of its Pod.
        container: its id.
    """

    runtime: RuntimeClient
    pod: str
    container: str


class PodSource(Protocol):
    """What the kubelet's API needs to know about the node's Pods."""

    def pods(self) -> list[Pod]:
        """All Pods of the node, with the status that the node knows."""

    def log(self, pod: Pod, container: str, previous: bool) -> LogSource:
        """The log of a container; raises NotServedError with the kubelet's words if there is none."""

    def running(self, pod: Pod, container: str) -> RunningContainer:
        """A container to join; raises NotServedError if it does not run or may not be joined."""

    async def stats(self) -> dict[str, Any]:
        """What the node's containers use, as `/stats/summary`."""


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
                web.get("/containerLogs/{namespace}/{pod}/{container}", self._logs),
                *(
                    # kubectl falls back to POST where a WebSocket is refused, and shows what that says.
                    web.route(method, path, handler)
                    for method in ("GET", "POST")
                    for verb, handler in (("exec", self._exec), ("attach", self._attach))
                    for path in (
                        f"/{verb}/{{namespace}}/{{pod}}/{{container}}",
                        f"/{verb}/{{namespace}}/{{pod}}/{{uid}}/{{container}}",
                    )
                ),
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
        user, groups = _identity(request)
        if user != API_SERVER and MASTERS not in groups:
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
        return web.json_response(await self._source.stats())

    async def _not_served(self, request: web.Request) -> web.Response:
        word = request.path.split("/")[1]
        text = f"k8slab's nodes do not serve /{word}."
        if word == "portForward":
            text = (
                "k8slab's nodes do not forward ports; reach the Pod through a Service, or with "
                "`kubectl get --raw /api/v1/namespaces/NAMESPACE/pods/NAME:PORT/proxy/`."
            )
        status = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": text,
            "reason": "NotImplemented",
            "code": 501,
        }
        return web.json_response(status, status=501)

    # -- logs ----------------------------------------------------------------------------------

    def _container(self, request: web.Request) -> tuple[Pod, str]:
        namespace, name = request.match_info["namespace"], request.match_info["pod"]
        for pod in self._source.pods():
            metadata = pod["metadata"]
            uid = request.match_info.get("uid", metadata["uid"])
            if (metadata["namespace"], metadata["name"], metadata["uid"]) == (namespace, name, uid):
                container = request.match_info["container"]
                if pod_spec.container_named(pod, container) is None:
                    raise NotServedError(404, f'container "{container}" not found in pod "{name}"')
                return pod, container
        raise NotServedError(404, f'pod "{name}" does not exist')

    async def _logs(self, request: web.Request) -> web.StreamResponse:
        pod, container = self._container(request)
        try:
            options = LogOptions.of(request.query, time.time())
        except ValueError as error:
            raise NotServedError(400, f"Unable to decode query: {error}") from error
        source = self._source.log(pod, container, options.previous)
        if not source.path.exists():
            raise NotServedError(
                400, f'unable to retrieve container logs for "{container}": its file is gone'
            )
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        try:
            async for chunk in read_log(source, options):
                await response.write(chunk)
            await response.write_eof()
        except ConnectionError as error:
            log.debug("the reader of a log is gone: %s", error)
        return response

    # -- streams -------------------------------------------------------------------------------

    async def _exec(self, request: web.Request) -> web.StreamResponse:
        pod, container = self._container(request)
        target = self._source.running(pod, container)
        argv = request.query.getall("command", [])
        if not argv:
            raise NotServedError(400, "you must specify at least 1 command")
        tty, stdin = request.query.get("tty") == "1", request.query.get("input") == "1"
        streams = command_streams(target.runtime, target.pod, target.container, argv, tty, stdin)
        return await self._converse(request, streams, target)

    async def _attach(self, request: web.Request) -> web.StreamResponse:
        pod, container = self._container(request)
        target = self._source.running(pod, container)
        streams = program_streams(target.runtime, target.pod, target.container)
        return await self._converse(request, streams, target)

    async def _converse(
        self,
        request: web.Request,
        streams: AbstractAsyncContextManager[ContainerStreams],
        target: RunningContainer,
    ) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() != "websocket":
            text = "k8slab's nodes speak WebSocket only (v4 and v5.channel.k8s.io); use kubectl 1.31 or newer"
            raise NotServedError(400, text)
        return await converse(request, streams, target.runtime, target.container)


def _identity(request: web.Request) -> tuple[str, set[str]]:
    """User and groups in a request's client certificate."""
    transport = request.transport
    certificate: dict[str, Any] = (transport.get_extra_info("peercert") if transport else None) or {}
    parts = [pair for group in certificate.get("subject", ()) for pair in group]
    user = next((value for key, value in parts if key == "commonName"), "")
    return user, {value for key, value in parts if key == "organizationName"}
