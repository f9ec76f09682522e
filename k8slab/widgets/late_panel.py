"""A panel for what takes seconds to be made the first time: it is there at once and fills itself in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets

from k8slab.errors import LabError
from k8slab.widgets.panel import Panel, change, note


class LatePanel(Panel):
    """Says that something is being made, and then shows it.

    Args:
        key: what it is of; a new one of the same key closes the old.
        sentence: what is said until then.
        prepare: the slow part, such as an import; called on a thread of the panel's own.
        make: makes the widget, once that is done; on the same thread.
    """

    def __init__(self, key: str, sentence: str, prepare: Callable[[], None], make: Callable[[], Any]) -> None:
        self._sentence = sentence
        self._prepare = prepare
        self._make_widget = make
        self.made: Any = None
        """The widget, once it is there."""
        super().__init__(key)
        self.in_background("late-panel", self._work)

    def build(self) -> Sequence[Any]:
        """The sentence."""
        self.waiting = ipywidgets.HTML(note(self._sentence))
        return (self.waiting,)

    def _work(self) -> None:
        try:
            self._prepare()
            if not self._closed:
                self.made = self._make_widget()
        except LabError as error:
            self._trouble(str(error))
        except Exception as error:  # shown to the learner in the panel, and kept
            self._trouble(f"{type(error).__name__}: {error}")
        if self.made is not None and self._closed:
            self.made.close()
        elif self.made is not None:
            self._drawer.soon(self._fill)

    def _trouble(self, text: str) -> None:
        self._drawer.troubles.append(text)
        self._drawer.soon(lambda: change(self.waiting, value=note(text, "bad")))

    def _fill(self) -> None:
        if not self._closed:
            self.children = (self.made, self._note)
            self.waiting.close()

    def close(self) -> None:
        """Take it away, and what it shows with it. May be called again."""
        made = self.made
        super().close()
        if made is not None:
            made.close()
