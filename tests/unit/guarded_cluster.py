"""A cluster and an API server that only write down what the guard sends them."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import urllib3
import yaml

from k8slab.cluster.api import Api
from k8slab.cluster.contract import Cluster, ClusterProcess, ProcessAction, Reality
from k8slab.errors import ClusterStateError

UUID = "11111111-2222-3333-4444-555555555555"


class FakeCluster(Cluster):
    name = "default"
    backend = "embedded"
    context = "c"
    isolation = "plain"
    reason = "a test"

    def __init__(self, folder: Path, owned: bool = True) -> None:
        self.uuid = UUID if owned else ""
        self.owned = owned
        self.kubeconfig = folder / "admin.yaml"
        (folder / "ca.crt").write_text("authority")
        write_kubeconfig(self.kubeconfig, "https://127.1.255.1:6443")
        self.kubectl = folder / "kubectl"
        self.log = folder / "kubectl.log"
        # Prints what it was given, its input and its environment, as JSON.
        self.kubectl.write_text(
            "#!/usr/bin/python3\nimport json, os, sys\n"
            f"with open({str(self.log)!r}, 'w') as log:\n"
            "    json.dump([sys.argv[1:], sys.stdin.read(), dict(os.environ)], log)\n"
            "print('done')\n"
        )
        self.kubectl.chmod(0o755)

    def ran(self) -> tuple[list[str], str, dict[str, str]]:
        argv, stdin, environment = json.loads(self.log.read_text())
        return argv, stdin, environment

    def info(self) -> dict[str, Any]:
        return {}

    def reality(self) -> tuple[Reality, ...]:
        return ()

    def url(self, address: str, port: int) -> str | None:
        return None

    def processes(self) -> tuple[ClusterProcess, ...]:
        return ()

    def process(self, name: str, action: ProcessAction) -> ClusterProcess:
        raise ClusterStateError("none")

    def close(self) -> None:
        pass

    def delete(self) -> None:
        pass


def write_kubeconfig(path: Path, server: str) -> None:
    content = {
        "clusters": [{"name": "k", "cluster": {"server": server, "certificate-authority": "ca.crt"}}],
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        "current-context": "c",
    }
    path.write_text(yaml.safe_dump(content))


class FakeApi(Api):
    """Answers the marker and any Pod, and keeps every request."""

    def __init__(self, kubeconfig: Path) -> None:
        super().__init__(kubeconfig)
        self.requests: list[tuple[str, str, Any]] = []
        self.marker: dict[str, Any] = {"metadata": {"uid": "m"}, "data": {"uuid": UUID}}
        self.pod_uid = "uid-1"
        self.status = 200

    def open(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
        timeout: tuple[float, float] = (5, 30),
    ) -> urllib3.BaseHTTPResponse:
        self.requests.append((method, path, body))
        answer: dict[str, Any] = {}
        status = self.status
        if path.endswith("/k8slab-owner"):
            answer, status = self.marker, 200 if self.marker else 404
        elif method == "GET":
            answer = {"metadata": {"uid": self.pod_uid}}
        return urllib3.HTTPResponse(
            io.BytesIO(json.dumps(answer).encode()), status=status, preload_content=False
        )

    @property
    def changes(self) -> list[tuple[str, str, Any]]:
        return [each for each in self.requests if each[0] != "GET"]
