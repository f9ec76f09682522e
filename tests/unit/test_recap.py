"""A chapter's recap: a click or a call answers, the sentence says why, and nothing is lost by trying."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from k8slab.chapters.predictions import Choice
from k8slab.chapters.recap import RecapQuestion
from k8slab.errors import LabError
from k8slab.session.recalling import RecapRun
from k8slab.session.shown import Recap
from k8slab.widgets.recap_view import RecapView

QUESTIONS = tuple(
    RecapQuestion(
        id,
        f"Who is {id}?",
        (Choice("a", "the <b>first</b>"), Choice("b", "the second")),
        "a",
        {"a": f"{id} came first.", "b": f"{id} did not come second."},
    )
    for id in ("one", "two", "three")
)


def wait(condition: Callable[[], Any], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.01)


def press(button: Any) -> None:
    """Click a button as the browser does."""
    message = {"method": "custom", "content": {"event": "click"}}
    button.comm.handle_msg({"content": {"data": message}, "buffers": []})


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    wait(lambda: set(threading.enumerate()) <= before)


@pytest.fixture
def right() -> list[str]:
    """Questions that were reported as answered rightly."""
    return []


@pytest.fixture
def run(right: list[str]) -> RecapRun:
    return RecapRun(QUESTIONS, right.append)


def test_an_answer_is_told_why_and_may_be_tried_again(run: RecapRun, right: list[str]) -> None:
    assert run.sentence == "0 of 3 right. Try as often as you like."
    assert run.answer("one", "b") == "Not quite. one did not come second."
    assert (run.right, right) == (0, [])
    assert run.answer("one", "a") == "Yes. one came first."
    run.answer("one", "a")
    assert (run.right, right) == (1, ["one"]), "told once"
    run.answer("one", "b")
    assert (run.right, dict(run.said)) == (1, {"one": "b"}), "curiosity costs nothing"
    run.answer("two", "a")
    run.answer("three", "a")
    assert run.sentence == "3 of 3 right."
    run.forget()
    assert (run.right, dict(run.said)) == (0, {})


@pytest.mark.parametrize(("question", "value"), [("four", "a"), ("one", "c")])
def test_what_is_not_offered_is_refused(run: RecapRun, question: str, value: str) -> None:
    with pytest.raises(LabError, match=r"There are: one, two, three|Choose one of: a, b"):
        run.answer(question, value)
    assert not run.said


def test_as_text_it_shows_answers_by_sign_and_sentence(run: RecapRun) -> None:
    shown = Recap(run, list)
    assert "  ( ) the second: .answer('one', 'b')" in repr(shown)
    shown.answer("one", "b").answer("two", "a")
    lines = repr(shown).splitlines()
    assert "  (✗) the second: .answer('one', 'b')" in lines
    assert "  Not quite. one did not come second." in lines
    assert "  (✓) the <b>first</b>: .answer('two', 'a')" in lines
    assert lines[-1] == "1 of 3 right. Try as often as you like."


def test_a_click_marks_the_answer_with_a_sign_and_a_word(run: RecapRun) -> None:
    view: Any = RecapView(run)
    try:
        press(view.buttons["one", "b"])
        wait(lambda: "Not quite. one did not" in view.sentences["one"].value)
        assert view.buttons["one", "b"].description == "✗ not quite: the second"
        press(view.buttons["one", "a"])
        wait(lambda: "Yes. one came first." in view.sentences["one"].value)
        assert view.buttons["one", "a"].description == "✓ right: the <b>first</b>"
        assert view.buttons["one", "b"].description == "the second"
        assert "1 of 3 right." in view.count.value
        run.answer("two", "a")
        wait(lambda: "2 of 3 right." in view.count.value)
        again: Any = RecapView(run)
        wait(lambda: view.comm is None and "2 of 3 right." in again.count.value)
        assert again.buttons["two", "a"].description.startswith("✓ right: ")
        run.forget()
        wait(lambda: "0 of 3 right." in again.count.value and not again.sentences["two"].value)
    finally:
        view.close()
        again.close()
