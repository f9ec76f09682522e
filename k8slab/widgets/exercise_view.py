"""Exercises: a task, a check that turns green by itself, a ladder of hints, and the solution."""

from __future__ import annotations

import html
import threading
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import ipywidgets

from k8slab.errors import LabError
from k8slab.widgets.panel import Panel, change, note, paragraph

LOOK_EVERY = 2.0
"""Seconds between two looks where nothing announces a change."""


class Result(Protocol):
    """What a check found: whether the task is done, and what is seen."""

    @property
    def passed(self) -> bool: ...

    @property
    def message(self) -> str: ...


class ExerciseView(Panel):
    """An exercise being done.

    Args:
        title: a few words.
        task: what to reach.
        check: says whether it is reached; called on a thread of the view's own, never twice at once, and
            may take its time. A LabError it raises is shown.
        hints: from a nudge to nearly everything, shown one by one.
        solution: lines of a cell that reach it.
        subscribe: calls back whenever the check may say something new, and returns the end of it; without it
            the check is asked every 2 s.
        earlier: says when it was solved before, in one short sentence, or nothing; called as `check` is.
        elsewhere: why it cannot be done on this cluster, and where it can; empty if it can.
        on_hint: called with the number of hints shown, whenever one more is.
        key: what the view is of; a new one of the same key closes the old.
    """

    def __init__(
        self,
        title: str,
        task: str,
        check: Callable[[], Result],
        hints: Sequence[str] = (),
        solution: Sequence[str] = (),
        *,
        subscribe: Callable[[Callable[[], None]], Callable[[], None]] | None = None,
        earlier: Callable[[], str] = str,
        elsewhere: str = "",
        on_hint: Callable[[int], None] | None = None,
        key: str = "exercise",
    ) -> None:
        self._title, self._task = title, task
        self._check = check
        self._earlier = earlier
        self._before = ""
        self._hints = tuple(hints)
        self._solution = tuple(solution)
        self._on_hint = on_hint
        self._shown = 0
        self._solved_shown = False
        self._passed = False
        self._elsewhere = elsewhere
        self._message = elsewhere or "Looking."
        self._guard = threading.Lock()
        self._looking = False
        self._again = False
        super().__init__(key)
        if subscribe is not None:
            self.at_close(subscribe(self.look))
        self.every(LOOK_EVERY, self.look)
        self.soon()
        self.look()

    def build(self) -> Sequence[Any]:
        """Task, result, buttons, hints, solution."""
        self.task = ipywidgets.HTML(paragraph(self._title, "k8p-title") + paragraph(self._task))
        self.result = ipywidgets.HTML()
        self.hint_button = ipywidgets.Button(tooltip="Show the next hint")
        self.hint_button.on_click(self._hint_pressed)
        self.solution_button = ipywidgets.Button(
            description="Show the solution", tooltip="Show cells that do it"
        )
        self.solution_button.on_click(self._solution_pressed)
        self.more = ipywidgets.HTML()
        row = ipywidgets.HBox([self.hint_button, self.solution_button])
        row.layout.flex_flow = "row wrap"
        return (self.task, self.result, row, self.more)

    @property
    def passed(self) -> bool:
        """Whether the last look found the task done."""
        return self._passed

    def look(self) -> None:
        """Ask the check again soon; from any thread, at any rate."""
        with self._guard:
            if self._closed:
                return
            if self._looking:
                self._again = True
                return
            self._looking = True
        self.in_background("exercise-check", self._ask)

    def _ask(self) -> None:
        while True:
            try:
                result = self._check()
                self._passed, self._message = result.passed, result.message
                self._before = self._earlier()
            except LabError as error:
                self._passed, self._message = False, str(error)
            except (
                Exception
            ) as error:  # a check that fails must say so in the view, not end its thread unheard
                self._passed, self._message = (
                    False,
                    f"The check itself failed: {type(error).__name__}: {error}",
                )
                self._drawer.troubles.append(self._message)
            self.soon()
            with self._guard:
                if not self._again or self._closed:
                    self._looking = False
                    return
                self._again = False

    def draw(self) -> None:
        """Show what the last look found, and the hints so far."""
        word = "✓ done: " if self._passed else "– not here: " if self._elsewhere else "○ not yet: "
        shown = note(word + self._message, "good" if self._passed else "plain")
        if self._before and not self._passed:
            shown += paragraph(self._before, "k8p-soft")
        change(self.result, value=shown)
        count, left = len(self._hints), len(self._hints) - self._shown
        text = f"Hint {self._shown + 1} of {count}" if left else "No more hints" if count else "No hints"
        change(self.hint_button, description=text, disabled=not left)
        change(self.solution_button, disabled=self._solved_shown or not self._solution)
        parts = [note(f"Hint {i + 1}. {hint}", "hint") for i, hint in enumerate(self._hints[: self._shown])]
        if self._solved_shown:
            parts.append(f"<pre>{html.escape(chr(10).join(self._solution))}</pre>")
        change(self.more, value="".join(parts))

    def _hint_pressed(self, button: Any) -> None:
        self._shown = min(self._shown + 1, len(self._hints))
        self.draw()
        if self._on_hint is not None:
            self._on_hint(self._shown)

    def _solution_pressed(self, button: Any) -> None:
        self._solved_shown = True
        self.draw()
