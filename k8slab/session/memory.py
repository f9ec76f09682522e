"""Memory of nodes and control plane, looked at every two seconds once somebody asked for it."""

from __future__ import annotations

import threading
import time
from collections import deque

import urllib3

from k8slab.cluster.api import Api
from k8slab.cluster.contract import CONTROL_PLANE, Cluster, ClusterProcess
from k8slab.errors import LabError
from k8slab.graph.chart_memory import MemorySample
from k8slab.processes import memory_of
from k8slab.quantity import bytes_of

EVERY = 2.0
SAMPLES_KEPT = 900
"""Half an hour."""

NODE_METRICS = "/apis/metrics.k8s.io/v1beta1/nodes"
FIRST_SECONDS = 1.5
"""How long the first call waits for the first sample: no call may hold a kernel for 2 s."""


class MemorySampler:
    """Takes samples on a thread of its own from the first `samples` to `stop`.

    Args:
        cluster: whose memory.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._kept: deque[MemorySample] = deque(maxlen=SAMPLES_KEPT)
        self._stop = threading.Event()
        self._first = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self.note = ""
        """What cannot be had here, in a sentence."""

    def samples(self) -> list[MemorySample]:
        """What was seen so far, oldest first; begins to look at the first call."""
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="k8slab-memory", daemon=True)
                self._thread.start()
        self._first.wait(FIRST_SECONDS)
        return list(self._kept)

    def stop(self) -> None:
        """Look no more; at most 2 s."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(2.0)

    def _work(self) -> None:
        # A connection of its own: on no other may a slow answer have others wait.
        api = self._cluster.api()
        while not self._stop.is_set():
            began = time.monotonic()
            self._kept.append(self._look(api))
            self._first.set()
            self._stop.wait(max(0.2, EVERY - (time.monotonic() - began)))

    def _look(self, api: Api) -> MemorySample:
        missing = []
        try:
            processes = {
                each.name: memory_mb(each) for each in self._cluster.processes() if each.name in CONTROL_PLANE
            }
        except (LabError, OSError):
            processes = {}
        processes = {name: megabytes for name, megabytes in processes.items() if megabytes}
        if not processes:
            backend = self._cluster.backend
            missing.append(f"The backend {backend} has no processes of the control plane in hand.")
        nodes: dict[str, float] = {}
        try:
            for item in api.get(NODE_METRICS).get("items") or ():
                nodes[str(item["metadata"]["name"])] = bytes_of(item["usage"]["memory"]) / 1e6
        except (LabError, OSError, urllib3.exceptions.HTTPError, KeyError, TypeError, ValueError):
            missing.append("The metrics API tells nothing about nodes at this moment, or is not there.")
        else:
            if not nodes:
                missing.append("The metrics API has no figures of nodes yet.")
        self.note = " ".join(missing)
        return MemorySample(time.time(), processes, nodes)


def memory_mb(process: ClusterProcess) -> float:
    """Memory of a process (proportional set size) in MB; 0 where it cannot be read."""
    return memory_of([process.pid]) / 1e6 if process.pid is not None and not process.foreign else 0.0
