"""The programs of a control plane, the platforms they run on, and where a set of them was found."""

from __future__ import annotations

import platform
import re
from dataclasses import dataclass
from pathlib import Path

from k8slab.errors import MissingToolError

KUBERNETES_PROGRAMS = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
PROGRAMS = ("etcd", *KUBERNETES_PROGRAMS)
"""What the embedded control plane needs, in the order in which it starts."""

MINORS = range(34, 37)
"""Minor versions of Kubernetes 1 that the embedded backend is written for; a set must be of one of them."""

ETCD_LEAST = (3, 4)
"""The oldest etcd that Kubernetes 1.34 to 1.36 were tried with here."""

VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)([-+][0-9A-Za-z.+-]*)?")

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
"""What uname calls a machine, and what Go does."""


class RefusedError(MissingToolError):
    """A program is there and is not what it should be; it was not used."""


@dataclass(frozen=True)
class Components:
    """The programs of one control plane, all there and examined.

    Args:
        folder: one folder that holds all of them under their own names.
        kubernetes: their version, such as `v1.36.3`.
        etcd: etcd's version as it prints it, such as `3.6.8`.
        source: where they came from, as the end of a sentence, such as `from the cache`.
    """

    folder: Path
    kubernetes: str
    etcd: str
    source: str

    def program(self, name: str) -> Path:
        """The path of one program.

        Args:
            name: one of `PROGRAMS`.
        """
        if name not in PROGRAMS:
            raise ValueError(f"{name} is none of {', '.join(PROGRAMS)}")
        return self.folder / name

    def __str__(self) -> str:
        return f"Kubernetes {self.kubernetes} and etcd {self.etcd} {self.source} ({self.folder})"


def platform_name() -> str:
    """The platform as Go and the release files name it: `linux-amd64` or `linux-arm64`.

    Raises:
        MissingToolError: the embedded control plane does not run on this system or machine.
    """
    system, machine = platform.system(), platform.machine()
    if system != "Linux":
        raise MissingToolError(
            f"The embedded control plane runs on Linux and WSL2; this is {system}.",
            "Install a container engine and kind: `k8slab up --backend kind`.",
        )
    architecture = ARCHITECTURES.get(machine)
    if architecture is None:
        raise MissingToolError(
            f"The embedded control plane runs on {' and '.join(ARCHITECTURES)}; this is {machine}.",
            "Install a container engine and kind: `k8slab up --backend kind`.",
        )
    return f"linux-{architecture}"


def check_versions(versions: dict[str, str]) -> None:
    """Whether programs of these versions make a control plane together.

    Args:
        versions: version of each of `PROGRAMS`.

    Raises:
        RefusedError: a version is not accepted, or the minors of Kubernetes differ.
    """
    for name, version in versions.items():
        check_version(name, version)
    minors = {_numbers(versions[name])[1] for name in KUBERNETES_PROGRAMS}
    if len(minors) > 1:
        seen = ", ".join(f"{name} {versions[name]}" for name in KUBERNETES_PROGRAMS)
        raise RefusedError(
            f"The programs are of different Kubernetes versions: {seen}.", "Use those of one release."
        )


def check_version(name: str, version: str) -> None:
    """Whether one program's version is accepted.

    Raises:
        RefusedError: it is not.
    """
    major, minor = _numbers(version)
    if name == "etcd":
        good = major == ETCD_LEAST[0] and minor >= ETCD_LEAST[1]
        wanted = f"{ETCD_LEAST[0]}.{ETCD_LEAST[1]} or a newer 3.x"
    else:
        good = major == 1 and minor in MINORS
        wanted = f"1.{MINORS.start} to 1.{MINORS.stop - 1}"
    if not good:
        raise RefusedError(f"{name} is of version {version}; accepted is {wanted}.")


def _numbers(version: str) -> tuple[int, int]:
    match = VERSION.fullmatch(version)
    if match is None:
        raise RefusedError(f"{version!r} is no version.")
    return int(match[1]), int(match[2])
