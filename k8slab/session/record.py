"""A learner's own record: which exercises were solved and when, which predictions and recaps were answered.

One small JSON file in the state folder, shared by all chapters and kernels of a user. It holds no more than
ids, times and answers, and nothing of it leaves the machine unless the learner exports it.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from filelock import FileLock
from filelock import Timeout as FileLockTimeout

from k8slab.errors import LabError
from k8slab.folders import state_folder, write_private

VERSION = 1


@dataclass(frozen=True)
class ChapterRecord:
    """What was done in one chapter; moments are epoch seconds.

    Args:
        opened: when it was first opened.
        solved: when each exercise was first done, by its id.
        predicted: how many of its questions each prediction had right, and of how many, by its id.
        recalled: when each question of the recap was first answered rightly, by its id.
        elsewhere: ids of the exercises that the cluster on which it was opened last does not allow for.
    """

    opened: float = 0.0
    solved: Mapping[str, float] = field(default_factory=dict)
    predicted: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    recalled: Mapping[str, float] = field(default_factory=dict)
    elsewhere: tuple[str, ...] = ()


class LearnerRecord:
    """The record in its file. Safe to use from several threads and processes.

    Args:
        path: the file; `progress.json` in the state folder if None.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or state_folder() / "progress.json"
        self.trouble = ""
        """What kept it from being written, in one sentence; empty if nothing did."""

    def chapters(self) -> dict[str, ChapterRecord]:
        """What was done, by chapter.

        Raises:
            LabError: the file is there and is no record of this version.
        """
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return {}
        try:
            content = json.loads(text)
            if content["version"] != VERSION:
                raise ValueError(f"version {content['version']!r}")
            return {str(name): _chapter(each) for name, each in content["chapters"].items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise LabError(
                f"{self.path} is no record of what was learned ({error}); it was left as it is.",
                f"Move it away, and a new one is begun: mv {self.path} {self.path}.old",
            ) from error

    def opened(self, chapter: str, elsewhere: tuple[str, ...] = ()) -> None:
        """Note that a chapter was opened.

        Args:
            chapter: which.
            elsewhere: ids of its exercises that cannot be done on this cluster.
        """
        self._change(
            chapter,
            lambda known: replace(known, opened=known.opened or time.time(), elsewhere=elsewhere),
        )

    def solved(self, chapter: str, exercise: str, moment: float) -> None:
        """Note that an exercise is done; the first time counts."""
        self._change(chapter, lambda known: replace(known, solved={exercise: moment, **known.solved}))

    def predicted(self, chapter: str, prediction: str, right: int, asked: int) -> None:
        """Note how a prediction came out; the first time counts, as later ones are no predictions."""
        self._change(
            chapter,
            lambda known: replace(known, predicted={prediction: (right, asked), **known.predicted}),
        )

    def recalled(self, chapter: str, question: str, moment: float) -> None:
        """Note that a question of the recap was answered rightly; the first time counts."""
        self._change(chapter, lambda known: replace(known, recalled={question: moment, **known.recalled}))

    def export(self, path: Path) -> Path:
        """Copy the record to a file that can be handed in.

        Raises:
            LabError: the record cannot be read, or the file cannot be written.
        """
        try:
            path.write_text(_text(self.chapters()), encoding="utf-8")
        except OSError as error:
            raise LabError(f"{path} cannot be written: {error.strerror}.", "Choose another place.") from error
        return path

    def _change(self, chapter: str, change: Callable[[ChapterRecord], ChapterRecord]) -> None:
        """Change one chapter's part; a record that cannot be kept never stops the lesson."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with FileLock(f"{self.path}.lock", timeout=2):
                chapters = self.chapters()
                before = chapters.get(chapter, ChapterRecord())
                after = change(before)
                if after != before:
                    write_private(self.path, _text({**chapters, chapter: after}))
            self.trouble = ""
        except (OSError, TimeoutError, LabError) as error:
            self.trouble = f"What you reached could not be written down: {_reason(error)}"


def _reason(error: Exception) -> str:
    if isinstance(error, FileLockTimeout):
        return f"{error.lock_file} is held by another program."
    if isinstance(error, OSError) and not isinstance(error, LabError):
        return f"{error.filename or 'the file'}: {error.strerror or error}."
    return str(error)


def _chapter(content: Mapping[str, Any]) -> ChapterRecord:
    return ChapterRecord(
        opened=float(content["opened"]),
        solved={str(id): float(moment) for id, moment in content["solved"].items()},
        predicted={str(id): (int(right), int(asked)) for id, (right, asked) in content["predicted"].items()},
        # Files from before there were recaps have none.
        recalled={str(id): float(moment) for id, moment in content.get("recalled", {}).items()},
        elsewhere=tuple(str(id) for id in content.get("elsewhere", ())),
    )


def _text(chapters: Mapping[str, ChapterRecord]) -> str:
    content = {"version": VERSION, "chapters": {name: asdict(each) for name, each in chapters.items()}}
    return json.dumps(content, indent=1, sort_keys=True) + os.linesep
