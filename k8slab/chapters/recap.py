"""Recaps: questions at a chapter's end, each answer with the reason why it is right or not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from k8slab.chapters.predictions import Choice
from k8slab.errors import LabError


@dataclass(frozen=True)
class RecapQuestion:
    """A question about what the chapter showed; it may be answered again and again.

    Args:
        id: such as `who-replaces`.
        text: what is asked.
        choices: the answers it offers.
        right: value of the right one.
        why: for each choice's value, one sentence that says why it is right, or why not.
    """

    id: str
    text: str
    choices: tuple[Choice, ...]
    right: str
    why: Mapping[str, str]

    def is_right(self, value: str) -> bool:
        """Whether an answer is the right one.

        Raises:
            LabError: the question does not offer it.
        """
        if value not in self.why:
            raise LabError(f"{value!r} is none of the answers.", f"Choose one of: {', '.join(self.why)}.")
        return value == self.right

    def sentence(self, value: str) -> str:
        """What is said to an answer.

        Raises:
            LabError: the question does not offer it.
        """
        return f"{'Yes' if self.is_right(value) else 'Not quite'}. {self.why[value]}"
