"""Handing something to IPython to be shown. IPython is only imported where something is shown."""

from __future__ import annotations

from typing import Any

Data = dict[str, Any]


def in_kernel() -> bool:
    """Whether this is a notebook's kernel, where widgets can be shown; a terminal's IPython is none."""
    from IPython.core.getipython import get_ipython

    return getattr(get_ipython(), "kernel", None) is not None


def bundle_of(widget: Any) -> tuple[Data, Data]:
    """What a widget shows itself by: data by media type, and metadata."""
    found = widget._repr_mimebundle_()
    if isinstance(found, tuple):
        return found
    return found or {}, {}


def show(data: Data, metadata: Data) -> None:
    """Show data by media type, in the cell that runs."""
    from IPython.display import display

    display(data, metadata=metadata, raw=True)  # type: ignore[no-untyped-call]
