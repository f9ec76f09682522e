"""Digests that need not be computed again, because the file has not been touched since.

Hashing 360 MB takes 0.4 s on a fast machine and several on a slow one, and every `Lab.open` examines
the programs. A file counts as untouched when device, inode, size, time of modification and time of
change all agree: the last cannot be set by a program, so a replaced file is hashed again.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from k8slab.cluster.components.programs import RefusedError
from k8slab.folders import cache_folder, write_private


def sha256_of(path: Path) -> str:
    """The sha256 of a file as 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Memory:
    """What is known of files by their path; kept in one file of the cache folder.

    Args:
        path: where it is kept; the user's cache folder if None.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path or cache_folder() / "components" / "examined.json"
        self._known: dict[str, dict[str, Any]] = self._load()
        self.hashed = 0

    def _load(self) -> dict[str, dict[str, Any]]:
        try:
            known = json.loads(self._path.read_text())
        except (OSError, ValueError):
            # Never written, or written by another version: everything is examined once more.
            return {}
        return known if isinstance(known, dict) else {}

    def digest(self, path: Path) -> str:
        """The sha256 of a file as 64 hex digits.

        Raises:
            RefusedError: it cannot be read, or changed while it was read.
        """
        try:
            with path.open("rb") as file:
                before = _signature(os.fstat(file.fileno()))
                known = self._known.get(str(path), {})
                if known.get("signature") == before:
                    return str(known["sha256"])
                digest = hashlib.file_digest(file, "sha256").hexdigest()
                after = _signature(os.fstat(file.fileno()))
        except OSError as error:
            raise RefusedError(f"{path} cannot be read: {error.strerror}.") from error
        if before != after:
            raise RefusedError(f"{path} changed while it was read.", "Try again when it is complete.")
        self.hashed += 1
        self._known[str(path)] = {"signature": before, "sha256": digest, "version": ""}
        return digest

    def version(self, path: Path, digest: str) -> str:
        """The version that was found for a file with this digest; empty if it was never examined."""
        known = self._known.get(str(path), {})
        return str(known.get("version", "")) if known.get("sha256") == digest else ""

    def remember(self, path: Path, version: str) -> None:
        """Note the version of a file whose digest was taken."""
        self._known[str(path)]["version"] = version

    def save(self) -> None:
        """Write everything down, if the cache folder can be written."""
        text = json.dumps(self._known, indent=1)
        try:
            if self._path.exists() and self._path.read_text() == text:
                return
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_private(self._path, text)
        except OSError:
            # A cache that is shared and read-only, or a full disk: the next start hashes again.
            return


def _signature(status: os.stat_result) -> list[int]:
    return [status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]
