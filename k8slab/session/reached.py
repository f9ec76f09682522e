"""What a learner reached in all chapters, from the record: as data, as text and as HTML. Pure."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from k8slab.answers import Table, escaped
from k8slab.chapters.exercises import CHAPTERS, MODULES, Chapter
from k8slab.chapters.exercises import chapter as find_chapter
from k8slab.session.record import ChapterRecord

OWN = "a cluster of your own: backend='embedded' or backend='kind'"


@dataclass(frozen=True)
class ExerciseReached:
    """One exercise.

    Args:
        id: such as `keep-three`.
        title: a few words.
        solved: when it was first done; None while it is not.
        elsewhere: whether the cluster on which its chapter was opened last does not allow for it.
    """

    id: str
    title: str
    solved: float | None
    elsewhere: bool = False

    @property
    def is_open(self) -> bool:
        """Whether it waits to be done, and can be."""
        return self.solved is None and not self.elsewhere


@dataclass(frozen=True)
class ChapterReached:
    """One chapter, and what was reached in it.

    Args:
        name: such as `03-replicasets`.
        title: such as `03 · ReplicaSets`.
        opened: when it was first opened, in epoch seconds; None while it is not.
        exercises: its exercises in order.
        right: questions of predictions that were answered rightly.
        asked: questions of the predictions that were made.
        recalled: questions of its recap that were answered rightly.
        recap: how many questions its recap has.
    """

    name: str
    title: str
    opened: float | None
    exercises: tuple[ExerciseReached, ...]
    right: int
    asked: int
    recalled: int
    recap: int

    @property
    def solved(self) -> int:
        """How many exercises are done."""
        return sum(each.solved is not None for each in self.exercises)

    @property
    def asked_for(self) -> int:
        """How many exercises there are to do; what cannot be done on the learner's cluster is not counted."""
        return sum(each.solved is not None or each.is_open for each in self.exercises)


def reached(records: Mapping[str, ChapterRecord]) -> tuple[ChapterReached, ...]:
    """All chapters in their order, with what the record says of each."""
    chapters = [find_chapter(name) for name in CHAPTERS if _is_written(name)]
    return tuple(chapter_reached(each, records.get(each.name, ChapterRecord())) for each in chapters)


def _is_written(name: str) -> bool:
    """Whether a chapter's module is in this version of the kit."""
    found = find_spec(MODULES[name])
    return found is not None and found.origin is not None


def chapter_reached(chapter: Chapter, record: ChapterRecord) -> ChapterReached:
    """One chapter with what its record says; what the chapter no longer has does not count."""
    exercises = tuple(
        ExerciseReached(each.id, each.title, record.solved.get(each.id), each.id in record.elsewhere)
        for each in chapter.exercises
    )
    made = list(record.predicted.values())
    return ChapterReached(
        chapter.name,
        chapter.title,
        record.opened or None,
        exercises,
        sum(right for right, _ in made),
        sum(asked for _, asked in made),
        sum(question.id in record.recalled for question in chapter.recap),
        len(chapter.recap),
    )


def what_is_next(chapters: Sequence[ChapterReached]) -> str:
    """One sentence: the earliest exercise that is not done."""
    for chapter in chapters:
        left = next((each for each in chapter.exercises if each.is_open), None)
        if left is not None:
            where = f"exercise {left.title!r} of chapter {chapter.title}"
            notebook = f"notebooks/{chapter.name}.ipynb"
            return f"Next: {where}, in {notebook}."
    if any(not each.solved and each.elsewhere for chapter in chapters for each in chapter.exercises):
        return f"Every exercise that your cluster allows for is solved; the others need {OWN}."
    return "Every exercise is solved."


def table(chapters: Sequence[ChapterReached]) -> Table:
    """One row a chapter."""
    rows = tuple(
        (
            each.title,
            day(each.opened) if each.opened else "not yet",
            f"{each.solved} of {each.asked_for}" if each.asked_for else "none here",
            f"{each.right} of {each.asked} right" if each.asked else "none made",
            f"{each.recalled} of {each.recap} right" if each.recap else "none",
        )
        for each in chapters
    )
    return Table(("CHAPTER", "OPENED", "SOLVED", "PREDICTIONS", "RECAP"), rows, "What you reached so far")


def exercise_line(exercise: ExerciseReached) -> str:
    """An exercise with a sign, a word and its title."""
    if exercise.solved is None:
        if exercise.elsewhere:
            return f"– not here: {exercise.title}; it needs {OWN}"
        return f"○ not yet: {exercise.title}"
    return f"✓ solved on {day(exercise.solved)}: {exercise.title}"


def as_text(chapters: Sequence[ChapterReached], trouble: str = "") -> str:
    """The table, the exercises of the chapters that were begun, and what is next."""
    lines = [repr(table(chapters))]
    for chapter in chapters:
        if chapter.opened or chapter.solved:
            lines.append(chapter.title)
            lines += [f"  {exercise_line(each)}" for each in chapter.exercises]
    return "\n".join(line for line in (*lines, what_is_next(chapters), trouble) if line)


def as_html(chapters: Sequence[ChapterReached]) -> str:
    """The same for a notebook, every exercise with its title."""
    parts = [table(chapters)._repr_html_()]
    for chapter in chapters:
        if chapter.opened or chapter.solved:
            items = "".join(f"<li>{escaped(exercise_line(each))}</li>" for each in chapter.exercises)
            style = 'style="list-style: none; margin: 0 0 6px; padding-left: 12px"'
            parts.append(f"<p><strong>{escaped(chapter.title)}</strong></p><ul {style}>{items}</ul>")
    return "".join(parts)


def day(moment: float) -> str:
    """Such as `2026-11-28`, where the learner is."""
    return time.strftime("%Y-%m-%d", time.localtime(moment))
