"""Asking for room on the disk before it is needed, and saying what is full when it is."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from k8slab.errors import LabError

MB = 1_000_000


def existing_folder(path: Path) -> Path:
    """The folder itself, or its nearest parent that exists."""
    while not path.is_dir():
        path = path.parent
    return path


def require_space(path: Path, needed: int, purpose: str) -> None:
    """Whether a folder's file system has room.

    Args:
        path: the folder; it need not exist yet.
        needed: bytes.
        purpose: what for, as `to install the control plane`.

    Raises:
        LabError: it has not; the message names path, need and what is free.
    """
    free = shutil.disk_usage(existing_folder(path)).free
    if free < needed:
        raise LabError(
            f"{needed // MB} MB are needed at {path} {purpose}, and {free // MB} MB are free.",
            "Make room there, or choose another place with K8SLAB_CACHE_DIR.",
        )


@contextmanager
def full_disk_named(path: Path) -> Iterator[None]:
    """Turn a full disk or a quota met while writing below `path` into one sentence.

    Raises:
        LabError: it was full. Other errors pass as they are.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise LabError(
            f"The disk is full at {path} ({os.strerror(error.errno)}).",
            "Make room there, or choose another place with K8SLAB_CACHE_DIR.",
        ) from error
