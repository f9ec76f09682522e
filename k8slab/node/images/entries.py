"""One entry of the image catalogue: what it may say, and what is wrong with one that is not right. Pure."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from k8slab.folders import Isolation

LEVELS: tuple[Isolation, ...] = ("sandboxed", "plain")
VARIANT = (
    r"(?:-(?:alpine(?:3\.\d+)?|slim|perl|otel|glibc|musl|uclibc|"
    r"buster|bullseye|bookworm|trixie|focal|jammy|noble))*"
)
"""What `{variant}` in a tag pattern stands for: the usual endings, or none."""


@dataclass(frozen=True)
class Program:
    """What runs for an image.

    Args:
        entrypoint: the image's ENTRYPOINT; a Pod's `command` replaces it.
        command: the image's CMD; a Pod's `args` replace it.
        environment: the image's ENV.
        working_dir: the image's WORKDIR.
        program: `python` or `host`.
        requires: programs of the host, one of which must be there; the first word of its command if empty.
        levels: levels of isolation at which it runs.
        programs: folders of programs that come first in its PATH.
        fallback_programs: folders of programs that come last in its PATH.
        files: files and folders of this host that it needs.
        content: folders it starts with: path in the container, and the folder of this host to copy.
        stand_in: one sentence if it is not the named product; empty otherwise.
        ignores: paths whose content it does not read, though the named product would.
        story: one sentence: what runs here.
    """

    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    working_dir: str = "/"
    program: str = "host"
    requires: tuple[str, ...] = ()
    levels: tuple[str, ...] = LEVELS
    programs: tuple[str, ...] = ()
    fallback_programs: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    content: Mapping[str, str] = field(default_factory=dict)
    stand_in: str = ""
    ignores: tuple[str, ...] = ()
    story: str = ""


@dataclass(frozen=True)
class ImageEntry:
    """One entry of the catalogue.

    Args:
        match: names it answers for, `*` for any text.
        tags: accepted tags, each with its environment.
        tag_patterns: regular expressions of accepted tags. Without either, every tag is accepted.
        pull_seconds: how long a pull is made to take.
        pull_error: what a pull is made to fail with; empty if it succeeds.
        preloaded: whether every node has it from its start.
        refused: why it cannot run here at all; empty if it can.
        here: what runs.
        instead: what runs where this host lacks the program, or at the level it lacks; None if nothing does.
    """

    match: tuple[str, ...]
    tags: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    tag_patterns: tuple[str, ...] = ()
    pull_seconds: float = 0.0
    pull_error: str = ""
    preloaded: bool = False
    refused: str = ""
    here: Program = field(default_factory=Program)
    instead: Program | None = None

    def answers_for(self, name: str) -> bool:
        """Whether it is the entry of an image of this (short) name."""
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in self.match)

    def has_tag(self, tag: str) -> bool:
        """Whether the image has this tag."""
        if not self.tags and not self.tag_patterns:
            return True
        patterns = (pattern.replace("{variant}", VARIANT) for pattern in self.tag_patterns)
        return tag in self.tags or any(re.fullmatch(pattern, tag, re.ASCII) for pattern in patterns)


class _Mistake(ValueError):
    """What is wrong with one entry; the caller adds file and line."""


def entry_of(raw: Any) -> ImageEntry:
    """One entry, checked.

    Args:
        raw: a mapping with the keys that `images.yaml` describes.

    Raises:
        ValueError: it is not one; the message names the key, what was seen and what was wanted.
    """
    if not isinstance(raw, dict):
        raise _Mistake(f"an entry is a mapping with a list `match`, and this is {raw!r}")
    own, running = dict(raw), {key: raw[key] for key in raw if key in PROGRAM_KEYS}
    for key in running:
        del own[key]
    instead = own.pop("instead", None)
    values = _values(own, ENTRY_KEYS, set(ENTRY_KEYS) | set(PROGRAM_KEYS) | {"instead"})
    if not values.get("match"):
        raise _Mistake("`match` is missing: the list of names that the entry answers for")
    here = Program(**_values(running, PROGRAM_KEYS, set(PROGRAM_KEYS)))
    other = None
    if instead is not None:
        if not isinstance(instead, dict):
            raise _Mistake(f"`instead` is a mapping, and this is {instead!r}")
        merged = {**running, **instead}
        other = Program(**_values(merged, PROGRAM_KEYS, set(PROGRAM_KEYS)))
    return ImageEntry(**values, here=here, instead=other)


def _values(
    raw: Mapping[Any, Any], readers: Mapping[str, Callable[[Any], Any]], known: set[str]
) -> dict[str, Any]:
    found = {}
    for key, value in raw.items():
        if key not in readers:
            raise _Mistake(f"there is no key `{key}`; known are {', '.join(sorted(known))}")
        try:
            found[key] = readers[key](value)
        except (TypeError, ValueError, re.error) as error:
            raise _Mistake(f"`{key}` {error}, and this is {value!r}") from error
    return found


def _words(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str | int | float) for each in value):
        raise _Mistake("is a list of words")
    return tuple(map(str, value))


def _patterns(value: Any) -> tuple[str, ...]:
    patterns = _words(value)
    for pattern in patterns:
        try:
            re.compile(pattern.replace("{variant}", VARIANT))
        except re.error as error:
            raise _Mistake(f"is a list of regular expressions ({error})") from error
    return patterns


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise _Mistake("is one text")
    return value


def _texts(value: Any) -> dict[str, str]:
    plain = isinstance(value, dict) and all(
        isinstance(each, str | int | float) and not isinstance(each, bool) for each in value.values()
    )
    if not plain:
        raise _Mistake("is a mapping of names to texts (put true, false and null in quotes)")
    return {str(name): str(each) for name, each in value.items()}


def _tags(value: Any) -> dict[str, dict[str, str]]:
    if not isinstance(value, dict):
        raise _Mistake("is a mapping of tags to the environment of each, such as {'1': {VERSION: '1'}}")
    return {str(tag): _texts(environment or {}) for tag, environment in value.items()}


def _levels(value: Any) -> tuple[str, ...]:
    levels = _words(value)
    if not levels or not set(levels) <= set(LEVELS):
        raise _Mistake(f"is a list of {' and '.join(LEVELS)}")
    return levels


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 3600:
        raise _Mistake("is a number of seconds from 0 to 3600")
    return float(value)


def _yes(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _Mistake("is true or false")
    return value


def _kind(value: Any) -> str:
    if value not in ("python", "host"):
        raise _Mistake("is python or host")
    return str(value)


def _folder(value: Any) -> str:
    if not isinstance(value, str) or not value.startswith("/"):
        raise _Mistake("is an absolute path in the container")
    return value


def _content(value: Any) -> dict[str, str]:
    found = _texts(value)
    if not all(target.startswith("/") for target in found):
        raise _Mistake("is a mapping of absolute paths in the container to folders of this host")
    return found


ENTRY_KEYS: dict[str, Callable[[Any], Any]] = {
    "match": _words,
    "tags": _tags,
    "tag_patterns": _patterns,
    "pull_seconds": _seconds,
    "pull_error": _text,
    "preloaded": _yes,
    "refused": _text,
}
PROGRAM_KEYS: dict[str, Callable[[Any], Any]] = {
    "entrypoint": _words,
    "command": _words,
    "environment": _texts,
    "working_dir": _folder,
    "program": _kind,
    "requires": _words,
    "levels": _levels,
    "programs": _words,
    "fallback_programs": _words,
    "files": _words,
    "content": _content,
    "stand_in": _text,
    "ignores": _words,
    "story": _text,
}
