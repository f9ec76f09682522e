"""What is different about a change where the cluster belongs to somebody else: a label and a pace.

Everything that the lab makes there carries a label, so that it can be told from what was there before and
removed in one call; and changes are sent no faster than a person could want them.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace

from k8slab.errors import GuardError
from k8slab.manifests import Document

MADE_LABEL = "k8slab.dev/made-by"
MADE_BY = "k8slab"
SELECTOR = f"{MADE_LABEL}={MADE_BY}"

CHANGES_A_SECOND = 10

_RENDERED = ("create", "run", "expose", "autoscale")
"""kubectl's verbs that make an object from flags: kubectl renders it, and it is applied with the label."""

_MAKES_NOTHING = ("token",)


class Pace:
    """Lets so many acts a second through and makes the next one wait. Safe to use from several threads.

    Args:
        acts: how many a second.
    """

    def __init__(self, acts: int) -> None:
        self._lock = threading.Lock()
        self._acts = acts
        self._times: deque[float] = deque(maxlen=acts)

    def wait(self) -> None:
        """Return at once, or as soon as fewer than `acts` lie within the last second."""
        with self._lock:
            now = time.monotonic()
            if len(self._times) == self._acts and now - self._times[0] < 1.0:
                time.sleep(1.0 - (now - self._times[0]))
            self._times.append(time.monotonic())


def labelled(documents: Iterable[Document]) -> tuple[Document, ...]:
    """The same objects, each with the label that says that the lab made it."""
    return tuple(replace(document, content=_with_label(document.content)) for document in documents)


def renders(arguments: Sequence[str]) -> bool:
    """Whether a kubectl line makes an object from its flags, so that it has to be rendered and labelled.

    Raises:
        GuardError: it makes one and then stays with it, as `run -it` does.
    """
    verb = arguments[0] if arguments else ""
    if verb not in _RENDERED or (len(arguments) > 1 and arguments[1] in _MAKES_NOTHING):
        return False
    if any(word.startswith("--dry-run") and word != "--dry-run=none" for word in arguments):
        return False
    flags = {word.partition("=")[0] for word in arguments[: _end(arguments)]}
    if flags & {"-it", "-ti", "-i", "-t", "--stdin", "--tty", "--attach", "--rm"}:
        raise GuardError(
            f"`kubectl {verb}` with a terminal makes a Pod that would not carry the lab's label.",
            "Apply a Pod from a manifest, then `kubectl exec` into it.",
        )
    return True


def rendering(arguments: Sequence[str]) -> list[str]:
    """The line that makes kubectl print the object instead of creating it."""
    end = _end(arguments)
    kept = [word for word in arguments[:end] if not word.startswith(("--output", "-o", "--save-config"))]
    return [*kept, "--dry-run=client", "--output=yaml", *arguments[end:]]


def _end(arguments: Sequence[str]) -> int:
    return arguments.index("--") if "--" in arguments else len(arguments)


def _with_label(content: dict[str, object]) -> dict[str, object]:
    metadata = content.get("metadata")
    known = metadata if isinstance(metadata, dict) else {}
    labels = {**(known.get("labels") or {}), MADE_LABEL: MADE_BY}
    return {**content, "metadata": {**known, "labels": labels}}
