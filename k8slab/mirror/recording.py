"""A stretch of the past that can be kept in a file: what was there, and what happened then.

A saved recording is JSON lines: first what it is of, then the objects that were there before it
begins, as `added`, then everything in order. Files without the first line load as well; the same
recording gives the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from k8slab.errors import LabError
from k8slab.mirror.changes import Change, Object

WRITTEN_BY = "k8slab"
"""The word in the first line by which a file of ours is known."""


@dataclass(frozen=True)
class Act:
    """Something the learner was about to do, announced before it was done.

    Args:
        moment: when, in epoch seconds.
        verb: `delete` or `crash`.
        uid: the Pod's.
    """

    moment: float
    verb: str
    uid: str


@dataclass(frozen=True)
class Freshness:
    """From here on the mirror was as fresh as this.

    Args:
        moment: when that was noticed, in epoch seconds.
        state: `live`, `reconnecting` or `stale`.
        since: since when it was so, in epoch seconds.
        note: one sentence more, or nothing.
    """

    moment: float
    state: str
    since: float
    note: str = ""


@dataclass(frozen=True)
class About:
    """What a recording is of.

    Args:
        title: what stands above its picture.
        namespace: whose Pods, owners and Services are shown.
        backend: one sentence on what the cluster ran on.
        played: what was played, in words.
        since: where it begins, in epoch seconds; 0 for its first entry.
        until: where it ends, in epoch seconds; 0 for its last entry.
        layers: which layers of its picture were on.
        missing: changes after `since` that were no longer kept when it was taken.
    """

    title: str = ""
    namespace: str = ""
    backend: str = ""
    played: Mapping[str, str] = field(default_factory=dict)
    since: float = 0.0
    until: float = 0.0
    layers: Mapping[str, bool] = field(default_factory=dict)
    missing: int = 0


Entry = Change | Act | Freshness


@dataclass(frozen=True)
class Recording:
    """A stretch of the past.

    Args:
        about: what it is of.
        baseline: what was there before its first entry, as `added`.
        entries: what happened, in order.
    """

    about: About
    baseline: tuple[Change, ...]
    entries: tuple[Entry, ...]

    def save(self, path: Path) -> None:
        """Write it as JSON lines.

        Args:
            path: the file; an older one is replaced.
        """
        with path.open("w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in self.lines())

    def lines(self) -> Iterator[str]:
        """The lines of its file."""
        head = {"written_by": WRITTEN_BY, "baseline": len(self.baseline), **asdict(self.about)}
        yield _line({"recording": head})
        for entry in (*self.baseline, *self.entries):
            yield _line(_as_json(entry))

    @staticmethod
    def load(path: Path) -> Recording:
        """Read a saved recording.

        Raises:
            LabError: the file is none, or cannot be read.
        """
        try:
            with path.open(encoding="utf-8") as file:
                return _read(path, file)
        except (OSError, UnicodeDecodeError) as error:
            raise LabError(
                f"{path} cannot be read: {error}.", 'Give a file that lab.export("lesson.jsonl") wrote.'
            ) from error


def merged(changes: Sequence[Change], notes: Sequence[Act | Freshness]) -> Iterator[Entry]:
    """Changes in their order, with each note before the first change that came no earlier."""
    waiting = sorted(notes, key=lambda note: note.moment)
    position = 0
    for change in changes:
        while position < len(waiting) and waiting[position].moment <= change.moment:
            yield waiting[position]
            position += 1
        yield change
    yield from waiting[position:]


def _line(value: Mapping[str, Any]) -> str:
    # Keys keep their order: sorted, labels could be told in another order than they were recorded in.
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _as_json(entry: Entry) -> dict[str, Any]:
    if isinstance(entry, Act):
        return {"moment": entry.moment, "act": entry.verb, "uid": entry.uid}
    if isinstance(entry, Freshness):
        note = {"note": entry.note} if entry.note else {}
        return {"moment": entry.moment, "state": entry.state, "since": entry.since, **note}
    return {
        "moment": entry.moment,
        "kind": entry.kind,
        "verb": entry.verb,
        "listed": entry.listed,
        "object": entry.object,
    }


def _read(path: Path, lines: Iterable[str]) -> Recording:
    about, before = About(), 0
    headed = False
    entries: list[Entry] = []
    present: dict[str, Object] = {}
    for number, line in enumerate(lines, 1):
        try:
            found: dict[str, Any] = json.loads(line)
            if number == 1 and "recording" in found:
                head = dict(found["recording"])
                before, headed = int(head["baseline"]), True
                about = About(**{name: head[name] for name in About.__dataclass_fields__ if name in head})
            else:
                entries.append(_entry(found, present))
        except (ValueError, KeyError, TypeError) as error:
            raise LabError(
                f"Line {number} of {path} is no change of a timeline ({type(error).__name__}: {error}).",
                "Give a file that `Timeline.save` wrote.",
            ) from error
    if not headed:
        before = _leading(entries)
    baseline = tuple(one for one in entries[:before] if isinstance(one, Change))
    return Recording(about, baseline, tuple(entries[before:]))


def _entry(found: Mapping[str, Any], present: dict[str, Object]) -> Entry:
    moment = float(found["moment"])
    if "act" in found:
        return Act(moment, str(found["act"]), str(found["uid"]))
    if "state" in found:
        return Freshness(moment, str(found["state"]), float(found["since"]), str(found.get("note", "")))
    obj, verb = found["object"], found["verb"]
    if verb not in ("added", "modified", "deleted"):
        raise ValueError(f"no such verb: {verb}")
    uid = str(obj["metadata"]["uid"])
    before = present.pop(uid, None)
    if verb == "deleted":
        before = obj
    else:
        present[uid] = obj
    after = None if verb == "deleted" else obj
    return Change(moment, str(found["kind"]), verb, before, after, bool(found["listed"]))


def _leading(entries: Sequence[Entry]) -> int:
    """How many entries at the start are what was there before, in a file that does not say so."""
    count = 0
    for entry in entries:
        if not isinstance(entry, Change) or not entry.listed or entry.verb != "added":
            break
        if entry.moment != entries[0].moment:
            break
        count += 1
    return count
