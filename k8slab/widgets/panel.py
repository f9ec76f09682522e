"""What all panels made of ipywidgets share: one open a key, touched by the drawer's thread alone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, Literal

import ipywidgets

from k8slab.answers import LONGEST_LINE, escaped
from k8slab.widgets.click_note import ClickNote
from k8slab.widgets.drawer import Drawer, close_with_all, forget_open, replace_open, take_drawer

Tone = Literal["plain", "good", "bad", "hint"]


class Panel(ipywidgets.VBox):  # type: ignore[misc]  # ipywidgets ships no types
    """A column of widgets that others make up, in `build`.

    Args:
        key: what the panel is; a new one of the same key closes the old.
    """

    def __init__(self, key: str) -> None:
        self._key = key
        self._closed = False
        self._endings: list[Callable[[], None]] = []
        replace_open(key, self)
        self._drawer: Drawer = take_drawer()
        self._drawer.run(self._make)

    def _make(self) -> None:
        """Make the widgets and open their comms, on the drawer's thread."""
        self._note = ClickNote()
        super().__init__(children=(*self.build(), self._note))
        self.add_class("k8slab-panel")
        self._drawer.adopt(self, self._note.heard)

    def build(self) -> Sequence[Any]:
        """The widgets of the panel, in order; called once, on the drawer's thread."""
        raise NotImplementedError

    def draw(self) -> None:
        """Bring the widgets up to date; on the drawer's thread."""

    def soon(self) -> None:
        """Have the panel drawn again soon; from any thread."""
        if not self._closed:
            self._drawer.soon(self._draw)

    def _draw(self) -> None:
        if not self._closed:
            self.draw()

    def every(self, seconds: float, job: Callable[[], None]) -> None:
        """Do a job every so often on the drawer's thread, until the panel closes."""

        def again() -> None:
            if self._closed:
                return
            try:
                job()
            finally:
                self._drawer.later(seconds, again)

        self._drawer.later(seconds, again)

    def at_close(self, ending: Callable[[], None]) -> None:
        """Call something once when the panel closes, such as the end of a subscription."""
        self._endings.append(ending)

    def in_background(self, name: str, work: Callable[[], None]) -> threading.Thread:
        """Run something that may take its time on a thread of its own."""
        thread = threading.Thread(target=work, name=f"k8slab-{name}", daemon=True)
        thread.start()
        return thread

    def close(self) -> None:
        """Take the panel and what is in it away, and end what it had begun. May be called again."""
        if self._closed:
            return
        self._closed = True
        forget_open(self._key, self)
        for ending in self._endings:
            ending()
        self._drawer.run(self._close_all)
        self._drawer.give_back()

    def _close_all(self) -> None:
        close_with_all(self)
        super().close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._key}>"

    def __del__(self) -> None:
        """Nothing: a panel that is open is held by its key, and a closed one has nothing left."""


def paragraph(text: str, style: str = "") -> str:
    """A paragraph of text as HTML; whatever the text holds, it stays text."""
    return f'<p class="{style}">{escaped(text, LONGEST_LINE)}</p>'


def note(text: str, tone: Tone = "plain") -> str:
    """A box with a sentence, as HTML; empty for an empty sentence."""
    return f'<div class="k8p-note k8p-{tone}">{escaped(text, LONGEST_LINE)}</div>' if text else ""


def change(widget: Any, **values: Any) -> None:
    """Set those traits of a widget that differ, so that nothing is sent in vain."""
    for name, value in values.items():
        if getattr(widget, name) != value:
            setattr(widget, name, value)
