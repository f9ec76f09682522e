"""The line of a panel that says where a click stands until the kernel has heard it.

ipywidgets' own controls show nothing while their message waits for a running cell. This line is drawn by the
browser itself, 25 ms after the click, and taken away by the kernel's answer.
"""

from __future__ import annotations

from pathlib import Path

import anywidget
import traitlets

_FOLDER = Path(__file__).parent


class ClickNote(anywidget.AnyWidget):
    """One line of text inside a panel; it also brings the panels' style sheet."""

    _esm = (_FOLDER / "click_note.js").read_text()
    _css = (_FOLDER / "panel.css").read_text()
    direct = traitlets.Bool(False).tag(sync=True)

    def heard(self, on_subshell: bool) -> None:
        """Tell the browser that a message arrived; on the drawer's thread.

        Args:
            on_subshell: whether it came without waiting for a cell.
        """
        self.direct = on_subshell
        self.send({"heard": True})
