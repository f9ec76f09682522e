"""The files of a container's log: where its last lines begin, and where it goes on after a rotation."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

CHUNK = 1 << 16
MOST_LOOKS = 1000
"""How often a folder is looked at in which the next file is being made; its writer may have been killed."""


def was_rotated(file: BinaryIO, path: Path) -> bool:
    """Whether another file lies at the path by now."""
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    return there.st_ino != os.fstat(file.fileno()).st_ino


def successor(file: BinaryIO, path: Path) -> BinaryIO | None:
    """The file in which a rotated log goes on: several may have been rotated since the last look.

    Args:
        file: the one that was read to its end.
        path: where the present one lies; rotated ones lie beside it, `<name>.<time>`.

    Returns:
        It, opened; None if the log is gone altogether.
    """
    known = os.fstat(file.fileno()).st_ino
    for _ in range(MOST_LOOKS):
        before = _in_order(path)
        if not before:
            return None
        numbers = [number for number, _ in before]
        # What was deleted in the meantime cannot be told any more; the oldest that is left follows it.
        index = numbers.index(known) + 1 if known in numbers else 0
        if index == len(before):
            # The one after it is being made.
            continue
        with suppress(FileNotFoundError):
            following = before[index][1].open("rb")
            if _in_order(path) == before:
                return following
            # Rotated again just now: what was opened may be the one after the next.
            following.close()
    return None


def _in_order(path: Path) -> list[tuple[int, Path]]:
    """A log's files, the oldest first and the present one last, with the number of the file at each path."""
    found = []
    for each in (*path.parent.glob(f"{path.name}.*"), path):
        with suppress(FileNotFoundError):
            state = each.stat()
            found.append((each == path, state.st_mtime_ns, state.st_ino, each))
    return [(number, each) for _, _, number, each in sorted(found)]


def tail_start(file: BinaryIO, lines: int) -> int:
    """Offset at which the last so many lines of a file begin.

    Args:
        file: opened in binary mode; its position changes.
        lines: how many.
    """
    end = position = file.seek(0, os.SEEK_END)
    if lines <= 0:
        return end
    missing = lines
    while position > 0:
        size = min(CHUNK, position)
        position -= size
        file.seek(position)
        block = file.read(size)
        if position + size == end and block.endswith(b"\n"):
            block = block[:-1]
        count = block.count(b"\n")
        if count >= missing:
            cut = len(block)
            for _ in range(missing):
                cut = block.rindex(b"\n", 0, cut)
            return position + cut + 1
        missing -= count
    return 0
