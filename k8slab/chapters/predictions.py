"""Predictions: a learner says what will happen, the timeline says what did."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from k8slab.chapters.abilities import Ability
from k8slab.chapters.evidence import Evidence

UNKNOWN = "unknown"
"""The answer "I don't know, show me", which every question takes."""


@dataclass(frozen=True)
class Choice:
    """One answer a question offers.

    Args:
        value: what a judge compares.
        text: what stands on the button, and completes the sentence "You said ...".
    """

    value: str
    text: str


@dataclass(frozen=True)
class Question:
    """One question with the answers it offers."""

    id: str
    text: str
    choices: tuple[Choice, ...]

    def text_of(self, value: str) -> str:
        """What an answer reads like; the value itself where it was none of the choices."""
        return next((choice.text for choice in self.choices if choice.value == value), value)


Judge = Callable[[Evidence, float], Mapping[str, str] | None]
"""From the evidence and the moment of asking: the true answer of each question, None while it is open."""


@dataclass(frozen=True)
class Prediction:
    """Questions that belong together, and how the timeline answers them.

    Args:
        id: such as `after-the-kill`.
        questions: what is asked.
        act: what to do now, in one sentence.
        judge: what really happened.
        needs: what it needs that not every cluster lets a learner do.
    """

    id: str
    questions: tuple[Question, ...]
    act: str
    judge: Judge
    needs: tuple[Ability, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """How a prediction compares with what happened.

    Args:
        right: whether each question was answered rightly; None where it was not answered.
        sentence: the comparison in words; never held against anybody.
    """

    right: Mapping[str, bool | None]
    sentence: str

    def __repr__(self) -> str:
        return self.sentence


def compare(prediction: Prediction, said: Mapping[str, str], truth: Mapping[str, str]) -> Verdict:
    """Compare what a learner said with what happened.

    Args:
        prediction: what was asked.
        said: the answer given to each question; missing or `UNKNOWN` where there is none.
        truth: the true answers.
    """
    right: dict[str, bool | None] = {}
    parts = []
    for question in prediction.questions:
        answer = said.get(question.id, UNKNOWN)
        was = question.text_of(truth[question.id])
        right[question.id] = None if answer == UNKNOWN else answer == truth[question.id]
        if answer == UNKNOWN:
            parts.append(f"it was {was}")
        elif right[question.id]:
            parts.append(f"you said {question.text_of(answer)}, and so it was")
        else:
            parts.append(f"you said {question.text_of(answer)}, and it was {was}")
    sentence = "; ".join(parts)
    if right and all(right.values()):
        end = {1: "right", 2: "right on both"}.get(len(right), f"right on all {len(right)}")
        answers = " and ".join(question.text_of(said[question.id]) for question in prediction.questions)
        return Verdict(right, f"You said {answers}: {end}.")
    return Verdict(right, sentence[:1].upper() + sentence[1:] + ".")
