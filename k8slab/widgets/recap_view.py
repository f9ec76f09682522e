"""Recaps: a few questions at a chapter's end, each answer with the reason why it is right or not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import ipywidgets

from k8slab.widgets.panel import Panel, Tone, change, note, paragraph
from k8slab.widgets.prediction_view import Choice

RIGHT = "✓ right: "
WRONG = "✗ not quite: "


class Question(Protocol):
    """A question, the answers it offers, and what it says to each."""

    @property
    def id(self) -> str: ...

    @property
    def text(self) -> str: ...

    @property
    def choices(self) -> Sequence[Choice]: ...

    def is_right(self, value: str) -> bool: ...

    def sentence(self, value: str) -> str: ...


class Answers(Protocol):
    """The questions of a recap and what was answered so far."""

    @property
    def questions(self) -> Sequence[Question]: ...

    @property
    def said(self) -> Mapping[str, str]: ...

    @property
    def sentence(self) -> str: ...

    def answer(self, question: str, value: str) -> str: ...

    def follow(self, callback: Callable[[], None]) -> Callable[[], None]: ...


class RecapView(Panel):
    """Questions with a button for each answer; a click says whether it is right, and why.

    Args:
        answers: the questions and what was said; `answer` is called on the drawer's thread at each click and
            must return at once.
        key: what the view is of; a new one of the same key closes the old.
    """

    def __init__(self, answers: Answers, key: str = "recap") -> None:
        self._answers = answers
        super().__init__(key)
        self.at_close(answers.follow(self.soon))
        self.soon()

    def build(self) -> Sequence[Any]:
        """For each question its text, a row of buttons, and what is said to the answer; below, the count."""
        self.buttons: dict[tuple[str, str], Any] = {}
        self.sentences: dict[str, Any] = {}
        rows: list[Any] = []
        for question in self._answers.questions:
            rows.append(ipywidgets.HTML(paragraph(question.text, "k8p-question")))
            row = []
            for choice in question.choices:
                button = ipywidgets.Button(description=choice.text, tooltip=f"{question.text} {choice.text}")
                button.on_click(partial(self._pressed, question.id, choice.value))
                self.buttons[question.id, choice.value] = button
                row.append(button)
            rows.append(ipywidgets.HBox(row, layout=ipywidgets.Layout(flex_flow="row wrap")))
            self.sentences[question.id] = ipywidgets.HTML(layout=ipywidgets.Layout(margin="0 0 8px 0"))
            rows.append(self.sentences[question.id])
        self.count = ipywidgets.HTML()
        return (*rows, self.count)

    def draw(self) -> None:
        """Mark the latest answers, with a sign and a word, and say what is said to them."""
        said = self._answers.said
        for question in self._answers.questions:
            answer = said.get(question.id)
            for choice in question.choices:
                chosen = choice.value == answer
                mark = (RIGHT if question.is_right(choice.value) else WRONG) if chosen else ""
                button = self.buttons[question.id, choice.value]
                change(button, description=mark + choice.text)
                if chosen != ("k8p-said" in button._dom_classes):
                    (button.add_class if chosen else button.remove_class)("k8p-said")
            text = question.sentence(answer) if answer is not None else ""
            tone: Tone = "good" if answer is not None and question.is_right(answer) else "plain"
            change(self.sentences[question.id], value=note(text, tone))
        change(self.count, value=paragraph(self._answers.sentence, "k8p-soft"))

    def _pressed(self, question: str, value: str, button: Any) -> None:
        self._answers.answer(question, value)
        self.draw()
