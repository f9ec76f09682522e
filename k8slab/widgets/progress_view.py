"""What was reached in all chapters, as a panel that brings itself up to date."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets

from k8slab.widgets.panel import Panel, change, note

LOOK_EVERY = 3.0
"""Seconds between two looks: another notebook may have written something."""


class ProgressView(Panel):
    """Table and exercises, what is next, and what went wrong while it was written.

    Args:
        look: gives the table as HTML that is inert, what is next, and the trouble; called on threads of the
            panel's own, never twice at once.
        follow: calls back whenever there may be news, and returns the end of it.
        key: what the panel is of; a new one of the same key closes the old.
    """

    def __init__(
        self,
        look: Callable[[], tuple[str, str, str]],
        follow: Callable[[Callable[[], None]], Callable[[], None]],
        key: str = "progress",
    ) -> None:
        self._look = look
        self._shown = ("", "Looking.", "")
        self._guard = threading.Lock()
        self._looking = self._again = False
        super().__init__(key)
        self.at_close(follow(self.look))
        self.every(LOOK_EVERY, self.look)
        self.look()

    def build(self) -> Sequence[Any]:
        """Three pieces of HTML."""
        self.table = ipywidgets.HTML()
        self.next = ipywidgets.HTML()
        self.trouble = ipywidgets.HTML()
        return (self.table, self.next, self.trouble)

    def look(self) -> None:
        """Look again soon; from any thread."""
        with self._guard:
            if self._closed:
                return
            if self._looking:
                self._again = True
                return
            self._looking = True
        self.in_background("progress-look", self._ask)

    def draw(self) -> None:
        """Show what the last look found."""
        table, following, trouble = self._shown
        change(self.table, value=table)
        change(self.next, value=note(following, "hint"))
        change(self.trouble, value=note(trouble, "bad"))

    def _ask(self) -> None:
        while True:
            self._shown = self._look()
            self.soon()
            with self._guard:
                if not self._again or self._closed:
                    self._looking = False
                    return
                self._again = False
