"""A small async client of the API server, for the processes that play a node and the network.

The official client is synchronous and its watch has no read timeout and no backoff; aiohttp
brings the connections, this module the Kubernetes part: errors from Status objects, and a
watch that starts with a list and never ends, so that a consumer sees each object's last state
even when the API server was away.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import aiohttp
import yaml

from k8slab.api_watch import Change, follow, unreachable
from k8slab.errors import ApiError, ClusterStateError

__all__ = ["MERGE", "STRATEGIC_MERGE", "ApiClient", "Change", "Identity"]

PAGE_SIZE = 500
"""Objects a list page holds at most, as client-go's pager."""

STRATEGIC_MERGE = "application/strategic-merge-patch+json"
MERGE = "application/merge-patch+json"


@dataclass(frozen=True)
class Identity:
    """What a kubeconfig says about one user of one cluster.

    Args:
        server: URL of the API server.
        authority: file of the certificate authority that signed the server's certificate.
        certificate: file of the client certificate.
        key: file of its private key.
    """

    server: str
    authority: Path
    certificate: Path
    key: Path

    @staticmethod
    def from_kubeconfig(path: Path) -> Identity:
        """Read the current context of a kubeconfig whose credentials are files.

        Raises:
            ClusterStateError: the file is absent, or names no certificate files.
        """
        try:
            config: dict[str, Any] = yaml.load(path.read_text(), Loader=_loader())
        except FileNotFoundError:
            raise ClusterStateError(
                f"There is no kubeconfig at {path}.",
                "The supervisor writes it before it starts this process.",
            ) from None
        try:
            contexts = {entry["name"]: entry["context"] for entry in config["contexts"]}
            context = contexts[config["current-context"]]
            cluster = {entry["name"]: entry["cluster"] for entry in config["clusters"]}[context["cluster"]]
            user = {entry["name"]: entry["user"] for entry in config["users"]}[context["user"]]
            folder = path.parent
            return Identity(
                server=str(cluster["server"]).rstrip("/"),
                authority=folder / cluster["certificate-authority"],
                certificate=folder / user["client-certificate"],
                key=folder / user["client-key"],
            )
        except (KeyError, TypeError) as error:
            raise ClusterStateError(
                f"{path} lacks {error}: wanted a current context with server, certificate-authority, "
                "client-certificate and client-key as files."
            ) from error

    def tls(self) -> ssl.SSLContext:
        """A TLS context that trusts the cluster's authority alone and presents the client certificate."""
        context = ssl.create_default_context(cafile=str(self.authority))
        context.load_cert_chain(str(self.certificate), str(self.key))
        return context


def _loader() -> Any:
    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class ApiClient:
    """A connection to one API server as one user. An async context manager; for one event loop.

    Args:
        identity: server and credentials.
        user_agent: name that the audit log shows.
    """

    def __init__(self, identity: Identity, user_agent: str = "k8slab") -> None:
        self.identity = identity
        self.user_agent = user_agent
        self._session: aiohttp.ClientSession | None = None

    @classmethod
    def from_kubeconfig(cls, path: Path, user_agent: str = "k8slab") -> Self:
        """The client of a kubeconfig's current context.

        Raises:
            ClusterStateError: the file is absent or incomplete.
        """
        return cls(Identity.from_kubeconfig(path), user_agent)

    async def __aenter__(self) -> Self:
        tls = self.identity.tls() if self.identity.server.startswith("https:") else True
        connector = aiohttp.TCPConnector(ssl=tls, limit=0, keepalive_timeout=60)
        headers = {"User-Agent": self.user_agent, "Accept": "application/json"}
        self._session = aiohttp.ClientSession(connector=connector, headers=headers, auto_decompress=True)
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    @property
    def session(self) -> aiohttp.ClientSession:
        """The open HTTP session.

        Raises:
            ClusterStateError: outside of `async with`.
        """
        if self._session is None:
            raise ClusterStateError("The client is not open.", "Use it inside `async with`.")
        return self._session

    async def get(self, path: str, **query: str) -> dict[str, Any]:
        """The object at a path.

        Raises:
            ApiError: refused, NotFoundError for 404; status 0 and reason `Unreachable` without an answer.
        """
        return await self.request("GET", path, query)

    async def list(self, path: str, **query: str) -> dict[str, Any]:
        """All objects of a collection, page by page, as one list object.

        Raises:
            ApiError: as `get`; 410 when the list changed too long ago to continue.
        """
        query = {"limit": str(PAGE_SIZE), **query}
        whole = await self.request("GET", path, query)
        items = whole.get("items") or []
        token = whole.get("metadata", {}).get("continue")
        while token:
            page = await self.request("GET", path, {**query, "continue": token})
            items += page.get("items") or []
            token = page.get("metadata", {}).get("continue")
            whole["metadata"] = page.get("metadata", {})
        whole["items"] = items
        return whole

    async def create(self, path: str, body: dict[str, Any], **query: str) -> dict[str, Any]:
        """Create an object in a collection, or post to a subresource; returns what the server stored.

        Raises:
            ApiError: as `get`; ConflictError if it exists already.
        """
        return await self.request("POST", path, query, body)

    async def replace(self, path: str, body: dict[str, Any], **query: str) -> dict[str, Any]:
        """Replace an object whole; its `metadata.resourceVersion` guards against lost updates.

        Raises:
            ApiError: as `get`; ConflictError if it changed meanwhile.
        """
        return await self.request("PUT", path, query, body)

    async def patch(
        self,
        path: str,
        body: dict[str, Any],
        content_type: str = STRATEGIC_MERGE,
        **query: str,
    ) -> dict[str, Any]:
        """Change parts of an object; returns the whole.

        Raises:
            ApiError: as `get`; ConflictError if a `uid` or `resourceVersion` in the body does not match.
        """
        return await self.request("PATCH", path, query, body, content_type)

    async def delete(self, path: str, body: dict[str, Any] | None = None, **query: str) -> dict[str, Any]:
        """Delete an object.

        Args:
            path: the object.
            body: DeleteOptions, such as a uid precondition.
            query: query parameters.

        Raises:
            ApiError: as `get`; ConflictError if a precondition failed.
        """
        return await self.request("DELETE", path, query, body)

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
        """Send one request, never retried, and return the JSON object it answers.

        Args:
            method: HTTP method.
            path: path on the API server, such as `/api/v1/nodes`.
            query: query parameters.
            body: the object to send, if any.
            content_type: media type of the body.
            timeout: seconds for the whole exchange.
            accept: media type of the answer, if it is to be another form of JSON than the object itself.

        Raises:
            ApiError: refused; status 0 and reason `Unreachable` if no answer came.
        """
        data = None if body is None else json.dumps(body, separators=(",", ":")).encode()
        headers = {"Content-Type": content_type} if data is not None else {}
        if accept:
            headers["Accept"] = accept
        try:
            async with self.session.request(
                method,
                self.identity.server + path,
                params=query,
                data=data,
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=timeout),
            ) as response:
                text = await response.read()
                if response.status >= 400:
                    raise ApiError.from_response(response.status, text)
                parsed: dict[str, Any] = json.loads(text)
                return parsed
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise unreachable(error) from error

    async def watch(
        self, path: str, *, field_selector: str = "", label_selector: str = ""
    ) -> AsyncIterator[Change]:
        """List a collection and then follow it, for as long as the caller iterates.

        Nothing is raised: an absent server is asked again after 50 ms (later up to 2 s), a stream
        that is silent for 75 s is opened again, and where the server has forgotten the version
        asked for (410) the collection is listed again and compared, so that deletions in between
        are seen. An object that was deleted and created again under its name is told as
        `deleted` and `added`: identity is the uid.

        Args:
            path: the collection, such as `/api/v1/pods`.
            field_selector: such as `spec.nodeName=worker-1`.
            label_selector: such as `app=web`.
        """
        selectors = {"fieldSelector": field_selector, "labelSelector": label_selector}
        async for change in follow(self, path, {key: value for key, value in selectors.items() if value}):
            yield change
