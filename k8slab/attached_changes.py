"""What is different about a change to somebody else's cluster: a label, a pace, and what kubectl is sent.

Everything that the lab makes there carries a label, so that it can be told from what was there before and
removed in one call; and changes are sent no faster than a person could want them. So objects are not left to
kubectl to send from files or flags: the lab takes them, completes them, and has kubectl send that. A cluster
without the demo application's image gets them completed in the same way; see `demo_configmap`.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from k8slab import manifests
from k8slab.demo_configmap import asks_for_demo
from k8slab.errors import GuardError
from k8slab.manifests import Document

MADE_LABEL = "k8slab.dev/made-by"
MADE_BY = "k8slab"
SELECTOR = f"{MADE_LABEL}={MADE_BY}"

CHANGES_A_SECOND = 10

_RENDERED = ("create", "run", "expose", "autoscale")
"""kubectl's verbs that make an object from flags: kubectl renders it, and it is applied with the label."""

_MAKES_NOTHING = ("token",)

_TEMPLATES = ("template", "jobTemplate")
"""Where the spec of a controller holds what its Pods, or its Jobs, are made from."""

_READ = ("apply", "create", "replace", "diff")
"""kubectl's verbs that send, or compare, what a file holds."""

_LAST_APPLIED = ("edit-last-applied", "set-last-applied", "view-last-applied")

_SUFFIXES = (".yaml", ".yml", ".json")

Way = Literal["files", "flags", "image"]
"""Where the objects of a kubectl line come from: its files, its flags, or the cluster (`set image`)."""


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
    """The same objects, each with the label that says that the lab made it.

    So are the templates in them: a Pod that its controller was made to let go has no owner by whom it could
    be found again, but its label.
    """
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
            f"`kubectl {verb}` with a terminal sends its Pod past the lab, which has to complete it here.",
            "Apply a Pod from a manifest, then `kubectl exec` into it.",
        )
    return True


def rendering(arguments: Sequence[str]) -> list[str]:
    """The line that makes kubectl print the object instead of creating it."""
    end = _end(arguments)
    ours = ["--dry-run=client", "--output=yaml"]
    without = ("--output", "-o", "--save-config", "--dry-run", "--dry_run")
    kept = [word for word in arguments[:end] if not word.startswith(without)]
    # At the front, too: a flag at the end that lacks its value would take the word after it.
    return [*kept[:1], *ours, *kept[1:], *ours, *arguments[end:]]


def way_of(arguments: Sequence[str], owned: bool = False) -> Way | None:
    """How the objects that a kubectl line sends can be completed first; None if it sends none.

    Args:
        arguments: the words after `kubectl`.
        owned: whether k8slab made the cluster, so that only the demo application needs it.

    Raises:
        GuardError: as `renders`.
    """
    words = list(arguments[: _end(arguments)])
    reads = words[:1] and words[0] in _READ and words[1:2] and words[1] not in _LAST_APPLIED
    if reads and files_of(arguments)[0]:
        return "files"
    if words[:2] == ["set", "image"]:
        unsent = any(word.startswith(("--dry-run", "--local")) for word in words)
        return None if unsent else "image"
    if owned and not asks_for_demo(words):
        return None
    return "flags" if renders(arguments) else None


def files_of(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """The files that a kubectl line names, and the line without them."""
    files: list[str] = []
    kept: list[str] = []
    words = list(arguments)
    while words:
        word = words.pop(0)
        if word == "--":
            return files, [*kept, word, *words]
        name, equals, value = word.partition("=")
        if name == "--filename":
            files.append(value if equals else (words.pop(0) if words else ""))
        elif name in ("-R", "--recursive"):
            pass
        elif word[:1] == "-" and word[1:2] != "-" and "f" in word.lstrip("-R")[:1]:
            value = word.lstrip("-R")[1:].removeprefix("=")
            files.append(value or (words.pop(0) if words else ""))
        else:
            kept.append(word)
    return files, kept


def documents_of(arguments: Sequence[str]) -> tuple[Document, ...]:
    """The objects in the files that a kubectl line names, folders as kubectl reads them.

    Raises:
        ManifestError: one cannot be read.
    """
    files, _ = files_of(arguments)
    deep = any(
        word in ("-R", "--recursive", "--recursive=true") or word.startswith("-Rf") for word in arguments
    )
    paths: list[Path] = []
    for path in map(Path, files):
        found = sorted(path.rglob("*") if deep else path.iterdir()) if path.is_dir() else [path]
        paths += [each for each in found if not path.is_dir() or each.suffix in _SUFFIXES]
    return manifests.in_apply_order(each for path in paths for each in manifests.read(path))


def with_input(arguments: Sequence[str]) -> list[str]:
    """The line that reads from its input what the files would have held."""
    kept = files_of(arguments)[1]
    end = _end(kept)
    return [*kept[:end], "-f", "-", *kept[end:]]


def _end(arguments: Sequence[str]) -> int:
    return arguments.index("--") if "--" in arguments else len(arguments)


def _with_label(content: dict[str, Any]) -> dict[str, Any]:
    metadata = content.get("metadata")
    known = metadata if isinstance(metadata, dict) else {}
    labels = {**(known.get("labels") or {}), MADE_LABEL: MADE_BY}
    made = {**content, "metadata": {**known, "labels": labels}}
    spec = content.get("spec")
    if isinstance(spec, dict):
        templates: dict[str, Any] = {
            name: _with_label(spec[name]) for name in _TEMPLATES if isinstance(spec.get(name), dict)
        }
        claims = spec.get("volumeClaimTemplates")
        if isinstance(claims, list):
            templates["volumeClaimTemplates"] = [_with_label(each) for each in claims]
        if templates:
            made["spec"] = {**spec, **templates}
    return made
