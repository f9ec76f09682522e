"""Which level of isolation this host allows, found by trying it for real."""

from __future__ import annotations

import os

from k8slab.commands import find_program, run
from k8slab.errors import ClusterStateError, CommandError, LabError
from k8slab.folders import Isolation

VARIABLE = "K8SLAB_ISOLATION"
"""Environment variable that forces a level: `sandboxed` or `plain`."""

PROGRAMS = {"bwrap": "bubblewrap", "nsenter": "util-linux", "unshare": "util-linux", "ip": "iproute2"}
"""What the sandboxed level runs, and the package each comes in."""

PROBE = """
ip link add k8slab0 type bridge || { echo "a network bridge cannot be made" >&2; exit 1; }
ip link add k8slab1 type veth peer name k8slab2 || { echo "a veth pair cannot be made" >&2; exit 1; }
ip link set k8slab1 master k8slab0 up || { echo "a veth cannot join a bridge" >&2; exit 1; }
exec bwrap --ro-bind / / --proc /proc --dev /dev --tmpfs /tmp --unshare-pid --unshare-uts \
  --hostname probe --as-pid-1 --die-with-parent --cap-drop ALL true
"""
"""What the switch, a Pod and a container do on the sandboxed level, once, in namespaces of its own."""


def best_level() -> tuple[Isolation, str]:
    """The better level of isolation that works here, and why it was taken.

    Takes about 30 ms: the probe makes a user and a network namespace, a bridge, a veth pair and a
    bubblewrap sandbox, all of which end with it. `K8SLAB_ISOLATION` forces a level.

    Returns:
        The level, and one sentence for the reader.

    Raises:
        ClusterStateError: `K8SLAB_ISOLATION` names no level, or forces `sandboxed` where it cannot work.
    """
    forced = os.environ.get(VARIABLE, "")
    if forced == "plain":
        return "plain", f"plain, because {VARIABLE} says so"
    if forced not in ("", "sandboxed"):
        raise ClusterStateError(
            f"{VARIABLE} is {forced!r}; the levels of isolation are sandboxed and plain.",
            f"Set it to one of them, or unset {VARIABLE}.",
        )
    problem = obstacle()
    if not problem:
        because = f"{VARIABLE} says so" if forced else "bubblewrap and user namespaces work here"
        return "sandboxed", f"sandboxed, because {because}"
    if forced:
        raise ClusterStateError(
            f"{VARIABLE} asks for the sandboxed level, but {problem}.",
            f"Unset {VARIABLE} or set it to plain.",
        )
    return "plain", f"plain, because {problem}"


def obstacle() -> str:
    """What stands in the way of the sandboxed level on this host; empty if nothing does."""
    for program, package in PROGRAMS.items():
        if find_program(program) is None:
            return f"{program} is not installed (package {package})"
    try:
        run(["unshare", "--user", "--map-root-user", "--net", "sh", "-c", PROBE], timeout=5)
    except CommandError as error:
        said = error.output.strip().splitlines()
        return f"a sandbox cannot be made here ({said[-1] if said else f'exit code {error.returncode}'})"
    except LabError as error:
        return f"a sandbox cannot be made here ({error.message})"
    return ""
