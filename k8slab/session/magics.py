"""Cells that read like the terminal: `%kubectl get pods`, and `%%apply` above a manifest."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from k8slab.errors import LabError, ManifestError
from k8slab.manifest_lines import line_of, pointed, refused_fields

CELL = "this cell"
"""What a manifest that stands in a cell is called in messages."""

R = TypeVar("R")

_WHERE = re.compile(r"\bline (\d+), column \d+")


def register(kubectl: Callable[[str], Any], apply: Callable[[str], Any]) -> bool:
    """Offer the two magics in this kernel; those of a lab opened before are replaced.

    What follows `%kubectl` is taken as it stands, as in a terminal: braces and dollars belong to kubectl.

    Args:
        kubectl: runs what follows `kubectl` in a terminal.
        apply: applies the text of a manifest, whose lines count as the learner sees the cell.

    Returns:
        Whether there is an IPython to offer them in.
    """
    if "IPython" not in sys.modules:
        return False
    from IPython.core.getipython import get_ipython
    from IPython.core.magic import no_var_expand

    shell: Any = get_ipython()
    if shell is None:
        return False

    def kubectl_line(line: str) -> Any:
        return kubectl(line)

    def apply_cell(line: str, cell: str) -> Any:
        if line.strip():
            raise LabError(
                f"%%apply takes nothing on its own line, and {line.strip()!r} stands there.",
                "Put the manifest below it; the namespace is the chapter's.",
            )
        return apply(as_seen(cell))

    shell.register_magic_function(no_var_expand(kubectl_line), "line", "kubectl")
    shell.register_magic_function(no_var_expand(apply_cell), "cell", "apply")
    return True


def as_seen(cell: str) -> str:
    """A cell's manifest with an empty line for `%%apply`: its lines count as the learner sees them."""
    return "\n" + cell


def pointing(text: str, apply: Callable[[], R]) -> R:
    """Apply a manifest, and point at the lines that are refused.

    Args:
        text: the manifest, as the learner sees it.
        apply: applies it.

    Raises:
        LabError: as `apply`; the lines that the message is about stand under it.
    """
    try:
        return apply()
    except LabError as error:
        lines = _lines(text, error)
        if not lines:
            raise
        shown = "\n".join(pointed(text, line) for line in sorted(lines))
        raise LabError(f"{error}\nIn {CELL}, {shown}") from error


def _lines(text: str, error: LabError) -> set[int]:
    """The lines of a manifest that an error is about: where it does not parse, or the fields it names."""
    if isinstance(error, ManifestError):
        return {int(line) for line in _WHERE.findall(str(error))}
    return {line for path in refused_fields(str(error)) if (line := line_of(text, path)) is not None}
