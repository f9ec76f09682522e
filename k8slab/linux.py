"""The few Linux calls that Python 3.11 does not offer: unshare, setns and prctl.

Standard library only. Every call raises OSError with the kernel's own reason.
"""

from __future__ import annotations

import ctypes
import os
import signal

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, call: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    """Leave the namespaces named by `flags` (CLONE_NEW*) for new ones. The caller must be single-threaded."""
    _checked(_libc.unshare(flags), "unshare")


def setns(descriptor: int, flags: int = 0) -> None:
    """Enter the namespace behind a descriptor of /proc/<pid>/ns/*; `flags` may insist on its kind."""
    _checked(_libc.setns(descriptor, flags), "setns")


def map_own_ids(user: int, group: int) -> None:
    """Map uid 0 and gid 0 of the caller's new user namespace to one user and group of the namespace above.

    Args:
        user: the caller's uid as it was before `unshare(CLONE_NEWUSER)`.
        group: the same of its gid. Supplementary groups cannot be changed afterwards (`setgroups deny`).
    """
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def make_dumpable() -> None:
    """Let processes of the same user open /proc/<pid>/ns/* of the caller; unshare takes that away."""
    _checked(_libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0), "prctl(PR_SET_DUMPABLE)")


def die_with_parent(parent: int) -> None:
    """Have the kernel send SIGKILL to the caller when its parent ends.

    Args:
        parent: pid of the parent that is meant; if it is gone already the caller ends at once.
    """
    _checked(_libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        os._exit(137)


def adopt_orphans() -> None:
    """Make the caller the parent of every orphan among its descendants (a subreaper)."""
    _checked(_libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "prctl(PR_SET_CHILD_SUBREAPER)")
