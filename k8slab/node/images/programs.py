"""The programs behind the catalogue's images: the kit's own folders, its Python, and the host's PATH."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from k8slab.errors import LabError

HOST_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""PATH of a container where the image says nothing, as containerd's default."""

PYTHON_VARIABLE = "K8SLAB_PYTHON"
"""Environment variable of a container that tells the kit's applets which Python runs them."""


@lru_cache(maxsize=1)
def images_folder() -> Path:
    """The folder of the kit's images: `images` of a checkout, or the copy inside an installed package."""
    package = Path(__file__).resolve().parents[2]
    inside = package / "kit"
    return inside if inside.exists() else package.parent / "images"


def demo_folder() -> Path:
    """The folder of the demo application."""
    return images_folder() / "demo"


def kit_path(word: str) -> str:
    """A word of the catalogue with `{images}` replaced by the folder of the kit's images."""
    return word.replace("{images}", str(images_folder()))


@lru_cache(maxsize=1)
def interpreter() -> Path:
    """The Python that containers run: the one below this environment, without its packages.

    Raises:
        LabError: there is none.
    """
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for candidate in (Path(sys.base_prefix, "bin", version), Path(sys.executable)):
        if os.access(candidate, os.X_OK):
            return candidate.resolve()
    raise LabError(f"There is no Python in {sys.base_prefix}/bin that can run.", "Install Python again.")


@lru_cache(maxsize=1)
def interpreter_folders() -> tuple[str, ...]:
    """Folders of the host, outside /usr, without which the interpreter does not start."""
    prefixes = {Path(sys.base_prefix).resolve(), interpreter().parent.parent}
    return tuple(sorted(str(prefix) for prefix in prefixes if not prefix.is_relative_to("/usr")))


@dataclass(frozen=True)
class Content:
    """What stands behind an image here.

    Args:
        digest: 64 hex digits over programs, files and environment: it changes when what runs changes.
        size: bytes of them.
    """

    digest: str
    size: int


@lru_cache(maxsize=256)
def content(paths: tuple[str, ...], words: tuple[tuple[str, ...], ...]) -> Content:
    """Digest and size of what an image runs.

    Args:
        paths: its programs: files, or folders of which every file counts.
        words: what else makes it this image: its environment, its command.
    """
    digest, size = hashlib.sha256(repr(words).encode()), 0
    for file in _files(paths):
        data = file.read_bytes()
        digest.update(data)
        size += len(data)
    return Content(digest.hexdigest(), size)


def _files(paths: Sequence[str]) -> Iterator[Path]:
    for path in map(Path, paths):
        if path.is_dir():
            yield from sorted(
                each for each in path.rglob("*") if each.is_file() and "__pycache__" not in each.parts
            )
        elif path.is_file():
            yield path
