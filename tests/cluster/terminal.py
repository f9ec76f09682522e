"""A kubectl that runs in a terminal of its own, with somebody who types and reads."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from types import TracebackType


class Terminal:
    """Runs a command in a terminal, as long as the context lasts.

    Args:
        argv: the command.
        rows: the terminal's height.
        columns: its width.
    """

    def __init__(self, argv: list[str], rows: int = 40, columns: int = 123) -> None:
        self._argv = argv
        self._size = rows, columns
        self.seen = ""

    def __enter__(self) -> Terminal:
        self._ours, theirs = pty.openpty()
        self._set_size(*self._size)
        self.process = subprocess.Popen(
            self._argv, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
        )
        os.close(theirs)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)

    def _set_size(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def resize(self, rows: int, columns: int) -> None:
        """Make the window larger or smaller; kubectl hears of it as from any terminal."""
        self._set_size(rows, columns)
        self.process.send_signal(signal.SIGWINCH)

    def type(self, text: str) -> None:
        """Type something."""
        os.write(self._ours, text.encode())

    def expect(self, wanted: str, seconds: float = 60) -> None:
        """Read until a text appears; what stands before it counts as read."""
        deadline = time.monotonic() + seconds
        while wanted not in self.seen:
            left = deadline - time.monotonic()
            assert left > 0, f"waited {seconds} s for {wanted!r}; seen: {self.seen!r}"
            if select.select([self._ours], [], [], min(left, 1.0))[0]:
                try:
                    self.seen += os.read(self._ours, 65536).decode(errors="replace")
                except OSError as error:
                    # A terminal whose last program ended answers EIO.
                    assert wanted in self.seen, f"{wanted!r} never came; seen: {self.seen!r} ({error})"
        self.seen = self.seen.partition(wanted)[2]

    def expect_prompt(self) -> None:
        """Wait until the shell at the other end answers, whatever its prompt is."""
        self.type("echo rea''dy\n")
        self.expect("ready")

    def wait(self, seconds: float = 60) -> int:
        """Read to the end; the exit code."""
        deadline = time.monotonic() + seconds
        while self.process.poll() is None:
            assert time.monotonic() < deadline, f"kubectl did not end; seen: {self.seen!r}"
            self._read_some()
        self._read_some()
        return self.process.returncode

    def _read_some(self) -> None:
        while select.select([self._ours], [], [], 0.1)[0]:
            try:
                data = os.read(self._ours, 65536)
            except OSError:
                return
            if not data:
                return
            self.seen += data.decode(errors="replace")
