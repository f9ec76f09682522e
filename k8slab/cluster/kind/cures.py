"""What to do where an engine does not answer, or kind fails: one cure each, told from their own words.

Sources: kind's known issues, and docs/reality.md for what was seen.
"""

from __future__ import annotations

import re

from k8slab.cluster.container_engine import PROVIDER_VARIABLE

DISK = 6 << 30
"""Bytes that an engine should have free."""

CAPABILITY_CURE = (
    "Start the engine's own container or service with CAP_SYS_RESOURCE, or use backend='embedded', which"
    " needs no engine."
)
MODULES_CURE = "Make the folder, empty as it is: sudo mkdir -p /lib/modules."

_ENGINE_CURES = {
    "docker": (
        "Add yourself to the engine's group: sudo usermod -aG docker $USER, then log in again.",
        "Start the engine: sudo systemctl start docker, or start Docker Desktop.",
    ),
    "podman": (
        "Run podman as this user, without CONTAINER_HOST: rootless it needs no rights.",
        "Start podman's machine: podman machine start.",
    ),
    "nerdctl": (
        "Set containerd up for this user: containerd-rootless-setuptool.sh install.",
        "Start containerd: sudo systemctl start containerd, or containerd-rootless-setuptool.sh install.",
    ),
}
"""Engine → what to do where it denies, and where it does not run."""

CONTEXT_CURE = "Choose this machine's own docker: docker context use default."
_PLACE_CURES = {
    **{
        each: f"Unset {each}, so that the engine of this machine is taken, or run the lab on that machine."
        for each in ("DOCKER_HOST", "DOCKER_CONTEXT", "CONTAINER_HOST", "CONTAINER_CONNECTION")
    },
    "podman's default connection": "Choose podman's own machine: podman system connection default"
    " podman-machine-default.",
    "its socket": "Start this container with the host's network (--network host), or use backend='embedded'.",
}
"""What leads to an engine elsewhere → what to do."""


def engine_cure(seen: str) -> str:
    """What to do where no engine answers.

    Args:
        seen: what `find_engine` said.
    """
    if (place := re.search(r"on another machine \(.*?, by (.*?)\), whose", seen)) is not None:
        return _PLACE_CURES.get(place[1], CONTEXT_CURE)
    for engine, (denied, stopped) in _ENGINE_CURES.items():
        if f"{engine}: permission denied" in seen:
            return denied
        if f"{engine}: installed, and not running" in seen:
            return stopped
    if "no answer within" in seen:
        return "The engine hangs: restart it (sudo systemctl restart docker, or Docker Desktop's menu)."
    if "names" in seen and "none of" in seen:
        return f"Unset {PROVIDER_VARIABLE}, or set it to docker, podman or nerdctl."
    return "For kind install docker, podman or nerdctl."


_CURES: tuple[tuple[str, str], ...] = (
    (
        r"unable to apply caps: operation not permitted",
        f"The engine lacks CAP_SYS_RESOURCE. {CAPABILITY_CURE}",
    ),
    (
        r"setrlimit `?RLIMIT_\w+`?: Operation not permitted",
        f"podman may not raise limits without CAP_SYS_RESOURCE. {CAPABILITY_CURE}",
    ),
    (r"statfs /lib/modules: no such file", MODULES_CURE),
    (r"unsupported restart policy", "Update containerd to 1.7 or newer."),
    (
        r"too many open files",
        "sudo sysctl fs.inotify.max_user_watches=524288 fs.inotify.max_user_instances=512",
    ),
    (r"no space left on device", f"The engine's disk is full: {DISK >> 30} GiB or more are wanted."),
    (
        r"non-overlapping|address pools have been fully subnetted|Pool overlaps",
        "No addresses are left for kind's network: `docker network prune` removes what nothing uses.",
    ),
    (
        r"failed to pull image",
        "The node image could not be downloaded. Name one that is here with K8SLAB_KIND_IMAGE, look whether"
        " the engine reaches its registry, or use backend='embedded'.",
    ),
    (
        r"permission denied",
        "Add yourself to the engine's group (`sudo usermod -aG docker $USER`), log in again.",
    ),
    (
        r"[Cc]annot connect to the (Docker|docker)|Is the docker daemon running",
        "Start the engine: `sudo systemctl start docker`, or Docker Desktop.",
    ),
    (r"Delegate=yes", "Let systemd delegate control groups to your user: see `k8slab doctor`."),
    (r"requires cgroup v2", "A rootless engine wants control groups of version 2: see `k8slab doctor`."),
    (
        r"could not find a log line that matches",
        "The node's systemd did not come up; `k8slab doctor` looks at inotify limits and control groups.",
    ),
    (
        r"failed to (init|join) node with kubeadm",
        "A kubelet did not come up in time; `k8slab doctor` looks at memory, inotify and control groups.",
    ),
)


def cure_of(output: str) -> str:
    """What to do about a failure of kind, told from its own words."""
    for words, cure in _CURES:
        if re.search(words, output, re.IGNORECASE):
            return cure
    return "`k8slab doctor` looks for what kind needs of this machine."
