"""The file tree that is the node's own: what `hostPath` and `local` volumes show.

Each node has one below its folder, so that another node has another directory, as in life. It is never
this machine's own: a link in it leads where it would lead if the tree were the root.
Source of the rules and texts: pkg/volume/hostpath/host_path.go, pkg/volume/local/local.go and
pkg/volume/util/hostutil of Kubernetes 1.36.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

FOLDERS = ("etc", "home", "mnt", "opt", "root", "run", "srv", "tmp", "usr", "var/lib", "var/log", "var/tmp")
"""What the tree begins with; on any Linux machine they are there."""

MOST_LINKS = 40
"""Links that may follow one another, as Linux allows."""

CHECKS = {
    "Directory": (stat.S_ISDIR, "a directory"),
    "DirectoryOrCreate": (stat.S_ISDIR, "a directory"),
    "File": (stat.S_ISREG, "a file"),
    "FileOrCreate": (stat.S_ISREG, "a file"),
    "Socket": (stat.S_ISSOCK, "a socket file"),
    "CharDevice": (stat.S_ISCHR, "a character device"),
    "BlockDevice": (stat.S_ISBLK, "a block device"),
}
"""What each `type` of a hostPath volume wants to find, and how a kubelet names it."""


class NodePathError(ValueError):
    """A path on the node that is not what a volume wants; the text is the kubelet's."""


class NodeTree:
    """The file tree of one node.

    Args:
        root: the folder on this machine that is the node's `/`; made when first needed.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._furnished = False

    def place(self, path: str) -> Path:
        """Where a path of the node lies on this machine; its end need not exist.

        Args:
            path: an absolute path as the node sees it.

        Raises:
            OSError: links lead in a circle.
        """
        if not self._furnished:
            self._furnish()
        return self._walk(path)

    def _furnish(self) -> None:
        """Make the folders that lack.

        A Pod may have put links or files in their place: those stay, and who asks for them is told.
        """
        for name in FOLDERS:
            with suppress(OSError):
                self._walk(name).mkdir(parents=True, exist_ok=True)
        for name in ("tmp", "var/tmp"):
            with suppress(OSError):
                self._walk(name).chmod(0o1777)
        self._furnished = True

    def _walk(self, path: str) -> Path:
        """Follow links as if the tree were the root, so that none leads out of it."""
        done: list[str] = []
        left = path.split("/")[::-1]
        links = 0
        while left:
            part = left.pop()
            if part == "..":
                del done[-1:]
                continue
            if part in ("", "."):
                continue
            here = self._root.joinpath(*done, part)
            if not here.is_symlink():
                done.append(part)
                continue
            links += 1
            if links > MOST_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
            target = str(here.readlink())
            if target.startswith("/"):
                done.clear()
            left += target.split("/")[::-1]
        return self._root.joinpath(*done)

    def host_path(self, source: Mapping[str, Any]) -> Path:
        """The folder or file of a hostPath volume, checked or made as its `type` says.

        Args:
            source: the volume's `hostPath`.

        Raises:
            NodePathError: it is not what `type` wants.
            OSError: it could not be made.
        """
        path, kind = str(source["path"]), source.get("type") or ""
        if ".." in path.split("/"):
            raise NodePathError(f"invalid HostPath `{path}`: must not contain '..'")
        place = self.place(path)
        if kind in ("", "DirectoryOrCreate") and not place.exists():
            # Without a type a kubelet checks nothing, and the container runtime makes what is missing.
            place.mkdir(mode=0o755, parents=True)
        elif kind == "FileOrCreate" and not place.exists():
            place.touch(mode=0o644)
        if kind:
            if kind not in CHECKS:
                raise NodePathError(f"{kind} is an invalid volume type")
            check, name = CHECKS[kind]
            if not place.exists() or not check(place.stat().st_mode):
                raise NodePathError(f"hostPath type check failed: {path} is not {name}")
        return place

    def local(self, path: str) -> Path:
        """The folder of a `local` volume, which must be there already.

        Raises:
            NodePathError: it is not there, or no folder.
        """
        place = self.place(path)
        if not place.exists():
            raise NodePathError(f'path "{path}" does not exist')
        if not place.is_dir():
            raise NodePathError("only directory and block device are supported")
        return place
