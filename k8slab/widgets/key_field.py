"""A field in which a context's name is typed once more, before a lab changes anything of that cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets

from k8slab.errors import LabError
from k8slab.widgets.panel import Panel, change, note, paragraph


class KeyField(Panel):
    """One line of text and a button; it goes to rest once the name was right.

    Args:
        task: what typing the name allows for.
        give: takes what was typed and returns a sentence; called on a thread of the panel's own. A
            LabError it raises is shown.
        key: what the panel is of; a new one of the same key closes the old.
    """

    def __init__(self, task: str, give: Callable[[str], str], key: str = "key") -> None:
        self._task = task
        self._give = give
        self._said = ""
        self._right = self._busy = False
        super().__init__(key)

    def build(self) -> Sequence[Any]:
        """What it is for, the field with its button, and what is said to what was typed."""
        self.field = ipywidgets.Text(placeholder="the context's name", continuous_update=False)
        self.field.layout.width = "320px"
        self.button = ipywidgets.Button(description="Let it change", tooltip="Give the typed name")
        self.button.on_click(lambda _: self._pressed())
        row = ipywidgets.HBox([self.field, self.button])
        row.layout.flex_flow = "row wrap"
        self.result = ipywidgets.HTML()
        return (ipywidgets.HTML(paragraph(self._task)), row, self.result)

    def draw(self) -> None:
        """Show what was said last."""
        change(self.field, disabled=self._right or self._busy)
        change(self.button, disabled=self._right or self._busy)
        change(self.result, value=note(self._said, "good" if self._right else "bad"))

    def _pressed(self) -> None:
        """On the drawer's thread: have the name looked at elsewhere."""
        if self._busy or self._right:
            return
        self._busy = True
        self.draw()
        typed = str(self.field.value)
        self.in_background("third-key", lambda: self._work(typed))

    def _work(self, typed: str) -> None:
        try:
            self._said, self._right = self._give(typed), True
        except LabError as error:
            self._said = str(error)
        except Exception as error:  # shown to the learner in the panel, and kept
            self._said = f"{type(error).__name__}: {error}"
            self._drawer.troubles.append(f"third key: {error}")
        finally:
            self._busy = False
            self.soon()
