"""The errors of a page's own scripts, without what a kernel's end brings with it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class ScriptErrors:
    """What a page's scripts failed with.

    Once kernels are being shut down JupyterLab may fail to read their last words: ipykernel's thread for
    output has ended by then, each other thread sends by itself, and their frames mix.
    Source: IOPubThread.schedule of ipykernel/iostream.py.

    Args:
        seen: the errors.
        ending: whether kernels are being shut down.
    """

    seen: list[str] = field(default_factory=list)
    ending: bool = False

    def note(self, error: str) -> None:
        """Keep an error, unless it is about last words."""
        if not (self.ending and error.startswith("Kernel message validation error")):
            self.seen.append(error)
