"""The part of the kubelet's API that is about one Pod or container: logs, exec, attach, forwarded ports.

Paths, texts and status codes are those of pkg/kubelet/server/server.go and pkg/kubelet/kubelet_pods.go of
Kubernetes 1.36.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator

from aiohttp import web

from k8slab.node.containers.container_streams import command_streams, program_streams
from k8slab.node.kubelet_api.clients import NoCommonProtocolError, Wanted
from k8slab.node.kubelet_api.forwarding import BadForwardRequestError, forward_ports
from k8slab.node.kubelet_api.logs import LogOptions, read_log
from k8slab.node.kubelet_api.source import NotServedError, PodSource
from k8slab.node.kubelet_api.streams import Joining, converse
from k8slab.node.pods import pod_spec
from k8slab.node.pods.pod_spec import Pod

log = logging.getLogger(__name__)


class ContainerApi:
    """Answers the requests about one Pod or container.

    Args:
        source: the node's Pods.
    """

    def __init__(self, source: PodSource) -> None:
        self._source = source

    def routes(self) -> Iterator[web.RouteDef]:
        """What is served, for aiohttp."""
        yield web.get("/containerLogs/{namespace}/{pod}/{container}", self._logs)
        for verb, handler, container in (
            ("exec", self._exec, "/{container}"),
            ("attach", self._attach, "/{container}"),
            ("portForward", self._port_forward, ""),
        ):
            for path in ("{namespace}/{pod}", "{namespace}/{pod}/{uid}"):
                # A SPDY client asks with POST, and so does kubectl where a WebSocket was refused.
                for method in ("GET", "POST"):
                    yield web.route(method, f"/{verb}/{path}{container}", handler)

    def _pod(self, request: web.Request, text: str = "pod does not exist") -> Pod:
        namespace, name = request.match_info["namespace"], request.match_info["pod"]
        for pod in self._source.pods():
            metadata = pod["metadata"]
            uid = request.match_info.get("uid", metadata["uid"])
            if (metadata["namespace"], metadata["name"], metadata["uid"]) == (namespace, name, uid):
                return pod
        raise NotServedError(404, text)

    # -- logs ----------------------------------------------------------------------------------

    async def _logs(self, request: web.Request) -> web.StreamResponse:
        name, container = request.match_info["pod"], request.match_info["container"]
        pod = self._pod(request, f'pod "{name}" does not exist')
        if pod_spec.container_named(pod, container) is None:
            raise NotServedError(404, f'container "{container}" not found in pod "{name}"')
        try:
            options = LogOptions.of(request.query, time.time())
        except ValueError as error:
            raise NotServedError(400, f'{{"message": "Unable to decode query."}} ({error})') from error
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
        wanted = _wanted(request)
        pod, container = self._pod(request), request.match_info["container"]
        target = self._source.running(pod, container)
        if target is None:
            raise NotServedError(500, f'container not found ("{container}")')
        argv = request.query.getall("command", [])
        if not argv:
            raise NotServedError(400, "you must specify at least 1 command for the container")
        streams = command_streams(
            target.runtime, target.pod, target.container, argv, wanted.tty, wanted.stdin, outlives=True
        )
        return await _converse(request, Joining(streams, target.runtime, target.container, argv), wanted)

    async def _attach(self, request: web.Request) -> web.StreamResponse:
        wanted = _wanted(request)
        pod, container = self._pod(request), request.match_info["container"]
        target = self._source.running(pod, container)
        if target is None:
            full_name = f"{pod['metadata']['name']}_{pod['metadata']['namespace']}"
            raise NotServedError(500, f"container {container} not found in pod {full_name}")
        streams = program_streams(target.runtime, target.pod, target.container)
        return await _converse(request, Joining(streams, target.runtime, target.container), wanted)

    async def _port_forward(self, request: web.Request) -> web.StreamResponse:
        pod = self._pod(request)
        metadata = pod["metadata"]
        if not self._source.has_running(pod):
            raise NotServedError(500, f'pod not found ("{metadata["name"]}_{metadata["namespace"]}")')
        try:
            return await forward_ports(
                request, metadata["uid"].replace("-", ""), lambda port: self._source.connect(pod, port)
            )
        except BadForwardRequestError as error:
            raise NotServedError(error.status, str(error)) from error


def _wanted(request: web.Request) -> Wanted:
    wanted = Wanted.of(request.query)
    if wanted.nothing:
        raise NotServedError(400, "you must specify at least 1 of stdin, stdout, stderr")
    return wanted


async def _converse(request: web.Request, joining: Joining, wanted: Wanted) -> web.StreamResponse:
    if "upgrade" not in request.headers.get("Connection", "").lower():
        raise NotServedError(400, "Upgrade request required")
    try:
        return await converse(request, joining, wanted)
    except NoCommonProtocolError as error:
        raise NotServedError(403, str(error)) from error
