"""A chapter's namespace as recorded changes with times of our own, and how its checks judge it."""

from __future__ import annotations

from typing import Any

from k8slab.chapters.checks import CheckResult
from k8slab.chapters.evidence import Evidence
from k8slab.chapters.exercises import chapter
from k8slab.mirror.changes import Change
from k8slab.mirror.timeline import Timeline

Obj = dict[str, Any]


class RecordedChapter:
    """Objects that change on command.

    Args:
        name: the chapter's; its namespace has the same.
    """

    def __init__(self, name: str) -> None:
        self.chapter = chapter(name)
        self.timeline = Timeline()
        self.present: dict[str, Obj] = {}
        self.now = 1000.0

    def put(self, kind: str, name: str, listed: bool = False, *, uid: str = "", **parts: Any) -> Obj:
        """Make an object, or change what was last seen of it."""
        uid = uid or f"{kind}-{name}"
        before = self.present.get(uid)
        metadata = {"name": name, "namespace": self.chapter.name, "uid": uid, **parts.pop("metadata", {})}
        after = {"kind": kind, "metadata": metadata, **parts}
        self.present[uid] = after
        verb: Any = "modified" if before else "added"
        self.timeline.record(Change(self.now, kind, verb, before, after, listed))
        return after

    def drop(self, kind: str, name: str) -> None:
        """An object is gone."""
        self.drop_uid(f"{kind}-{name}")

    def drop_uid(self, uid: str) -> None:
        """The object of that uid is gone."""
        before = self.present.pop(uid)
        self.timeline.record(Change(self.now, before["kind"], "deleted", before, None))

    def evidence(self, since: float = 0) -> Evidence:
        """What a check is given at this moment."""
        name = self.chapter.name
        objects: dict[str, list[Obj]] = {}
        for each in self.present.values():
            if each["metadata"]["namespace"] == name:
                objects.setdefault(each["kind"], []).append(each)
        return Evidence(name, objects, self.timeline, since, self.now)

    def check(self, id: str, since: float = 0) -> CheckResult:
        """What an exercise's check says."""
        return self.chapter.exercise(id).check(self.evidence(since))

    def judge(self, id: str, asked: float) -> Any:
        """The true answers to a prediction, None while it is open."""
        return self.chapter.prediction(id).judge(self.evidence(), asked)

    def red(self, id: str, *words: str, since: float = 0) -> str:
        """The message of a check that is red, says these words, and leads on."""
        result = self.check(id, since)
        assert not result, result.message
        assert result.message.endswith("?"), result.message
        for word in words:
            assert word in result.message, (word, result.message)
        return result.message

    def green(self, id: str, *words: str) -> None:
        """The check is green, and says these words."""
        result = self.check(id)
        assert result, result.message
        for word in words:
            assert word in result.message, (word, result.message)
