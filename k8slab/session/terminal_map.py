"""The live map in a terminal: the tree of a namespace, once or again at every change."""

from __future__ import annotations

import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.text import Text as StyledText

from k8slab.chapters.exercises import Chapter
from k8slab.chapters.exercises import chapter as find_chapter
from k8slab.cluster.contract import Cluster
from k8slab.errors import LabError, WaitTimeoutError
from k8slab.graph.looks import LOOKS
from k8slab.graph.text import tree
from k8slab.session.scene_source import LabScene
from k8slab.session.session import Session

SENTENCES = 8
"""How many of the story's last sentences stand under the tree."""

GATHERED = 0.1
"""Seconds within which changes are drawn at once."""

_MARKS = {look.mark: look.colour for look in reversed(LOOKS.values())}


def subject(cluster: Cluster, namespace: str = "", chapter: str = "") -> Chapter:
    """What the tree is of: a chapter, a namespace, or the one chapter that is open in the cluster.

    Raises:
        LabError: both were given, or neither where several chapters are open.
    """
    if namespace and chapter:
        raise LabError("A chapter has its namespace.", "Give --namespace or --chapter, not both.")
    if chapter:
        return find_chapter(chapter)
    if not namespace:
        found = _open_chapters(cluster)
        if len(found) > 1:
            raise LabError(
                f"Several chapters are open: {', '.join(found)}.", f"Say which: --chapter {found[0]}."
            )
        if found:
            return subject(cluster, chapter=found[0])
    name = namespace or "default"
    return Chapter(name, name, "", (), (), ())


@contextmanager
def followed(cluster: Cluster, chapter: Chapter) -> Iterator[LabScene]:
    """The scene of a namespace, followed without changing anything; it shows how fresh it is."""
    session = Session(cluster, chapter)
    try:
        try:
            session.watch()
        except WaitTimeoutError:
            if session.mirror.status().state == "live":
                raise
        scene = LabScene(session)
        try:
            yield scene
        finally:
            scene.close()
    finally:
        session.close()


def show_once(scene: LabScene) -> None:
    """Print the tree as it is now."""
    console = Console(highlight=False, soft_wrap=not sys.stdout.isatty())
    console.print(rendered(scene.scene(), console.width if sys.stdout.isatty() else 0))


def show_changes(scene: LabScene) -> None:
    """Show the tree and draw it again at every change, in place, until Ctrl-C.

    Where standard output is no terminal every picture is appended, under the time at which it was so.
    """
    changed = threading.Event()
    end = scene.subscribe(changed.set)
    try:
        if sys.stdout.isatty():
            _redraw(scene, changed)
        else:
            _append(scene, changed)
    except KeyboardInterrupt:
        return  # how a watch ends
    finally:
        end()


def rendered(scene: dict[str, Any], width: int = 0, height: int = 0) -> StyledText:
    """The tree with its marks in colour, in lines of at most `width` and at most `height` of them.

    Args:
        scene: what is shown.
        width: columns; lines are not wrapped if 0.
        height: lines; all are shown if 0. What does not fit is left out in the middle, and counted.
    """
    lines = tree(scene, SENTENCES).split("\n")
    if width:
        lines = [part for line in lines for part in _wrapped(line, width)]
    if height and len(lines) > height:
        tail = min(
            next((n for n, line in enumerate(reversed(lines), 1) if line == "What happened"), 0), height // 2
        )
        kept = height - tail - 1
        more = f"… {len(lines) - kept - tail} lines more: a taller window shows them"
        lines = [*lines[:kept], more, *lines[len(lines) - tail :]]
    text = StyledText()
    for number, line in enumerate(lines):
        words = line.lstrip(" ")
        text.append(("\n" if number else "") + line[: len(line) - len(words)])
        colour = _MARKS.get(words[:1])
        text.append(words[:1], style=f"bold {colour}" if colour else "")
        text.append(words[1:], style="bold" if number == 0 else "")
    return text


def _wrapped(line: str, width: int) -> list[str]:
    indent = " " * (len(line) - len(line.lstrip(" ")) + 4)
    return textwrap.wrap(line, width, subsequent_indent=indent, drop_whitespace=True) or [""]


def _redraw(scene: LabScene, changed: threading.Event) -> None:
    console = Console(highlight=False)
    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
        while True:
            changed.clear()
            live.update(rendered(scene.scene(), console.width, console.height - 1), refresh=True)
            # Once a second at least: grace periods count down, and the window may have another size.
            changed.wait(1.0)
            time.sleep(GATHERED)


def _append(scene: LabScene, changed: threading.Event) -> None:
    before = ""
    while True:
        changed.clear()
        found = scene.scene()
        text = rendered(found).plain
        if text != before:
            when = time.strftime("%H:%M:%S", time.localtime(found["moment"]))
            print(f"--- {when}\n{text}", flush=True)
        before = text
        changed.wait()
        time.sleep(GATHERED)


def _open_chapters(cluster: Cluster) -> list[str]:
    """The chapters whose namespaces are in the cluster."""
    namespaces, _ = cluster.api().list("namespaces")
    labels = [each["metadata"].get("labels") or {} for each in namespaces]
    return sorted(each["k8slab.dev/chapter"] for each in labels if "k8slab.dev/chapter" in each)
