"""Writing SVG: shapes and texts as strings, every text escaped, no text under 12 px. Pure."""

from __future__ import annotations

from k8slab.graph.escape import esc
from k8slab.graph.looks import INK, LINE

SMALLEST = 12.0
"""Size in px below which no text may be."""

SANS = "system-ui,Segoe UI,Roboto,DejaVu Sans,sans-serif"
MONO = "ui-monospace,DejaVu Sans Mono,monospace"


def width_of(text: str, size: float, mono: bool = False) -> float:
    """About how many px wide a text is: by DejaVu's semibold average, which is on the wide side."""
    return len(text) * size * (0.605 if mono else 0.615)


def fitted(text: str, size: float, width: float, mono: bool = False) -> str:
    """A text cut to a width in px; what is cut ends in an ellipsis."""
    if width_of(text, size, mono) <= width:
        return text
    kept = int(width / (size * (0.605 if mono else 0.615))) - 1
    return text[: max(1, kept)] + "…"


class Svg:
    """A drawing that grows from back to front."""

    def __init__(self) -> None:
        self._parts: list[str] = []

    def rect(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        radius: float = 0,
        fill: str = "#fff",
        stroke: str = LINE,
        line: float = 1,
        dash: str = "",
    ) -> None:
        """A rectangle with round corners; `line` is the width of its frame, in px."""
        frame = f' stroke="{stroke}" stroke-width="{number(line)}"' if line else ""
        self._parts.append(
            f'<rect x="{number(x)}" y="{number(y)}" width="{number(width)}" height="{number(height)}"'
            f' rx="{number(radius)}" fill="{fill}"{frame}{_dash(dash)}/>'
        )

    def text(
        self,
        x: float,
        y: float,
        text: str,
        size: float = 13,
        fill: str = INK,
        weight: int = 400,
        anchor: str = "start",
        mono: bool = False,
    ) -> None:
        """A line of text, at its baseline; an empty one is not drawn."""
        if not text:
            return
        family = f' font-family="{MONO}"' if mono else ""
        self._parts.append(
            f'<text x="{number(x)}" y="{number(y)}" font-size="{number(max(size, SMALLEST))}" fill="{fill}"'
            f' font-weight="{weight}" text-anchor="{anchor}"{family}>{esc(text)}</text>'
        )

    def path(
        self, points: list[tuple[float, float]], stroke: str, line: float, dash: str = "", marker: str = ""
    ) -> None:
        """A line through points; `marker` is the id of its arrow head."""
        steps = " L".join(f"{number(x)} {number(y)}" for x, y in points)
        head = f' marker-end="url(#{marker})"' if marker else ""
        self._parts.append(
            f'<path d="M{steps}" fill="none" stroke="{stroke}" stroke-width="{number(line)}"'
            f' stroke-linejoin="round"{_dash(dash)}{head}/>'
        )

    def mark(self, look: str, x: float, y: float, colour: str) -> None:
        """The mark of a look, about 12 px wide, around a point: shapes differ, so colour is not needed."""
        line = f'fill="none" stroke="{colour}" stroke-width="2.4"'
        shapes = {
            "running": f'<circle cx="{number(x)}" cy="{number(y)}" r="6" fill="{colour}"/>',
            "starting": f'<path d="M{number(x)} {number(y - 6)}l6.5 11h-13z" fill="{colour}"/>',
            "not-ready": f'<rect x="{number(x - 5)}" y="{number(y - 5)}" width="10" height="10" {line}/>',
            "failed": f'<path d="M{number(x)} {number(y - 7)}l7 7l-7 7l-7-7z" fill="{colour}"/>',
            "done": f'<path d="M{number(x - 6)} {number(y)}l4 5l8-10" {line}/>',
        }
        cross = f'<path d="M{number(x - 5)} {number(y - 5)}l10 10m0-10l-10 10" {line}/>'
        self._parts.append(shapes.get(look, cross))

    def mark_small(self, look: str, x: float, y: float, colour: str) -> None:
        """The mark of a look at about two thirds of its size."""
        whole = Svg()
        whole.mark(look, 0, 0, colour)
        self._parts.append(
            f'<g transform="translate({number(x)} {number(y)}) scale(.7)">{whole._parts[0]}</g>'
        )

    def extend(self, other: Svg) -> None:
        """Put another drawing in front of this one."""
        self._parts += other._parts

    def document(self, width: float, height: float, name: str, title: str, description: str) -> str:
        """The whole drawing as a standalone SVG.

        Args:
            width, height: its size in px.
            name: prefix of its ids, so that several drawings can share a page.
            title, description: what a screen reader says.
        """
        # A description may be long: each of its lines is bounded, not the whole.
        words = "\n".join(esc(line, 400) for line in description.splitlines())
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {number(width)} {number(height)}"'
            f' width="{number(width)}" height="{number(height)}" font-family="{SANS}" role="img"'
            f' aria-labelledby="{name}-title {name}-desc"><title id="{name}-title">{esc(title)}</title>'
            f'<desc id="{name}-desc">{words}</desc><defs><marker id="{name}-arrow" viewBox="0 0 8 8" refX="7"'
            ' refY="4" markerWidth="8" markerHeight="8" orient="auto"><path d="M0 0L8 4L0 8z"'
            ' fill="#4a535d"/></marker></defs>\n' + "\n".join(self._parts) + "\n</svg>\n"
        )


def number(value: float) -> str:
    """A number as short as SVG allows, to a tenth of a px."""
    return f"{value:.1f}".removesuffix(".0")


def _dash(dash: str) -> str:
    return f' stroke-dasharray="{dash}"' if dash else ""
