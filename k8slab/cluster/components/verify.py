"""Whether a file may be run as one of the control plane's programs; decided before it is run.

A file whose sha256 is pinned or was noted when it was installed has to have that sum, nothing else
is asked. A file that the user brings (a folder, PATH) has no such sum, so these gates stand in its
way: it is a regular file, an ELF program for this machine with all its segments and sections there,
its Go build information names the package it should be built from, and the version it states is
accepted. Kubernetes states its version as a string that its linker wrote, and as the version of its
main module where it was built from the module proxy; etcd as the version of its modules. Only then
it is run, as `--version`, in an empty folder with an empty environment, and has to answer the same.

What these gates cannot see: one changed byte in code that the user brought and that no sum is known
of; and the version of an etcd that was built without modules (Debian's 3.4), which is accepted or
refused by what it answers to `--version`.
"""

from __future__ import annotations

import mmap
import os
import re
import stat
import tempfile
from pathlib import Path

from k8slab.cluster.components.elf import build_info, check_executable, mapped
from k8slab.cluster.components.memory import Memory
from k8slab.cluster.components.programs import (
    VERSION,
    RefusedError,
    check_version,
)
from k8slab.commands import run
from k8slab.errors import LabError

ANSWERS = {
    "etcd": (["--version"], re.compile(r"etcd Version: (\S+)")),
    "kubectl": (["version", "--client"], re.compile(r"Client Version: (\S+)")),
}
SERVER_ANSWER = (["--version"], re.compile(r"Kubernetes (\S+)"))
VERSION_TIMEOUT = 20.0
"""Seconds for a program to say its version; about 0.06 s is usual."""

LINKED_VERSION = re.compile(rb"v1\.\d{1,3}\.\d{1,3}(?:[-+][0-9A-Za-z.+-]{1,64})?(?=\0)")
"""A version that Go's linker wrote (`-X k8s.io/component-base/version.gitVersion=`): a NUL ends it."""

ETCD_MODULES = ("go.etcd.io/etcd/api/v3", "go.etcd.io/etcd/server/v3")


def check_digest(path: Path, sha256: str, memory: Memory) -> None:
    """Whether a file that k8slab installed is still the same.

    Args:
        path: the file.
        sha256: the sum noted when it was installed.
        memory: digests of untouched files.

    Raises:
        RefusedError: it is missing, a link, no regular file, writable by everybody, or has another sum.
    """
    try:
        status = path.lstat()
    except OSError as error:
        raise RefusedError(f"{path} is missing.") from error
    if not stat.S_ISREG(status.st_mode):
        raise RefusedError(f"{path} is no longer the file that was installed but a link or something else.")
    if status.st_mode & stat.S_IWOTH:
        raise RefusedError(f"{path} can be changed by every user of this machine.", f"chmod o-w {path}")
    digest = memory.digest(path)
    if digest != sha256:
        raise RefusedError(f"{path} has sha256 {digest}; {sha256} was noted when it was installed.")


def examine(name: str, path: Path, machine: str, memory: Memory) -> str:
    """The version of a program that the user brought, after every gate of this module.

    Args:
        name: which program it should be.
        path: the file, its links followed, so that what is examined is what will be run.
        machine: what uname calls this machine.
        memory: files examined before and untouched since are not examined again.

    Raises:
        RefusedError: one of the gates stayed shut.
    """
    if not path.is_file():
        raise RefusedError(f"{path} is no file.")
    if not os.access(path, os.X_OK):
        raise RefusedError(f"{path} may not be executed by this user.", f"chmod +x {path}")
    digest = memory.digest(path)
    version = memory.version(path, digest)
    if not version:
        stated = stated_versions(name, path, machine)
        version = ask_version(name, path)
        if stated and version.removeprefix("v") not in stated:
            raise RefusedError(
                f"{path} answers that it is {version}, and states {', '.join(sorted(stated))} in its file."
            )
        memory.remember(path, version)
    check_version(name, version)
    return version


def stated_versions(name: str, path: Path, machine: str) -> set[str]:
    """The accepted versions that a program's file states, without running it.

    Returns:
        Versions without a leading v: one, or more where the file holds several strings that could be it;
        none for an etcd that does not say.

    Raises:
        RefusedError: it is not a whole program for this machine, is another program, or states
            no accepted version.
    """
    with mapped(path) as content:
        check_executable(path, content, machine)
        stated = _stated(name, path, content)
    accepted = set()
    refusal: RefusedError | None = None
    for version in sorted(stated):
        try:
            check_version(name, version)
        except RefusedError as error:
            refusal = error
        else:
            accepted.add(version)
    if stated and not accepted:
        raise RefusedError(f"{path}: {refusal}")
    if not stated and name != "etcd":
        raise RefusedError(f"{path} does not state a Kubernetes version.")
    return accepted


def _stated(name: str, path: Path, content: mmap.mmap) -> set[str]:
    info = build_info(content)
    if info is None or not info.package:
        raise RefusedError(f"{path} is no Go program that says what it was built from.")
    if not _is_package_of(name, info.package):
        raise RefusedError(f"{path} is not {name}: it was built from {info.package}.")
    if name == "etcd":
        versions = {info.version, *(info.modules.get(module, "") for module in ETCD_MODULES)}
    elif VERSION.fullmatch(info.version):
        versions = {info.version}
    else:
        versions = {match.group().decode() for match in LINKED_VERSION.finditer(content)} - {"v1.0.0"}
    return {version.removeprefix("v") for version in versions if VERSION.fullmatch(version)}


def _is_package_of(name: str, package: str) -> bool:
    if name == "etcd":
        return package.startswith("go.etcd.io/etcd") and "ctl" not in package
    return package == f"k8s.io/kubernetes/cmd/{name}"


def ask_version(name: str, path: Path) -> str:
    """What a program answers when asked for its version. Runs it: only after it was examined.

    Raises:
        RefusedError: it failed, or answered something else.
    """
    arguments, answer = ANSWERS.get(name, SERVER_ANSWER)
    with tempfile.TemporaryDirectory(prefix="k8slab-") as empty:
        environment = {"HOME": empty, "KUBECONFIG": f"{empty}/none", "PATH": empty}
        try:
            done = run([path, *arguments], timeout=VERSION_TIMEOUT, env=environment, cwd=Path(empty))
        except LabError as error:
            raise RefusedError(f"{path} does not say its version: {error}") from error
    match = answer.search(done.stdout) or answer.search(done.stderr)
    if match is None or VERSION.fullmatch(match[1]) is None:
        raise RefusedError(f"{path} answers {done.stdout.strip()[:200]!r} when asked for its version.")
    return match[1]
