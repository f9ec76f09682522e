"""The connection behind an `Api`: TLS and credentials as a kubeconfig describes them.

The lab's own kubeconfigs name certificate files and nothing else; for those a connection pool
is made directly. Every other kind of credential (tokens, exec plugins, inline certificates)
goes through the official client, which takes 0.4 s of one core to import.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import urllib3
import yaml

from k8slab.errors import ClusterStateError

CLUSTER_FILES = {"server", "certificate-authority"}
USER_FILES = {"client-certificate", "client-key"}


@dataclass(frozen=True)
class ApiConnection:
    """Where an API server answers, and how to reach it.

    Args:
        server: its URL.
        pool: the connection pool, which knows certificates and proxies.
        credentials: the headers that carry a token, made anew for each request.
    """

    server: str
    pool: urllib3.PoolManager
    credentials: Callable[[], dict[str, str]]


def connect(kubeconfig: Path, context: str = "") -> ApiConnection:
    """The connection that a context of a kubeconfig describes.

    Args:
        kubeconfig: the file.
        context: name of the context; the file's own current one if empty.

    Raises:
        ClusterStateError: the file does not exist.
    """
    try:
        content = yaml.safe_load(kubeconfig.read_text())
    except FileNotFoundError:
        raise ClusterStateError(
            f"There is no kubeconfig at {kubeconfig}: the cluster is not running.",
            "Run the cell with `Lab.open(...)` again.",
        ) from None
    return _by_files(content, context) or _by_official_client(kubeconfig, context, content)


def _by_files(content: Any, context: str) -> ApiConnection | None:
    """A connection from a kubeconfig that holds nothing but paths of certificates, or None."""
    try:
        chosen = _named(content["contexts"], context or content["current-context"])["context"]
        cluster = _named(content["clusters"], chosen["cluster"])["cluster"]
        user = _named(content["users"], chosen["user"])["user"]
    except (KeyError, TypeError, StopIteration):
        return None
    if set(cluster) != CLUSTER_FILES or set(user) != USER_FILES:
        return None
    pool = urllib3.PoolManager(
        maxsize=8,
        cert_reqs="CERT_REQUIRED",
        ca_certs=cluster["certificate-authority"],
        cert_file=user["client-certificate"],
        key_file=user["client-key"],
    )
    return ApiConnection(str(cluster["server"]).rstrip("/"), pool, dict)


def is_loopback(url: str) -> bool:
    """Whether a URL names this machine's own loopback, as kind's API servers do."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _names_a_proxy(content: Any) -> bool:
    """Whether a cluster of the kubeconfig names a proxy of its own, which is meant."""
    return any("proxy-url" in (each.get("cluster") or {}) for each in content.get("clusters") or ())


def _named(entries: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(entry for entry in entries if entry["name"] == name)


def _by_official_client(kubeconfig: Path, context: str, content: Any) -> ApiConnection:
    from kubernetes import config
    from kubernetes.client.rest import RESTClientObject

    client: Any = config.new_client_from_config(  # type: ignore[no-untyped-call]
        str(kubeconfig), context=context or None
    )
    if is_loopback(client.configuration.host) and not _names_a_proxy(content):
        # A proxy of the environment would look for it on its own machine; Go's programs never ask one here.
        client.configuration.proxy = None
        client.rest_client = RESTClientObject(client.configuration)

    def credentials() -> dict[str, str]:
        headers: dict[str, str] = {}
        client.update_params_for_auth(headers, [], ["BearerToken"], "", "GET", None)
        return headers

    return ApiConnection(client.configuration.host, client.rest_client.pool_manager, credentials)
