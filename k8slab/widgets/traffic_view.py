"""Requests as they are answered: a bar for each Pod, and one for what failed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import ipywidgets

from k8slab.answers import escaped
from k8slab.widgets.panel import Panel, change, paragraph

LOOK_EVERY = 0.5


class Tally(Protocol):
    """The figures of one moment; `k8slab.traffic.Tally` is one."""

    @property
    def sentence(self) -> str: ...

    @property
    def by_pod(self) -> Mapping[str, int]: ...

    @property
    def failed(self) -> int: ...

    @property
    def failures(self) -> Mapping[str, int]: ...


class TrafficView(Panel):
    """Bars with the number of requests that each Pod answered, and of those that failed.

    Args:
        tally: gives the figures; quick, asked twice a second while the view is open.
        key: what the view is of; a new one of the same key closes the old.
    """

    def __init__(self, tally: Callable[[], Tally], key: str = "traffic") -> None:
        self._tally = tally
        super().__init__(key)
        self.every(LOOK_EVERY, self.draw)
        self.soon()

    def build(self) -> Sequence[Any]:
        """One HTML widget."""
        self.figures = ipywidgets.HTML()
        return (self.figures,)

    def draw(self) -> None:
        """Show the figures of this moment; nothing is sent where they have not changed."""
        change(self.figures, value=bars_html(self._tally()))


def bars_html(tally: Tally) -> str:
    """The figures as HTML; all names in them stay text."""
    most = max([*tally.by_pod.values(), tally.failed, 1])
    rows = [_bar(name, count, most, "") for name, count in sorted(tally.by_pod.items())]
    reasons = ", ".join(f"{count} {reason}" for reason, count in tally.failures.items())
    rows.append(_bar("failed", tally.failed, most, " k8p-bar-bad", reasons))
    return paragraph(tally.sentence, "k8p-question") + f'<div class="k8p-bars">{"".join(rows)}</div>'


def _bar(name: str, count: int, most: int, style: str, reasons: str = "") -> str:
    said = f"{count} ({reasons})" if reasons else str(count)
    width = 100 * count / most
    return (
        f'<span class="k8p-name">{escaped(name)}</span>'
        f'<span class="k8p-track"><span class="k8p-bar{style}" style="width:{width:.1f}%"></span></span>'
        f"<span>{escaped(said)}</span>"
    )
