"""The kubelet's metrics as Prometheus reads them. Pure.

`/metrics/resource` has the names and help texts of pkg/kubelet/metrics/collectors/resource_metrics.go of
Kubernetes 1.36, without swap, which is not measured. `/metrics` has the few of the kubelet's own that mean
the same here; what is not there is not measured, either.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from k8slab.node.node_use import NodeUse, Use

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores"

Labels = Mapping[str, str]


@dataclass(frozen=True)
class Sample:
    """One value of a metric.

    Args:
        labels: what it is of.
        value: the value.
        moment: when it was measured (epoch s), or None for now.
    """

    labels: Labels
    value: float
    moment: float | None = None


def family(name: str, kind: str, explanation: str, samples: Iterable[Sample]) -> str:
    """A metric and its values in the text format; empty if it has none.

    Args:
        name: its name.
        kind: `counter` or `gauge`.
        explanation: its help text, one line.
        samples: its values.
    """
    lines = [f"{name}{_labels(each.labels)} {_number(each.value)}{_moment(each.moment)}" for each in samples]
    return "\n".join([f"# HELP {name} {explanation}", f"# TYPE {name} {kind}", *lines, ""]) if lines else ""


def resource_metrics(node: NodeUse | None) -> str:
    """The answer to `/metrics/resource`.

    Args:
        node: what was measured, or None if that failed.
    """
    failed = [Sample({}, float(node is None))]
    scrape = "1 if there was an error while getting container metrics, 0 otherwise"
    errors = [
        family("resource_scrape_error", "gauge", f"[STABLE] {scrape}", failed),
        family("scrape_error", "gauge", f"[ALPHA] (Deprecated since 1.29.0) {scrape}", failed),
    ]
    if node is None:
        return "".join(errors)
    pods = [({"namespace": pod.namespace, "pod": pod.name}, pod.use) for pod in node.pods]
    containers = [
        ({"container": each.name, "namespace": pod.namespace, "pod": pod.name}, each)
        for pod in node.pods
        for each in pod.containers
    ]
    used = [(labels, each.use) for labels, each in containers]
    started = [Sample(labels, each.started) for labels, each in containers if each.started > 0]
    return "".join(
        [
            *_both("container", used),
            family(
                "container_start_time_seconds",
                "gauge",
                "[STABLE] Start time of the container since unix epoch in seconds",
                started,
            ),
            *_both("node", [({}, node.use)]),
            *_both("pod", pods),
            *errors,
        ]
    )


def _both(what: str, used: Iterable[tuple[Labels, Use]]) -> list[str]:
    """The processor time and the memory of all nodes, Pods or containers."""
    known = list(used)
    return [
        family(
            f"{what}_cpu_usage_seconds_total",
            "counter",
            f"[STABLE] Cumulative cpu time consumed by the {what} in core-seconds",
            [Sample(labels, use.cpu, use.moment) for labels, use in known],
        ),
        family(
            f"{what}_memory_working_set_bytes",
            "gauge",
            f"[STABLE] Current working set of the {what} in bytes",
            [Sample(labels, use.memory, use.moment) for labels, use in known],
        ),
    ]


def kubelet_metrics(node: NodeUse, own: float) -> str:
    """The answer to `/metrics`: names and texts of pkg/kubelet/metrics/metrics.go and of Prometheus' own.

    Args:
        node: what was measured.
        own: processor time of the process that plays the kubelet, in seconds.
    """
    containers = sum(len(pod.containers) for pod in node.pods)
    told = [
        ("kubelet_node_name", "The node's name. The count is always 1.", Sample({"node": node.name}, 1)),
        (
            "kubelet_running_containers",
            "Number of containers currently running",
            Sample({"container_state": "running"}, containers),
        ),
        (
            "kubelet_running_pods",
            "Number of pods that have a running pod sandbox",
            Sample({}, len(node.pods)),
        ),
        (
            "process_start_time_seconds",
            "Start time of the process since unix epoch in seconds.",
            Sample({}, node.started),
        ),
    ]
    seconds = "Total user and system CPU time spent in seconds."
    return "".join(
        [
            *(family(name, "gauge", f"[ALPHA] {text}", [sample]) for name, text, sample in told),
            family("process_cpu_seconds_total", "counter", f"[ALPHA] {seconds}", [Sample({}, own)]),
        ]
    )


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    pairs = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())
    return "{" + pairs + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def _moment(moment: float | None) -> str:
    return "" if moment is None else f" {int(moment * 1000)}"
