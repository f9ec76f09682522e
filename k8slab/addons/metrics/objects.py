"""The objects of metrics.k8s.io/v1beta1 as JSON: discovery, NodeMetrics, PodMetrics, their tables. Pure.

Fields are those of k8s.io/metrics/pkg/apis/metrics/v1beta1/types.go of Kubernetes 1.36, columns those of
metrics-server (pkg/api/table.go).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from k8slab.addons.metrics.store import Use

Json = dict[str, Any]

GROUP = "metrics.k8s.io"
VERSION = f"{GROUP}/v1beta1"
KINDS = {"nodes": "NodeMetrics", "pods": "PodMetrics"}
VERBS = ["get", "list"]
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

_DECIMAL = ("n", "u", "m", "", "k", "M", "G")
_BINARY = ("", "Ki", "Mi", "Gi", "Ti")


def aggregated_discovery() -> Json:
    """`/apis` as one document, for servers that ask for it so (apidiscovery.k8s.io/v2)."""
    resources = [
        {
            "resource": name,
            "responseKind": {"group": "", "version": "", "kind": kind},
            "scope": "Namespaced" if name == "pods" else "Cluster",
            "singularResource": "",
            "verbs": VERBS,
        }
        for name, kind in KINDS.items()
    ]
    version = {"version": "v1beta1", "freshness": "Current", "resources": resources}
    group = {"metadata": {"name": GROUP, "creationTimestamp": None}, "versions": [version]}
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": [group],
    }


def api_group(top: bool = True) -> Json:
    """`/apis/metrics.k8s.io`, or what `/apis` says of it."""
    version = {"groupVersion": VERSION, "version": "v1beta1"}
    group = {"name": GROUP, "versions": [version], "preferredVersion": version}
    return {"kind": "APIGroup", "apiVersion": "v1", **group} if top else group


def api_group_list() -> Json:
    """`/apis`."""
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [api_group(top=False)]}


def api_resource_list() -> Json:
    """`/apis/metrics.k8s.io/v1beta1`."""
    resources = [
        {"name": name, "singularName": "", "namespaced": name == "pods", "kind": kind, "verbs": VERBS}
        for name, kind in KINDS.items()
    ]
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": VERSION, "resources": resources}


def node_metrics(metadata: Mapping[str, Any], use: Use, now: float) -> Json:
    """One node's metrics.

    Args:
        metadata: the Node's own, of which name and labels are told.
        use: what it used.
        now: the present (epoch s).
    """
    return {"metadata": _metadata(metadata, now), **_window(use), "usage": _usage(use)}


def pod_metrics(metadata: Mapping[str, Any], uses: Mapping[str, Use], now: float) -> Json:
    """One Pod's metrics; its moment is that of the container that was measured first.

    Args:
        metadata: the Pod's own, of which name, namespace and labels are told.
        uses: what each container used; at least one.
        now: the present (epoch s).
    """
    first = min(uses.values(), key=lambda use: use.moment)
    containers = [{"name": name, "usage": _usage(use)} for name, use in uses.items()]
    return {"metadata": _metadata(metadata, now), **_window(first), "containers": containers}


def whole(resource: str, item: Json) -> Json:
    """One object with its kind."""
    return {"kind": KINDS[resource], "apiVersion": VERSION, **item}


def listed(resource: str, items: Sequence[Json]) -> Json:
    """A list of objects."""
    return {"kind": f"{KINDS[resource]}List", "apiVersion": VERSION, "metadata": {}, "items": list(items)}


def table(rows: Sequence[tuple[Json, Sequence[Use]]]) -> Json:
    """Objects as kubectl prints them.

    Args:
        rows: each object with the uses that add up to its own.
    """
    columns: list[Json] = [
        {"name": "Name", "type": "string", "format": "name", "description": "Name of the resource"},
        {"name": "cpu", "type": "string", "format": "quantity"},
        {"name": "memory", "type": "string", "format": "quantity"},
        {"name": "Window", "type": "string", "format": "duration"},
    ]
    for column in columns:
        column |= {"description": column.get("description", ""), "priority": 0}
    told = []
    for item, uses in rows:
        metadata = item["metadata"]
        cpu, memory = sum(use.cpu for use in uses), sum(use.memory for use in uses)
        partial = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata}
        cells = [metadata["name"], cores(cpu), binary(memory), item["window"]]
        told.append({"cells": cells, "object": partial})
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {},
        "columnDefinitions": columns,
        "rows": told,
    }


def cores(value: float) -> str:
    """A number of cores as a quantity of nanocores in its canonical form, such as `12345n` or `250m`."""
    amount, place = round(value * 1e9), 0
    while amount and amount % 1000 == 0 and place < len(_DECIMAL) - 1:
        amount, place = amount // 1000, place + 1
    return f"{amount}{_DECIMAL[place]}" if amount else "0"


def binary(amount: int) -> str:
    """A number of bytes as a binary quantity in its canonical form, such as `9152Ki`."""
    place = 0
    while amount and amount % 1024 == 0 and place < len(_BINARY) - 1:
        amount, place = amount // 1024, place + 1
    return f"{amount}{_BINARY[place]}"


def duration(seconds: float) -> str:
    """A length of time as Go writes it, to the millisecond: `5.004s`, `1m0.5s`, `800ms`."""
    milliseconds = round(seconds * 1000)
    if milliseconds < 1000:
        return f"{milliseconds}ms" if milliseconds else "0s"
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    tail = f"{rest / 1000:.3f}".rstrip("0").rstrip(".") + "s"
    return (f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else "") + tail


def _usage(use: Use) -> Json:
    return {"cpu": cores(use.cpu), "memory": binary(use.memory)}


def _window(use: Use) -> Json:
    return {"timestamp": _time(use.moment), "window": duration(use.window)}


def _metadata(metadata: Mapping[str, Any], now: float) -> Json:
    told = {key: metadata[key] for key in ("name", "namespace", "labels") if metadata.get(key)}
    return {**told, "creationTimestamp": _time(now)}


def _time(moment: float) -> str:
    return datetime.fromtimestamp(int(moment), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
