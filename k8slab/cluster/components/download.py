"""Downloading the official release: nothing becomes executable before its pinned sum was found.

`K8SLAB_DOWNLOAD_URL` names a mirror: the official addresses' paths are then looked up below it, so
`https://dl.k8s.io/release/v1.36.3/...` becomes `<mirror>/release/v1.36.3/...`. What is downloaded is
compared with the sums in release.json wherever it comes from.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import shutil
import tarfile
import urllib.error
import urllib.request
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

from k8slab.cluster.components.disk import MB, require_space
from k8slab.cluster.components.programs import PROGRAMS, RefusedError
from k8slab.cluster.components.release import Download, Release
from k8slab.errors import LabError
from k8slab.progress import Progress, Step

URL_VARIABLE = "K8SLAB_DOWNLOAD_URL"

SPACE = 450 * MB
"""Room to install in: the programs of 1.36.3 and 3.6.8, stripped, take 360 MB; etcd's archive is extra."""

LARGEST = 400 * MB
"""No single file of the release is near this; what is larger is not what was asked for."""

TIMEOUT = 30.0
"""Seconds without a byte until a download is given up."""

CHUNK = 1 << 18


class DownloadError(LabError):
    """A file could not be downloaded, or was not the pinned one."""


def download(release: Release, platform: str, staging: Path, progress: Progress) -> str:
    """Download every program of a release into a folder.

    Args:
        release: what to download.
        platform: for which platform, such as `linux-amd64`.
        staging: where to; holds every program afterwards, each with the pinned sum.
        progress: told about each file.

    Returns:
        Where they came from, as the end of a sentence.

    Raises:
        DownloadError: a file has no pinned sum, cannot be reached, or is not the pinned one.
        LabError: the disk is full.
    """
    files = release.downloads.get(platform, {})
    with progress.step("Looking for pinned checksums and room for the download"):
        unpinned = [name for name in PROGRAMS if name not in files or not files[name].sha256]
        if unpinned:
            raise DownloadError(f"No checksum is pinned for {', '.join(unpinned)} on {platform}.")
        require_space(staging.parent, SPACE, "to download the control plane")
    for name in PROGRAMS:
        with progress.step(f"Downloading {name} {release.version(name)}") as step:
            fetch(name, files[name], staging, step)
    hosts = sorted({urlsplit(address(files[name].url)).netloc for name in PROGRAMS})
    return f"downloaded from {' and '.join(hosts)}"


def address(official: str) -> str:
    """The address to download from: the official one, or the same path on the mirror.

    Raises:
        DownloadError: `K8SLAB_DOWNLOAD_URL` is no http or https address.
    """
    mirror = os.environ.get(URL_VARIABLE, "")
    if not mirror:
        return official
    if urlsplit(mirror).scheme not in ("http", "https"):
        raise DownloadError(f"{URL_VARIABLE} is {mirror!r}, which is no http or https address.")
    return mirror.rstrip("/") + urlsplit(official).path


def fetch(name: str, file: Download, staging: Path, step: Step) -> None:
    """Download one program into a folder; it becomes executable once its sum was found right.

    Args:
        name: what it is called there.
        file: where it is served, and its pinned sum.
        staging: the folder.
        step: told how far it is.

    Raises:
        DownloadError: it cannot be reached, or is not the pinned one.
    """
    url = address(file.url)
    part = staging / f"{name}.part"
    digest = _save(url, part, step)
    if digest != file.sha256:
        raise DownloadError(f"{url} has sha256 {digest}; pinned is {file.sha256}. It was thrown away.")
    if file.member:
        archive, part = part, staging / f"{name}.member"
        _extract(archive, file.member, part)
        archive.unlink()
    part.chmod(0o755)
    part.rename(staging / name)


def _save(url: str, path: Path, step: Step) -> str:
    """Write what an address serves to a file that cannot be executed; returns its sha256."""
    digest = hashlib.sha256()
    received = 0
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as response, _private(path) as file:
            length = int(response.headers.get("Content-Length") or 0)
            while chunk := response.read(CHUNK):
                received += len(chunk)
                if received > LARGEST:
                    raise DownloadError(f"{url} is larger than {LARGEST // MB} MB.")
                digest.update(chunk)
                file.write(chunk)
                step.detail(f"{received / MB:.0f} MB" + (f" of {length / MB:.0f} MB" if length else ""))
            file.flush()
            os.fsync(file.fileno())
    except urllib.error.HTTPError as error:
        error.close()
        raise DownloadError(f"{url} answers {error.code} {error.reason}.") from error
    except (http.client.HTTPException, urllib.error.URLError, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", None) or error
        raise DownloadError(f"{url} cannot be downloaded: {reason}.") from error
    if length and received != length:
        raise DownloadError(f"{url} ended after {received} of {length} bytes.")
    return digest.hexdigest()


def _private(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _extract(archive: Path, member: str, target: Path) -> None:
    """Take one regular file out of a tar.gz; nothing else of it is written anywhere."""
    try:
        with tarfile.open(archive, "r:gz") as tar, _private(target) as file:
            source = tar.extractfile(member)
            if source is None:
                raise RefusedError(f"{member} is no regular file in the archive.")
            with source:
                shutil.copyfileobj(source, file, CHUNK)
            file.flush()
            os.fsync(file.fileno())
    except (KeyError, tarfile.TarError, EOFError) as error:
        raise RefusedError(f"{member} cannot be taken out of {archive.name}: {error}") from error
