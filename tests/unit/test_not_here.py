"""What a cluster does not allow for: said as "not here", never judged, never waited for, never counted."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from k8slab.chapters.abilities import ABILITIES, elsewhere, lacking
from k8slab.chapters.checks import CheckResult
from k8slab.chapters.evidence import Evidence
from k8slab.chapters.exercises import CHAPTERS, Exercise, chapter
from k8slab.cluster.choose import BACKENDS
from k8slab.mirror.timeline import Timeline
from k8slab.session import shown
from k8slab.session.judge import ExerciseRun, Judge, PredictionRun
from k8slab.session.reached import as_text, chapter_reached, what_is_next
from k8slab.session.record import LearnerRecord
from k8slab.session.record_keeper import RecordKeeper
from k8slab.widgets.exercise_view import ExerciseView

ANATOMY = chapter("01-cluster-anatomy")
WHY = elsewhere(("components",), "existing")


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    deadline = time.monotonic() + 5
    while not set(threading.enumerate()) <= before:
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def keeper(tmp_path: Path) -> RecordKeeper:
    return RecordKeeper(LearnerRecord(tmp_path / "progress.json"), ANATOMY.name)


def never(evidence: Evidence) -> CheckResult:
    raise AssertionError("what cannot be done here must not be judged")


def evidence() -> Evidence:
    return Evidence("x", {}, Timeline(), 0.0, 1.0)


def test_every_backend_says_what_it_offers() -> None:
    assert set(ABILITIES) == set(BACKENDS)
    assert elsewhere(("components", "machines", "etcd"), "embedded") == ""
    assert elsewhere((), "existing") == ""
    assert lacking(("machines", "etcd"), "kind") == ()
    assert WHY == (
        "Here you cannot stop parts of the control plane: that takes a cluster of your own."
        " Open the chapter with backend='embedded' or 'kind' to do this."
    )
    assert "backend='embedded' or 'kind' to" in elsewhere(("etcd",), "existing")


def test_on_somebody_elses_cluster_chapter_01_alone_has_exercises_that_are_not_there() -> None:
    lost = {name: chapter(name).elsewhere("existing") for name in CHAPTERS}
    assert {name for name, ids in lost.items() if ids} == {ANATOMY.name}
    assert lost[ANATOMY.name] == ("own-choice", "waiting-wish", "who-is-missing")
    for backend in ("embedded", "kind"):
        assert not any(chapter(name).elsewhere(backend) for name in CHAPTERS)
    assert ANATOMY.needs == ("components", "machines")


def test_an_exercise_that_is_not_here_says_so_and_is_never_judged(keeper: RecordKeeper) -> None:
    exercise = Exercise("x", "Title", "Task.", never, ("h",), ("s",), needs=("components",))
    judge = Judge(evidence, keeper)
    judge.add("x", ExerciseRun(exercise, WHY))
    answer = shown.Exercise(judge, keeper, "x", list)
    for _ in range(2):
        found = answer.check()
        assert not found and found.word == "not here"
        assert repr(found) == f"– not here: {WHY}"
        assert "– not here" in found._repr_html_() and f"– not here: {WHY}" in repr(answer)
        judge.forget()
    view: Any = ExerciseView("T", "t", answer.check, elsewhere=answer.run.elsewhere)
    try:
        deadline = time.monotonic() + 5
        while "– not here: Here you cannot stop" not in view.result.value:
            assert time.monotonic() < deadline, view.result.value
            time.sleep(0.01)
    finally:
        view.close()


def test_a_prediction_that_is_not_here_keeps_no_kill_button_waiting() -> None:
    run = PredictionRun(ANATOMY.prediction("no-scheduler"), WHY)
    assert run.answered and run.sentence == WHY == run.act
    assert not run.judge(evidence())
    assert run.score is None
    assert not PredictionRun(ANATOMY.prediction("no-scheduler")).answered


def test_progress_counts_only_what_can_be_done(keeper: RecordKeeper) -> None:
    keeper.opened(ANATOMY.elsewhere("existing"))
    keeper.flush(5)
    there = chapter_reached(ANATOMY, LearnerRecord(keeper.record.path).chapters()[ANATOMY.name])
    assert (there.solved, there.asked_for) == (0, 0)
    text = as_text([there])
    assert "none here" in text and "– not here: Be the scheduler; it needs a cluster of your own" in text
    assert what_is_next([there]).startswith("Every exercise that your cluster allows for is solved; the")
    keeper.opened(())
    keeper.flush(5)
    back = chapter_reached(ANATOMY, keeper.record.chapters()[ANATOMY.name])
    assert back.asked_for == 3 and "Be the scheduler" in what_is_next([back])
