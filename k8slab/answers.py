"""What the lab's calls return: small objects that show themselves well wherever they are looked at.

Each has a text form for terminals and screen readers, and an HTML form for notebooks that says the
same. Text that came from a cluster (labels, messages, logs) is never trusted: `escaped` makes it inert.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from k8slab.graph.escape import esc, plain

LONGEST_CELL = 200
"""Characters of one value that are shown; what comes from a cluster can be arbitrarily long."""
LONGEST_LINE = 10_000

CODE_STYLE = (
    "font-family: var(--jp-code-font-family, ui-monospace, DejaVu Sans Mono, monospace);"
    " font-size: var(--jp-code-font-size, 13px); line-height: 1.3; margin: 0; word-break: normal;"
)
"""How program output looks in HTML: as Jupyter's own."""

LITERAL = 'class="mathjax_ignore tex2jax_ignore"'
"""Keeps notebooks from reading what stands between two dollar signs as a formula; entities do not, as they
are characters by then. A `pre` needs none."""


def visible(text: str, limit: int = LONGEST_CELL) -> str:
    """The text line by line without anything invisible in it, each line cut to `limit` characters."""
    return "\n".join(plain(line.expandtabs(), limit) for line in text.split("\n"))


def escaped(text: str, limit: int = LONGEST_CELL) -> str:
    """The text as HTML that shows it and does nothing else, each line cut to `limit` characters."""
    return "\n".join(esc(line.expandtabs(), limit) for line in text.split("\n"))


@dataclass(frozen=True)
class Text:
    """Some lines, such as a program's output.

    Args:
        text: the lines.
        label: what they are, for screen readers.
    """

    text: str
    label: str = "Output"

    def __repr__(self) -> str:
        return visible(self.text.rstrip("\n"), LONGEST_LINE)

    def _repr_html_(self) -> str:
        shown = escaped(self.text.rstrip("\n"), LONGEST_LINE)
        style = f"{CODE_STYLE} white-space: pre-wrap"
        return f'<pre aria-label="{escaped(self.label)}" style="{style}">{shown}</pre>'


@dataclass(frozen=True)
class Table:
    """Rows under column heads.

    Args:
        columns: the heads.
        rows: one sequence of values a row, as long as `columns`.
        caption: one sentence that says what the table holds.
        empty: what is said instead of a table without rows.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str = ""
    empty: str = "Nothing to show."

    def __iter__(self) -> Iterator[tuple[str, ...]]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        if not self.rows:
            return self.empty
        lines = columns_of([self.columns, *self.rows])
        return "\n".join([self.caption, *lines] if self.caption else lines)

    def _repr_html_(self) -> str:
        if not self.rows:
            return f"<p {LITERAL}>{escaped(self.empty)}</p>"
        cell = 'style="text-align: left; padding: 0.1em 0.8em 0.1em 0"'
        head = "".join(f'<th scope="col" {cell}>{escaped(each)}</th>' for each in self.columns)
        body = "".join(
            "<tr>" + "".join(f"<td {cell}>{escaped(each)}</td>" for each in row) + "</tr>"
            for row in self.rows
        )
        caption = (
            f'<caption style="text-align: left">{escaped(self.caption, 400)}</caption>'
            if self.caption
            else ""
        )
        return f"<table {LITERAL}>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def columns_of(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines of aligned columns, three spaces apart, as kubectl prints them."""
    shown = [[visible(value) for value in row] for row in rows]
    widths = [max(len(row[index]) for row in shown) for index in range(len(shown[0]))]
    return [
        "   ".join(value.ljust(width) for value, width in zip(row, widths, strict=True)).rstrip()
        for row in shown
    ]
