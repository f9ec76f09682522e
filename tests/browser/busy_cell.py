"""A cell that keeps a kernel busy until its test has seen what it wanted to see beside it.

A cell that sleeps for some seconds asks how quick the machine is; this one ends when it is told to.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SOURCE = """import time
from pathlib import Path
end = Path({file!r})
{beside}
while not end.exists():
    time.sleep(0.05)
print('woke', time.time())"""
BEATING = "source.beat(end)"
"""What goes on beside the cell where a scripted cluster is to change all the time."""


@dataclass(frozen=True)
class BusyCell:
    """The cell; a kernel that is shut down ends it as well.

    Args:
        file: what ends it, by being there.
    """

    file: Path

    def source(self, beside: str = "") -> str:
        """Its source.

        Args:
            beside: a line that begins something; the path `end` says when that is to end.
        """
        return SOURCE.format(file=str(self.file), beside=beside)

    def end(self) -> None:
        """Let it end."""
        self.file.touch()
