"""The file tree of a sandboxed container: its own layer, with the host's programs laid over it read-only."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from k8slab.node.runtime.records import Pod

PROGRAM_FOLDERS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
"""Top-level folders that are links into /usr on most hosts, and folders on some."""

SHARED_PATHS = (
    *("/usr", "/nix/store", "/gnu/store"),
    *("/etc/alternatives", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d"),
    *("/etc/ssl", "/etc/ca-certificates", "/etc/pki", "/etc/services", "/etc/protocols"),
)
"""Host paths that a container sees read-only, where they exist: programs, libraries and certificates."""

HOST_FOLDER = "/.host"
"""Where a container finds a folder of the host's in whose place it has one of its own."""

FOLDERS = ("sys", "etc", "root", "tmp", "run", "var/tmp", "var/log", "var/run", "home", "opt", "srv", "mnt")

PASSWD = """root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
"""
GROUP = "root:x:0:\ndaemon:x:1:\ntty:x:5:\nwww-data:x:33:\nnogroup:x:65534:\n"
NSSWITCH = "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n"


def prepare_layer(layer: Path, pod: Pod, dns_service: str) -> None:
    """Fill a container's own layer: folders, links to programs, and the small files of /etc.

    /etc/hosts and /etc/resolv.conf read as a kubelet writes them.

    Args:
        layer: the folder that becomes the container's `/`.
        pod: its Pod.
        dns_service: the name server's address.
    """
    for name in FOLDERS:
        (layer / name).mkdir(parents=True, exist_ok=True)
    # The node's folder keeps others on this host out; inside, a program of another user may look around.
    for folder in (layer, *(layer / name for name in (*FOLDERS, "var"))):
        folder.chmod(0o755)
    os.chmod(layer / "tmp", 0o1777)
    for name in PROGRAM_FOLDERS:
        if os.path.islink(f"/{name}") and not (layer / name).is_symlink():
            os.symlink(os.readlink(f"/{name}"), layer / name)
    domain = "cluster.local"
    search = f"{pod.namespace}.svc.{domain} svc.{domain} {domain}"
    hosts = (
        "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
        f"{pod.address}\t{pod.hostname}\n"
    )
    files = {
        "passwd": PASSWD,
        "group": GROUP,
        "nsswitch.conf": NSSWITCH,
        "hostname": f"{pod.hostname}\n",
        "hosts": hosts,
        "resolv.conf": f"search {search}\nnameserver {dns_service}\noptions ndots:5\n",
    }
    for name, text in files.items():
        (layer / "etc" / name).write_text(text)


def tree_arguments(
    layer: Path,
    read_only_paths: Sequence[str],
    mounts: Iterable[Mapping[str, Any]],
    folders: Iterable[str] = (),
) -> list[str]:
    """bubblewrap's options for the file tree.

    Args:
        layer: the container's own layer.
        read_only_paths: further host paths the program needs.
        mounts: volumes: `source`, `target` and `read_only` of each.
        folders: further folders that must be there, such as the working folder.
    """
    arguments = ["--bind", str(layer), "/", "--proc", "/proc", "--dev", "/dev", "--ro-bind", "/sys", "/sys"]
    # Outer targets first, so that a volume within another is not hidden by it.
    ordered = sorted(mounts, key=lambda each: str(each["target"]).count("/"))
    wanted = [(str(each["target"]), not os.path.isfile(each["source"])) for each in ordered]
    wanted += [(folder, True) for folder in folders]
    own_folders = [f"/{name}" for name in PROGRAM_FOLDERS if not os.path.islink(f"/{name}")]
    for path in (*SHARED_PATHS, *own_folders, *read_only_paths):
        if not os.path.exists(path) or path.startswith("/usr/"):
            continue
        missing = [(target, folder) for target, folder in wanted if _is_missing(path, target, folder)]
        if missing:
            arguments += _opened(layer, path, missing)
        else:
            arguments += ["--ro-bind", path, path]
    for mount in ordered:
        arguments += ["--ro-bind" if mount["read_only"] else "--bind", mount["source"], mount["target"]]
    return arguments


def _is_missing(shared: str, target: str, folder: bool) -> bool:
    """Whether a shared folder of the host, read-only as it is, has no place for a mount."""
    real = os.path.normpath(target)
    if not real.startswith(f"{shared}/"):
        return False
    return not (os.path.isdir(real) if folder else os.path.isfile(real))


def _opened(layer: Path, shared: str, missing: Iterable[tuple[str, bool]]) -> list[str]:
    """Show a shared folder as links, so that there is room in it for what the host's own lacks.

    The host's folder is shown at `/.host`. In its place stands a folder of the layer's with a link for each
    of its entries; the folders on the way to what is missing are made alike.

    Args:
        layer: the container's own layer.
        shared: the host's folder.
        missing: mount targets below it, and whether each is a folder.

    Returns:
        bubblewrap's options for the host's folder.
    """
    for target, folder in missing:
        place, host = layer / shared.lstrip("/"), Path(shared)
        _link_entries(place, host)
        for part in Path(os.path.normpath(target)).relative_to(shared).parts[:-1]:
            place, host = place / part, host / part
            _link_entries(place, host)
        place /= os.path.basename(os.path.normpath(target))
        if place.is_symlink():
            place.unlink()
        if folder:
            place.mkdir(exist_ok=True)
        else:
            place.touch()
    return ["--ro-bind", shared, f"{HOST_FOLDER}{shared}"]


def _link_entries(place: Path, host: Path) -> None:
    """Make a folder of the layer's that shows a folder of the host's by links; one that is there stays."""
    if place.is_symlink():
        place.unlink()
    if place.is_dir():
        return
    place.mkdir(parents=True)
    place.chmod(0o755)
    if host.is_dir():
        for name in os.listdir(host):
            os.symlink(f"{HOST_FOLDER}{host / name}", place / name)


def copy_content(mounts: Iterable[dict[str, Any]], folder: Path, read_only: bool = False) -> None:
    """Copy an image's own content for one container, and have its mounts show the copy.

    Args:
        mounts: the container's; those with `own` are the image's content, and their `source` is changed. An
            empty source is an empty folder.
        folder: where the copies lie on this host, each at its target below it.
        read_only: whether the container may only read them.
    """
    for mount in mounts:
        if mount.get("own"):
            copy = folder / str(mount["target"]).lstrip("/")
            if mount["source"]:
                shutil.copytree(mount["source"], copy, dirs_exist_ok=True)
            else:
                copy.mkdir(parents=True, exist_ok=True)
            mount["source"], mount["read_only"] = str(copy), read_only


def host_path(
    path: str, layer: Path, read_only_paths: Sequence[str], mounts: Iterable[Mapping[str, Any]]
) -> str:
    """Where a container's path lies on the host.

    Args:
        path: an absolute path as the container sees it.
        layer: the container's own layer.
        read_only_paths: further host paths it sees.
        mounts: its volumes.
    """
    volumes = [(str(mount["target"]).rstrip("/"), str(mount["source"])) for mount in mounts]
    shared = [(each, each) for each in (*SHARED_PATHS, *read_only_paths)]
    shared += [(f"/{name}", f"/{name}") for name in PROGRAM_FOLDERS]
    for target, source in sorted(volumes + shared, key=lambda pair: -len(pair[0])):
        if path == target or path.startswith(f"{target}/"):
            return source + path[len(target) :]
    return str(layer) + path


def find_program(name: str, search: str, working_dir: str, to_host: Callable[[str], str]) -> bool:
    """Whether a container would find a program, as `execvp` looks for it.

    Args:
        name: the first word of its command.
        search: its PATH.
        working_dir: its working folder.
        to_host: gives the host's path for the container's.
    """
    if "/" in name:
        places = [os.path.normpath(os.path.join(working_dir, name))]
    else:
        places = [os.path.join(folder or working_dir, name) for folder in search.split(":")]
    # A link may lead somewhere that only the container sees: bubblewrap will find out.
    return any(
        os.path.islink(found) or (os.path.isfile(found) and os.access(found, os.X_OK))
        for found in map(to_host, places)
    )
