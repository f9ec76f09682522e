"""The volumes of the node's Pods: folders below the node's own, filled and kept up to date."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from k8slab.errors import ApiError
from k8slab.node.atomic_files import write_atomically
from k8slab.node.environment import Lookup, expand
from k8slab.node.field_values import Surroundings, UnknownFieldError
from k8slab.node.pod_files import hosts_file, resolver_file
from k8slab.node.pod_spec import Container, Pod
from k8slab.node.service_account_tokens import ServiceAccountTokens
from k8slab.node.volume_content import MissingContentError, token_sources, volume_files

OWN_FIELDS = ("name",)


class VolumeError(ValueError):
    """A volume that could not be set up; the text is the kubelet's."""


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


class Volumes:
    """Makes, refreshes and removes the folders of the node's Pods.

    Args:
        folder: the node's folder.
        tokens: gives service-account tokens.
        nameserver: address of the cluster's name server.
    """

    def __init__(self, folder: Path, tokens: ServiceAccountTokens, nameserver: str) -> None:
        self._folder = folder
        self._tokens = tokens
        self._nameserver = nameserver

    def pod_folder(self, uid: str) -> Path:
        """The folder with everything of one Pod."""
        return self._folder / "kubelet" / uid

    async def prepare(self, pod: Pod, lookup: Lookup, around: Surroundings) -> None:
        """Make a Pod's volumes, or bring them up to date.

        Args:
            pod: the Pod.
            lookup: gives ConfigMaps and Secrets.
            around: the Pod's address and the node's allocatable resources.

        Raises:
            VolumeError: a volume could not be set up; the others may have been.
        """
        folder = self.pod_folder(pod["metadata"]["uid"])
        (folder / "volumes").mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            tokens = {_key(each): (await self._tokens.get(pod, each)).text for each in token_sources(pod)}
        except ApiError as error:
            named = next(volume["name"] for volume in pod["spec"]["volumes"] if volume.get("projected"))
            raise VolumeError(
                f'MountVolume.SetUp failed for volume "{named}" : failed to fetch token: {error}'
            ) from error
        for volume in pod["spec"].get("volumes") or []:
            try:
                self._prepare_one(pod, volume, lookup, tokens, around)
            except (MissingContentError, UnknownFieldError, OSError) as error:
                text = f'MountVolume.SetUp failed for volume "{volume["name"]}" : {error}'
                raise VolumeError(text) from error
        (folder / "etc-hosts").write_text(hosts_file(pod, around.address))
        (folder / "resolv.conf").write_text(resolver_file(pod, self._nameserver, _host_resolver()))

    def _prepare_one(
        self,
        pod: Pod,
        volume: dict[str, Any],
        lookup: Lookup,
        tokens: Mapping[str, str],
        around: Surroundings,
    ) -> None:
        path = self.path(pod, volume["name"])
        files = volume_files(pod, volume, lookup, lambda source: tokens[_key(source)], around)
        if files is not None:
            write_atomically(path, files)
        elif volume.get("emptyDir") is not None:
            path.mkdir(exist_ok=True)
            path.chmod(0o777)
        elif volume.get("hostPath"):
            _prepare_host_path(path, volume["hostPath"])
        else:
            kind = next((field for field in volume if field not in OWN_FIELDS), "nothing")
            raise MissingContentError(
                f"k8slab's nodes do not offer volumes of the kind {kind}; "
                "emptyDir, configMap, secret, downwardAPI, projected and hostPath are there"
            )

    def path(self, pod: Pod, name: str) -> Path:
        """The path on this host of one of a Pod's volumes."""
        for volume in pod["spec"].get("volumes") or []:
            if volume["name"] == name and volume.get("hostPath"):
                # A node's file tree is its own: another node has another folder there.
                return self._folder / "host" / str(volume["hostPath"]["path"]).lstrip("/")
        return self.pod_folder(pod["metadata"]["uid"]) / "volumes" / name

    def mounts(self, pod: Pod, container: Container, environment: Mapping[str, str]) -> list[Mount]:
        """What a container finds mounted: its volumes, hosts, resolv.conf.

        Args:
            pod: the Pod; its volumes are prepared.
            container: the container.
            environment: its variables, for `subPathExpr`.

        Raises:
            VolumeError: a sub-path leads out of its volume.
        """
        folder = self.pod_folder(pod["metadata"]["uid"])
        written = {
            volume["name"]
            for volume in pod["spec"].get("volumes") or []
            if any(volume.get(kind) for kind in ("configMap", "secret", "downwardAPI", "projected"))
        }
        mounts: list[Mount] = []
        for wanted in container.get("volumeMounts") or []:
            path = self.path(pod, wanted["name"])
            sub_path = wanted.get("subPath") or expand(wanted.get("subPathExpr") or "", environment)
            if sub_path:
                path = _sub_path(path, sub_path, wanted["name"])
            read_only = bool(wanted.get("readOnly")) or wanted["name"] in written
            mounts.append(Mount(str(path), wanted["mountPath"], read_only))
        targets = {mount.target.rstrip("/") for mount in mounts}
        for name, target in (("etc-hosts", "/etc/hosts"), ("resolv.conf", "/etc/resolv.conf")):
            if target not in targets:
                mounts.append(Mount(str(folder / name), target, name == "resolv.conf"))
        return mounts

    def termination_log(self, uid: str, container: str, attempt: int) -> Path:
        """The file on this host that a run of a container may leave its last words in; made empty."""
        path = self.pod_folder(uid) / "containers" / container / f"{attempt}.termination"
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch()
        path.chmod(0o666)
        return path

    def remove(self, uid: str) -> None:
        """Remove everything of a Pod that is gone."""
        self._tokens.forget(uid)
        shutil.rmtree(self.pod_folder(uid), ignore_errors=True)


def _key(source: Mapping[str, Any]) -> str:
    return f"{source.get('audience')}/{source.get('expirationSeconds')}"


def _host_resolver() -> str:
    path = Path("/etc/resolv.conf")
    return path.read_text() if path.is_file() else ""


def _prepare_host_path(path: Path, source: Mapping[str, Any]) -> None:
    """Check or make the node's folder or file, by the volume's `type`."""
    kind = source.get("type") or ""
    if kind in ("", "DirectoryOrCreate"):
        if not path.exists():
            path.mkdir(mode=0o755, parents=True)
    elif kind == "FileOrCreate":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    elif kind == "Directory" and not path.is_dir():
        raise MissingContentError("hostPath type check failed: " + source["path"] + " is not a directory")
    elif kind == "File" and not path.is_file():
        raise MissingContentError("hostPath type check failed: " + source["path"] + " is not a file")
    elif kind not in ("Directory", "File"):
        raise MissingContentError(f"k8slab's nodes do not offer hostPath volumes of the type {kind}")


def _sub_path(volume: Path, sub_path: str, name: str) -> Path:
    """The path of a sub-path, made as a folder if absent, never outside of its volume."""
    path = volume / sub_path
    if not path.resolve().is_relative_to(volume.resolve()):
        raise VolumeError(
            f'failed to prepare subPath for volumeMount "{name}": {sub_path} leads out of the volume'
        )
    if not path.exists():
        path.mkdir(parents=True)
    return path.resolve()
