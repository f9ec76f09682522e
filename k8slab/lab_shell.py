"""Running what may take longer than a cell should, without holding the kernel."""

from __future__ import annotations

import threading
from collections.abc import Callable

from k8slab.answers import LONGEST_LINE, escaped, visible
from k8slab.commands import Completed

PATIENCE = 1.8
"""Seconds a call waits for its program before it hands the cell back."""


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

    @property
    def text(self) -> str:
        """What it printed; while it runs, a sentence that says so."""
        if self._error is not None:
            return str(self._error)
        if self._done is None:
            return f"`{self.line}` is still running. The lab goes on without it; call .wait(30) on this to see its end."
        return (self._done.stdout + self._done.stderr).rstrip("\n")

    def __repr__(self) -> str:
        return visible(self.text, LONGEST_LINE)

    def _repr_html_(self) -> str:
        style = "font-family: ui-monospace, DejaVu Sans Mono, monospace; white-space: pre; margin: 0; overflow-x: auto"
        return f'<pre aria-label="{escaped(self.line)}" style="{style}">{escaped(self.text, LONGEST_LINE)}</pre>'

    def _run(self) -> None:
        try:
            self._done = self._work()
        except BaseException as error:  # handed to whoever waits or looks
            self._error = error
