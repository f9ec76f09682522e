"""The aggregated API metrics.k8s.io/v1beta1, as metrics-server serves it to the API server."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

from aiohttp import web

from k8slab.addons.metrics import objects
from k8slab.addons.metrics.access import Authorizer, user_of
from k8slab.addons.metrics.objects import GROUP, VERSION, Json
from k8slab.addons.metrics.store import MetricsStore, Use
from k8slab.api_client import ApiClient
from k8slab.errors import ApiError

PARTIAL = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
PAGE = "500"

HEALTH = ("/healthz", "/livez", "/readyz")
_TABLE = re.compile(r"^application/json;(?=[^,]*as=Table)(?=[^,]*v=v1(;|,|$))")

Row = tuple[Json, Sequence[Use]]


class MetricsApi:
    """Answers what the API server passes on.

    Args:
        client: a client of the API server that may list nodes and Pods.
        store: what was measured.
    """

    def __init__(self, client: ApiClient, store: MetricsStore) -> None:
        self._client = client
        self._store = store
        self._authorizer = Authorizer(client)

    def application(self) -> web.Application:
        """The web application."""
        application = web.Application(middlewares=[self._gate])
        resource = f"/apis/{VERSION}"
        application.add_routes(
            [
                *(web.get(path, self._healthy) for path in HEALTH),
                web.get("/apis", self._discovery),
                web.get(f"/apis/{GROUP}", _document(objects.api_group())),
                web.get(resource, _document(objects.api_resource_list())),
                web.get(resource + "/{resource:nodes}", self._list),
                web.get(resource + "/{resource:nodes}/{name}", self._get),
                web.get(resource + "/{resource:pods}", self._list),
                web.get(resource + "/namespaces/{namespace}/{resource:pods}", self._list),
                web.get(resource + "/namespaces/{namespace}/{resource:pods}/{name}", self._get),
            ]
        )
        return application

    # -- who may -------------------------------------------------------------------------------

    @web.middleware
    async def _gate(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        try:
            if request.path not in HEALTH:
                await self._authorize(request)
            return await handler(request)
        except web.HTTPNotFound:
            return _status(404, "NotFound", "the server could not find the requested resource")
        except web.HTTPMethodNotAllowed:
            text = "the server does not allow this method on the requested resource"
            return _status(405, "MethodNotAllowed", text)
        except ApiError as error:
            return _status(error.status or 503, error.reason or "ServiceUnavailable", error.message)

    async def _authorize(self, request: web.Request) -> None:
        transport = request.transport
        certificate = transport.get_extra_info("peercert") if transport else None
        user = user_of(certificate, request.headers.items())
        if user is None:
            raise ApiError(401, "Unauthorized", "Unauthorized")
        match = request.match_info
        resource = match.get("resource", "")
        if not resource:
            if not await self._authorizer.may(user, {}, request.path):
                text = f'forbidden: User "{user.name}" cannot get path "{request.path}"'
                raise ApiError(403, "Forbidden", text)
            return
        name, namespace = match.get("name", ""), match.get("namespace", "")
        attributes = {
            "group": GROUP,
            "version": "v1beta1",
            "resource": resource,
            "verb": "get" if name else "list",
            "namespace": namespace,
            "name": name,
        }
        if not await self._authorizer.may(user, attributes):
            scope = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
            named = f' "{name}"' if name else ""
            raise ApiError(
                403,
                "Forbidden",
                f'{resource}.{GROUP}{named} is forbidden: User "{user.name}" cannot {attributes["verb"]} '
                f'resource "{resource}" in API group "{GROUP}" {scope}',
            )

    # -- answers -------------------------------------------------------------------------------

    async def _healthy(self, request: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def _discovery(self, request: web.Request) -> web.Response:
        if objects.AGGREGATED in request.headers.get("Accept", ""):
            return _json(objects.aggregated_discovery(), content_type=objects.AGGREGATED)
        return _json(objects.api_group_list())

    async def _list(self, request: web.Request) -> web.Response:
        resource = request.match_info["resource"]
        if request.query.get("watch") in ("1", "true"):
            text = f'watch is not supported on resources of kind "{resource}.{GROUP}"'
            raise ApiError(405, "MethodNotAllowed", text)
        selectors = {
            key: request.query[key] for key in ("labelSelector", "fieldSelector") if key in request.query
        }
        namespace = request.match_info.get("namespace", "")
        rows = [row async for row in self._rows(resource, namespace, selectors)]
        if _wants_table(request):
            return _json(objects.table(rows))
        return _json(objects.listed(resource, [item for item, _ in rows]))

    async def _get(self, request: web.Request) -> web.Response:
        resource, name = request.match_info["resource"], request.match_info["name"]
        namespace = request.match_info.get("namespace", "")
        selectors = {"fieldSelector": f"metadata.name={name}"}
        rows = [row async for row in self._rows(resource, namespace, selectors)]
        if not rows:
            told = f"{namespace}/{name}" if namespace else name
            kind = objects.KINDS[resource].lower()
            raise ApiError(404, "NotFound", f'{kind}.{GROUP} "{told}" not found')
        if _wants_table(request):
            return _json(objects.table(rows))
        return _json(objects.whole(resource, rows[0][0]))

    async def _rows(self, resource: str, namespace: str, selectors: Mapping[str, str]) -> AsyncIterator[Row]:
        now = time.time()
        if resource == "nodes":
            async for metadata in self._metadata("/api/v1/nodes", selectors):
                use = self._store.node(metadata["name"])
                if use is not None:
                    yield objects.node_metrics(metadata, use, now), [use]
            return
        fields = [selectors.get("fieldSelector", ""), "status.phase=Running"]
        selectors = {**selectors, "fieldSelector": ",".join(filter(None, fields))}
        path = f"/api/v1/namespaces/{namespace}/pods" if namespace else "/api/v1/pods"
        async for metadata in self._metadata(path, selectors):
            uses = self._store.pod(metadata["namespace"], metadata["name"])
            if uses:
                yield objects.pod_metrics(metadata, uses, now), list(uses.values())

    async def _metadata(self, path: str, selectors: Mapping[str, str]) -> AsyncIterator[Json]:
        """The metadata of what is there, page by page: thousands of Pods need not be held at once."""
        query = {**selectors, "limit": PAGE}
        while True:
            page = await self._client.request("GET", path, query, accept=PARTIAL)
            for item in page.get("items") or []:
                yield item["metadata"]
            token = page.get("metadata", {}).get("continue")
            if not token:
                return
            query["continue"] = token


def _document(body: Json) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(request: web.Request) -> web.Response:
        return _json(body)

    return answer


def _wants_table(request: web.Request) -> bool:
    return bool(_TABLE.match(request.headers.get("Accept", "").replace(" ", "")))


def _status(code: int, reason: str, message: str) -> web.Response:
    body: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    return _json({**body, "message": message, "reason": reason, "code": code}, code)


def _json(body: Json, status: int = 200, content_type: str = "application/json") -> web.Response:
    response = web.json_response(body, status=status)
    response.headers["Content-Type"] = content_type
    return response
