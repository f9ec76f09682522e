"""Telling the user what happens while it happens.

Whatever may take longer than a moment is handed a `Progress` and announces its steps on it. Work
never prints on its own, so the same code serves a terminal, a notebook, a log file and a test.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, TextIO

from k8slab.errors import LabError

UPDATE_SECONDS = 10.0
"""Without a terminal, how far apart the lines are that say how far a step is."""


class Step(Protocol):
    """A step that is under way."""

    def detail(self, text: str) -> None:
        """Say how far the step is, such as `34 of 105 MB`; cheap enough to be called often."""


class Progress(Protocol):
    """What work announces itself on."""

    def step(self, text: str) -> AbstractContextManager[Step]:
        """A block of work: ends with ✓ and its duration, or with ✗ and the exception that left it."""

    def line(self, text: str) -> None:
        """One line of news."""


class TextProgress:
    """Progress as lines of text, with a moving line where the stream is a terminal.

    A terminal shows the running step on one line that is replaced when the step ends. Elsewhere a step
    is announced when it starts, and says at most every 10 s how far it is.

    Args:
        stream: where to write; what `sys.stderr` is at the time of writing if None.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream
        self._open: list[_TextStep] = []
        self._status: Any = None

    def line(self, text: str) -> None:
        """Write one line, indented by the steps that are open."""
        self._write("  " * len(self._open) + text)

    @contextmanager
    def step(self, text: str) -> Iterator[Step]:
        """Announce a step, and how it ended."""
        step = _TextStep(self, text)
        self._begin(step)
        try:
            yield step
        except BaseException as error:
            self._end(step, good=False, note=reason_of(error))
            raise
        self._end(step, good=True, note=f"{time.monotonic() - step.started:.1f} s")

    def _begin(self, step: _TextStep) -> None:
        stream = self._target()
        if not stream.isatty():
            self.line(f"{step.text} ...")
            self._open.append(step)
            return
        self._open.append(step)
        if self._status is None:
            from rich.console import Console

            self._status = Console(file=stream, highlight=False, markup=False).status("")
            self._status.start()
        self._show(step.text)

    def _end(self, step: _TextStep, good: bool, note: str) -> None:
        self._open.remove(step)
        if self._status is not None and not self._open:
            self._status.stop()
            self._status = None
        elif self._status is not None:
            self._show(self._open[-1].text)
        self.line(f"{self._mark(good)} {step.text}" + (f" ({note})" if good else f": {note}"))

    def _report(self, step: _TextStep, text: str) -> None:
        if self._status is not None:
            self._show(f"{step.text}: {text}")
        elif time.monotonic() - step.told >= UPDATE_SECONDS:
            step.told = time.monotonic()
            self.line(f"{step.text}: {text}")

    def _show(self, text: str) -> None:
        from rich.text import Text

        # As Text: a path in square brackets is no markup.
        self._status.update(Text("  " * (len(self._open) - 1) + text))

    def _mark(self, good: bool) -> str:
        encoding = (getattr(self._target(), "encoding", None) or "utf-8").lower()
        if "utf" in encoding:
            return "✓" if good else "✗"
        return "ok:" if good else "failed:"

    def _target(self) -> TextIO:
        return self._stream if self._stream is not None else sys.stderr

    def _write(self, text: str) -> None:
        stream = self._target()
        encoding = getattr(stream, "encoding", None) or "utf-8"
        text = text.encode(encoding, "replace").decode(encoding)
        if self._status is not None:
            from rich.text import Text

            self._status.console.print(Text(text), soft_wrap=True)
        else:
            stream.write(text + "\n")
            stream.flush()


class _TextStep:
    def __init__(self, progress: TextProgress, text: str) -> None:
        self.text = text
        self.started = self.told = time.monotonic()
        self._progress = progress

    def detail(self, text: str) -> None:
        self._progress._report(self, text)


@dataclass
class CollectedProgress:
    """Progress that is kept and shown to nobody; tests read it.

    Args:
        lines: every line and, as `✓ text` or `✗ text: reason`, every step that has ended, in order.
        details: what steps said about how far they were.
    """

    lines: list[str] = field(default_factory=list)
    details: list[str] = field(default_factory=list)

    def line(self, text: str) -> None:
        """Keep one line."""
        self.lines.append(text)

    def detail(self, text: str) -> None:
        """Keep how far a step is."""
        self.details.append(text)

    @contextmanager
    def step(self, text: str) -> Iterator[Step]:
        """Keep a step once it has ended."""
        try:
            yield self
        except BaseException as error:
            self.lines.append(f"✗ {text}: {reason_of(error)}")
            raise
        self.lines.append(f"✓ {text}")


class SilentProgress:
    """Progress that nobody wants to see."""

    def line(self, text: str) -> None:
        """Drop one line."""

    def detail(self, text: str) -> None:
        """Drop how far a step is."""

    @contextmanager
    def step(self, text: str) -> Iterator[Step]:
        """Run a step without a word."""
        yield self


def reason_of(error: BaseException) -> str:
    """Why a step failed, on one line: `interrupted` for Ctrl-C, a LabError's message without its cure."""
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    text = error.message if isinstance(error, LabError) else str(error)
    return " ".join(text.split()) or type(error).__name__
