"""The cache's folder of installed components: whole and noted in a manifest, or not there.

<cache>/components/v1.36.3-linux-amd64/   five programs and manifest.json with their sha256 sums
<cache>/components/lock                   held while something is being installed
<cache>/components/.new-*, .old-*         being written, being replaced; swept by the next that installs
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from k8slab.cluster.components.disk import full_disk_named
from k8slab.cluster.components.memory import Memory, sha256_of
from k8slab.cluster.components.programs import (
    PROGRAMS,
    Components,
    RefusedError,
    check_versions,
    platform_name,
)
from k8slab.cluster.components.release import Release
from k8slab.cluster.components.verify import ask_version, check_digest
from k8slab.errors import MissingToolError
from k8slab.folders import cache_folder
from k8slab.processes import end_processes, processes_of_cluster
from k8slab.progress import Progress

MANIFEST = "manifest.json"


class Store:
    """The installed components of one user.

    Args:
        release: what is to be installed.
        memory: digests of untouched files.
    """

    def __init__(self, release: Release, memory: Memory) -> None:
        self.root = cache_folder() / "components"
        self.folder = self.root / f"{release.kubernetes}-{platform_name()}"
        self._release = release
        self._memory = memory

    def find(self) -> Components:
        """The installed components, each compared with the sum that was noted for it.

        Raises:
            MissingToolError: none are installed.
            RefusedError: they are not what was installed.
        """
        if not (self.folder / MANIFEST).is_file():
            raise MissingToolError(f"nothing is installed at {self.folder}")
        found = read_installed(self.folder, self._memory)
        if (found.kubernetes, found.etcd) != (self._release.kubernetes, self._release.etcd):
            raise RefusedError(f"{self.folder} holds Kubernetes {found.kubernetes} and etcd {found.etcd}.")
        return Components(self.folder, found.kubernetes, found.etcd, f"from the cache, {found.source}")

    @contextmanager
    def lock(self, progress: Progress) -> Iterator[None]:
        """Keep other processes from installing at the same time; waits for one that does."""
        self.root.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.root / "lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            with progress.step("Waiting for another k8slab that is installing the control plane"):
                lock.acquire()
        try:
            self._sweep(progress)
            yield
        finally:
            lock.release()

    def _sweep(self, progress: Progress) -> None:
        """Remove what an installation left that was killed; only ever called with the lock held."""
        for folder in [*self.root.glob(".new-*"), *self.root.glob(".old-*")]:
            try:
                _remove(folder)
            except OSError as error:
                progress.line(f"{folder} of an interrupted installation cannot be removed: {error}")

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """A folder to build the installation in; it is gone afterwards, whatever happened."""
        folder = self.root / f".new-{uuid.uuid4().hex}"
        with full_disk_named(self.root):
            folder.mkdir()
            try:
                yield folder
            finally:
                _remove(folder)

    def install(self, staging: Path, source: str, progress: Progress) -> Components:
        """Make the programs in a staging folder the installed ones, in one step.

        Args:
            staging: holds every program; each was examined already.
            source: where they came from, such as `downloaded from dl.k8s.io`.
            progress: told about the check.

        Raises:
            RefusedError: a program does not run here, or is of another version than the release.
        """
        with progress.step("Checking that every program runs and is of the release"):
            for name in PROGRAMS:
                version = ask_version(name, staging / name)
                if version != self._release.version(name):
                    raise RefusedError(f"{name} is {version}; wanted is {self._release.version(name)}.")
            whole = staging / "installed"
            whole.mkdir()
            for name in PROGRAMS:
                (staging / name).rename(whole / name)
            write_manifest(whole, self._release.kubernetes, self._release.etcd, source)
            if self.folder.exists():
                # Programs of a running cluster keep their files: only the name goes.
                self.folder.rename(self.root / f".old-{uuid.uuid4().hex}")
            whole.rename(self.folder)
        for old in self.root.glob(".old-*"):
            _remove(old)
        return self.find()


def _remove(folder: Path) -> None:
    # A build that was interrupted may still have compilers at work in its folder.
    end_processes(processes_of_cluster(folder.name), grace=0.5)
    if folder.exists():
        shutil.rmtree(folder)


def write_manifest(folder: Path, kubernetes: str, etcd: str, source: str) -> None:
    """Note the sums of a folder's programs, so that a later change is seen.

    Args:
        folder: holds every program.
        kubernetes: their version.
        etcd: etcd's version.
        source: where they came from.
    """
    values = {
        "kubernetes": kubernetes,
        "etcd": etcd,
        "platform": platform_name(),
        "source": source,
        "sha256": {name: sha256_of(folder / name) for name in PROGRAMS},
    }
    with (folder / MANIFEST).open("w") as file:
        json.dump(values, file, indent=1)
        file.flush()
        os.fsync(file.fileno())


def read_installed(folder: Path, memory: Memory) -> Components:
    """The components of a folder that has a manifest, each compared with its sum there.

    Raises:
        RefusedError: the manifest cannot be read or is of another platform, or a program differs.
    """
    try:
        values: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
        versions = {name: str(values["kubernetes"]) for name in PROGRAMS} | {"etcd": str(values["etcd"])}
        sums = {name: str(values["sha256"][name]) for name in PROGRAMS}
        source, platform = str(values["source"]), str(values["platform"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RefusedError(f"{folder / MANIFEST} is no manifest of components ({error!r}).") from error
    if platform != platform_name():
        raise RefusedError(f"{folder} holds programs for {platform}; this is {platform_name()}.")
    check_versions(versions)
    for name in PROGRAMS:
        check_digest(folder / name, sums[name], memory)
        if not os.access(folder / name, os.X_OK):
            raise RefusedError(f"{folder / name} may not be executed by this user.")
    return Components(folder, values["kubernetes"], values["etcd"], source)
