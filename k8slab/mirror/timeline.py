"""The past: every change with its time, bounded; saved and loaded as JSON lines.

It is what replay, exports, predictions and checks read. A saved timeline begins with the
objects as they were before its first change, so that a replay starts from the same picture.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from k8slab.errors import LabError
from k8slab.mirror.changes import Change, Object
from k8slab.mirror.lives import Life, Lives
from k8slab.mirror.stopwatch import Recovery, recovery

CHANGES_KEPT = 10_000


@dataclass(frozen=True)
class Replicas:
    """How many Pods an owner had at a moment.

    Args:
        moment: epoch seconds.
        wants: how many it wanted; None if that is not known.
        has: how many counted for it.
        ready: how many of those were ready.
    """

    moment: float
    wants: int | None
    has: int
    ready: int


class Timeline:
    """Every change of a mirror, oldest first. `record` is a mirror's listener. Safe to use from any thread.

    Args:
        limit: changes it keeps; the oldest are dropped.
    """

    def __init__(self, limit: int = CHANGES_KEPT) -> None:
        self._lock = threading.Lock()
        self._changes: deque[Change] = deque(maxlen=limit)
        self._lives = Lives()
        self.count = 0
        """Changes recorded, those dropped since included."""

    def record(self, change: Change) -> None:
        """Keep one change."""
        with self._lock:
            self.count += 1
            self._changes.append(change)
            self._lives.apply(change)

    def changes(self, since: float = 0, kind: str = "") -> list[Change]:
        """The changes that are kept, oldest first.

        Args:
            since: only those at or after this moment, in epoch seconds.
            kind: only those of this kind, such as `Pod`.
        """
        with self._lock:
            kept = list(self._changes)
        return [one for one in kept if one.moment >= since and (not kind or one.kind == kind)]

    def life(self, uid: str) -> Life | None:
        """The moments of one Pod, or None if it was never seen."""
        with self._lock:
            return self._lives.get(uid)

    def lives(self, namespace: str = "", owner: str = "") -> list[Life]:
        """The lives of Pods, in the order in which they were seen.

        Args:
            namespace: only there; everywhere if empty.
            owner: only of the controller with this uid.
        """
        with self._lock:
            known = self._lives.of_owner(owner) if owner else list(self._lives)
        return [life for life in known if not namespace or life.namespace == namespace]

    def recovery(self, victim: str) -> Recovery | None:
        """How the Pod with that uid was replaced; None if it was not missed."""
        with self._lock:
            return recovery(self._lives, victim)

    def recoveries(self, namespace: str = "") -> list[Recovery]:
        """Every recovery, in the order in which the victims left."""
        victims = [life.uid for life in self.lives(namespace) if life.left is not None]
        found = [one for one in map(self.recovery, victims) if one is not None]
        return sorted(found, key=lambda one: one.start)

    def replicas(self, owner: str) -> list[Replicas]:
        """How many Pods an owner wanted, had and had ready, at every moment when one of these changed."""
        with self._lock:
            pods = self._lives.of_owner(owner)
            moments = {moment for moment, _ in self._lives.wishes(owner)}
            for life in pods:
                ends = (life.created, life.left, life.done, *(moment for moment, _ in life.turns))
                moments |= {moment for moment in ends if moment is not None}
            steps: list[Replicas] = []
            for moment in sorted(moments):
                has = sum(life.counts_at(moment) for life in pods)
                ready = sum(life.ready_at(moment) for life in pods)
                step = Replicas(moment, self._lives.wants(owner, moment), has, ready)
                if not steps or replace(step, moment=steps[-1].moment) != steps[-1]:
                    steps.append(step)
            return steps

    def save(self, path: Path) -> None:
        """Write the changes as JSON lines; the same changes give the same bytes.

        Args:
            path: the file; an older one is replaced.
        """
        with path.open("w", encoding="utf-8") as file:
            for change in with_baseline(self.changes()):
                line = {
                    "moment": change.moment,
                    "kind": change.kind,
                    "verb": change.verb,
                    "listed": change.listed,
                    "object": change.object,
                }
                file.write(json.dumps(line, sort_keys=True, ensure_ascii=False, separators=(",", ":")) + "\n")

    @staticmethod
    def load(path: Path) -> Timeline:
        """Read a saved timeline.

        Raises:
            LabError: the file is no saved timeline.
        """
        timeline = Timeline()
        with path.open(encoding="utf-8") as file:
            for change in _read(path, file):
                timeline.record(change)
        return timeline


def with_baseline(changes: Iterable[Change]) -> Iterator[Change]:
    """The changes, preceded by what was there before the first of them, as `added`."""
    kept = list(changes)
    seen: set[str] = set()
    for change in kept:
        if change.uid not in seen and change.before is not None:
            yield Change(kept[0].moment, change.kind, "added", None, change.before, listed=True)
        seen.add(change.uid)
    yield from kept


def _read(path: Path, lines: Iterable[str]) -> Iterator[Change]:
    present: dict[str, Object] = {}
    for number, line in enumerate(lines, 1):
        try:
            entry: dict[str, Any] = json.loads(line)
            obj, verb = entry["object"], entry["verb"]
            uid = str(obj["metadata"]["uid"])
            before = present.pop(uid, None)
            if verb == "deleted":
                before = obj
            else:
                present[uid] = obj
            after = None if verb == "deleted" else obj
            moment, listed = float(entry["moment"]), bool(entry["listed"])
            change = Change(moment, str(entry["kind"]), verb, before, after, listed)
        except (ValueError, KeyError, TypeError) as error:
            raise LabError(
                f"Line {number} of {path} is no change of a timeline ({type(error).__name__}: {error}).",
                "Give a file that `Timeline.save` wrote.",
            ) from error
        yield change
