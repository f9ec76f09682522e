"""A chapter's recap being answered: what was said last, and what was right at some time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from k8slab.chapters.recap import RecapQuestion
from k8slab.errors import LabError

Callback = Callable[[], None]


class RecapRun:
    """The recap of one chapter. Safe to use from several threads.

    Args:
        questions: what is asked.
        on_right: called with a question's id the first time its answer is right.
    """

    def __init__(self, questions: tuple[RecapQuestion, ...], on_right: Callable[[str], None]) -> None:
        self.questions = questions
        self._on_right = on_right
        self._lock = threading.Lock()
        self._said: dict[str, str] = {}
        self._right: set[str] = set()
        self._callbacks: list[Callback] = []

    @property
    def said(self) -> Mapping[str, str]:
        """The latest answer to each question, by the question's id."""
        with self._lock:
            return dict(self._said)

    @property
    def right(self) -> int:
        """How many questions were answered rightly; whoever then tries a wrong answer loses nothing."""
        with self._lock:
            return len(self._right)

    def answer(self, question: str, value: str) -> str:
        """Take an answer, which may be given again and again.

        Returns:
            What is said to it.

        Raises:
            LabError: there is no such question, or it does not offer this answer.
        """
        known = {each.id: each for each in self.questions}
        if question not in known:
            raise LabError(f"There is no question {question!r}.", f"There are: {', '.join(known)}.")
        sentence = known[question].sentence(value)
        with self._lock:
            self._said[question] = value
            news = known[question].is_right(value) and question not in self._right
            if news:
                self._right.add(question)
            told = list(self._callbacks)
        if news:
            self._on_right(question)
        for callback in told:
            callback()
        return sentence

    def follow(self, callback: Callback) -> Callback:
        """Call back after every answer, from whichever thread gave it; returns the end of it."""
        with self._lock:
            self._callbacks.append(callback)

        def end() -> None:
            with self._lock:
                if callback in self._callbacks:
                    self._callbacks.remove(callback)

        return end

    def forget(self) -> None:
        """Start anew, as after a reset; views stay and are told."""
        with self._lock:
            self._said, self._right = {}, set()
            told = list(self._callbacks)
        for callback in told:
            callback()

    @property
    def sentence(self) -> str:
        """How many are right, in words."""
        count = f"{self.right} of {len(self.questions)} right."
        return count if self.right == len(self.questions) else f"{count} Try as often as you like."
