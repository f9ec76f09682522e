"""Linux capabilities by name, as containers ask for them; standard library only.

In a container of ours they reach no further than its own namespaces: `NET_ADMIN` changes the Pod's own
network, `SYS_TIME` changes nothing.
"""

from __future__ import annotations

from pathlib import Path

NAMES = (
    *("CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID"),
    *("SETPCAP", "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW"),
    *("IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT"),
    *("SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE"),
    *("AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM"),
    *("BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF", "CHECKPOINT_RESTORE"),
)
"""All capabilities in the order of their numbers (include/uapi/linux/capability.h of Linux)."""

DEFAULT_CAPABILITIES = (
    *("CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP"),
    *("NET_BIND_SERVICE", "NET_RAW", "SYS_CHROOT", "MKNOD", "AUDIT_WRITE", "SETFCAP"),
)
"""What containerd gives a container that says nothing (its contrib/oci/spec, `defaultUnixCaps`)."""

LAST_CAPABILITY = Path("/proc/sys/kernel/cap_last_cap")


def wanted(names: list[str]) -> list[str]:
    """Those of the names that this kernel knows, in the order of their numbers.

    Args:
        names: names without `CAP_`.
    """
    return [name for name in NAMES[: _count()] if name in names]


def dropped(names: list[str]) -> list[int]:
    """The numbers of all capabilities of this kernel that are not among the names."""
    return [number for number in range(_count()) if number >= len(NAMES) or NAMES[number] not in names]


def _count() -> int:
    return int(LAST_CAPABILITY.read_text()) + 1
