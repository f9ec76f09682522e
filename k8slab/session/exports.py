"""Writing what happened to a file: one HTML page that replays it, or the log such a page is made from."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from k8slab.answers import LITERAL, escaped
from k8slab.errors import LabError
from k8slab.graph.escape import plain
from k8slab.graph.replay import replay
from k8slab.graph.text import tree
from k8slab.mirror.recording import WRITTEN_BY, Recording

PAGE, LOG = ".html", ".jsonl"


@dataclass(frozen=True)
class Exported:
    """A file that was written.

    Args:
        path: where it is.
        size: its bytes.
        what: what it holds, in one sentence.
    """

    path: Path
    size: int
    what: str

    def __repr__(self) -> str:
        return f"{self.path} ({_size(self.size)}): {self.what}"

    def _repr_html_(self) -> str:
        try:
            name = self.path.relative_to(Path.cwd()).as_posix()
        except ValueError:
            return f"<p {LITERAL}>{escaped(repr(self), 1000)}</p>"
        link = f'<a href="{quote(name)}" download>{escaped(name, 400)}</a>'
        return f"<p {LITERAL}>{link} ({_size(self.size)}): {escaped(self.what, 400)}</p>"


def export(recording: Recording, path: Path) -> Exported:
    """Write a recording; the same recording gives the same bytes.

    Args:
        recording: what happened.
        path: the file: `.html` for the page, `.jsonl` for the log. A file of that name that k8slab
            wrote is replaced, any other is not.

    Raises:
        LabError: the name has another ending, or the file is somebody else's, or cannot be written.
    """
    path = path.expanduser().absolute()
    if path.suffix not in (PAGE, LOG):
        raise LabError(
            f"{path.name} is neither a page nor a log.",
            f"Give a name that ends in {PAGE} (a page that replays it) or in {LOG} (the log).",
        )
    try:
        _check_is_ours(path)
        if path.suffix == LOG:
            text = "".join(f"{line}\n" for line in recording.lines())
            what = f"every change; `k8slab replay {path.name} --html lesson.html` makes a page of it."
        else:
            from k8slab.widgets.replay_page import page

            text = page(*replay(recording))
            what = "replays what happened in any browser, without a cluster, a kernel or a network."
        size = _write(path, text.encode())
    except OSError as error:
        raise LabError(
            f"{path} cannot be written: {error.strerror or error}.", "Give another name or folder."
        ) from error
    return Exported(path, size, what)


def told(recording: Recording) -> str:
    """A recording as text: every sentence with its time since the start, and how it ended."""
    found, end = replay(recording)
    start = found.start["moment"]
    when = datetime.fromtimestamp(start, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    lines = [f"{plain(found.start['title'])}, recorded on {when}, {found.until - start:.0f} s"]
    if found.missing:
        lines.append(f"Its first {found.missing} changes were no longer kept.")
    lines += [f"{one['moment'] - start:+10.2f} s  {plain(one['text'], 400)}" for one in found.sentences()]
    return "\n".join([*lines, "", "At its end", tree(end, 0)])


def _check_is_ours(path: Path) -> None:
    """Refuse a path at which something lies that k8slab did not write."""
    if not path.exists() and not path.is_symlink():
        return
    if path.is_file():
        with path.open("rb") as file:
            start = file.read(400)
        page_mark, log_mark = b'name="generator" content="k8slab"', f'"written_by":"{WRITTEN_BY}"'.encode()
        if (page_mark if path.suffix == PAGE else log_mark) in start:
            return
    raise LabError(f"{path} is there already, and k8slab did not write it.", "Give another name.")


def _write(path: Path, data: bytes) -> int:
    """Write a file whole or not at all; returns its size."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(data)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return len(data)


def _size(count: int) -> str:
    return f"{count / 1000:,.0f} kB"
