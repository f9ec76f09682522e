"""Small Pods for the black-box tests, as JSON for `kubectl apply -f -`. Any cluster can run them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.cluster.conftest import ClusterUnderTest

SHELL = "busybox:1.36"
PYTHON = "python:3.12-alpine"


def pod(name: str, *containers: dict[str, Any], **spec: Any) -> str:
    """A Pod as JSON, with a label `app` and a short grace period."""
    body = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"terminationGracePeriodSeconds": 2, "containers": list(containers), **spec},
    }
    return json.dumps(body)


def shell(command: str, name: str = "main", **fields: Any) -> dict[str, Any]:
    """A container that runs a shell command."""
    return {"name": name, "image": SHELL, "command": ["sh", "-c", command], **fields}


def python(program: str, name: str = "main", **fields: Any) -> dict[str, Any]:
    """A container that runs a Python program."""
    return {"name": name, "image": PYTHON, "command": ["python", "-u", "-c", program], **fields}


def run_ready(cluster: ClusterUnderTest, namespace: str, manifest: str) -> None:
    """Apply a Pod and wait until it is Ready."""
    name = json.loads(manifest)["metadata"]["name"]
    cluster.kubectl(f"-n {namespace} apply -f -", stdin=manifest)
    cluster.kubectl(f"-n {namespace} wait pod/{name} --for=condition=Ready --timeout=120s", timeout=130)
