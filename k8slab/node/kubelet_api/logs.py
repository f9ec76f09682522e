"""Reading container logs as `kubectl logs` asks for them.

Container logs are CRI files, `<time> <stream> <F or P> <text>` a line (cri-client's pkg/logs);
logs of the control plane's processes are plain text and carry no time of their own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from k8slab.node.containers.container_status import timestamp
from k8slab.node.kubelet_api.log_files import successor, tail_start, was_rotated

CHUNK = 1 << 16
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
    file: BinaryIO = source.path.open("rb")
    try:
        if options.tail is not None:
            file.seek(tail_start(file, options.tail))
        # Without following, a tail is so many lines, however many are written meanwhile.
        most = None if options.follow else options.tail
        rest = b""
        at_line_start = True
        complete = False
        while most is None or most > 0:
            # Asked before reading: what was written before the end is then surely read.
            running = source.running()
            data = file.read(CHUNK)
            if data:
                *lines, rest = (rest + data).split(b"\n")
                if most is not None:
                    lines, most = lines[:most], most - len(lines)
                pieces = []
                for line in lines:
                    text = formatted(line, options, source.cri, at_line_start)
                    if text:
                        at_line_start = text.endswith(b"\n")
                        pieces.append(text)
                if pieces:
                    yield b"".join(pieces)
                # A reader that lags behind a fast writer must not keep the node from its other work.
                await asyncio.sleep(0)
                continue
            if complete:
                following = successor(file, source.path)
                file.close()
                if following is None:
                    return
                file, complete = following, False
                continue
            if options.follow and was_rotated(file, source.path):
                # Nothing is written to it any more, but something may have been since the last look.
                complete = True
                continue
            if not options.follow or not running:
                if rest:
                    yield formatted(rest, options, source.cri, at_line_start)
                return
            await asyncio.sleep(FOLLOW_SECONDS)
    finally:
        file.close()


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
