"""How states look: a word, a mark and a colour each, so that no picture depends on colour alone.

Colours are Okabe and Ito's, which stay apart for the colour-blind; words next to them are dark.
"""

from __future__ import annotations

from dataclasses import dataclass

INK = "#1b1f24"
QUIET = "#4a535d"
FAINT = "#5b6570"
MIDDLE = "#7d8791"
"""A grey that stands out on paper and on the dark of a theme alike: for lines, not for words."""

LINE = "#c8cdd3"
PAPER = "#fafbfc"
GREEN = "#009E73"
ORANGE = "#E69F00"
BLUE = "#0072B2"
SKY = "#56B4E9"
VERMILION = "#D55E00"
DARK_BLUE = "#00578a"
DARK_GREEN = "#00674b"
DARK_RED = "#a34500"


@dataclass(frozen=True)
class Look:
    """How one state is drawn.

    Args:
        word: what it is called in a legend.
        mark: the sign beside it in text.
        colour: of the mark and the frame.
        symbol: plotly's name of the mark.
        dash: dash pattern of the frame in SVG; empty for a solid one.
    """

    word: str
    mark: str
    colour: str
    symbol: str
    dash: str = ""


LOOKS: dict[str, Look] = {
    "running": Look("running", "●", GREEN, "circle"),
    "starting": Look("starting", "▲", ORANGE, "triangle-up"),
    "not-ready": Look("not ready", "□", BLUE, "square-open"),
    "terminating": Look("terminating", "✕", FAINT, "x", "6 4"),
    "failed": Look("failed", "◆", VERMILION, "diamond"),
    "done": Look("done", "✓", SKY, "star"),
    "ghost": Look("gone", "✕", "#8a949e", "x-thin-open", "2 4"),
}
"""Every `look` a scene uses, in the order of the legend."""


@dataclass(frozen=True)
class EdgeLook:
    """How a line from a Service to a Pod is drawn.

    Args:
        word: what it means.
        sample: the line in text.
        colour: of the line.
        dash: dash pattern in SVG. plotly: plotly's name of it.
    """

    word: str
    sample: str
    colour: str
    dash: str
    plotly: str


EDGES: dict[str, EdgeLook] = {
    "ready": EdgeLook("gets requests", "━━", GREEN, "", "solid"),
    "not-ready": EdgeLook("not ready", "╍╍", BLUE, "8 5", "dash"),
    "terminating": EdgeLook("leaving", "····", FAINT, "2 5", "dot"),
}
"""Every state of an edge a scene uses, in the order of the legend."""
