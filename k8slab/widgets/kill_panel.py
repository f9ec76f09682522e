"""The kill panel: what the map's toolbar does, as plain ipywidgets beside a graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ipywidgets

from k8slab.errors import LabError
from k8slab.widgets.live_map import SceneSource
from k8slab.widgets.map_requests import MapActions
from k8slab.widgets.panel import Panel, change, note

VERBS = (("Kill", "kill"), ("Force kill", "force_kill"), ("Crash container", "crash"))


class KillPanel(Panel):
    """A Pod to choose, a verb, and a button.

    Args:
        source: gives the scene whose Pods can be chosen.
        actions: what the button does; called on a thread of the panel's own.
        key: what the panel is of; a new one of the same key closes the old.
    """

    def __init__(self, source: SceneSource, actions: MapActions, key: str = "kill panel") -> None:
        self._source = source
        self._actions = actions
        self._armed = True
        self._reason = ""
        self._result = ""
        self._busy = False
        super().__init__(key)
        self.at_close(source.subscribe(self.soon))
        self.soon()

    def build(self) -> Sequence[Any]:
        """Pod, verb, container, button, result."""
        self.pod = _dropdown("Pod")
        self.verb = _dropdown("Verb", options=VERBS, value="kill")
        self.container = _dropdown("Container")
        self.button = ipywidgets.Button(description="Kill", tooltip="Kill the chosen Pod")
        self.button.add_class("k8p-danger")
        self.button.on_click(self._pressed)
        self.result = ipywidgets.HTML()
        self.pod.observe(lambda change: self.soon(), names="value")
        self.verb.observe(lambda change: self.soon(), names="value")
        return (self.pod, self.verb, self.container, self.button, self.result)

    def set_armed(self, armed: bool, reason: str = "") -> None:
        """Let the button act, or make it wait and say why; from any thread."""
        self._armed, self._reason = armed, "" if armed else reason
        self.soon()

    def draw(self) -> None:
        """Follow the Pods that there are; a choice that is still there stays."""
        pods = [item for item in self._source.scene()["pods"].items() if item[1]["look"] != "ghost"]
        pods.sort(key=lambda item: item[1]["name"])
        options = tuple((f"{pod['name']} ({pod['status']})", uid) for uid, pod in pods)
        if self.pod.options != options:
            chosen = self.pod.value
            uids = [uid for _, uid in options]
            with self.pod.hold_sync():
                self.pod.options = options
                self.pod.value = chosen if chosen in uids else (uids[0] if uids else None)
        names = tuple(
            each["name"] for uid, pod in pods if uid == self.pod.value for each in pod["containers"]
        )
        crash = self.verb.value == "crash"
        if self.container.options != names:
            self.container.options = names
        self.container.layout.display = None if crash else "none"
        text = dict((value, label) for label, value in VERBS)[self.verb.value]
        change(
            self.button, description=text, disabled=self._busy or not self._armed or self.pod.value is None
        )
        change(self.result, value=self._result if self._armed else note(self._reason or "The button waits."))

    def _pressed(self, button: Any) -> None:
        """On the drawer's thread: note what was chosen, and have it done elsewhere."""
        uid, verb, container = self.pod.value, self.verb.value, self.container.value
        if uid is None or self._busy or not self._armed:
            return
        self._busy = True
        self._result = note("working")
        self.draw()
        self.in_background("kill-panel", lambda: self._work(uid, verb, container or ""))

    def _work(self, uid: str, verb: str, container: str) -> None:
        try:
            line = self._actions.command(uid, verb)
            if verb == "crash":
                text = self._actions.crash(uid, container)
            else:
                text = (self._actions.kill if verb == "kill" else self._actions.force_kill)(uid)
            self._result = note(f"{line if line.startswith('$') else f'$ {line}'}\n{text}", "good")
        except LabError as error:
            self._result = note(str(error), "bad")
        except Exception as error:  # shown to the learner in the panel, and kept
            self._result = note(f"{type(error).__name__}: {error}", "bad")
            self._drawer.troubles.append(f"kill panel: {error}")
        finally:
            self._busy = False
            self.soon()


def _dropdown(label: str, **values: Any) -> Any:
    # A layout of its own each: it is hidden where there is nothing to choose.
    layout = ipywidgets.Layout(width="320px", max_width="100%")
    return ipywidgets.Dropdown(
        description=label, layout=layout, style={"description_width": "80px"}, **values
    )
