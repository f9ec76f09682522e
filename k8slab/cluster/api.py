"""Reading a cluster from the lab's side: raw JSON over the official client's connection.

The official client's models, `Watch` and informers are not used: they have no read timeout
and no backoff. `api_connection` says where it is used.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import urllib3

from k8slab.cluster.api_connection import ApiConnection, connect
from k8slab.errors import ApiError

PAGE_SIZE = 500
"""Objects a list page holds at most, as client-go's pager."""


@dataclass(frozen=True)
class Kind:
    """One kind of object as the API server names it.

    Args:
        kind: `Pod`.
        plural: `pods`.
        prefix: `/api/v1` or `/apis/<group>/<version>`.
        namespaced: whether its objects live in namespaces.
    """

    kind: str
    plural: str
    prefix: str
    namespaced: bool = True

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The URL path of a collection, an object or a subresource."""
        parts = [self.prefix]
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        parts += [part for part in (name, subresource) if part]
        return "/".join(parts)


KINDS: dict[str, Kind] = {
    kind.plural: kind
    for kind in (
        Kind("Node", "nodes", "/api/v1", namespaced=False),
        Kind("Namespace", "namespaces", "/api/v1", namespaced=False),
        Kind("Pod", "pods", "/api/v1"),
        Kind("Service", "services", "/api/v1"),
        Kind("ConfigMap", "configmaps", "/api/v1"),
        Kind("Secret", "secrets", "/api/v1"),
        Kind("Event", "events", "/api/v1"),
        Kind("PersistentVolumeClaim", "persistentvolumeclaims", "/api/v1"),
        Kind("ReplicationController", "replicationcontrollers", "/api/v1"),
        Kind("EndpointSlice", "endpointslices", "/apis/discovery.k8s.io/v1"),
        Kind("ReplicaSet", "replicasets", "/apis/apps/v1"),
        Kind("Deployment", "deployments", "/apis/apps/v1"),
        Kind("StatefulSet", "statefulsets", "/apis/apps/v1"),
        Kind("DaemonSet", "daemonsets", "/apis/apps/v1"),
        Kind("Job", "jobs", "/apis/batch/v1"),
        Kind("CronJob", "cronjobs", "/apis/batch/v1"),
        Kind("Ingress", "ingresses", "/apis/networking.k8s.io/v1"),
        Kind("ResourceQuota", "resourcequotas", "/api/v1"),
        Kind("HorizontalPodAutoscaler", "horizontalpodautoscalers", "/apis/autoscaling/v2"),
        Kind("StorageClass", "storageclasses", "/apis/storage.k8s.io/v1", namespaced=False),
    )
}
"""The kinds the lab reads, by plural name."""


class Api:
    """A connection to one API server, as one context of one kubeconfig. Safe to use from several threads.

    Args:
        kubeconfig: the file; `~/.kube/config` and `KUBECONFIG` are never consulted.
        context: name of the context; the file's own current one if empty.
        renew: brings the file up to date when its credentials were refused; None where nobody renews them.
    """

    def __init__(
        self, kubeconfig: Path, context: str = "", renew: Callable[[], object] | None = None
    ) -> None:
        self.kubeconfig = kubeconfig
        self.context = context
        self.renew_credentials = renew
        self._connection: ApiConnection | None = None

    def _connected(self) -> ApiConnection:
        if self._connection is None:
            self._connection = connect(self.kubeconfig, self.context)
        return self._connection

    @property
    def server(self) -> str:
        """URL of the API server."""
        return self._connected().server

    def reconnect(self) -> None:
        """Forget the connection, so that the kubeconfig (a rotated token, say) is read again."""
        self._connection = None

    def open(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
        timeout: tuple[float, float] = (5, 30),
    ) -> urllib3.BaseHTTPResponse:
        """Send one request and return the response with its body unread. Never retried.

        But once where credentials can be renewed and were refused: what they came with was not looked at.
        Everything but GET belongs to the guard: a test reads the source tree for other callers.

        Args:
            method: HTTP method.
            path: path on the API server, such as `/api/v1/pods`.
            query: query parameters.
            body: an object to send as JSON, or bytes to send as they are.
            content_type: media type of the body.
            timeout: seconds to connect, and seconds between two reads.

        Raises:
            ClusterStateError: credentials were refused, and the context leads elsewhere by now.
        """
        response = self._send(method, path, query, body, content_type, timeout)
        if response.status == 401 and self.renew_credentials is not None:
            response.drain_conn()
            response.release_conn()
            self.renew_credentials()
            self.reconnect()
            response = self._send(method, path, query, body, content_type, timeout)
        return response

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: Any,
        content_type: str,
        timeout: tuple[float, float],
    ) -> urllib3.BaseHTTPResponse:
        connection = self._connected()
        headers = {"Accept": "application/json", **connection.credentials()}
        data: bytes | None = None
        if body is not None:
            headers["Content-Type"] = content_type
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
        response: urllib3.BaseHTTPResponse = connection.pool.request(
            method,
            connection.server + path + (f"?{urlencode(query)}" if query else ""),
            body=data,
            headers=headers,
            preload_content=False,
            redirect=False,
            retries=False,
            timeout=urllib3.Timeout(connect=timeout[0], read=timeout[1]),
        )
        return response

    def read(self, path: str, query: Mapping[str, str] | None = None, timeout: float = 30) -> bytes:
        """The body that a GET answers.

        Raises:
            ApiError: the server refused; NotFoundError for 404.
        """
        response = self.open("GET", path, query, timeout=(5, timeout))
        return checked_body(response)

    def get(self, path: str, query: Mapping[str, str] | None = None) -> dict[str, Any]:
        """The JSON object that a GET answers.

        Raises:
            ApiError: the server refused; NotFoundError for 404.
        """
        parsed: dict[str, Any] = json.loads(self.read(path, query))
        return parsed

    def list(
        self, plural: str, namespace: str = "", labels: str = "", fields: str = "", limit: int = PAGE_SIZE
    ) -> tuple[list[dict[str, Any]], str]:
        """All objects of a kind, page by page.

        Args:
            plural: the kind, as in `KINDS`.
            namespace: only there; everywhere if empty.
            labels: label selector.
            fields: field selector.
            limit: objects a page.

        Returns:
            The objects, and the list's resourceVersion.
        """
        query = {"limit": str(limit)}
        if labels:
            query["labelSelector"] = labels
        if fields:
            query["fieldSelector"] = fields
        kind = KINDS[plural]
        objects: list[dict[str, Any]] = []
        while True:
            page = self.get(kind.path(namespace), query)
            objects += page.get("items") or []
            metadata = page.get("metadata", {})
            if not metadata.get("continue"):
                return objects, str(metadata.get("resourceVersion", ""))
            query["continue"] = metadata["continue"]


def checked_body(response: urllib3.BaseHTTPResponse) -> bytes:
    """The whole body of a response; its connection goes back to the pool.

    Raises:
        ApiError: the status is 400 or above.
    """
    try:
        body: bytes = response.read()
    finally:
        response.release_conn()
    if response.status >= 400:
        raise ApiError.from_response(response.status, body)
    return body
