"""The past: every change with its time, bounded; saved and loaded as JSON lines.

It is what replay, exports, predictions and checks read. A saved timeline begins with the
objects as they were before its first change, so that a replay starts from the same picture.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, replace
from pathlib import Path

from k8slab.mirror.changes import Change
from k8slab.mirror.lives import Life, Lives
from k8slab.mirror.recording import About, Act, Freshness, Recording, merged
from k8slab.mirror.stopwatch import Recovery, recovery

CHANGES_KEPT = 10_000
NOTES_KEPT = 1_000
"""Of what is no change: acts of the learner, and how fresh the picture was."""


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
        self._base: dict[str, Change] = {}
        self._dropped: deque[float] = deque(maxlen=CHANGES_KEPT)
        self._notes: deque[Act | Freshness] = deque(maxlen=NOTES_KEPT)
        self._lives = Lives()
        self.count = 0
        """Changes recorded, those dropped since included."""

    def record(self, change: Change) -> None:
        """Keep one change."""
        with self._lock:
            self.count += 1
            if len(self._changes) == self._changes.maxlen:
                self._drop_oldest()
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

    def recoveries(self, namespace: str = "", since: float = 0) -> list[Recovery]:
        """Every recovery, in the order in which the victims left.

        Args:
            namespace: only there; everywhere if empty.
            since: only of those that left at or after this moment, in epoch seconds.
        """
        lives = self.lives(namespace)
        victims = [life.uid for life in lives if life.left is not None and life.left >= since]
        found = [one for one in map(self.recovery, victims) if one is not None]
        return sorted(found, key=lambda one: one.start)

    def replicas(self, owner: str) -> list[Replicas]:
        """How many Pods an owner wanted, had and had ready, at every moment when one of these changed."""
        with self._lock:
            pods = self._lives.of_owner(owner)
            moments = {moment for moment, _ in self._lives.wishes(owner)}
            for life in pods:
                turns = (*life.turns, *life.tenures)
                ends = (life.created, life.left, life.done, *(moment for moment, _ in turns))
                moments |= {moment for moment in ends if moment is not None}
            steps: list[Replicas] = []
            for moment in sorted(moments):
                mine = [life for life in pods if life.counts_for(owner, moment)]
                has, ready = len(mine), sum(life.ready_at(moment) for life in mine)
                step = Replicas(moment, self._lives.wants(owner, moment), has, ready)
                if not steps or replace(step, moment=steps[-1].moment) != steps[-1]:
                    steps.append(step)
            return steps

    def announce(self, verb: str, uid: str, moment: float) -> None:
        """Keep that the learner was about to do something, so that a replay can say "you" as well.

        Args:
            verb: `delete` or `crash`.
            uid: the Pod's.
            moment: when, in epoch seconds.
        """
        with self._lock:
            self._notes.append(Act(moment, verb, uid))

    def freshness(self, state: str, since: float, moment: float, note: str = "") -> None:
        """Keep how fresh the picture was from `moment` on; the same as before is kept once.

        Args:
            state: `live`, `reconnecting` or `stale`.
            since: since when, in epoch seconds.
            moment: when that was noticed, in epoch seconds.
            note: one sentence more, or nothing.
        """
        with self._lock:
            last = next((one for one in reversed(self._notes) if isinstance(one, Freshness)), None)
            if last is None or (last.state, last.note) != (state, note):
                self._notes.append(Freshness(moment, state, since, note))

    def recording(self, about: About) -> Recording:
        """What happened from `about.since` to `about.until`, and what was there before.

        Of namespaces other than `about.namespace` only the control plane's Pods are taken.

        Args:
            about: what the recording is of.
        """
        with self._lock:
            present, changes, notes = dict(self._base), list(self._changes), list(self._notes)
            dropped = list(self._dropped)
        until = about.until or float("inf")
        taken: list[Change] = []
        for change in changes:
            if about.since <= change.moment <= until:
                taken.append(change)
            elif change.moment < about.since:
                _follow(present, change)
        taken = [one for one in taken if _belongs(one, about.namespace)]
        start = max(about.since, dropped[-1] if dropped else 0.0) or (taken[0].moment if taken else 0.0)
        baseline = tuple(
            Change(start, each.kind, "added", None, each.after, listed=True)
            for each in present.values()
            if _belongs(each, about.namespace)
        )
        before = [one for one in notes if isinstance(one, Freshness) and one.moment < start][-1:]
        during = [one for one in notes if start <= one.moment <= until]
        missing = sum(moment >= about.since for moment in dropped)
        entries = tuple(merged(taken, [*before, *during]))
        return Recording(replace(about, since=start, missing=missing), baseline, entries)

    def save(self, path: Path) -> None:
        """Write what is kept as JSON lines; the same changes give the same bytes.

        Args:
            path: the file; an older one is replaced.
        """
        self.recording(About()).save(path)

    @staticmethod
    def load(path: Path) -> Timeline:
        """Read a saved timeline.

        Raises:
            LabError: the file is no saved timeline.
        """
        return Timeline.of(Recording.load(path))

    @staticmethod
    def of(recording: Recording) -> Timeline:
        """The timeline of a recording."""
        timeline = Timeline()
        for entry in (*recording.baseline, *recording.entries):
            if isinstance(entry, Change):
                timeline.record(entry)
            elif isinstance(entry, Act):
                timeline.announce(entry.verb, entry.uid, entry.moment)
            else:
                timeline.freshness(entry.state, entry.since, entry.moment, entry.note)
        return timeline

    def _drop_oldest(self) -> None:
        """Let the oldest change become part of what was there before."""
        oldest = self._changes.popleft()
        self._dropped.append(oldest.moment)
        _follow(self._base, oldest)


def _follow(present: dict[str, Change], change: Change) -> None:
    """Take a change into what is there: by uid, the change that brought its newest version."""
    if change.after is None:
        present.pop(change.uid, None)
    else:
        present[change.uid] = change


def _belongs(change: Change, namespace: str) -> bool:
    """Whether a change is of a namespace, the cluster or the control plane; all are if none is named."""
    where = change.object["metadata"].get("namespace", "")
    control_plane = where == "kube-system" and change.kind == "Pod"
    return not namespace or control_plane or where in ("", namespace)
