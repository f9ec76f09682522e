"""Asking every kubelet for its resource metrics, round after round."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Mapping
from typing import Any

import aiohttp

from k8slab.addons.metrics.store import Batch, MetricsStore, Point
from k8slab.api_client import ApiClient
from k8slab.network.addresses import AddressPlan

log = logging.getLogger(__name__)

RESOLUTION = 5.0
"""Seconds between two rounds; metrics-server's own default is 60, its manifest says 15."""

PATIENCE = 4.0
"""Seconds a kubelet may take to answer."""

MEASURED = "k8slab.dev/simulated!=true"
"""Selector of the nodes that have something to measure: what is simulated uses nothing."""

_LINE = re.compile(r"((?:node|container)_\w+)(?:\{(.*)\})? (\S+)(?: (\d+))?$")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')

_FIELDS = {
    "cpu_usage_seconds_total": "cpu",
    "memory_working_set_bytes": "memory",
    "start_time_seconds": "started",
}


class Scraper:
    """Measures all nodes of the cluster.

    Args:
        client: a client of the API server that may watch nodes.
        plan: the cluster's addresses.
        store: where the measurements go.
    """

    def __init__(self, client: ApiClient, plan: AddressPlan, store: MetricsStore) -> None:
        self._client = client
        self._plan = plan
        self._store = store
        self._kubelets: dict[str, tuple[str, int]] = {}
        self._troubles: dict[str, str] = {}

    async def follow_nodes(self) -> None:
        """Know where each node's kubelet listens, for ever."""
        async for change in self._client.watch("/api/v1/nodes", label_selector=MEASURED):
            if change.verb == "synced":
                continue
            name = change.object["metadata"]["name"]
            where = None if change.verb == "deleted" else kubelet_of(change.object)
            if where is None:
                self._kubelets.pop(name, None)
                self._troubles.pop(name, None)
            else:
                self._kubelets[name] = where

    async def run(self) -> None:
        """Measure, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            await self.round()
            await asyncio.sleep(max(0.0, RESOLUTION - (loop.time() - began)))

    async def round(self) -> None:
        """Measure every node once; one that does not answer is not known until it does twice."""
        # A node may go while it is asked.
        kubelets = dict(self._kubelets)
        found = await asyncio.gather(*(self._ask(name, *where) for name, where in kubelets.items()))
        nodes: dict[str, Point] = {}
        pods: dict[tuple[str, str], dict[str, Point]] = {}
        for name, text in zip(kubelets, found, strict=True):
            node, theirs = parse(text)
            if node is not None:
                nodes[name] = node
            pods |= theirs
        self._store.put(Batch(nodes, pods))

    async def _ask(self, name: str, address: str, port: int) -> str:
        try:
            host, there = self._plan.twin_endpoint(address, port)
            async with self._client.session.get(
                f"https://{host}:{there}/metrics/resource", timeout=aiohttp.ClientTimeout(total=PATIENCE)
            ) as answer:
                answer.raise_for_status()
                text = await answer.text()
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            self._say(name, f"{type(error).__name__} {error}")
            return ""
        self._say(name, "")
        return text

    def _say(self, name: str, trouble: str) -> None:
        """Log what is wrong with a node when it begins and when it ends, not each time."""
        before = self._troubles.get(name, "")
        if trouble and not before:
            log.warning("node %s does not tell its metrics: %s", name, trouble)
        elif before and not trouble:
            log.info("node %s tells its metrics again", name)
        self._troubles[name] = trouble


def kubelet_of(node: Mapping[str, Any]) -> tuple[str, int] | None:
    """Address and port of a node's kubelet; None if it has none. Pure."""
    status = node.get("status") or {}
    port = ((status.get("daemonEndpoints") or {}).get("kubeletEndpoint") or {}).get("Port")
    for each in status.get("addresses") or []:
        if each["type"] == "InternalIP" and port:
            return str(each["address"]), int(port)
    return None


def parse(text: str) -> tuple[Point | None, dict[tuple[str, str], dict[str, Point]]]:
    """What a kubelet's resource metrics say of its node, and of the containers of its Pods. Pure.

    Args:
        text: Prometheus' text format; what lacks a figure or its moment is left out.
    """
    node: dict[str, float] = {}
    pods: dict[tuple[str, str], dict[str, dict[str, float]]] = {}
    for line in text.splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        what, _, figure = match[1].partition("_")
        place = node
        if what == "container":
            labels = dict(_LABEL.findall(match[2] or ""))
            pod = pods.setdefault((labels["namespace"], labels["pod"]), {})
            place = pod.setdefault(labels["container"], {})
        if figure in _FIELDS:
            place[_FIELDS[figure]] = float(match[3])
            if match[4]:
                place["moment"] = int(match[4]) / 1000
    points = {
        key: {name: point for name, values in containers.items() if (point := _point(values))}
        for key, containers in pods.items()
    }
    whole = {key: found for key, found in points.items() if len(found) == len(pods[key])}
    return _point(node), whole


def _point(values: Mapping[str, float]) -> Point | None:
    if not {"cpu", "memory", "moment"} <= values.keys():
        return None
    return Point(values["moment"], values["cpu"], int(values["memory"]), values.get("started", 0.0))
