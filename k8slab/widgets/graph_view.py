"""The graph: Node > Service > Pod > container as a live plotly figure, beside a kill panel.

A kernel has one figure (`kernel_figure.py`). Its traces are always as many and in the same order; the
drawer's thread sets what changed in one batch, at most twice a second.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import ipywidgets

from k8slab.widgets.kernel_figure import kernel_figure
from k8slab.widgets.kill_panel import KillPanel
from k8slab.widgets.live_map import SceneSource
from k8slab.widgets.map_requests import MapActions
from k8slab.widgets.panel import Panel

UPDATES_A_SECOND = 2.0
LONGEST_WAIT = 3.0
"""Seconds that a figure waits for its second view to speak; its script is loaded by then."""


class GraphView(Panel):
    """The kernel's plotly figure and a kill panel. One is open at a time, as there is one figure.

    Args:
        source: gives the scene.
        actions: what the kill panel does.
        key: what the graph is of; names its kill panel.
    """

    def __init__(self, source: SceneSource, actions: MapActions, key: str = "graph") -> None:
        self._source = source
        self._actions = actions
        self._name = key
        self._drawn = 0.0
        self._waiting = False
        self._seen: list[Any] = []
        self.updates = 0
        """Number of batches sent to the figure."""
        super().__init__("the graph of this kernel")
        self.at_close(source.subscribe(self._mark))
        self._mark()

    def build(self) -> Sequence[Any]:
        """The figure, with the kill panel beside it where there is room."""
        from k8slab.graph.figure import figure_data, figure_layout

        scene = self._source.scene()
        self._kept = kernel_figure(figure_data(scene), figure_layout(scene))
        self._kept.adopt(self._drawer)
        self._kept.when_heard = self._mark
        if self._kept.await_view():
            # Another view of it has been there: should the new one not speak, it is taken to be there soon.
            self._drawer.later(LONGEST_WAIT, self._kept.take_as_heard)
        self.figure = self._kept.widget
        self.kill_panel = KillPanel(self._source, self._actions, f"kill panel of {self._name}")
        self.at_close(self.kill_panel.close)
        frame = ipywidgets.Box([self.figure])
        frame.layout.flex = "1 1 520px"
        frame.layout.min_width = "0"
        row = ipywidgets.HBox([frame, self.kill_panel])
        row.layout.flex_flow = "row wrap"
        return (row,)

    def _mark(self) -> None:
        """Say that the figure is out of date; from any thread, at any rate."""
        if not self._waiting:
            self._waiting = True
            self.soon()

    def draw(self) -> None:
        """Set what changed since the last time, in one batch, or wait for the turn."""
        from k8slab.graph.figure import figure_data, figure_layout

        wait = self._drawn + 1.0 / UPDATES_A_SECOND - time.monotonic()
        if wait > 0:
            self._drawer.later(wait, self._draw)
            return
        self._waiting = False
        if not self._kept.heard:
            return
        self._drawn = time.monotonic()
        scene = self._source.scene()
        wanted: list[Any] = [*figure_data(scene), figure_layout(scene)["title"]]
        changed = [i for i, each in enumerate(wanted) if not self._seen or each != self._seen[i]]
        if not changed:
            return
        with self.figure.batch_update():
            for part, values in ((self._part(i), wanted[i]) for i in changed):
                part.update({name: value for name, value in values.items() if name != "type"})
        self._seen = wanted
        self.updates += 1

    def _part(self, index: int) -> Any:
        """A trace of the figure, or after the last one its title."""
        traces = self.figure.data
        return traces[index] if index < len(traces) else self.figure.layout.title

    def _close_all(self) -> None:
        # The figure stays for the next graph: take it out before its parents are closed.
        self._kept.when_heard = None
        for frame in self.children[0].children[:1]:
            frame.children = ()
        super()._close_all()
