"""How long an event of the API server takes to become a message to the map, at the front end's socket."""

from __future__ import annotations

import json
import queue
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import start_new_kernel

from benchmarks.figures import Measurement, percentile
from benchmarks.watching import Eye
from k8slab.cluster.api import KINDS, Api, checked_body
from k8slab.cluster.contract import Cluster

P95 = 100.0
PAUSES = (0.1, 0.4)
"""Shortest and longest pause between two changes, in seconds."""

NODE = "worker-1"


def measure(cluster: Cluster, chapter: str, changes: int) -> list[Measurement]:
    """Cordon and uncordon a node in turn while a cell of a kernel that shows the map is running.

    Two times are taken for each change: from the moment the change was sent to the API server, and from
    the moment a plain watch beside the kernel saw the event, each until the widget's message is read
    from the kernel's socket.

    Args:
        cluster: a running cluster.
        chapter: the chapter whose map is shown.
        changes: how many samples to take.
    """
    api = Api(cluster.kubeconfig, cluster.context)
    pauses = random.Random(3)
    from_event, from_send = [], []
    with kernel() as client, Eye(api, "nodes") as eye:
        _run(client, "from k8slab import Lab")
        _run(client, f"lab = Lab.open({chapter!r}, backend={cluster.backend!r}, name={cluster.name!r})")
        _run(client, "lab.map()")
        _sleep_in_a_cell(client)
        for number in range(changes):
            cordoned = number % 2 == 0
            seen, sent = len(eye.events), time.monotonic()
            _cordon(api, cordoned)
            arrived = _message_about(client, cordoned)
            event = eye.until(partial(_event, seen=seen, cordoned=cordoned), "the event itself")
            # The plain watch may be the later one; then the message came with the event.
            from_event.append(max(0.0, arrived - event) * 1000)
            from_send.append((arrived - sent) * 1000)
            time.sleep(pauses.uniform(*PAUSES))
        if changes % 2:
            _cordon(api, False)
    settings = {
        "changes": changes,
        "pauses_s": PAUSES,
        "kernel": "ipykernel in a process of its own; a cell sleeps meanwhile",
        "read_at": "the kernel's IOPub socket, as a front end does",
        "change": f"spec.unschedulable of the node {NODE}",
        "from_send_samples_ms": [round(each, 2) for each in from_send],
        "from_send_p50_ms": round(percentile(from_send, 50), 2),
        "from_send_p95_ms": round(percentile(from_send, 95), 2),
    }
    return [Measurement("API event → widget message", "ms", tuple(from_event), settings, {"p95": P95})]


@contextmanager
def kernel() -> Iterator[BlockingKernelClient]:
    """A fresh kernel, ended with the context."""
    manager, client = start_new_kernel(kernel_name="python3")
    try:
        yield client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def _run(client: BlockingKernelClient, code: str) -> None:
    """Run a cell to its end.

    Raises:
        RuntimeError: it failed; the message is the cell's own.
    """
    reply = client.execute_interactive(code, timeout=120, output_hook=lambda message: None)
    if reply["content"]["status"] != "ok":
        raise RuntimeError(f"{code}: {reply['content'].get('evalue')}")


def _cordon(api: Api, cordoned: bool) -> None:
    body = json.dumps({"spec": {"unschedulable": cordoned}}).encode()
    path = KINDS["nodes"].path(name=NODE)
    checked_body(api.open("PATCH", path, body=body, content_type="application/merge-patch+json"))


def _event(eye: Eye, seen: int, cordoned: bool) -> float | None:
    for moment, _, node in eye.events[seen:]:
        if node["metadata"]["name"] == NODE and bool(node["spec"].get("unschedulable")) == cordoned:
            return moment
    return None


def _message_about(client: BlockingKernelClient, cordoned: bool) -> float:
    """The moment at which the map's message that shows the node as wanted was read."""
    deadline = time.monotonic() + 10
    while (left := deadline - time.monotonic()) > 0:
        try:
            message = client.get_iopub_msg(timeout=left)
        except queue.Empty:
            break
        if any(("SchedulingDisabled" in status) == cordoned for status in _statuses(message)):
            return time.monotonic()
    raise TimeoutError(
        f"No message of the map showed that {NODE} was {'cordoned' if cordoned else 'uncordoned'}."
    )


def _statuses(message: dict[str, Any]) -> Iterator[str]:
    """The node's status in a map's message, if the message is one and the node is in it."""
    content = message["content"].get("data", {})
    if message["msg_type"] != "comm_msg" or content.get("method") != "custom":
        return
    for node in content["content"].get("set", {}).get("nodes", {}).values():
        if node["name"] == NODE:
            yield node["status"]


def _sleep_in_a_cell(client: BlockingKernelClient) -> None:
    """Start a cell that sleeps, and return once it runs."""
    request = client.execute("import time; time.sleep(3600)", store_history=False)
    deadline = time.monotonic() + 60
    while (left := deadline - time.monotonic()) > 0:
        message = client.get_iopub_msg(timeout=left)
        if message["msg_type"] == "execute_input" and message["parent_header"]["msg_id"] == request:
            return
    raise TimeoutError("The kernel did not start the cell that sleeps.")
