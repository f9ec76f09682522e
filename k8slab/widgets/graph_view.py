"""The graph: Node > Service > Pod > container as a live plotly figure, beside a kill panel.

A FigureWidget carries nearly 5 MB of script and is not freed when it is closed, so a kernel has one, which
every graph that is shown uses again. Its traces are always as many and in the same order; the drawer's
thread sets what changed in one batch, at most twice a second.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import ipywidgets

from k8slab.widgets.kill_panel import KillPanel
from k8slab.widgets.live_map import SceneSource
from k8slab.widgets.map_requests import MapActions
from k8slab.widgets.panel import Panel

UPDATES_A_SECOND = 2.0

_figure: Any = None


class GraphView(Panel):
    """The kernel's plotly figure and a kill panel.

    Args:
        source: gives the scene.
        actions: what the kill panel does.
        key: what the graph is of. One graph is open at a time, as there is one figure: the key of the panel
            is the same for all.
    """

    def __init__(self, source: SceneSource, actions: MapActions, key: str = "graph") -> None:
        self._source = source
        self._actions = actions
        self._name = key
        self._drawn = 0.0
        self._waiting = False
        self._seen: list[dict[str, Any]] = []
        self._title = ""
        self.updates = 0
        """Number of batches sent to the figure."""
        super().__init__("the graph of this kernel")
        self.at_close(source.subscribe(self._mark))
        self._mark()

    def build(self) -> Sequence[Any]:
        """The figure, with the kill panel beside it where there is room."""
        self.figure = the_figure()
        self.kill_panel = KillPanel(self._source, self._actions, f"kill panel of {self._name}")
        self.at_close(self.kill_panel.close)
        row = ipywidgets.HBox([self._framed(), self.kill_panel])
        row.layout.flex_flow = "row wrap"
        return (row,)

    def _framed(self) -> Any:
        frame = ipywidgets.Box([self.figure])
        frame.layout.flex = "1 1 520px"
        frame.layout.min_width = "0"
        return frame

    def _mark(self) -> None:
        """Say that the figure is out of date; from any thread, at any rate."""
        if self._waiting or self._closed:
            return
        self._waiting = True
        self.soon()

    def draw(self) -> None:
        """Set what changed since the last time, in one batch."""
        from k8slab.graph.figure import figure_data, figure_layout

        wait = self._drawn + 1.0 / UPDATES_A_SECOND - time.monotonic()
        if wait > 0:
            self._drawer.later(wait, self._draw)
            return
        self._waiting = False
        self._drawn = time.monotonic()
        scene = self._source.scene()
        traces, layout = figure_data(scene), figure_layout(scene)
        title = layout["title"]["text"]
        if not self._seen:
            self._begin(traces, layout)
        changed = [i for i, trace in enumerate(traces) if i >= len(self._seen) or trace != self._seen[i]]
        if not changed and title == self._title:
            return
        with self.figure.batch_update():
            for index in changed:
                values = {name: value for name, value in traces[index].items() if name != "type"}
                self.figure.data[index].update(values, overwrite=False)
            if title != self._title:
                self.figure.layout.title.text = title
        self.updates += 1
        self._seen, self._title = traces, title

    def _begin(self, traces: list[dict[str, Any]], layout: dict[str, Any]) -> None:
        """Give the kernel's figure its traces, once, and the layout of this graph."""
        if not self.figure.data:
            self.figure.add_traces(traces)
        self.figure.update_layout(layout)

    def _close_all(self) -> None:
        # The figure stays for the next graph: take it out before its parents are closed.
        for child in self.children[:1]:
            child.children = ()
        super()._close_all()


def the_figure() -> Any:
    """The kernel's FigureWidget, made at the first call; on the drawer's thread."""
    global _figure
    if _figure is None:
        import plotly.graph_objects as go

        _figure = go.FigureWidget(layout={"autosize": True})
        # plotly follows the width of the page only where its configuration says so; it has no public setter.
        _figure._config = {**_figure._config, "responsive": True}
    return _figure
