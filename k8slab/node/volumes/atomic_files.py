"""A folder of files that changes in one step, as the volumes of ConfigMaps and Secrets do.

The files lie in a folder of their own, `..data` links to it, and each visible name links through
`..data`; so a reader sees either all old files or all new ones. The layout is the kubelet's
(pkg/volume/util/atomic_writer.go), and programs that watch `..data` rely on it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import mkdtemp

DATA = "..data"


@dataclass(frozen=True)
class FileContent:
    """What one file of a volume holds.

    Args:
        data: its bytes.
        mode: its permission bits.
    """

    data: bytes
    mode: int = 0o644


def write_atomically(folder: Path, files: Mapping[str, FileContent]) -> bool:
    """Make a folder hold exactly these files.

    Args:
        folder: the volume's folder; made if it does not exist.
        files: contents by relative path, such as `app/settings.ini`.

    Returns:
        Whether anything changed.

    Raises:
        OSError: a file could not be written; what was visible before still is.
    """
    folder.mkdir(parents=True, exist_ok=True)
    link = folder / DATA
    old = link.readlink() if link.is_symlink() else None
    if old is not None and _holds(folder / old, files):
        return False
    stamp = datetime.now(UTC).strftime("..%Y_%m_%d_%H_%M_%S.")
    fresh = Path(mkdtemp(prefix=stamp, dir=folder))
    fresh.chmod(0o755)
    for path, content in files.items():
        target = fresh / path
        _make_folders(fresh, path)
        target.write_bytes(content.data)
        target.chmod(content.mode)
    temporary = folder / "..data_tmp"
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(fresh.name)
    temporary.replace(link)
    visible = {path.split("/", 1)[0] for path in files}
    for name in visible:
        entry = folder / name
        if not entry.is_symlink():
            entry.symlink_to(f"{DATA}/{name}")
    for entry in list(folder.iterdir()):
        if entry.name.startswith(".."):
            # Earlier contents, also those that an interrupted write left behind.
            if entry.is_dir() and not entry.is_symlink() and entry != fresh:
                shutil.rmtree(entry, ignore_errors=True)
        elif entry.is_symlink() and entry.name not in visible:
            # A folder here is the place of another volume that is mounted within this one.
            entry.unlink()
    return True


def _make_folders(folder: Path, path: str) -> None:
    """Make the folders on the way to a file, readable for all whatever this process's own umask is."""
    for part in path.split("/")[:-1]:
        folder = folder / part
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)


def _holds(folder: Path, files: Mapping[str, FileContent]) -> bool:
    present: dict[str, FileContent] = {}
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            mode = path.stat().st_mode & 0o7777
            try:
                present[str(path.relative_to(folder))] = FileContent(path.read_bytes(), mode)
            except PermissionError:
                # Its mode lets not even its owner read it; it is written anew.
                return False
    return present == dict(files)
