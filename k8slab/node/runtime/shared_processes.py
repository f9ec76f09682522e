"""A container in another one's process tree, as `kubectl debug --target` asks for; the sandboxed level."""

from __future__ import annotations

import os
import signal
from contextlib import suppress

from k8slab.node.runtime.records import Container, Pod, Refusal


def shared_namespace(pod: Pod, container: Container) -> int | None:
    """A descriptor of the pid namespace that a container is to share, or None if it gets its own.

    Args:
        pod: its Pod.
        container: the container, which names another one of the Pod's by its id, or none.

    Raises:
        Refusal: that one does not run.
    """
    if not container.share_with:
        return None
    target = pod.containers.get(container.share_with)
    if target is None or not target.running or not target.pid:
        name = target.name if target is not None else container.share_with
        raise Refusal(f"target container {name!r} is not running", "CreateContainerError")
    return os.open(f"/proc/{target.pid}/ns/pid", os.O_RDONLY | os.O_CLOEXEC)


class SharedTrees:
    """Knows the processes of containers that lead no pid namespace of their own, by their file tree.

    The kernel ends a pid namespace with its process 1; what such a container leaves behind is nobody's.
    """

    def __init__(self) -> None:
        self._trees: dict[str, str] = {}

    def began(self, container: Container, pid: int) -> None:
        """Remember a container's file tree.

        Args:
            container: the container.
            pid: its program.
        """
        if container.share_with:
            with suppress(OSError):
                self._trees[container.container] = os.readlink(f"/proc/{pid}/ns/mnt")

    def sweep(self, container: Container) -> None:
        """Kill what a container left behind; nothing happens if it had a pid namespace of its own."""
        tree = self._trees.pop(container.container, "")
        if not tree:
            return
        for name in os.listdir("/proc"):
            with suppress(OSError):
                if name.isdigit() and os.readlink(f"/proc/{name}/ns/mnt") == tree:
                    os.kill(int(name), signal.SIGKILL)
