"""Running what may take longer than a cell should, without holding the kernel."""

from __future__ import annotations

import shlex
import threading
from collections.abc import Callable, Sequence

from k8slab.answers import CODE_STYLE, LONGEST_LINE, escaped, visible
from k8slab.commands import Completed
from k8slab.errors import LabError
from k8slab.session.display import Data, bundle_of, in_kernel, show

PATIENCE = 1.8
"""Seconds a call waits for its program before it hands the cell back."""

TURN = 10.0
"""Seconds that a program waits for its turn behind a change that is still being sent."""

_QUICK_CHANGES = frozenset(
    {"annotate", "apply", "autoscale", "cordon", "create", "expose", "label", "patch", "replace", "run"}
    | {"scale", "set", "taint", "uncordon"}
)
"""Verbs of kubectl that end when the API server has taken the change; `delete` and `drain` wait for Pods."""
_QUICK_ROLLOUTS = frozenset({"pause", "restart", "resume", "undo"})

_SHELL_WORDS = frozenset({"|", "||", "&&", ";", ">", ">>", "<", "&"})


def kubectl_words(line: str) -> list[str]:
    """The words after `kubectl` in a line as one would type it.

    Raises:
        LabError: it cannot be read, or wants a shell.
    """
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise LabError(
            f"This kubectl line cannot be read: {error}.", "Look for a quote without its partner."
        ) from error
    if words[:1] == ["kubectl"]:
        words = words[1:]
    for word in words:
        if word in _SHELL_WORDS:
            raise LabError(f"There is no shell here, so {word!r} means nothing.", "Leave that part out.")
    return words


class Running:
    """A program's output, or the news that it is still running; looked at again it shows more.

    Args:
        work: runs the program to its end.
        line: the line that stands for it, such as `kubectl get pods`.
    """

    def __init__(self, work: Callable[[], Completed], line: str) -> None:
        self.line = line
        self._work = work
        self._done: Completed | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="k8slab-kubectl", daemon=True)
        self._thread.start()

    def wait(self, seconds: float) -> bool:
        """Wait for the end; whether it came.

        Raises:
            LabError: the program failed.
        """
        self._thread.join(seconds)
        if self._error is not None:
            raise self._error
        return self._done is not None

    def let_end(self, seconds: float) -> None:
        """Wait for the end, well or not."""
        self._thread.join(seconds)

    @property
    def text(self) -> str:
        """What it printed; while it runs, a sentence that says so."""
        if self._error is not None:
            return str(self._error)
        if self._done is None:
            return (
                f"`{self.line}` is still running; the lab goes on without it. `_.wait(30)` waits for its end."
            )
        return (self._done.stdout + self._done.stderr).rstrip("\n")

    @property
    def ended(self) -> bool:
        """Whether the program has ended, well or not."""
        return self._done is not None or self._error is not None

    def __repr__(self) -> str:
        return visible(self.text, LONGEST_LINE)

    def _ipython_display_(self) -> None:
        """Show the output, or a view that waits for it: the cell is over, the program need not be."""
        data: Data = {"text/html": self._repr_html_()}
        metadata: Data = {}
        if not self.ended and in_kernel():
            from k8slab.widgets.running_view import RunningView

            view = RunningView(
                lambda: visible(self.text, LONGEST_LINE), lambda: self.ended, f"running {id(self)}"
            )
            data, metadata = bundle_of(view)
        show({**data, "text/plain": repr(self)}, metadata)

    def _repr_html_(self) -> str:
        style = f"{CODE_STYLE} white-space: pre; overflow-x: auto"
        return (
            f'<pre aria-label="{escaped(self.line)}" style="{style}">{escaped(self.text, LONGEST_LINE)}</pre>'
        )

    def _run(self) -> None:
        try:
            self._done = self._work()
        except BaseException as error:  # handed to whoever waits or looks
            self._error = error


def run_for_a_while(words: Sequence[str], work: Callable[[], Completed]) -> Running:
    """Print a kubectl line, run it, and wait for its end no longer than a cell should.

    Args:
        words: the words after `kubectl`, to print.
        work: runs it to its end.

    Raises:
        LabError: it failed within that time.
    """
    global _changing
    line = f"kubectl {shlex.join(words)}"
    print(f"$ {line}")
    before = _changing

    def in_turn() -> Completed:
        # Run All is quicker than a busy machine: what was changed first is so first.
        if before is not None:
            before.let_end(TURN)
        return work()

    running = Running(in_turn, line)
    _changing = running if _is_quick_change(words) else before
    running.wait(PATIENCE)
    if _changing is not None and _changing.ended:
        _changing = None
    return running


def let_change_end(seconds: float = TURN) -> None:
    """Wait for a change that is still being sent, before what it makes is looked up.

    On a busy machine that may hold a cell for longer than a call should; otherwise it would fail.

    Args:
        seconds: the longest wait.
    """
    if _changing is not None:
        _changing.let_end(seconds)


def _is_quick_change(words: Sequence[str]) -> bool:
    verb, subverb = (*words[:2], "", "")[:2]
    return verb in _QUICK_CHANGES or (verb == "rollout" and subverb in _QUICK_ROLLOUTS)


_changing: Running | None = None
"""The latest change that is still being sent."""
