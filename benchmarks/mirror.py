"""How long the mirror takes to be complete over many objects, and what they cost in memory."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psutil

from benchmarks.figures import Measurement, percentile
from k8slab.cluster.api import KINDS, Api, checked_body
from k8slab.cluster.contract import Cluster
from k8slab.mirror.mirror import DEFAULT_KINDS, Mirror

PODS = 5_000
NAMESPACE = "crowd"
COMPLETE = 10.0
RATIO = 2.5
"""A mirror may take this many times as long as one plain list of the same Pods."""

MEGABYTES = 150.0
WRITERS = 16


def measure(cluster: Cluster, samples: int = 3) -> list[Measurement]:
    """Start mirrors of all the map's kinds over a cluster with 5,000 more Pods, one after the other.

    The Pods are held by a scheduling gate, so that nothing on the machine runs for them; each is
    padded to the size of a running one. Beside each mirror the same Pods are listed plainly.

    Args:
        cluster: a running cluster.
        samples: how many mirrors are started.
    """
    api = Api(cluster.kubeconfig, cluster.context)
    seconds, ratios, memory = [], [], []
    with _crowd(api):
        for _ in range(samples):
            began = time.monotonic()
            objects, _ = api.list("pods", NAMESPACE)
            plain = time.monotonic() - began
            assert len(objects) == PODS, f"{len(objects)} Pods"
            del objects
            gc.collect()
            before = psutil.Process().memory_info().rss
            began = time.monotonic()
            with Mirror(api) as mirror:
                mirror.wait_synced(60)
                seconds.append(time.monotonic() - began)
                assert len(mirror.store.objects("Pod", NAMESPACE)) == PODS
                memory.append((psutil.Process().memory_info().rss - before) / 1e6)
            ratios.append(seconds[-1] / plain)
    settings = {"Pods": PODS, "kinds": len(DEFAULT_KINDS)}
    ratio = {"ratio": percentile(ratios, 50)}
    return [
        Measurement("the mirror complete over 5,000 Pods", "s", tuple(seconds), settings, {"p95": COMPLETE}),
        Measurement(
            "the mirror complete, against one plain list",
            "×",
            tuple(ratios),
            settings,
            {"ratio": RATIO},
            ratio,
        ),
        # The first says what 5,000 Pods cost; later ones reuse what Python has kept of it.
        Measurement("memory of a mirror of 5,000 Pods", "MB", tuple(memory), settings, {"p95": MEGABYTES}),
    ]


@contextmanager
def _crowd(api: Api) -> Iterator[None]:
    _send(api, "POST", KINDS["namespaces"].path(), {"metadata": {"name": NAMESPACE}})
    account = f"{KINDS['namespaces'].path(name=NAMESPACE)}/serviceaccounts/default"
    deadline = time.monotonic() + 30
    while api.open("GET", account).status != 200 and time.monotonic() < deadline:
        time.sleep(0.1)
    try:
        path = KINDS["pods"].path(NAMESPACE)
        with ThreadPoolExecutor(WRITERS, "crowd") as pool:
            list(pool.map(lambda number: _send(api, "POST", path, _pod(number)), range(PODS)))
        yield
    finally:
        _send(api, "DELETE", KINDS["pods"].path(NAMESPACE), {"gracePeriodSeconds": 0})
        _send(api, "DELETE", KINDS["namespaces"].path(name=NAMESPACE), {})


def _pod(number: int) -> dict[str, Any]:
    variables = [{"name": f"SETTING_{index}", "value": "a value of ordinary length"} for index in range(12)]
    return {
        "metadata": {"name": f"crowd-{number}", "labels": {"app": "crowd", "version": "1"}},
        "spec": {
            "schedulingGates": [{"name": "k8slab.dev/never"}],
            "containers": [{"name": "main", "image": "k8slab/demo:1", "env": variables}],
        },
    }


def _send(api: Api, method: str, path: str, body: dict[str, Any]) -> None:
    checked_body(api.open(method, path, body=body, timeout=(5, 60)))
