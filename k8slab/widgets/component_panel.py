"""The processes of the control plane, each with a button that stops or starts it."""

from __future__ import annotations

import html
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import ipywidgets

from k8slab.errors import LabError
from k8slab.widgets.panel import Panel, change, note, paragraph

LOOK_EVERY = 2.0

Action = Literal["stop", "start"]

_DOING = {"stop": "stopping", "start": "starting"}


@dataclass(frozen=True)
class ComponentState:
    """What a row shows.

    Args:
        name: such as `kube-scheduler`.
        running: whether its button stops it, rather than starts it.
        words: its state in words.
    """

    name: str
    running: bool
    words: str


class ComponentPanel(Panel):
    """One row for each process: its name, its state, and one button.

    Args:
        names: the processes, in the order of their rows.
        look: says what state they are in; called on a thread of the panel's own, every 2 s.
        act: does what a button says and returns a sentence; called on such a thread, too.
        key: what the panel is of; a new one of the same key closes the old.
    """

    def __init__(
        self,
        names: Sequence[str],
        look: Callable[[], Sequence[ComponentState]],
        act: Callable[[str, Action], str],
        key: str = "components",
    ) -> None:
        self._names = tuple(names)
        self._look = look
        self._act = act
        self._states: dict[str, ComponentState] = {}
        self._busy: dict[str, Action] = {}
        self._result = ""
        self._trouble = ""
        self._guard = threading.Lock()
        self._looking = False
        self._acts = 0
        super().__init__(key)
        self.every(LOOK_EVERY, self.look)
        self.look()

    def build(self) -> Sequence[Any]:
        """A title, the rows, and the last sentence."""
        self.states: dict[str, Any] = {}
        self.buttons: dict[str, Any] = {}
        rows = []
        for name in self._names:
            label = ipywidgets.HTML(f'<span class="k8p-name">{html.escape(name)}</span>')
            label.layout.width = "220px"
            state = self.states[name] = ipywidgets.HTML("looking")
            state.layout.width = "260px"
            button = self.buttons[name] = ipywidgets.Button(description="Stop", disabled=True)
            button.layout.width = "100px"
            button.on_click(lambda _, name=name: self._pressed(name))
            row = ipywidgets.HBox([label, state, button])
            row.layout.align_items = "center"
            row.layout.flex_flow = "row wrap"
            rows.append(row)
        self.result = ipywidgets.HTML()
        title = ipywidgets.HTML(paragraph("The control plane's processes", "k8p-title"))
        return (title, *rows, self.result)

    def look(self) -> None:
        """Look again soon; from any thread. Never two looks at once."""
        with self._guard:
            if self._closed or self._looking:
                return
            self._looking = True
        self.in_background("components-look", self._ask)

    def draw(self) -> None:
        """Show the states of the last look, and the last sentence."""
        for name in self._names:
            state, doing = self._states.get(name), self._busy.get(name)
            running = state.running if state is not None else True
            words = _DOING[doing] if doing else state.words if state is not None else "looking"
            verb = "Stop" if running else "Start"
            button = self.buttons[name]
            change(self.states[name], value=paragraph(words))
            change(button, description=verb, tooltip=f"{verb} {name}", disabled=bool(doing) or state is None)
            if running and "k8p-danger" not in button._dom_classes:
                button.add_class("k8p-danger")
            elif not running:
                button.remove_class("k8p-danger")
        change(self.result, value=self._trouble or self._result)

    def _ask(self) -> None:
        acts = self._acts
        try:
            states = {each.name: each for each in self._look()}
            # What was seen before a button's work was done is older than what that work saw at its end.
            if acts == self._acts:
                self._states = states
            self._trouble = ""
        except LabError as error:
            self._trouble = note(str(error), "bad")
        except Exception as error:  # shown to the learner in the panel, and kept
            self._trouble = note(f"{type(error).__name__}: {error}", "bad")
            self._drawer.troubles.append(f"components: {error}")
        with self._guard:
            self._looking = False
        self.soon()

    def _pressed(self, name: str) -> None:
        """On the drawer's thread: note what was pressed, and have it done elsewhere."""
        state = self._states.get(name)
        if state is None or name in self._busy:
            return
        action: Action = "stop" if state.running else "start"
        self._busy[name] = action
        self.draw()
        self.in_background("components-act", lambda: self._work(name, action))

    def _work(self, name: str, action: Action) -> None:
        try:
            self._result = note(self._act(name, action), "good")
        except LabError as error:
            self._result = note(str(error), "bad")
        except Exception as error:  # shown to the learner in the panel, and kept
            self._result = note(f"{type(error).__name__}: {error}", "bad")
            self._drawer.troubles.append(f"components: {error}")
        self._acts += 1
        try:
            self._states = {each.name: each for each in self._look()}
        except LabError as error:
            self._trouble = note(str(error), "bad")
        finally:
            self._busy.pop(name, None)
            self.soon()
