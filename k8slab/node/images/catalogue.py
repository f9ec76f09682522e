"""The image catalogue's files: the kit's `images.yaml` and a user's own, which is asked first.

What an entry may say is described at the top of `images.yaml`. Each mistake in a file is told with the
file, the line and the key.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from k8slab.errors import ManifestError
from k8slab.folders import state_folder
from k8slab.node.images.entries import ImageEntry, entry_of

CATALOGUE = Path(__file__).with_name("images.yaml")
VARIABLE = "K8SLAB_IMAGES"
"""Environment variable that names a user's own catalogue file."""


def user_catalogue() -> Path:
    """The file for a user's own entries; it need not exist."""
    return Path(os.environ.get(VARIABLE) or state_folder() / "images.yaml")


def catalogue() -> list[ImageEntry]:
    """All entries: the user's own first, then the kit's.

    Raises:
        ManifestError: a catalogue cannot be read or does not parse; the message names file and place.
    """
    own = user_catalogue()
    entries = list(_entries(own, own.stat().st_mtime_ns)) if own.is_file() else []
    return entries + list(_entries(CATALOGUE, CATALOGUE.stat().st_mtime_ns))


@lru_cache(maxsize=8)
def _entries(path: Path, changed: int) -> tuple[ImageEntry, ...]:
    # `changed` is part of the key, so that an edited file is read again.
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"The image catalogue {path} cannot be read: {error}.", "Correct it.") from error
    return tuple(read_entries(text, str(path)))


def read_entries(text: str, where: str) -> list[ImageEntry]:
    """The entries of a catalogue file.

    Args:
        text: its content.
        where: its path, for messages.

    Raises:
        ManifestError: it is not YAML, has no list `images`, or an entry is not one.
    """
    # The one in C where it was built: every agent reads the catalogue as it starts.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)
    try:
        node = loader.get_single_node()
        parsed: Any = None if node is None else loader.construct_document(node)
    except yaml.YAMLError as error:
        raise ManifestError(f"The image catalogue {where} does not parse: {error}.", "Correct it.") from error
    finally:
        loader.dispose()
    entries = parsed.get("images") if isinstance(parsed, dict) else None
    if not isinstance(entries, list):
        raise ManifestError(f"The image catalogue {where} has no list `images`.", f"{CATALOGUE} has one.")
    listed = next(value for key, value in _pairs(node) if key.value == "images")
    found = []
    for entry, place in zip(entries, listed.value, strict=True):
        try:
            found.append(entry_of(entry))
        except ValueError as error:
            line = place.start_mark.line + 1
            raise ManifestError(
                f"The image catalogue {where}, line {line}: {error}.",
                f"The head of {CATALOGUE} describes entries.",
            ) from error
    return found


def _pairs(node: yaml.Node | None) -> list[tuple[yaml.Node, yaml.Node]]:
    return node.value if isinstance(node, yaml.MappingNode) else []


def names_to_use(entries: Sequence[ImageEntry]) -> list[str]:
    """What to write instead of an unknown name: familiar names, with a tag where one is needed."""
    return [
        name if entry.has_tag("latest") else f"{name}:{next(iter(entry.tags))}"
        for entry in entries
        if not entry.refused and not entry.pull_error
        for name in entry.match
        if not set("*.") & set(name) and (entry.tags or entry.has_tag("latest"))
    ]
