"""Which volumes a Pod's containers mount, and what of a volume a `subPath` shows.

Source of the rules and texts: `makeMounts` in pkg/kubelet/kubelet_pods.go, `ExpandContainerVolumeMounts` in
pkg/kubelet/container/helpers.go, `GetPodVolumeNames` in pkg/volume/util/util.go and
pkg/volume/util/nested_volumes.go of Kubernetes 1.36.
"""

from __future__ import annotations

import os
import posixpath
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from k8slab.folders import remove_tree
from k8slab.node.containers.environment import expand
from k8slab.node.pods import pod_spec
from k8slab.node.pods.pod_spec import Container, Pod


class VolumeError(ValueError):
    """A volume that a container cannot get; the text is the kubelet's."""


@dataclass(frozen=True)
class Mount:
    """One place in a container's file tree that comes from elsewhere.

    Args:
        source: path on this host.
        target: path in the container.
        read_only: whether the container may only read it.
    """

    source: str
    target: str
    read_only: bool

    def request(self) -> dict[str, Any]:
        """The mount as the runtime is asked for it."""
        return {"source": self.source, "target": self.target, "read_only": self.read_only}


def all_containers(pod: Pod) -> list[Container]:
    """Every container of a Pod, of whichever sort."""
    return [*pod_spec.init_containers(pod), *pod_spec.containers(pod), *pod_spec.ephemeral_containers(pod)]


def used_volumes(pod: Pod) -> list[dict[str, Any]]:
    """The volumes that some container mounts; a kubelet never looks at the others."""
    mounted = {each["name"] for one in all_containers(pod) for each in one.get("volumeMounts") or []}
    return [volume for volume in pod["spec"].get("volumes") or [] if volume["name"] in mounted]


def target_of(mount: Mapping[str, Any]) -> str:
    """The place of a `volumeMount` in the container: absolute, without a slash at its end."""
    return posixpath.normpath(posixpath.join("/", mount["mountPath"]))


def nested_places(pod: Pod, name: str) -> Iterator[str]:
    """The places within one of a Pod's volumes at which its containers mount other volumes.

    Args:
        pod: the Pod.
        name: the volume's name.

    Yields:
        Paths relative to the volume.
    """
    for container in all_containers(pod):
        mounts = container.get("volumeMounts") or []
        targets = [target_of(each) for each in mounts]
        for outer in (target_of(each) for each in mounts if each["name"] == name and not _sub_path(each)):
            for inner in targets:
                if inner.startswith(f"{outer}/"):
                    yield inner[len(outer) + 1 :]


def _sub_path(mount: Mapping[str, Any]) -> str:
    return str(mount.get("subPath") or mount.get("subPathExpr") or "")


def sub_path_of(mount: Mapping[str, Any], environment: Mapping[str, str]) -> str:
    """The sub-path of a `volumeMount`, with the variables of a `subPathExpr` filled in; empty if it has none.

    Args:
        mount: the volumeMount.
        environment: the container's variables.

    Raises:
        VolumeError: a variable has no value, or the path leads out of the volume.
    """
    expression = str(mount.get("subPathExpr") or "")
    if expression:
        asked = _Asked(environment)
        path = expand(expression, asked)
        if asked.missing:
            raise VolumeError(f"missing value for {', '.join(sorted(asked.missing))}")
    else:
        path = str(mount.get("subPath") or "")
    if path.startswith("/"):
        raise VolumeError(f"error SubPath `{path}` must not be an absolute path")
    if ".." in path.split("/"):
        raise VolumeError(f"unable to provision SubPath `{path}`: must not contain '..'")
    return path


class _Asked(dict[str, str]):
    """Variables that remember which of them were asked for and have no value."""

    def __init__(self, values: Mapping[str, str]) -> None:
        super().__init__(values)
        self.missing: set[str] = set()

    def get(self, key: str, default: Any = None) -> Any:
        value = super().get(key)
        if not value:
            self.missing.add(key)
        return value or ""


def prepare_sub_path(volume: Path, path: str, mount: str, container: str) -> Path:
    """Where a sub-path lies on this machine; a folder is made where nothing is.

    Args:
        volume: the volume's folder.
        path: the sub-path, such as `logs/web`.
        mount: name of the volume, for the message.
        container: name of the container, for the message.

    Raises:
        VolumeError: it cannot be made, or a link leads out of the volume.
    """
    place = volume / path
    if not real(place).is_relative_to(real(volume)):
        raise VolumeError(f'failed to prepare subPath for volumeMount "{mount}" of container "{container}"')
    try:
        if not place.exists():
            mode = volume.stat().st_mode & 0o7777
            for number in range(1, len(Path(path).parts) + 1):
                folder = volume.joinpath(*Path(path).parts[:number])
                if not folder.is_dir():
                    folder.mkdir()
                    folder.chmod(mode)
    except OSError as error:
        text = f'failed to create subPath directory for volumeMount "{mount}" of container "{container}"'
        raise VolumeError(text) from error
    return real(place)


def real(path: Path) -> Path:
    """A path without links; one whose links lead in a circle stays, and cannot be opened."""
    return Path(os.path.realpath(path))


def copied(source: Path, target: Path) -> Path:
    """A copy of a file or folder of a volume that the node writes, made when a container starts.

    A sub-path shows what was there at the start and nothing newer, whatever becomes of the volume's files.

    Args:
        source: what to copy.
        target: where to; what is there from an earlier start is replaced.
    """
    if target.is_dir():
        remove_tree(target)
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copy2(source, target)
    return target
