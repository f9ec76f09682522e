"""Which way a connection to an API server goes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import urllib3
import yaml

from k8slab.cluster.api_connection import connect, is_loopback


def kubeconfig(folder: Path, server: str, **cluster: str) -> Path:
    """A kubeconfig as kind writes it: with what it knows in itself, and not in files."""
    content: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": "c", "cluster": {"server": server, "insecure-skip-tls-verify": True, **cluster}}
        ],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}],
        "users": [{"name": "c", "user": {"token": "x"}}],
        "current-context": "c",
    }
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> str:
    """The user's machine is behind a proxy, and nothing is left out of it."""
    for name in ("NO_PROXY", "no_proxy", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.invalid:3128")
    return "proxy.invalid"


def host_of(pool: urllib3.PoolManager) -> str:
    """The proxy that a pool asks, or nothing."""
    return str(pool.proxy.host) if pool.proxy is not None else ""


@pytest.mark.parametrize("server", ["https://127.0.0.1:6443", "https://localhost:6443", "https://[::1]:6443"])
def test_a_cluster_on_this_machine_is_not_looked_for_through_a_proxy(
    tmp_path: Path, proxy: str, server: str
) -> None:
    """kubectl does the same: Go leads nothing for this machine through a proxy (net/http, useProxy)."""
    assert is_loopback(server)
    assert host_of(connect(kubeconfig(tmp_path, server)).pool) == ""


def test_other_machines_and_proxies_that_a_kubeconfig_names_are_asked_through_them(
    tmp_path: Path, proxy: str
) -> None:
    assert host_of(connect(kubeconfig(tmp_path, "https://192.0.2.7:6443")).pool) == proxy
    named = {"proxy-url": "http://named.invalid:3128"}
    assert host_of(connect(kubeconfig(tmp_path, "https://127.0.0.1:6443", **named)).pool) == "named.invalid"
