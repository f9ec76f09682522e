"""The last two measurements of every node and container, and what they say of its use between them. Pure.

The rules are metrics-server's (pkg/storage of kubernetes-sigs/metrics-server): a use is the difference of two
measurements of one run; a Pod is told only if all its running containers have two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

PodKey = tuple[str, str]
"""Namespace and name of a Pod."""


@dataclass(frozen=True)
class Point:
    """One measurement.

    Args:
        moment: when it was taken (epoch s).
        cpu: processor time since the start, in seconds of one core.
        memory: bytes of memory.
        started: when what is measured started (epoch s); 0.0 for a node.
    """

    moment: float
    cpu: float
    memory: int
    started: float = 0.0


@dataclass(frozen=True)
class Batch:
    """What one round of measuring brought.

    Args:
        nodes: by name.
        pods: the containers of each Pod by their names.
    """

    nodes: Mapping[str, Point] = field(default_factory=dict)
    pods: Mapping[PodKey, Mapping[str, Point]] = field(default_factory=dict)


@dataclass(frozen=True)
class Use:
    """What was used over a while.

    Args:
        moment: its end (epoch s).
        window: its length in seconds.
        cpu: cores, on average.
        memory: bytes, at the end.
    """

    moment: float
    window: float
    cpu: float
    memory: int


class MetricsStore:
    """Keeps the last measurement of everything, and the one before it."""

    def __init__(self) -> None:
        self._last = Batch()
        self._before = Batch()

    def put(self, batch: Batch) -> None:
        """Take in a round; what it does not mention is forgotten."""
        nodes = {
            name: before
            for name, point in batch.nodes.items()
            if (before := _before(point, self._last.nodes.get(name), self._before.nodes.get(name)))
        }
        pods = {}
        for key, containers in batch.pods.items():
            last, older = self._last.pods.get(key, {}), self._before.pods.get(key, {})
            pods[key] = {
                name: before
                for name, point in containers.items()
                if (before := _before(point, last.get(name), older.get(name)))
            }
        self._last, self._before = batch, Batch(nodes, pods)

    def node(self, name: str) -> Use | None:
        """What a node used; None while that is not known."""
        return _use(self._last.nodes.get(name), self._before.nodes.get(name))

    def pod(self, namespace: str, name: str) -> Mapping[str, Use]:
        """What the containers of a Pod used, by name; empty while that is not known of each."""
        key = namespace, name
        before = self._before.pods.get(key, {})
        found: dict[str, Use] = {}
        for container, point in self._last.pods.get(key, {}).items():
            use = _use(point, before.get(container))
            if use is None:
                return {}
            found[container] = use
        return found


def _before(point: Point, last: Point | None, older: Point | None) -> Point | None:
    """The measurement to compare a new one with, of the same run."""
    if last is None or point.started >= last.moment:
        return None
    if point.moment > last.moment:
        return last
    return older if older is not None and older.moment < point.moment else None


def _use(last: Point | None, before: Point | None) -> Use | None:
    if last is None or before is None or last.cpu < before.cpu or last.started < before.started:
        return None
    window = last.moment - before.moment
    return Use(last.moment, window, (last.cpu - before.cpu) / window, last.memory)
