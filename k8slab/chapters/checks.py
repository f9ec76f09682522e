"""Checks: whether a task is done, and if not, what is seen, what is wanted, and a question that leads on."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from k8slab.answers import LITERAL, escaped, visible
from k8slab.chapters.evidence import Evidence

Standing = Literal["open", "solved", "broken", "elsewhere"]


@dataclass(frozen=True)
class CheckResult:
    """What a check found.

    Args:
        passed: whether the task is done.
        message: what is seen and what is wanted, and while it is not done a question that leads on.
        standing: `broken` when it was done earlier and is not any longer, `elsewhere` when it cannot be done
            on this cluster.
    """

    passed: bool
    message: str
    standing: Standing = "open"

    @property
    def word(self) -> str:
        """The verdict in a word or two, so that colour is never needed to read it."""
        if self.passed:
            return "done"
        if self.standing == "elsewhere":
            return "not here"
        return "no longer done" if self.standing == "broken" else "not yet"

    @property
    def mark(self) -> str:
        """The sign that stands before the word."""
        return "✓" if self.passed else "–" if self.standing == "elsewhere" else "✗"

    def __bool__(self) -> bool:
        return self.passed

    def __repr__(self) -> str:
        return f"{self.mark} {self.word}: {visible(self.message, 2000)}"

    def _repr_html_(self) -> str:
        return f"<p {LITERAL}><strong>{self.mark} {self.word}</strong>: {escaped(self.message, 2000)}</p>"


Check = Callable[[Evidence], CheckResult]


def seen(message: str) -> CheckResult:
    """A result that is not there yet."""
    return CheckResult(False, message)


def not_here(message: str) -> CheckResult:
    """The result of what cannot be done on this cluster: neither done nor failed."""
    return CheckResult(False, message, "elsewhere")


class CheckMemory:
    """What a check said before, so that a success that broke later is noticed. Not thread-safe."""

    def __init__(self) -> None:
        self.solved: float | None = None
        """When the check first passed, in epoch seconds."""

    def judge(self, result: CheckResult, moment: float) -> CheckResult:
        """The result in the light of what was there before.

        Args:
            result: what the check found now.
            moment: now, in epoch seconds.
        """
        if result.passed:
            self.solved = self.solved or moment
            return CheckResult(True, result.message, "solved")
        if self.solved is None:
            return result
        at = time.strftime("%H:%M:%S", time.localtime(self.solved))
        return CheckResult(
            False, f"It was done at {at}, and something has changed since. {result.message}", "broken"
        )

    def forget(self) -> None:
        """Start anew, as after a reset."""
        self.solved = None
