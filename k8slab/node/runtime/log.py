"""A container's log in the CRI format, with rotation.

Format and the 16 KiB line limit are containerd's, 10 MiB and five files are the kubelet's
defaults (`containerLogMaxSize`, `containerLogMaxFiles`). Rotated files are not compressed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

LONGEST_LINE = 16 << 10
LARGEST_FILE = 10 << 20
MOST_FILES = 5


class ContainerLog:
    """Writes what a container prints, line by line, each with time and stream.

    Args:
        path: the log file; its folder is made.
        clock: nanoseconds since the epoch.
    """

    def __init__(self, path: Path, clock: Callable[[], int] = time.time_ns) -> None:
        self.path = path
        self._clock = clock
        self._rest = {"stdout": b"", "stderr": b""}
        self._complaint = ""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = self._open()

    def write(self, stream: str, data: bytes) -> None:
        """Take what was read from `stdout` or `stderr`; lines that are complete are written at once."""
        *lines, rest = (self._rest[stream] + data).split(b"\n")
        out = []
        prefix = self._prefix(stream)
        for line in lines:
            while len(line) > LONGEST_LINE:
                out.append(prefix + b"P " + line[:LONGEST_LINE])
                line = line[LONGEST_LINE:]
            out.append(prefix + b"F " + line)
        while len(rest) > LONGEST_LINE:
            out.append(prefix + b"P " + rest[:LONGEST_LINE])
            rest = rest[LONGEST_LINE:]
        self._rest[stream] = rest
        self._append(out)

    def end(self, stream: str) -> None:
        """The stream has ended: what is left without a newline is a line as well."""
        rest, self._rest[stream] = self._rest[stream], b""
        if rest:
            self._append([self._prefix(stream) + b"F " + rest])

    def close(self) -> None:
        """End both streams and close the file."""
        if self._descriptor >= 0:
            self.end("stdout")
            self.end("stderr")
            os.close(self._descriptor)
            self._descriptor = -1

    def _prefix(self, stream: str) -> bytes:
        seconds, fraction = divmod(self._clock(), 1_000_000_000)
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
        return f"{moment}.{fraction:09d}Z {stream} ".encode()

    def _open(self) -> int:
        return os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def _append(self, lines: list[bytes]) -> None:
        if not lines or self._descriptor < 0:
            return
        try:
            os.write(self._descriptor, b"\n".join(lines) + b"\n")
            if os.fstat(self._descriptor).st_size > LARGEST_FILE:
                self._rotate()
        except OSError as error:
            # A full disk must not stop the container; the runtime's own log says so once.
            if str(error) != self._complaint:
                self._complaint = str(error)
                print(f"log lines are lost in {self.path}: {error}", flush=True)

    def _rotate(self) -> None:
        """Begin a new file. Where that fails, as on a full disk, the old one goes on until the next try."""
        moment = time.strftime("%Y%m%d-%H%M%S", time.gmtime(self._clock() / 1e9))
        target = self.path.with_name(f"{self.path.name}.{moment}")
        number = 0
        while target.exists():
            number += 1
            target = self.path.with_name(f"{self.path.name}.{moment}.{number}")
        if self.path.exists():
            self.path.rename(target)
        rotated = self.path.parent.glob(f"{self.path.name}.*")
        newest = sorted(rotated, key=lambda file: file.stat().st_mtime_ns, reverse=True)
        for old in newest[MOST_FILES - 1 :]:
            old.unlink()
        fresh = self._open()
        os.close(self._descriptor)
        self._descriptor = fresh
