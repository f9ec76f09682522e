"""The plain level: no namespaces, only processes that are told where their world is.

A program listens on the twin of its Pod's address and finds its volumes under a folder that
stands for `/`. A program that listens anywhere else would answer for other Pods: the runtime
looks for that and stops it.
"""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path
from socket import AddressFamily, socket

from k8slab.folders import remove_tree
from k8slab.network.addresses import FORWARD_PROXY_PORT
from k8slab.node.runtime.launcher import Command, Launcher, NodeSettings, Started, check_sources
from k8slab.node.runtime.listeners import listeners, sockets_of
from k8slab.node.runtime.processes import CONTAINER_VARIABLE, left_behind, marked, tree
from k8slab.node.runtime.records import Container, Pod, Refusal
from k8slab.node.runtime.rootfs import copy_content
from k8slab.node.runtime.spawn import Reaper, StartError, spawn
from k8slab.processes import CLUSTER_VARIABLE

FOLDERS = ("tmp", "root", "etc", "run", "var/log")


class PlainLauncher(Launcher):
    """Starts containers as ordinary processes.

    Args:
        settings: the node's.
        reaper: waits for children.
    """

    def __init__(self, settings: NodeSettings, reaper: Reaper) -> None:
        super().__init__(settings, reaper)
        self._cleared: dict[str, set[str]] = {}

    async def open_sandbox(self, pod: Pod) -> None:
        """Nothing is shared at this level."""

    async def close_sandbox(self, pod: Pod) -> None:
        """Nothing is shared at this level."""

    async def start(
        self, pod: Pod, container: Container, stdio: list[int], read_only_paths: list[str]
    ) -> Started:
        """Start the program in a session of its own, with the mounts' paths rewritten to its own root."""
        root = Path(container.root)
        copy_content(container.mounts, root)
        check_sources(container)
        for name in FOLDERS:
            (root / name).mkdir(parents=True, exist_ok=True)
        for mount in sorted(container.mounts, key=lambda each: str(each["target"]).count("/")):
            if not mount.get("own"):
                link_volume(root, mount["target"], mount["source"])
        targets = [mount["target"] for mount in container.mounts]
        argv = [rewritten(word, targets, container.root) for word in container.argv]
        folder = self._folder(container, targets)
        os.makedirs(folder, exist_ok=True)
        try:
            pid = spawn(argv, self._environment(pod, container), stdio, terminal=container.tty, folder=folder)
        except StartError as error:
            raise Refusal(str(error), "RunContainerError") from error
        return Started(pid, pid, self.reaper.watch(pid), lambda: "")

    def command(self, pod: Pod, container: Container, argv: list[str]) -> Command:
        """A process with the same environment, folder and rewriting."""
        targets = [mount["target"] for mount in container.mounts]
        words = [rewritten(word, targets, container.root) for word in argv]
        folder = self._folder(container, targets)
        return Command(words, self._environment(pod, container), folder, None, False)

    def open_socket(self, pod: Pod, family: AddressFamily) -> socket:
        """Refuses: all Pods share the host's network."""
        raise Refusal("at the plain level a Pod has no network of its own", "NotImplemented")

    def listens(self, pod: Pod, container: Container, ports: set[int]) -> bool:
        """Whether the twin of the Pod's address has listeners on all ports."""
        wanted = {self.settings.plan.twin_endpoint(pod.address, port) for port in ports}
        return wanted <= {(each.address, each.port) for each in listeners()}

    def stray_listener(self, pod: Pod, container: Container) -> str:
        """A listener of the container's on another address than its twin."""
        twin = self.settings.plan.twin(pod.address)
        cleared = self._cleared.setdefault(container.container, set())
        strangers = {
            each.inode: each for each in listeners() if each.address != twin and each.inode not in cleared
        }
        if not strangers:
            return ""
        own = strangers.keys() & sockets_of(self.processes(container))
        for inode in own:
            return f"{strangers[inode].address}:{strangers[inode].port}"
        cleared |= strangers.keys()
        return ""

    def processes(self, container: Container) -> list[int]:
        """The program, what it started, and what was left to this process when its parent ended."""
        pids = tree(container.pid or 0)
        return pids or list(marked(container.container))

    def sweep(self, container: Container) -> None:
        """Kill whatever still carries the container's mark, or shows otherwise that it is the container's."""
        self._cleared.pop(container.container, None)
        for _ in range(10):
            left = set(marked(container.container))
            if container.pid and container.root:
                left |= set(left_behind(container.pid, container.root))
            if not left:
                return
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue

    def _folder(self, container: Container, targets: list[str]) -> str:
        folder = container.working_dir or "/"
        moved = rewritten(folder, targets, container.root)
        return moved if moved != folder else container.root + folder

    def _environment(self, pod: Pod, container: Container) -> dict[str, str]:
        targets = [mount["target"] for mount in container.mounts]
        twin = self.settings.plan.twin(pod.address)
        proxy = f"http://{twin}:{FORWARD_PROXY_PORT}"
        told = {
            "HOME": f"{container.root}/root",
            "TMPDIR": f"{container.root}/tmp",
            "http_proxy": proxy,
            "HTTP_PROXY": proxy,
        }
        own = {name: value for name, value in container.env}
        return {
            **self.environment(container),
            **told,
            **{name: rewritten(value, targets, container.root) for name, value in own.items()},
            "K8SLAB_ROOT": container.root,
            "K8SLAB_ADDRESS": twin,
            "K8SLAB_PORT_OFFSET": str(self.settings.plan.port_offset),
            CLUSTER_VARIABLE: self.settings.uuid,
            CONTAINER_VARIABLE: container.container,
        }


def rewritten(text: str, targets: list[str], root: str) -> str:
    """A word with every mount target in it moved under the container's root.

    Only whole paths count: `/data` in `/data/file`, in `--from=/data` and in `cat /data`, but not
    in `/database` or `/srv/data`.

    Args:
        text: a word of a command, or a variable's value.
        targets: the container's mount targets.
        root: the folder that stands for `/`.
    """
    for target in sorted(targets, key=len, reverse=True):
        path = target.rstrip("/")
        if path:
            text = re.sub(rf"(?<![\w./~-]){re.escape(path)}(?![\w.-])", lambda match: root + match[0], text)
    return text


def link_volume(root: Path, target: str, source: str) -> None:
    """Show a volume at its target under a container's root, by a symbolic link.

    Raises:
        Refusal: two volumes share a target, or one lies within another.
    """
    link = root / target.strip("/")
    try:
        link.parent.mkdir(parents=True, exist_ok=True)
        inside = link.parent.resolve().is_relative_to(root.resolve())
        if inside and not link.is_symlink():
            if link.is_dir():
                # A folder of the runtime's, or what the image brought along: the volume hides it.
                remove_tree(link)
            elif link.is_file():
                link.unlink()
            link.symlink_to(source)
            return
    except OSError as error:
        raise Refusal(f"the volume at {target} cannot be shown: {error}", "CreateContainerError") from error
    raise Refusal(
        f"the volume at {target} lies within another one: that needs the sandboxed level.",
        "CreateContainerError",
    )
