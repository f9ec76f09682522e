"""The volumes of the node's Pods: folders below the node's own, filled and kept up to date.

Texts and their order are those of pkg/kubelet/volumemanager and pkg/volume/util/operationexecutor of
Kubernetes 1.36: what goes wrong with a claim is told of the whole Pod, anything else of its volume.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from k8slab.api_client import ApiClient
from k8slab.errors import ApiError
from k8slab.folders import remove_tree
from k8slab.node.containers.environment import Lookup
from k8slab.node.containers.field_values import Surroundings, UnknownFieldError
from k8slab.node.node_selector import matches
from k8slab.node.pods.pod_dns import pod_dns
from k8slab.node.pods.pod_files import hosts_file, resolver_file
from k8slab.node.pods.pod_spec import Container, Pod
from k8slab.node.volumes.atomic_files import write_atomically
from k8slab.node.volumes.claims import ClaimedVolume, ClaimError, ClaimReader, claim_name
from k8slab.node.volumes.content import WRITTEN, MissingContentError, token_sources, volume_files
from k8slab.node.volumes.mounts import (
    Mount,
    VolumeError,
    copied,
    nested_places,
    prepare_sub_path,
    sub_path_of,
    target_of,
    used_volumes,
)
from k8slab.node.volumes.node_tree import NodePathError, NodeTree
from k8slab.node.volumes.service_account_tokens import ServiceAccountTokens

log = logging.getLogger(__name__)

OFFERED = (
    "emptyDir, configMap, secret, downwardAPI, projected, hostPath, persistentVolumeClaim and ephemeral are "
    "there, and PersistentVolumes of the kinds local and hostPath"
)
DISCARDED = ".discarded-"
"""Begins the name of a Pod's folder that is being removed."""


class Volumes:
    """Makes, refreshes and removes the folders of the node's Pods.

    Args:
        folder: the node's folder.
        client: a client of the API server, as the node.
        nameserver: address of the cluster's name server.
        node: gives the Node object, whose labels a volume's affinity is compared with.
    """

    def __init__(
        self,
        folder: Path,
        client: ApiClient,
        nameserver: str,
        node: Callable[[], Mapping[str, Any]],
    ) -> None:
        self._pods = folder / "kubelet"
        self._tree = NodeTree(folder / "host")
        self._tokens = ServiceAccountTokens(client)
        self._claims = ClaimReader(client)
        self._nameserver = nameserver
        self._node = node
        self._claimed: dict[str, dict[str, ClaimedVolume]] = {}
        self._mounted: dict[str, set[str]] = {}

    def pod_folder(self, uid: str) -> Path:
        """The folder with everything of one Pod."""
        return self._pods / uid

    # -- before the first container ------------------------------------------------------------

    async def prepare(self, pod: Pod, lookup: Lookup, around: Surroundings) -> list[str]:
        """Make the volumes that a Pod's containers mount, or bring them up to date.

        Args:
            pod: the Pod.
            lookup: gives ConfigMaps and Secrets.
            around: the Pod's address and the node's allocatable resources.

        Returns:
            What went wrong, each the text of a FailedMount Event; empty if every volume is there.
        """
        uid = pod["metadata"]["uid"]
        folder = self.pod_folder(uid)
        (folder / "volumes").mkdir(mode=0o700, parents=True, exist_ok=True)
        if uid not in self._mounted:
            (folder / "etc-hosts").write_text(hosts_file(pod, around.address))
            (folder / "resolv.conf").write_text(resolver_file(pod, self._nameserver, _host_resolver()))
        tokens = await self._fetch_tokens(pod)

        def token(source: dict[str, Any]) -> str:
            found = tokens[_key(source)]
            if isinstance(found, ApiError):
                raise MissingContentError(f"failed to fetch token: {found}") from found
            return found

        unclaimed, problems = await self._read_claims(pod)
        mounted = self._mounted.setdefault(uid, set())
        for volume in used_volumes(pod):
            if volume["name"] in unclaimed:
                continue
            try:
                files = volume_files(pod, volume, lookup, token, around)
                if files is not None:
                    self._write(pod, volume["name"], files)
                elif volume["name"] not in mounted:
                    self._set_up(pod, volume)
                mounted.add(volume["name"])
            except (MissingContentError, UnknownFieldError, NodePathError, OSError) as error:
                problems.append(_failed("MountVolume.SetUp failed", self._label(pod, volume), error))
            except VolumeError as error:
                problems.append(str(error))
        return problems

    def omitted_dns(self, pod: Pod) -> tuple[str, ...]:
        """What of a Pod's DNS configuration did not fit, as the kubelet's Event says it."""
        return pod_dns(pod, self._nameserver, _host_resolver()).omitted

    async def _fetch_tokens(self, pod: Pod) -> dict[str, str | ApiError]:
        tokens: dict[str, str | ApiError] = {}
        for source in token_sources(pod):
            try:
                tokens[_key(source)] = (await self._tokens.get(pod, source)).text
            except ApiError as error:
                tokens[_key(source)] = error
        return tokens

    async def _read_claims(self, pod: Pod) -> tuple[set[str], list[str]]:
        """Find the volumes behind claims; the names of those that cannot be had, and the Event's text."""
        claimed = self._claimed.setdefault(pod["metadata"]["uid"], {})
        problems: dict[str, str] = {}
        for volume in used_volumes(pod):
            if claim_name(pod, volume) and volume["name"] not in claimed:
                try:
                    claimed[volume["name"]] = await self._claims.read(pod, volume)
                except ClaimError as error:
                    problems[volume["name"]] = str(error)
        if not problems:
            return set(), []
        names = " ".join(sorted(problems))
        # No volume here is one that is attached to a node first, hence the empty list.
        text = (
            f"Unable to attach or mount volumes: unmounted volumes=[{names}], unattached volumes=[], "
            f"failed to process volumes=[{names}]: {'; '.join(problems.values())}"
        )
        return set(problems), [text]

    def _write(self, pod: Pod, name: str, files: Any) -> None:
        path = self.path(pod, name)
        if not path.exists():
            path.mkdir(parents=True)
            path.chmod(0o777)
        for place in nested_places(pod, name):
            if not os.path.lexists(path / place):
                (path / place).mkdir(parents=True)
        write_atomically(path, files)

    def _set_up(self, pod: Pod, volume: Mapping[str, Any]) -> None:
        name, uid = volume["name"], pod["metadata"]["uid"]
        claimed = self._claimed.get(uid, {}).get(name)
        if claimed is not None:
            self._check_claimed(uid, claimed)
            self._set_up_source(claimed.name, claimed.source)
        elif volume.get("emptyDir") is not None:
            path = self.path(pod, name)
            if not path.exists():
                path.mkdir()
                path.chmod(0o777)
        else:
            self._set_up_source(name, {key: value for key, value in volume.items() if key != "name"})

    def _set_up_source(self, label: str, source: Mapping[str, Any]) -> None:
        """Check a hostPath or local source, and refuse all others."""
        if source.get("hostPath"):
            self._tree.host_path(source["hostPath"])
        elif source.get("local"):
            try:
                self._tree.local(source["local"]["path"])
            except NodePathError as error:
                text = _failed("MountVolume.NewMounter initialization failed", label, error)
                raise VolumeError(text) from error
        else:
            kind = next(iter(source), "nothing")
            raise MissingContentError(f"k8slab's nodes do not offer volumes of the kind {kind}; {OFFERED}")

    def _check_claimed(self, uid: str, claimed: ClaimedVolume) -> None:
        node = self._node()
        labels = node.get("metadata", {}).get("labels") or {}
        name = node.get("metadata", {}).get("name", "")
        if claimed.affinity is not None and not matches(claimed.affinity, labels, name):
            text = "no matching NodeSelectorTerms"
            raise VolumeError(_failed("MountVolume.NodeAffinity check failed", claimed.name, text))
        if claimed.exclusive and self._is_mounted_elsewhere(uid, claimed.name):
            raise MissingContentError(
                "volume uses the ReadWriteOncePod access mode and is already in use by another pod"
            )

    def _is_mounted_elsewhere(self, uid: str, name: str) -> bool:
        return any(
            each.name == name and volume in self._mounted.get(other, ())
            for other, volumes in self._claimed.items()
            for volume, each in volumes.items()
            if other != uid
        )

    def _label(self, pod: Pod, volume: Mapping[str, Any]) -> str:
        """The name of a volume in Events: behind a claim it is the PersistentVolume's."""
        claimed = self._claimed.get(pod["metadata"]["uid"], {}).get(volume["name"])
        return claimed.name if claimed is not None else str(volume["name"])

    # -- what containers see -------------------------------------------------------------------

    def path(self, pod: Pod, name: str) -> Path:
        """The path on this host of one of a Pod's volumes, which is prepared."""
        claimed = self._claimed.get(pod["metadata"]["uid"], {}).get(name)
        source = claimed.source if claimed is not None else _volume_named(pod, name)
        for kind in ("hostPath", "local"):
            if source.get(kind):
                return self._tree.place(source[kind]["path"])
        return self.pod_folder(pod["metadata"]["uid"]) / "volumes" / name

    def mounts(self, pod: Pod, container: Container, environment: Mapping[str, str]) -> list[Mount]:
        """What a container finds mounted: its volumes, hosts, resolv.conf.

        Args:
            pod: the Pod; its volumes are prepared.
            container: the container.
            environment: its variables, for `subPathExpr`.

        Raises:
            VolumeError: a volume is not there, or a sub-path leads out of it.
        """
        uid, name = pod["metadata"]["uid"], container["name"]
        mounts: list[Mount] = []
        for number, wanted in enumerate(container.get("volumeMounts") or []):
            volume = _volume_named(pod, wanted["name"])
            if wanted["name"] not in self._mounted.get(uid, ()):
                raise VolumeError(f'cannot find volume "{wanted["name"]}" to mount into container "{name}"')
            path = self.path(pod, wanted["name"])
            written = any(volume.get(kind) for kind in WRITTEN)
            sub_path = sub_path_of(wanted, environment)
            if sub_path:
                path = prepare_sub_path(path, sub_path, wanted["name"], name)
                if written:
                    own = self.pod_folder(uid) / "volume-subpaths" / wanted["name"] / name / str(number)
                    path = copied(path, own)
            claimed = self._claimed.get(uid, {}).get(wanted["name"])
            read_only = bool(wanted.get("readOnly")) or written or bool(claimed and claimed.read_only)
            mounts.append(Mount(str(path), target_of(wanted), read_only))
        targets = {mount.target for mount in mounts}
        for file, target in (("etc-hosts", "/etc/hosts"), ("resolv.conf", "/etc/resolv.conf")):
            if target not in targets:
                mounts.append(Mount(str(self.pod_folder(uid) / file), target, file == "resolv.conf"))
        return mounts

    def termination_log(self, uid: str, container: str, attempt: int) -> Path:
        """The file on this host that a run of a container may leave its last words in; made empty."""
        path = self.pod_folder(uid) / "containers" / container / f"{attempt}.termination"
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch()
        path.chmod(0o666)
        return path

    # -- the end -------------------------------------------------------------------------------

    def release(self, uid: str) -> None:
        """Take the volumes from a Pod whose containers have ended for good; others may have its claims.

        What lay in its own volumes goes; PersistentVolumes keep what is in them.
        """
        self._tokens.forget(uid)
        self._claimed.pop(uid, None)
        self._mounted.pop(uid, None)
        self._discard(self.pod_folder(uid) / "volumes", uid)

    def remove(self, uid: str) -> None:
        """Remove everything of a Pod that is gone: its volumes, and all else that the node kept of it."""
        self.release(uid)
        self._discard(self.pod_folder(uid), uid)

    def _discard(self, folder: Path, uid: str) -> None:
        """Take a folder away at once; what is in it is removed in the background."""
        discarded = self._pods / f"{DISCARDED}{uid}-{time.time_ns()}"
        try:
            folder.rename(discarded)
        except FileNotFoundError:
            return
        asyncio.get_running_loop().run_in_executor(None, _remove_quietly, [discarded])

    def remove_left_over(self) -> None:
        """Remove what an agent that was killed had begun to remove."""
        left = list(self._pods.glob(f"{DISCARDED}*"))
        if left:
            asyncio.get_running_loop().run_in_executor(None, _remove_quietly, left)


def _remove_quietly(folders: Sequence[Path]) -> None:
    for folder in folders:
        try:
            remove_tree(folder)
        except OSError as error:
            log.warning("removing %s: %s", folder, error)


def _failed(stage: str, label: str, problem: object) -> str:
    """The text of a FailedMount Event about one volume: `generateVolumeMsg` of operation_executor.go."""
    return f'{stage} for volume "{label}" : {problem}'


def _volume_named(pod: Pod, name: str) -> Mapping[str, Any]:
    return next((each for each in pod["spec"].get("volumes") or [] if each["name"] == name), {})


def _key(source: Mapping[str, Any]) -> str:
    return f"{source.get('audience')}/{source.get('expirationSeconds')}"


def _host_resolver() -> str:
    path = Path("/etc/resolv.conf")
    return path.read_text() if path.is_file() else ""
