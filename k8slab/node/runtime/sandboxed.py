"""The sandboxed level: namespaces from the kernel, file trees from bubblewrap.

A container's program is process 1 of its own pid namespace, as in any container. bubblewrap
stays outside as its keeper (about 0.2 MB): it ends with the program and tells its exit code,
and when the runtime dies the kernel kills both.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import shutil
import time
from pathlib import Path
from socket import AddressFamily, socket

from k8slab import linux
from k8slab.node.runtime import capabilities
from k8slab.node.runtime.launcher import DEFAULT_PATH, Command, Launcher, NodeSettings, Started, check_sources
from k8slab.node.runtime.listeners import listeners
from k8slab.node.runtime.network import Cabling, Namespaces, switch_pid
from k8slab.node.runtime.processes import CONTAINER_VARIABLE, tree
from k8slab.node.runtime.records import Container, Pod, Refusal
from k8slab.node.runtime.rootfs import (
    copy_content,
    find_program,
    host_path,
    prepare_layer,
    tree_arguments,
)
from k8slab.node.runtime.shared_processes import SharedTrees, shared_namespace
from k8slab.node.runtime.sockets import socket_in
from k8slab.node.runtime.spawn import Reaper, StartError, spawn
from k8slab.processes import CLUSTER_VARIABLE

PR_CAPBSET_DROP = 24
PR_SET_NO_NEW_PRIVS = 38
LONGEST_SETUP = 5.0
"""Seconds bubblewrap may take to lay out a file tree."""


class SandboxedLauncher(Launcher):
    """Starts Pods and containers in namespaces of the cluster.

    Args:
        settings: the node's.
        reaper: waits for children.

    Raises:
        OSError: the switch does not answer.
    """

    def __init__(self, settings: NodeSettings, reaper: Reaper) -> None:
        super().__init__(settings, reaper)
        switch = switch_pid(settings.cluster / "run" / "switch.sock")
        self._cabling = Cabling(switch, settings.plan)
        self._sandboxes: dict[str, Namespaces] = {}
        self._shared = SharedTrees()
        self._bubblewrap = os.path.realpath(shutil.which("bwrap") or "bwrap")
        self._setsid = shutil.which("setsid") or "setsid"
        self._prctl = ctypes.CDLL(None, use_errno=True).prctl

    async def open_sandbox(self, pod: Pod) -> None:
        """Make the Pod's namespaces and plug them into the switch."""
        if pod.pod not in self._sandboxes:
            self._sandboxes[pod.pod] = self._cabling.plug(pod.pod, pod.address)

    async def close_sandbox(self, pod: Pod) -> None:
        """Unplug the Pod; its namespaces end with their last process."""
        namespaces = self._sandboxes.pop(pod.pod, None)
        if namespaces is not None:
            self._cabling.unplug(namespaces)

    async def start(
        self, pod: Pod, container: Container, stdio: list[int], read_only_paths: list[str]
    ) -> Started:
        """Start the program in a bubblewrap sandbox inside the Pod's namespaces."""
        layer = Path(container.root)
        copy_content(container.mounts, layer.parent / "content", container.read_only_root)
        check_sources(container)
        prepare_layer(layer, pod, self.settings.plan.dns_service)
        working_dir = container.working_dir or "/"
        env = self.environment(container)

        def to_host(path: str) -> str:
            return host_path(path, layer, read_only_paths, container.mounts)

        if not find_program(container.argv[0], env["PATH"], working_dir, to_host):
            named = "/" in container.argv[0]
            what = "no such file or directory" if named else "executable file not found in $PATH"
            raise Refusal(f'exec: "{container.argv[0]}": {what}', "RunContainerError")
        # Process 1 leads a session of its own, as in any container; with a terminal that is its session's.
        terminal = [self._setsid, "--ctty"] if container.tty else []
        shared = shared_namespace(pod, container)
        told, tell = os.pipe()
        arguments = self._arguments(pod, container, env, read_only_paths, tell, shared)
        options = os.memfd_create("options")
        try:
            os.write(options, b"\0".join(os.fsencode(word) for word in arguments) + b"\0")
            os.lseek(options, 0, os.SEEK_SET)
            keeper = spawn(
                [self._bubblewrap, "--args", str(options), "--", *terminal, *container.argv],
                # What stands here is visible to everyone who may see the process: no Pod's variables.
                {
                    "PATH": DEFAULT_PATH,
                    CLUSTER_VARIABLE: self.settings.uuid,
                    CONTAINER_VARIABLE: container.container,
                },
                stdio,
                keep=(options, tell) if shared is None else (options, tell, shared),
                enter=self._sandboxes[pod.pod].enter,
            )
        except StartError as error:
            os.close(told)
            raise Refusal(str(error), "RunContainerError") from error
        finally:
            for descriptor in (options, tell, *([] if shared is None else [shared])):
                os.close(descriptor)
        ended, status = self.reaper.watch(keeper), _Status(told)
        pid = await status.program(self._bubblewrap)
        self._shared.began(container, pid)
        return Started(pid, keeper, ended, status.problem)

    def command(self, pod: Pod, container: Container, argv: list[str]) -> Command:
        """Enter all namespaces of the container's program."""
        names = {
            "net": linux.CLONE_NEWNET,
            "ipc": linux.CLONE_NEWIPC,
            "uts": linux.CLONE_NEWUTS,
            "pid": linux.CLONE_NEWPID,
            "mnt": linux.CLONE_NEWNS,
        }
        if container.user or container.group:
            # The last: the others belong to the namespace around it.
            names["user"] = linux.CLONE_NEWUSER
        dropped = capabilities.dropped(container.capabilities)

        def enter() -> None:
            folder = f"/proc/{container.pid}/ns"
            opened = {kind: os.open(f"{folder}/{name}", os.O_RDONLY) for name, kind in names.items()}
            for kind, descriptor in opened.items():
                linux.setns(descriptor, kind)
            for capability in dropped:
                self._prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
            self._prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)

        return Command(argv, self.environment(container), container.working_dir or "/", enter, True)

    def open_socket(self, pod: Pod, family: AddressFamily) -> socket:
        """A socket made inside the Pod's network namespace."""
        namespaces = self._sandboxes.get(pod.pod)
        if namespaces is None:
            raise Refusal(f"pod {pod.pod!r} has no sandbox", "NotRunning")
        return socket_in(namespaces.network, family)

    def listens(self, pod: Pod, container: Container, ports: set[int]) -> bool:
        """Whether the Pod's network namespace has listeners on all ports."""
        return ports <= {each.port for each in listeners(container.pid or 0)}

    def stray_listener(self, pod: Pod, container: Container) -> str:
        """None can be: the Pod's network is its own."""
        return ""

    def processes(self, container: Container) -> list[int]:
        """The program and all that it started."""
        return tree(container.pid or 0)

    def sweep(self, container: Container) -> None:
        """Nothing is left of a pid namespace: the kernel ends it with its process 1."""
        self._shared.sweep(container)

    def _arguments(
        self,
        pod: Pod,
        container: Container,
        env: dict[str, str],
        read_only_paths: list[str],
        tell: int,
        shared: int | None,
    ) -> list[str]:
        arguments = tree_arguments(
            Path(container.root), read_only_paths, container.mounts, [container.working_dir or "/"]
        )
        arguments += ["--unshare-pid", "--as-pid-1"] if shared is None else ["--pidns", str(shared)]
        arguments += ["--unshare-uts", "--hostname", pod.hostname]
        arguments += ["--die-with-parent", "--json-status-fd", str(tell)]
        arguments += [] if container.tty else ["--new-session"]
        arguments += ["--cap-drop", "ALL"]
        if not container.user:
            # A program of another user than root starts without any, as the kernel has it.
            for name in capabilities.wanted(container.capabilities):
                arguments += ["--cap-add", f"CAP_{name}"]
        if container.user or container.group:
            # A user namespace within the cluster's own, where the one user there is has another number.
            arguments += ["--unshare-user", "--uid", str(container.user), "--gid", str(container.group)]
        working_dir = container.working_dir or "/"
        if working_dir != "/":
            arguments += ["--dir", working_dir]
        if container.read_only_root:
            arguments += ["--remount-ro", "/"]
        arguments += ["--chdir", working_dir, "--unsetenv", CONTAINER_VARIABLE]
        for name, value in env.items():
            arguments += ["--setenv", name, value]
        return arguments


class _Status:
    """What bubblewrap tells on its status descriptor: the program's pid, and that it really ran.

    Args:
        descriptor: the pipe's reading end; it is closed when bubblewrap closed the other.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._text = ""
        self._arrived: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        os.set_blocking(descriptor, False)
        asyncio.get_running_loop().add_reader(descriptor, self._read)

    async def program(self, bubblewrap: str) -> int:
        """The program's pid as the host sees it, once bubblewrap has become the program (or has ended).

        Args:
            bubblewrap: path of bubblewrap; 0 is returned if it ended before it made a process.
        """
        await self._arrived
        if "child-pid" not in self._text:
            return 0
        pid = int(json.loads(self._text.partition("\n")[0])["child-pid"])
        deadline = time.monotonic() + LONGEST_SETUP
        while self._descriptor >= 0 and time.monotonic() < deadline:
            try:
                if os.readlink(f"/proc/{pid}/exe") != bubblewrap:
                    break
            except OSError:
                # Gone, or not to be looked at for a moment while it changes its credentials.
                pass
            await asyncio.sleep(0.001)
        return pid

    def problem(self) -> str:
        """Why the program never ran; empty if it did. To be asked after bubblewrap ended."""
        if self._descriptor >= 0:
            self._read()
        return "" if "exit-code" in self._text else "bubblewrap could not start the program; its log says why"

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._descriptor, 4096)
            except BlockingIOError:
                return
            self._text += data.decode()
            if not self._arrived.done() and (not data or "\n" in self._text):
                self._arrived.set_result(None)
            if not data:
                asyncio.get_running_loop().remove_reader(self._descriptor)
                os.close(self._descriptor)
                self._descriptor = -1
                return
