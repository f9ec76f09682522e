"""What the tests of the nodes share: Pods as kubectl gives them, and small manifests."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tests.embedded.conftest import until

if TYPE_CHECKING:
    from tests.embedded.conftest import RunningCluster

SHELL = "busybox"


def pod_manifest(name: str, *containers: dict[str, Any], **spec: Any) -> str:
    """A Pod as JSON; a container is a dict with at least a name or the words of a shell command."""
    body = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"terminationGracePeriodSeconds": 5, "containers": list(containers), **spec},
    }
    return json.dumps(body)


def shell(command: str, name: str = "main", **fields: Any) -> dict[str, Any]:
    """A container that runs a shell command."""
    return {"name": name, "image": SHELL, "command": ["sh", "-c", command], **fields}


def demo(**fields: Any) -> dict[str, Any]:
    """A container of the demo application with its default readiness settings."""
    probe = {"httpGet": {"path": "/healthz/ready", "port": 8080}}
    ports = [{"containerPort": 8080}]
    return {"name": "demo", "image": "k8slab/demo:1", "ports": ports, "readinessProbe": probe, **fields}


def get(cluster: RunningCluster, what: str) -> dict[str, Any]:
    """An object as kubectl gives it."""
    found: dict[str, Any] = json.loads(cluster.kubectl(f"get {what} -o json"))
    return found


def container_status(pod: dict[str, Any], name: str = "") -> dict[str, Any]:
    """The status of one container, the first if none is named."""
    statuses = pod["status"].get("containerStatuses") or [{}]
    found: dict[str, Any] = next((each for each in statuses if not name or each["name"] == name), {})
    return found


def state(pod: dict[str, Any], name: str = "") -> tuple[str, str]:
    """State of a container and its reason: `("waiting", "CrashLoopBackOff")`."""
    for kind, detail in (container_status(pod, name).get("state") or {}).items():
        return kind, str(detail.get("reason", ""))
    return "", ""


def is_ready(pod: dict[str, Any]) -> bool:
    """Whether the Pod's Ready condition is True."""
    conditions = pod["status"].get("conditions") or []
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def events(cluster: RunningCluster, namespace: str, pod: str) -> list[tuple[str, str]]:
    """Reason and message of each Event about a Pod."""
    selector = f"involvedObject.name={pod}"
    found = json.loads(cluster.kubectl(f"-n {namespace} get events --field-selector={selector} -o json"))
    return [(each["reason"], each["message"]) for each in found["items"]]


def program(cluster: RunningCluster, pod: dict[str, Any], name: str = "") -> int:
    """The pid of a container's program, found in /proc by the container's id, not asked of k8slab's API."""
    identity = container_status(pod, name)["containerID"].removeprefix("k8slab://")
    mark = f"K8SLAB_CONTAINER={identity}".encode()
    carriers = {int(entry) for entry in os.listdir("/proc") if entry.isdigit() and _carries(int(entry), mark)}
    if cluster.isolation == "plain":
        # A command run in the container is its sibling, and younger.
        return min((pid for pid in carriers if _parent(pid) not in carriers), key=_started)
    # The keeper carries the mark; its child is the program, process 1 of its namespace.
    return next(
        int(entry) for entry in os.listdir("/proc") if entry.isdigit() and _parent(int(entry)) in carriers
    )


def _carries(pid: int, mark: bytes) -> bool:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return mark in file.read().split(b"\0")
    except OSError:
        return False


def _parent(pid: int) -> int:
    return _stat(pid, 1)


def _started(pid: int) -> int:
    """When a process began, in clock ticks since the machine did."""
    return _stat(pid, 19)


def _stat(pid: int, field: int) -> int:
    """A number of /proc/<pid>/stat, counted from after the command's name; 0 if the process is gone."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return int(file.read().rpartition(")")[2].split()[field])
    except OSError:
        return 0


def when(
    cluster: RunningCluster,
    what: str,
    condition: Callable[[dict[str, Any]], bool],
    told: str,
    seconds: float = 60,
) -> dict[str, Any]:
    """Wait until an object meets a condition, and return it.

    Args:
        cluster: the cluster.
        what: as for `kubectl get`, such as `-n t pod web`.
        condition: what it must meet.
        told: what is waited for, in words.
        seconds: how long.
    """
    last: dict[str, Any] = {}

    def met() -> bool:
        text = cluster.kubectl(f"get {what} -o json", check=False)
        last.clear()
        if text.startswith("{"):
            last.update(json.loads(text))
        return bool(last) and condition(last)

    try:
        until(met, told, seconds)
    except AssertionError as error:
        raise AssertionError(f"{error}; status: {json.dumps(last.get('status'))}") from error
    return last
