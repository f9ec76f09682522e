"""The output of a program that is still running: shown when it comes."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets

from k8slab.widgets.panel import Panel, change

LOOK_EVERY = 0.25


class RunningView(Panel):
    """What a program printed, as soon as it has ended; until then a sentence that it runs.

    Args:
        text: what to show at this moment.
        ended: whether the text is the last one.
        key: what the view is of; a new one of the same key closes the old.
    """

    def __init__(self, text: Callable[[], str], ended: Callable[[], bool], key: str = "running") -> None:
        self._text = text
        self._ended = ended
        self._last = False
        super().__init__(key)
        self.every(LOOK_EVERY, self.draw)
        self.soon()

    def build(self) -> Sequence[Any]:
        """One HTML widget."""
        self.output = ipywidgets.HTML()
        return (self.output,)

    def draw(self) -> None:
        """Show what there is; nothing more once the program has ended."""
        if self._last:
            return
        self._last = self._ended()
        change(self.output, value=f'<pre class="k8p-output">{html.escape(self._text())}</pre>')
