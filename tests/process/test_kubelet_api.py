"""The kubelet's API of a node agent over real TLS: who may ask what."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from k8slab.cluster.embedded.certificates import CertificateAuthority
from k8slab.folders import ClusterFolder
from k8slab.node.kubelet_api import server as kubelet_api
from k8slab.node.kubelet_api.logs import LogSource
from k8slab.node.kubelet_api.server import KubeletApi
from k8slab.node.kubelet_api.source import NotServedError, RunningContainer
from k8slab.node.node_use import NodeUse, Use

POD: dict[str, Any] = {
    "metadata": {"name": "web", "namespace": "default", "uid": "u1", "resourceVersion": "5"},
    "spec": {"containers": [{"name": "main", "image": "busybox"}]},
    "status": {},
}


class OnePod:
    """A node with one Pod whose log is a file."""

    def __init__(self, log: Path) -> None:
        self.path = log

    def pods(self) -> list[dict[str, Any]]:
        return [POD]

    def log(self, pod: dict[str, Any], container: str, previous: bool) -> LogSource:
        if previous:
            raise NotServedError(400, "there was none before")
        return LogSource(self.path, lambda: False)

    def running(self, pod: dict[str, Any], container: str) -> RunningContainer | None:
        if container == "joined":
            raise NotServedError(400, "a reason")
        return None

    def has_running(self, pod: dict[str, Any]) -> bool:
        return bool(pod["metadata"]["name"] == "web")

    async def connect(
        self, pod: dict[str, Any], port: int
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        raise ConnectionRefusedError("nobody listens")

    async def stats(self) -> NodeUse:
        return NodeUse("n", 0.0, Use(0.0, 0.0, 0), [])

    def configuration(self) -> dict[str, Any]:
        return {"port": 10250}


@pytest.fixture
def pki(tmp_path: Path) -> ClusterFolder:
    folder = ClusterFolder(tmp_path / "c")
    folder.pki.mkdir(parents=True)
    authority, stranger = CertificateAuthority("kubernetes"), CertificateAuthority("somebody")
    pairs = {
        "ca": authority.pair,
        "kubelet-n": authority.server("n", ["127.0.0.1"]),
        "api": authority.client("kube-apiserver-kubelet-client"),
        "admin": authority.client("root", ["system:masters"]),
        "user": authority.client("jane", ["developers"]),
        "stranger": stranger.client("kube-apiserver-kubelet-client"),
    }
    for name, pair in pairs.items():
        folder.certificate(name).write_text(pair.certificate)
        folder.key(name).write_text(pair.key)
    return folder


def tls(folder: ClusterFolder, user: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(folder.certificate("ca")))
    if user:
        context.load_cert_chain(str(folder.certificate(user)), str(folder.key(user)))
    return context


async def test_who_may_ask_a_kubelet_what(
    pki: ClusterFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    monkeypatch.setattr(kubelet_api, "KUBELET_PORT", port)
    (tmp_path / "0.log").write_text("2026-01-01T00:00:00.000000000Z stdout F hello\n")
    async with (
        KubeletApi(pki, "127.0.0.1", "n", OnePod(tmp_path / "0.log")),
        aiohttp.ClientSession() as session,
    ):

        async def ask(path: str, user: str = "api", method: str = "GET") -> tuple[int, str]:
            url = f"https://127.0.0.1:{port}{path}"
            async with session.request(method, url, ssl=tls(pki, user)) as response:
                return response.status, await response.text()

        assert await ask("/healthz") == (200, "ok")
        # Whoever may do everything at the API server may not go past it.
        for other in ("user", "admin"):
            status, text = await ask("/pods", other)
            assert status == 403 and f"user={'jane' if other == 'user' else 'root'}" in text
        for nobody in ("", "stranger"):
            with pytest.raises(aiohttp.ClientError):
                await ask("/healthz", nobody)
        assert json.loads((await ask("/pods"))[1])["items"][0]["metadata"]["name"] == "web"
        assert json.loads((await ask("/configz"))[1]) == {"kubeletconfig": {"port": 10250}}
        assert await ask("/containerLogs/default/web/main") == (200, "hello\n")
        assert await ask("/containerLogs/default/web/main?previous=true") == (400, "there was none before")
        assert await ask("/containerLogs/default/web/other") == (
            404,
            'container "other" not found in pod "web"',
        )
        assert await ask("/containerLogs/default/none/main") == (404, 'pod "none" does not exist')
        assert (await ask("/containerLogs/default/web/main?tailLines=x"))[0] == 400
        for path, refusal in (
            (
                "exec/default/web/main?command=ls",
                (400, "you must specify at least 1 of stdin, stdout, stderr"),
            ),
            ("exec/default/web/main?command=ls&output=1", (500, 'container not found ("main")')),
            ("exec/default/web/u1/joined?command=ls&output=1", (400, "a reason")),
            ("exec/default/web/u2/main?command=ls&output=1", (404, "pod does not exist")),
            ("attach/default/web/main?output=1", (500, "container main not found in pod web_default")),
            ("portForward/default/none", (404, "pod does not exist")),
            ("portForward/default/web", (400, "Upgrade request required")),
        ):
            for method in ("GET", "POST"):
                assert await ask(f"/{path}", method=method) == refusal, path
        status, text = await ask("/logs/")
        assert status == 405 and json.loads(text)["reason"] == "MethodNotAllowed"
        status, text = await ask("/runningpods/")
        assert status == 501 and "they serve /healthz" in json.loads(text)["message"]
        # Give the server's side of the refused handshakes a moment to be closed.
        await asyncio.sleep(0.05)
