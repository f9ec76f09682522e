"""Running a program to its end: the only place in the package that calls `subprocess.run`.

Programs that live on (the control plane, containers) belong to `processes.py`.
"""

from __future__ import annotations

import errno
import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from k8slab.errors import CommandError, MissingToolError, WaitTimeoutError

TAIL_LINES = 20
"""Lines of output that a time-out shows."""


@dataclass(frozen=True)
class Completed:
    """A program that has ended.

    Args:
        argv: what was run.
        returncode: its exit code; negative is the signal that ended it.
        stdout: what it printed, as text.
        stderr: what it printed on standard error, as text.
    """

    argv: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str


def find_program(name: str) -> Path | None:
    """Where a program is on PATH.

    Args:
        name: its name, or a path with a slash in it.

    Returns:
        Its path as PATH names it (symlinks not resolved), or None if it is not there.
    """
    found = shutil.which(name)
    return Path(found) if found else None


def run(
    argv: Sequence[str | Path],
    *,
    timeout: float,
    env: Mapping[str, str] | None = None,
    input: str | None = None,
    cwd: Path | None = None,
    check: bool = True,
) -> Completed:
    """Run a program to its end and return what it printed.

    On Ctrl-C and on a time-out the program is killed and waited for before the exception leaves here.

    Args:
        argv: program and arguments; no shell is involved.
        timeout: seconds until it is killed.
        env: its whole environment; this process's own if None.
        input: text for its standard input; nothing can be read there if None.
        cwd: its working folder.
        check: whether an exit code other than 0 is an error.

    Raises:
        MissingToolError: there is no such program, or it cannot be executed.
        WaitTimeoutError: it did not end in time.
        CommandError: it ended with an exit code other than 0, and `check` is set.
    """
    words = [str(word) for word in argv]
    try:
        done = subprocess.run(
            words,
            timeout=timeout,
            env=dict(env) if env is not None else None,
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            cwd=cwd,
            check=False,
            text=True,
            encoding="utf-8",
            errors="replace",
        )
    except subprocess.TimeoutExpired as error:
        seen = "\n".join(_tail(error.stdout) + _tail(error.stderr)) or "it had printed nothing"
        raise WaitTimeoutError(f"`{shlex.join(words)}` to end", timeout, seen) from error
    except OSError as error:
        if cwd is not None and not cwd.is_dir():
            raise
        if error.errno not in (errno.ENOENT, errno.EACCES, errno.ENOEXEC, errno.ENOTDIR):
            raise
        raise MissingToolError(
            f"`{words[0]}` cannot be run: {os.strerror(error.errno)}.",
            "Install it, or put its folder on PATH.",
        ) from error
    completed = Completed(tuple(words), done.returncode, done.stdout, done.stderr)
    if check and done.returncode != 0:
        raise CommandError(words, done.returncode, done.stdout + done.stderr)
    return completed


def _tail(printed: bytes | str | None) -> list[str]:
    # A time-out hands over bytes even where text was asked for.
    text = printed.decode(errors="replace") if isinstance(printed, bytes) else printed or ""
    return text.strip().splitlines()[-TAIL_LINES:]
