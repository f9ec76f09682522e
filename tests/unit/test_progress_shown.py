"""What was reached is written down beside the lesson; it is shown as text, as a panel and in a terminal."""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from k8slab import cli
from k8slab.chapters.checks import CheckResult
from k8slab.chapters.evidence import Evidence
from k8slab.chapters.exercises import Chapter, Exercise
from k8slab.chapters.predictions import UNKNOWN, Choice, Prediction, Question
from k8slab.chapters.recap import RecapQuestion
from k8slab.mirror.timeline import Timeline
from k8slab.session import shown
from k8slab.session.judge import ExerciseRun, Judge, PredictionRun
from k8slab.session.reached import as_html, as_text, chapter_reached, day, reached, what_is_next
from k8slab.session.record import ChapterRecord, LearnerRecord
from k8slab.session.record_keeper import RecordKeeper
from k8slab.widgets.exercise_view import ExerciseView
from k8slab.widgets.progress_view import ProgressView

NOON = 1_790_000_000.0


class Cluster:
    """What a chapter's checks see, as a test decides it."""

    def __init__(self) -> None:
        self.done = False
        self.truth: dict[str, str] | None = None

    def check(self, evidence: Evidence) -> CheckResult:
        return CheckResult(self.done, "It is." if self.done else "It is not. Why?")

    def judge(self, evidence: Evidence, asked: float) -> dict[str, str] | None:
        return self.truth

    def evidence(self) -> Evidence:
        return Evidence("x", {}, Timeline(), 0.0, NOON)


def wait(condition: Callable[[], Any], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.01)


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    wait(lambda: set(threading.enumerate()) <= before)


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def chapter(cluster: Cluster) -> Chapter:
    questions = (
        Question("count", "How many?", (Choice("2", "two"), Choice("3", "three"))),
        Question("name", "Which?", (Choice("a", "a"), Choice("b", "b"))),
    )
    return Chapter(
        "09-nine",
        "09 · Nine",
        "You can.",
        (),
        (
            Exercise("first", "The <b>first</b>", "Do it.", cluster.check, ("h", "hh"), ("x",)),
            Exercise("second", "The second", "Do it.", cluster.check, ("h", "hh"), ("x",)),
        ),
        (Prediction("guess", questions, "Act.", cluster.judge),),
        (RecapQuestion("who", "Who?", (Choice("a", "a"), Choice("b", "b")), "a", {"a": "A.", "b": "B."}),),
    )


@pytest.fixture
def keeper(tmp_path: Path) -> RecordKeeper:
    return RecordKeeper(LearnerRecord(tmp_path / "progress.json"), "09-nine")


def test_the_first_time_a_check_passes_is_written_once(
    cluster: Cluster, chapter: Chapter, keeper: RecordKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[tuple[str, str]] = []
    solved = keeper.record.solved

    def counted(*what: Any) -> None:
        written.append((what[1], threading.current_thread().name))
        solved(*what)

    monkeypatch.setattr(keeper.record, "solved", counted)
    judge = Judge(cluster.evidence, keeper)
    judge.add("x", ExerciseRun(chapter.exercise("first")))
    judge.look("x")
    keeper.flush(5)
    assert not written and keeper.chapters() == {}
    cluster.done = True
    for _ in range(3):
        judge.look("x")
    keeper.flush(5)
    assert written == [("first", "k8slab-record")], "one write, and not on the thread of the cell"
    assert keeper.solved_before("first") == NOON and keeper.solved_before("second") is None


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ({"count": "3", "name": "a"}, {"guess": (1, 2)}),
        ({"count": "3", "name": UNKNOWN}, {"guess": (1, 2)}),
        ({"count": UNKNOWN, "name": UNKNOWN}, {}),
        ({}, {}),
    ],
)
def test_a_judged_prediction_is_written_if_something_was_said(
    said: dict[str, str],
    written: dict[str, tuple[int, int]],
    cluster: Cluster,
    chapter: Chapter,
    keeper: RecordKeeper,
) -> None:
    run = PredictionRun(chapter.prediction("guess"))
    judge = Judge(cluster.evidence, keeper)
    judge.add("x", run)
    for question, value in said.items():
        run.answer(question, value)
    judge.look("x")
    cluster.truth = {"count": "3", "name": "b"}
    judge.look("x")
    judge.look("x")
    keeper.flush(5)
    assert keeper.chapters().get("09-nine", ChapterRecord()).predicted == written


def test_a_record_that_cannot_be_written_stops_nothing_and_says_so(
    cluster: Cluster, chapter: Chapter, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    keeper = RecordKeeper(LearnerRecord(tmp_path / "file" / "progress.json"), "09-nine")
    cluster.done = True
    judge = Judge(cluster.evidence, keeper)
    judge.add("x", ExerciseRun(chapter.exercise("first")))
    judge.look("x")
    keeper.flush(5)
    assert judge.trouble == ""
    assert repr(shown.Progress(keeper, list)).splitlines()[-1].startswith("What you reached could not be")


def test_a_spoilt_record_shows_nothing_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "progress.json"
    path.write_text("{")
    progress = shown.Progress(RecordKeeper(LearnerRecord(path), "09-nine"), list)
    assert "What was reached before cannot be read" in repr(progress)
    assert all(not each.solved for each in progress.chapters)


def test_text_and_html_say_it_with_signs_and_words(chapter: Chapter) -> None:
    record = ChapterRecord(NOON, {"first": NOON, "gone": 1.0}, {"guess": (1, 2)}, {"who": NOON, "gone": 1.0})
    found = chapter_reached(chapter, record)
    text = as_text([found], "It could not be written.").splitlines()
    assert text[2].split("  ")[0] == "09 · Nine"
    for part in (day(NOON), "1 of 2 ", "1 of 2 right", "1 of 1 right"):
        assert part in text[2]
    assert text[3:] == [
        "09 · Nine",
        f"  ✓ solved on {day(NOON)}: The <b>first</b>",
        "  ○ not yet: The second",
        "Next: exercise 'The second' of chapter 09 · Nine, in notebooks/09-nine.ipynb.",
        "It could not be written.",
    ]
    html = as_html([found])
    assert "<b>first" not in html and "✓ solved on" in html and "○ not yet: The second" in html
    done = chapter_reached(chapter, ChapterRecord(NOON, {"first": 1.0, "second": 2.0}))
    assert what_is_next([done]) == "Every exercise is solved."


def test_every_chapter_of_the_kit_is_listed() -> None:
    found = reached({})
    assert {"03-replicasets", "05-services"} <= {each.name for each in found}
    assert all(each.opened is None and not each.solved for each in found)
    first = next(each for each in found if each.exercises)
    assert what_is_next(found).startswith(f"Next: exercise {first.exercises[0].title!r}")


def test_the_panel_brings_itself_up_to_date(keeper: RecordKeeper) -> None:
    def look() -> tuple[str, str, str]:
        known = keeper.chapters().get("09-nine", ChapterRecord())
        return "".join(sorted(known.solved)), "Next: x.", keeper.trouble

    view: Any = ProgressView(look, keeper.follow)
    try:
        wait(lambda: "Next: x." in view.next.value)
        assert view.trouble.value == ""
        keeper.solved("first", NOON)
        wait(lambda: view.table.value == "first", 2.5)
        LearnerRecord(keeper.record.path).solved("09-nine", "second", NOON)
        wait(lambda: view.table.value == "firstsecond", 6)
    finally:
        view.close()
    assert keeper._callbacks == []


def test_an_exercise_solved_in_an_earlier_session_says_when(
    cluster: Cluster, chapter: Chapter, keeper: RecordKeeper
) -> None:
    keeper.solved("first", NOON)
    keeper.flush(5)
    judge = Judge(cluster.evidence, keeper)
    judge.add("x", ExerciseRun(chapter.exercise("first")))
    exercise = shown.Exercise(judge, keeper, "x", list)
    assert not exercise.check()
    assert f"Solved on {day(NOON)}." in repr(exercise).splitlines()
    view: Any = ExerciseView("T", "t", exercise.check, earlier=exercise.earlier)
    try:
        wait(lambda: f"Solved on {day(NOON)}." in view.result.value)
        cluster.done = True
        view.look()
        wait(lambda: "✓ done" in view.result.value and "Solved on" not in view.result.value)
    finally:
        view.close()
    cluster.done = False
    assert "It was done at" in repr(exercise.check()) and "Solved on" not in repr(exercise)


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """The exit code of `k8slab progress ...`."""
    monkeypatch.setattr(sys, "argv", ["k8slab", "progress", *words])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    return int(caught.value.code or 0)


def test_on_the_command_line_it_needs_no_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("K8SLAB_STATE_DIR", str(tmp_path))
    LearnerRecord().solved("03-replicasets", "keep-three", NOON)
    assert run(monkeypatch) == 0
    assert f"✓ solved on {day(NOON)}: " in capsys.readouterr().out
    assert run(monkeypatch, "--json", "--export", str(tmp_path / "mine.json")) == 0
    found = json.loads(capsys.readouterr().out)
    solved = {each["id"]: each["solved"] for chapter in found["chapters"] for each in chapter["exercises"]}
    assert solved["keep-three"] == NOON and found["next"].startswith("Next: ")
    assert (tmp_path / "mine.json").read_text() == (tmp_path / "progress.json").read_text()
    assert run(monkeypatch, "--export", str(tmp_path / "mine.json")) == 0
    assert capsys.readouterr().out == f"Your record was copied to {tmp_path / 'mine.json'}.\n"
    (tmp_path / "progress.json").write_text("[]")
    assert run(monkeypatch) == 1
    assert "no record of what was learned" in capsys.readouterr().err
