"""Reading container logs as `kubectl logs` asks for them.

Container logs are CRI files, `<time> <stream> <F or P> <text>` a line (cri-client's pkg/logs);
logs of the control plane's processes are plain text and carry no time of their own.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from k8slab.node.container_status import timestamp

CHUNK = 64 * 1024
FOLLOW_SECONDS = 0.1
"""How often a followed log is looked at; a second look is a few system calls."""


@dataclass(frozen=True)
class LogOptions:
    """What part of a log is wanted.

    Args:
        follow: whether to wait for more until the program ends.
        previous: whether the run before the present one is meant.
        timestamps: whether each line starts with its time.
        tail: how many lines from the end; None for all.
        since: only lines that are not older (epoch s); 0 for all.
        limit: how many bytes at most; None for all.
        stream: `All`, `Stdout` or `Stderr`.
    """

    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    tail: int | None = None
    since: float = 0.0
    limit: int | None = None
    stream: str = "All"

    @staticmethod
    def of(query: Mapping[str, str], now: float) -> LogOptions:
        """The options in a request's query, named as in `PodLogOptions`.

        Raises:
            ValueError: one of them does not parse.
        """
        tail = query.get("tailLines") or query.get("tail") or ""
        since = 0.0
        if query.get("sinceSeconds"):
            since = now - int(query["sinceSeconds"])
        elif query.get("sinceTime"):
            since = datetime.fromisoformat(query["sinceTime"]).timestamp()
        return LogOptions(
            follow=_is_true(query.get("follow")),
            previous=_is_true(query.get("previous")),
            timestamps=_is_true(query.get("timestamps")),
            tail=int(tail) if tail and tail != "all" else None,
            since=since,
            limit=int(query["limitBytes"]) if query.get("limitBytes") else None,
            stream=query.get("stream") or "All",
        )


@dataclass(frozen=True)
class LogSource:
    """A log that can be read.

    Args:
        path: its file.
        running: whether more may still be written.
        cri: whether its lines have the CRI form; plain text otherwise.
    """

    path: Path
    running: Callable[[], bool]
    cri: bool = True


def _is_true(text: str | None) -> bool:
    return text in ("true", "True", "1")


async def read_log(source: LogSource, options: LogOptions) -> AsyncIterator[bytes]:
    """Yield the wanted part of a log, in pieces.

    Raises:
        FileNotFoundError: there is no such log.
    """
    left = options.limit
    async for chunk in _selected(source, options):
        if left is not None:
            chunk = chunk[:left]
            left -= len(chunk)
        if chunk:
            yield chunk
        if left == 0:
            return


async def _selected(source: LogSource, options: LogOptions) -> AsyncIterator[bytes]:
    file = source.path.open("rb")
    try:
        if options.tail is not None:
            file.seek(tail_start(file, options.tail))
        rest = b""
        at_line_start = True
        while True:
            # Asked before reading: what was written before the end is then surely read.
            running = source.running()
            data = file.read(CHUNK)
            if data:
                *lines, rest = (rest + data).split(b"\n")
                pieces = []
                for line in lines:
                    text = formatted(line, options, source.cri, at_line_start)
                    if text:
                        at_line_start = text.endswith(b"\n")
                        pieces.append(text)
                if pieces:
                    yield b"".join(pieces)
                continue
            if _was_rotated(file, source.path):
                file.close()
                file = source.path.open("rb")
                continue
            if not options.follow or not running:
                if rest:
                    yield formatted(rest, options, source.cri, at_line_start)
                return
            await asyncio.sleep(FOLLOW_SECONDS)
    finally:
        file.close()


def _was_rotated(file: BinaryIO, path: Path) -> bool:
    """Whether another file lies at the path by now."""
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    return there.st_ino != os.fstat(file.fileno()).st_ino


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


def formatted(line: bytes, options: LogOptions, cri: bool, at_line_start: bool = True) -> bytes:
    """One line of a log as it is sent; empty if it is not wanted. Pure.

    Args:
        line: without its end.
        options: what is wanted.
        cri: whether it has the CRI form.
        at_line_start: whether what was sent before it ended a line.
    """
    if not cri:
        return line + b"\n"
    parts = line.split(b" ", 3)
    if len(parts) < 3:
        return b""
    moment, stream, kind = parts[:3]
    text = parts[3] if len(parts) == 4 else b""
    if options.stream != "All" and stream.decode().capitalize() != options.stream:
        return b""
    if options.since and moment.decode() < timestamp(options.since)[:-1]:
        return b""
    if options.timestamps and at_line_start:
        text = moment + b" " + text
    return text if kind.startswith(b"P") else text + b"\n"
