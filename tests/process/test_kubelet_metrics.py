"""Who may read a kubelet's metrics, over real TLS, and what it says when nothing could be measured."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest

from k8slab.cluster.embedded.certificates import CertificateAuthority
from k8slab.folders import ClusterFolder
from k8slab.node.kubelet_api import server as kubelet_api
from k8slab.node.kubelet_api.server import KubeletApi
from k8slab.node.kubelet_api.source import NotServedError
from k8slab.node.node_use import NodeUse, Use


class Measured:
    """A node whose use is known, or not."""

    def __init__(self) -> None:
        self.fails = False

    def pods(self) -> list[dict[str, Any]]:
        return []

    async def stats(self) -> NodeUse:
        if self.fails:
            raise NotServedError(500, "the runtime does not answer")
        return NodeUse("n", 1_800_000_000.0, Use(1_800_000_000.0, 2.5, 4096), [])


async def test_who_may_read_a_kubelets_metrics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = ClusterFolder(tmp_path / "c")
    folder.pki.mkdir(parents=True)
    authority = CertificateAuthority("kubernetes")
    pairs = {
        "ca": authority.pair,
        "kubelet-n": authority.server("n", ["127.0.0.1"]),
        "api": authority.client("kube-apiserver-kubelet-client"),
        "metrics-server": authority.client("k8slab:metrics-server"),
        "user": authority.client("jane", ["developers"]),
    }
    for name, pair in pairs.items():
        folder.certificate(name).write_text(pair.certificate)
        folder.key(name).write_text(pair.key)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setattr(kubelet_api, "KUBELET_PORT", port)
    source = Measured()
    async with (
        KubeletApi(folder, "127.0.0.1", "n", cast(Any, source)),
        aiohttp.ClientSession() as session,
    ):

        async def ask(path: str, user: str) -> tuple[int, str]:
            context = ssl.create_default_context(cafile=str(folder.certificate("ca")))
            context.load_cert_chain(str(folder.certificate(user)), str(folder.key(user)))
            async with session.get(f"https://127.0.0.1:{port}{path}", ssl=context) as answer:
                return answer.status, await answer.text()

        for user in ("api", "metrics-server"):
            status, text = await ask("/metrics/resource", user)
            assert status == 200 and "node_cpu_usage_seconds_total 2.5 1800000000000" in text
            status, text = await ask("/metrics", user)
            assert status == 200 and 'kubelet_node_name{node="n"} 1' in text
        # `get nodes/metrics` is all that a metrics-server may, as by the role in its manifest.
        for path in ("/pods", "/stats/summary", "/containerLogs/a/b/c", "/exec/a/b/c"):
            assert (await ask(path, "metrics-server"))[0] == 403, path
        assert (await ask("/metrics/resource", "user"))[0] == 403
        assert (await ask("/stats/summary", "api"))[0] == 200
        source.fails = True
        status, text = await ask("/metrics/resource", "metrics-server")
        assert status == 200 and "\nresource_scrape_error 1\n" in text and "node_cpu" not in text
        assert (await ask("/stats/summary", "api"))[0] == 500
