"""Who a container runs as, and with which rights: its own securityContext over its Pod's. Pure.

Source of the rules: pkg/securitycontext/util.go (`DetermineEffectiveSecurityContext`) and
pkg/kubelet/kuberuntime/security_context_others.go of Kubernetes 1.36.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from k8slab.folders import Isolation
from k8slab.node.pods import pod_spec
from k8slab.node.pods.pod_spec import Container, Pod
from k8slab.node.runtime.capabilities import DEFAULT_CAPABILITIES, NAMES

IMAGE_USER = 0
"""The user of the catalogue's images: root, as of most images that say nothing."""


class RootRefusedError(ValueError):
    """A container that must not run as root and would; the text is the kubelet's."""


@dataclass(frozen=True)
class Security:
    """What a container's program may do.

    Args:
        user: its user id.
        group: its group id.
        capabilities: names without `CAP_`.
        read_only_root: whether its `/` is read-only.
    """

    user: int = IMAGE_USER
    group: int = 0
    capabilities: tuple[str, ...] = DEFAULT_CAPABILITIES
    read_only_root: bool = False

    def request(self) -> dict[str, Any]:
        """The fields of the runtime's `start_container` request."""
        return {
            "user": self.user,
            "group": self.group,
            "capabilities": list(self.capabilities),
            "read_only_root": self.read_only_root,
        }


def security(pod: Pod, container: Container) -> Security:
    """What a container asks for.

    Args:
        pod: its Pod.
        container: its specification.

    Raises:
        RootRefusedError: `runAsNonRoot` is set and it would run as root.
    """
    effective = {**(pod["spec"].get("securityContext") or {}), **(container.get("securityContext") or {})}
    _verify_non_root(pod, container, effective)
    user, group = effective.get("runAsUser"), effective.get("runAsGroup")
    return Security(
        user=IMAGE_USER if user is None else int(user),
        group=0 if group is None else int(group),
        capabilities=_capabilities(effective),
        read_only_root=bool(effective.get("readOnlyRootFilesystem")),
    )


def _verify_non_root(pod: Pod, container: Container, effective: dict[str, Any]) -> None:
    user = effective.get("runAsUser")
    if not effective.get("runAsNonRoot") or (user is None and IMAGE_USER):
        return
    about = f'(pod: "{pod_spec.name_of(pod)}", container: {container["name"]})'
    if user is None:
        raise RootRefusedError(f"container has runAsNonRoot and image will run as root {about}")
    if int(user) == 0:
        raise RootRefusedError(f"container's runAsUser breaks non-root policy {about}")


def _capabilities(effective: dict[str, Any]) -> tuple[str, ...]:
    """Names to keep, as containerd adds and drops: drop ALL comes first, then what is added."""
    if effective.get("privileged"):
        return NAMES
    asked = effective.get("capabilities") or {}
    add = [_plain_name(name) for name in asked.get("add") or []]
    drop = [_plain_name(name) for name in asked.get("drop") or []]
    kept = set(NAMES) if "ALL" in add else set(DEFAULT_CAPABILITIES)
    if "ALL" in drop:
        kept = set()
    kept = (kept | set(add)) - set(drop)
    return tuple(name for name in NAMES if name in kept)


def _plain_name(name: str) -> str:
    return name.upper().removeprefix("CAP_")


def status_user(wanted: Security, isolation: Isolation) -> dict[str, Any]:
    """The `user` of a container's status: who its first process really is.

    Args:
        wanted: what the container asked for.
        isolation: the node's level; at the plain one it is the lab's own user.
    """
    if isolation == "plain":
        user, group = os.getuid(), os.getgid()
    else:
        user, group = wanted.user, wanted.group
    return {"linux": {"uid": user, "gid": group, "supplementalGroups": [group]}}
