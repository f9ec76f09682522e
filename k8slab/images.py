"""A user's own images: entries of the image catalogue that process nodes ask before the kit's.

    from k8slab import images
    images.add("my/tool", command=["python", "-c", "print('mine')"], program="python")
    images.remove("my/tool")

They are kept in a file (`images.catalogue()` says which) that may be edited by hand as well; the head of
`k8slab/node/images/images.yaml` describes every key. Nodes read it again when it has changed, so that a Pod
that waits with ImagePullBackOff finds a new image at its next try.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from k8slab.errors import ManifestError
from k8slab.folders import write_private
from k8slab.node.images.catalogue import read_entries, user_catalogue
from k8slab.node.images.entries import entry_of

HEAD = "# Your own images, asked before the kit's; k8slab/node/images/images.yaml describes the keys.\n"


def catalogue() -> Path:
    """The file with the user's own entries; it need not exist yet."""
    return user_catalogue()


def add(match: str | Sequence[str], **entry: Any) -> None:
    """Add an image, or put an entry in the place of an earlier one for the same names.

    Args:
        match: the name it answers for, without tag, or several; `*` stands for any text.
        entry: the other keys of an entry, such as `command`, `program`, `environment`, `tags`.

    Raises:
        ManifestError: the entry is not right, or the file does not parse; nothing was written.
    """
    names = [match] if isinstance(match, str) else list(match)
    raw = {"match": names, **{key: _plain(value) for key, value in entry.items()}}
    try:
        entry_of(raw)
    except ValueError as error:
        raise ManifestError(
            f"The image {', '.join(names)} was not added: {error}.", "Correct the call."
        ) from error
    _write([raw, *(each for each in own() if each["match"] != names)])


def remove(match: str | Sequence[str]) -> bool:
    """Remove the user's own entry for a name (or for several); whether there was one.

    Raises:
        ManifestError: the file does not parse.
    """
    names = [match] if isinstance(match, str) else list(match)
    before = own()
    after = [each for each in before if each["match"] != names]
    if len(after) < len(before):
        _write(after)
    return len(after) < len(before)


def own() -> list[dict[str, Any]]:
    """The user's own entries, as their file has them.

    Raises:
        ManifestError: the file does not parse.
    """
    file = catalogue()
    if not file.is_file():
        return []
    text = file.read_text()
    read_entries(text, str(file))
    entries: list[dict[str, Any]] = yaml.safe_load(text)["images"]
    return entries


def _write(entries: list[dict[str, Any]]) -> None:
    file = catalogue()
    file.parent.mkdir(parents=True, exist_ok=True)
    write_private(file, HEAD + yaml.safe_dump({"images": entries}, sort_keys=False, allow_unicode=True))


def _plain(value: Any) -> Any:
    """A value in the types that YAML knows."""
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    return str(value) if isinstance(value, Path) else value
