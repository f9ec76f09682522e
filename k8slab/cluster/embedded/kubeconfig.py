"""Kubeconfig files of the lab's own: client certificates by file path, one user, one context."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml


def kubeconfig(cluster: str, server: str, authority: Path, user: str, certificate: Path, key: Path) -> str:
    """The text of a kubeconfig.

    Certificates are named by path: a client that finds them inline writes them to a
    temporary file, which stays behind when it is killed.

    Args:
        cluster: name of cluster and context.
        server: URL of the API server.
        authority: file of the authority that signed the server's certificate.
        user: name of the user entry.
        certificate: file of the client certificate.
        key: file of its private key.
    """
    content: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": cluster, "cluster": {"server": server, "certificate-authority": str(authority)}}
        ],
        "users": [{"name": user, "user": {"client-certificate": str(certificate), "client-key": str(key)}}],
        "contexts": [{"name": cluster, "context": {"cluster": cluster, "user": user}}],
        "current-context": cluster,
    }
    return yaml.safe_dump(content, sort_keys=False)
