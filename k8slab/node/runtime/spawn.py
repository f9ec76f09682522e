"""Starting processes for the runtime, and learning of their end.

The runtime forks itself: `subprocess` cannot enter namespaces between fork and exec. All of
this runs on the runtime's only thread, which is what makes forking it safe.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import signal
import termios
from collections.abc import Callable, Mapping, Sequence

from k8slab import linux
from k8slab.errors import ClusterError

CONTAINER_UMASK = 0o022
"""The umask that a program starts with: containerd's."""

RESTORED_SIGNALS = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}
"""A container's program finds every signal at its default, whatever the lab was started with: Python ignores
SIGPIPE and SIGXFSZ, `nohup` SIGHUP, a shell's `&` SIGINT and SIGQUIT, and what is ignored is inherited."""


class StartError(ClusterError):
    """A program that could not be executed.

    Args:
        number: the kernel's errno.
        message: what was tried and what the kernel said.
    """

    def __init__(self, number: int, message: str) -> None:
        super().__init__(message)
        self.number = number


class Reaper:
    """Waits for children of this process; orphans that it adopts are reaped as well."""

    def __init__(self) -> None:
        self._waiting: dict[int, asyncio.Future[int]] = {}

    def start(self) -> None:
        """Begin; needs the running event loop."""
        linux.adopt_orphans()
        asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, self._reap)

    def watch(self, pid: int) -> asyncio.Future[int]:
        """The wait status that a child will end with; to be called right after `spawn`, without waiting."""
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting[pid] = future
        return future

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            future = self._waiting.pop(pid, None)
            if future is not None and not future.done():
                future.set_result(status)


def spawn(
    argv: Sequence[str],
    env: Mapping[str, str],
    stdio: Sequence[int],
    *,
    keep: Sequence[int] = (),
    terminal: bool = False,
    folder: str = "/",
    enter: Callable[[], None] | None = None,
    replace_pid: bool = False,
) -> int:
    """Start a program in a session of its own; it is killed when this process dies.

    Args:
        argv: program and arguments; the program is looked for on `env`'s PATH.
        env: its whole environment.
        stdio: descriptors for its standard input, output and error; all above 2.
        keep: further descriptors it inherits under the same number.
        terminal: whether standard input is a pty that becomes its controlling terminal.
        folder: its working folder.
        enter: called in the new process before the program, to enter namespaces.
        replace_pid: fork once more after `enter`, for a new pid namespace: that only holds children.

    Returns:
        Its pid, as this process sees it.

    Raises:
        StartError: the program could not be executed, or a step before it failed.
    """
    parent = os.getpid()
    told, tell = os.pipe()
    try:
        child = os.fork()
        if child == 0:
            _become(parent, tell, argv, env, stdio, keep, terminal, folder, enter, replace_pid)
    finally:
        os.close(tell)
    try:
        # The pipe closes when the program is executed (its end is close-on-exec).
        said = b"".join(iter(lambda: os.read(told, 4096), b"")).decode(errors="replace")
    finally:
        os.close(told)
    pid = child
    if replace_pid:
        os.waitpid(child, 0)
        first, _, said = said.partition("\n")
        if first.isdigit():
            pid = int(first)
        else:
            said = first
    if said:
        if not replace_pid:
            os.waitpid(child, 0)
        number, _, message = said.partition(" ")
        raise StartError(int(number), message)
    return pid


def _become(
    parent: int,
    tell: int,
    argv: Sequence[str],
    env: Mapping[str, str],
    stdio: Sequence[int],
    keep: Sequence[int],
    terminal: bool,
    folder: str,
    enter: Callable[[], None] | None,
    replace_pid: bool,
) -> None:
    """The new process's way from fork to exec; never returns."""
    try:
        if not replace_pid:
            linux.die_with_parent(parent)
        if enter is not None:
            enter()
        if replace_pid:
            grandchild = os.fork()
            if grandchild:
                os.write(tell, f"{grandchild}\n".encode())
                os._exit(0)
        os.setsid()
        for target, source in enumerate(stdio):
            os.dup2(source, target)
        if terminal:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        for descriptor in keep:
            os.set_inheritable(descriptor, True)
        for number in RESTORED_SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        # The runtime's own files are private; a container's programs write theirs as in any container.
        os.umask(CONTAINER_UMASK)
        os.chdir(folder)
        os.execvpe(argv[0], list(argv), dict(env))
    except OSError as error:
        missing = error.errno == errno.ENOENT and "/" not in argv[0]
        # In lower case, as Go has the kernel's words.
        reason = "executable file not found in $PATH" if missing else os.strerror(error.errno or 0).lower()
        if error.filename is None and not missing and (error.strerror or reason).lower() != reason:
            reason = str(error.strerror)
        os.write(tell, f'{error.errno or 0} exec: "{argv[0]}": {reason}'.encode())
    except Exception as error:
        os.write(tell, f'0 exec: "{argv[0]}": {type(error).__name__}: {error}'.encode())
    finally:
        os._exit(127)
