"""Predictions: a learner says what will happen before it does, with one click a question."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import ipywidgets

from k8slab.errors import LabError
from k8slab.widgets.panel import Panel, change, note, paragraph

UNKNOWN = "unknown"
"""The value of the answer that every question takes."""

DO_NOT_KNOW = "I don't know, show me"


class Choice(Protocol):
    """One answer: its value, and the text on its button."""

    @property
    def value(self) -> str: ...

    @property
    def text(self) -> str: ...


class Question(Protocol):
    """One question with the answers it offers."""

    @property
    def id(self) -> str: ...

    @property
    def text(self) -> str: ...

    @property
    def choices(self) -> Sequence[Choice]: ...


class PredictionView(Panel):
    """Questions with a button for each answer, and one for "I don't know, show me".

    Args:
        questions: what is asked.
        on_answer: called with the question's id and the answer's value (`UNKNOWN` for the last button) at
            each click, on a thread of the view's own; a LabError it raises is shown.
        act: what to do once every question is answered, in one sentence.
        said: answers given already, by question.
        key: what the view is of; a new one of the same key closes the old.
    """

    def __init__(
        self,
        questions: Sequence[Question],
        on_answer: Callable[[str, str], None],
        *,
        act: str = "",
        said: Mapping[str, str] | None = None,
        key: str = "prediction",
    ) -> None:
        self._questions = tuple(questions)
        self._on_answer = on_answer
        self._act = act
        self._said = dict(said or {})
        self._verdict = ""
        self._right: dict[str, bool | None] = {}
        self._trouble = ""
        super().__init__(key)
        self.soon()

    def build(self) -> Sequence[Any]:
        """For each question its text and a row of buttons; below, where it stands."""
        self.buttons: dict[tuple[str, str], Any] = {}
        rows: list[Any] = []
        for question in self._questions:
            rows.append(ipywidgets.HTML(paragraph(question.text, "k8p-question")))
            row = []
            for value, text in [
                *((each.value, each.text) for each in question.choices),
                (UNKNOWN, DO_NOT_KNOW),
            ]:
                button = ipywidgets.Button(description=text, tooltip=f"{question.text} {text}")
                button.on_click(partial(self._pressed, question.id, value))
                self.buttons[question.id, value] = button
                row.append(button)
            layout = ipywidgets.Layout(flex_flow="row wrap", margin="0 0 8px 0")
            rows.append(ipywidgets.HBox(row, layout=layout))
        self.outcome = ipywidgets.HTML()
        return (*rows, self.outcome)

    @property
    def answered(self) -> bool:
        """Whether every question has an answer, "I don't know" included."""
        return all(question.id in self._said for question in self._questions)

    def show(self, said: Mapping[str, str]) -> None:
        """Show these answers as given, for one that was typed or forgotten by a reset; from any thread."""
        self._said = dict(said)
        self._verdict, self._right = "", {}
        self.soon()

    def judge(self, sentence: str, right: Mapping[str, bool | None] | None = None) -> None:
        """Show how the prediction compares with what happened; from any thread.

        Args:
            sentence: the comparison in words.
            right: whether each question was answered rightly; None where it was not answered.
        """
        self._verdict, self._right = sentence, dict(right or {})
        self.soon()

    def draw(self) -> None:
        """Mark what was said, and once it is judged close the questions."""
        for (question, value), button in self.buttons.items():
            said = self._said.get(question) == value
            text = button.description.removeprefix("✓ ")
            change(button, disabled=bool(self._verdict), description=f"✓ {text}" if said else text)
            if said != ("k8p-said" in button._dom_classes):
                (button.add_class if said else button.remove_class)("k8p-said")
        if self._trouble:
            value = note(self._trouble, "bad")
        elif self._verdict:
            value = note(self._verdict, "good" if self._right and all(self._right.values()) else "plain")
        elif self.answered:
            value = note(self._act, "hint")
        else:
            value = paragraph(
                "Say what you expect. A wrong answer is never held against anybody.", "k8p-soft"
            )
        change(self.outcome, value=value)

    def _pressed(self, question: str, value: str, button: Any) -> None:
        if self._verdict:
            return
        self._said[question] = value
        self._trouble = ""
        self.draw()
        self.in_background("prediction", lambda: self._tell(question, value))

    def _tell(self, question: str, value: str) -> None:
        try:
            self._on_answer(question, value)
        except LabError as error:
            self._trouble = str(error)
            self.soon()
