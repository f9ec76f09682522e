"""The stopwatch: how long each phase of the latest healing took, as it happens."""

from __future__ import annotations

import html
from collections.abc import Callable, Sequence
from typing import Any

import ipywidgets

from k8slab.widgets.live_map import SceneSource
from k8slab.widgets.panel import Panel, change, note, paragraph

NOTHING = "Nothing to time yet: no Pod of a controller has left. Kill one."


class StopwatchView(Panel):
    """Phases of a recovery as bars on one scale.

    Args:
        source: gives the scene whose `recovery` is shown.
        verdict: how the learner's prediction compares; asked whenever the view is drawn. Empty for nothing.
        key: what the view is of; a new one of the same key closes the old.
    """

    def __init__(
        self, source: SceneSource, verdict: Callable[[], str] | None = None, key: str = "stopwatch"
    ) -> None:
        self._source = source
        self._verdict = verdict
        super().__init__(key)
        self.at_close(source.subscribe(self.soon))
        if verdict is not None:
            self.every(1.0, self.draw)
        self.soon()

    def build(self) -> Sequence[Any]:
        """One HTML widget."""
        self.figures = ipywidgets.HTML()
        return (self.figures,)

    def draw(self) -> None:
        """Show the phases that have been reached."""
        value = phases_html(self._source.scene()["recovery"])
        if self._verdict is not None:
            value += note(self._verdict(), "hint")
        change(self.figures, value=value)


def phases_html(recovery: dict[str, Any] | None) -> str:
    """A recovery of a scene as HTML; all names in it stay text."""
    if recovery is None:
        return paragraph(NOTHING)
    phases = recovery["phases"]
    whole = max([phase["seconds"] for phase in phases] + [recovery["healed"] or 0.0, 0.001])
    heir = recovery["heir"] or "nobody yet"
    rows = [paragraph(f"{recovery['victim']} left; its replacement is {heir}.", "k8p-question")]
    rows.append('<div class="k8p-bars">')
    for phase in phases:
        width = 100.0 * min(1.0, max(0.0, phase["seconds"] / whole))
        rows.append(
            f"<span>{html.escape(phase['name'])}</span>"
            f'<span class="k8p-track"><span class="k8p-bar" style="width:{width:.1f}%"></span></span>'
            f"<span>{phase['seconds']:.2f} s</span>"
        )
    rows.append("</div>")
    healed = recovery["healed"]
    end = f"Healed in {healed:.2f} s." if healed is not None else "Not healed yet."
    return "".join(rows) + note(end, "good" if healed is not None else "plain")
