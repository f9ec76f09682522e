"""Cells that read like the terminal: `%kubectl get pods`, and `%%apply` above a manifest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from k8slab.errors import LabError
from k8slab.manifest_lines import line_of, pointed, refused_fields

FIRST_LINE = 2
"""A cell's manifest begins on its second line; errors count as the learner sees the cell."""


def register(kubectl: Callable[[str], Any], apply: Callable[[str], Any]) -> bool:
    """Offer the two magics in this kernel; those of a lab opened before are replaced.

    Args:
        kubectl: runs what follows `kubectl` in a terminal.
        apply: applies the text of a manifest.

    Returns:
        Whether there is an IPython to offer them in.
    """
    from IPython.core.getipython import get_ipython

    shell: Any = get_ipython()
    if shell is None:
        return False

    def apply_cell(line: str, cell: str) -> Any:
        return applied(cell, apply)

    shell.register_magic_function(kubectl, "line", "kubectl")
    shell.register_magic_function(apply_cell, "cell", "apply")
    return True


def applied(cell: str, apply: Callable[[str], Any]) -> Any:
    """Apply the manifest of a cell, and point at the line that is refused.

    Args:
        cell: the cell without its first line.
        apply: applies the text of a manifest.

    Raises:
        LabError: as `apply`; the lines that the message is about stand under it.
    """
    text = "\n" * (FIRST_LINE - 1) + cell
    try:
        return apply(text)
    except LabError as error:
        lines = {line for path in refused_fields(str(error)) if (line := line_of(text, path)) is not None}
        if not lines:
            raise
        shown = "\n".join(pointed(text, line) for line in sorted(lines))
        raise LabError(f"{error}\nIn this cell, {shown}") from error
