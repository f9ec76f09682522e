"""From a claim that a Pod names to the volume behind it, read by name as a kubelet reads it.

Source of the rules and texts: pkg/kubelet/volumemanager/populator/desired_state_of_world_populator.go
(`createVolumeSpec`) and `checkNodeAffinity` in pkg/volume/util/operationexecutor of Kubernetes 1.36.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from k8slab.api_client import ApiClient
from k8slab.errors import ApiError
from k8slab.node.pods.pod_spec import Pod

PROTECTION = "kubernetes.io/pvc-protection"
UNAUTHORIZED_PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Seconds between attempts while the API server does not yet know that a Pod of this node names the claim."""

NOT_SOURCES = {
    "capacity",
    "accessModes",
    "claimRef",
    "persistentVolumeReclaimPolicy",
    "storageClassName",
    "mountOptions",
    "volumeMode",
    "nodeAffinity",
    "volumeAttributesClassName",
}
"""Fields of a PersistentVolume that do not say where its data is."""


class ClaimError(ValueError):
    """A claim that cannot be used (yet); the text is the kubelet's."""


@dataclass(frozen=True)
class ClaimedVolume:
    """The volume behind a claim.

    Args:
        name: the PersistentVolume's name.
        source: where its data is: one field, such as `{"local": {"path": "/data"}}`.
        read_only: whether the Pod may only read it.
        exclusive: whether one Pod at a time may use it (ReadWriteOncePod and nothing else).
        affinity: its `nodeSelectorTerms`, or None if any node will do.
    """

    name: str
    source: Mapping[str, Any]
    read_only: bool
    exclusive: bool
    affinity: tuple[Mapping[str, Any], ...] | None


def claim_name(pod: Pod, volume: Mapping[str, Any]) -> str:
    """The name of the claim that a Pod's volume stands for; empty if it is of another sort."""
    if volume.get("persistentVolumeClaim"):
        return str(volume["persistentVolumeClaim"]["claimName"])
    if volume.get("ephemeral"):
        return f"{pod['metadata']['name']}-{volume['name']}"
    return ""


class ClaimReader:
    """Reads claims and volumes from the API server, one by one: a node may list neither.

    Args:
        client: a client of the API server, as the node.
    """

    def __init__(self, client: ApiClient) -> None:
        self._client = client

    async def read(self, pod: Pod, volume: Mapping[str, Any]) -> ClaimedVolume:
        """The volume behind one of a Pod's claims.

        Args:
            pod: the Pod.
            volume: an entry of `spec.volumes` of the kind `persistentVolumeClaim` or `ephemeral`.

        Raises:
            ClaimError: there is none (yet), or it is not for this Pod.
        """
        name, namespace = claim_name(pod, volume), pod["metadata"]["namespace"]
        path = f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/{name}"
        try:
            claim = await self._get(path, "failed to fetch PVC from API server: ")
            check_claim(claim)
        except ClaimError as error:
            raise ClaimError(f"error processing PVC {namespace}/{name}: {error}") from error
        if volume.get("ephemeral") and not _is_owned(claim, pod):
            raise ClaimError(
                f"PVC {namespace}/{name} was not created for pod {namespace}/{pod['metadata']['name']} "
                "(pod is not owner)"
            )
        found = claim["spec"]["volumeName"]
        try:
            told = f"failed to fetch PV {found} from API server: "
            held = await self._get(f"/api/v1/persistentvolumes/{found}", told)
            check_volume(held, claim)
        except ClaimError as error:
            raise ClaimError(f"error processing PVC {namespace}/{name}: {error}") from error
        if held["spec"].get("volumeMode") == "Block":
            own = volume["name"]
            raise ClaimError(f"volume {own} has volumeMode Block, but is specified in volumeMounts")
        return claimed_volume(held, bool((volume.get("persistentVolumeClaim") or {}).get("readOnly")))

    async def _get(self, path: str, told: str) -> dict[str, Any]:
        pauses = iter(UNAUTHORIZED_PAUSES)
        while True:
            try:
                return await self._client.get(path)
            except ApiError as error:
                pause = next(pauses, None)
                if error.status != 403 or pause is None:
                    raise ClaimError(f"{told}{error}") from error
                await asyncio.sleep(pause)


def check_claim(claim: Mapping[str, Any]) -> None:
    """Check that a claim is bound and not about to go.

    Raises:
        ClaimError: it is not so.
    """
    metadata = claim["metadata"]
    if metadata.get("deletionTimestamp") and PROTECTION not in (metadata.get("finalizers") or []):
        raise ClaimError("PVC is being deleted")
    if (claim.get("status") or {}).get("phase") != "Bound":
        raise ClaimError("PVC is not bound")
    if not claim["spec"].get("volumeName"):
        raise ClaimError("PVC has empty pvc.Spec.VolumeName")


def check_volume(volume: Mapping[str, Any], claim: Mapping[str, Any]) -> None:
    """Check that a volume is bound to a claim as the claim is to it.

    Raises:
        ClaimError: it is not so.
    """
    name, wanted = volume["metadata"]["name"], claim["metadata"]["uid"]
    reference = volume["spec"].get("claimRef")
    if not reference:
        raise ClaimError(
            f"found PV object {name} but it has a nil pv.Spec.ClaimRef indicating it is not yet bound "
            "to the claim"
        )
    if reference.get("uid") != wanted:
        raise ClaimError(
            f"found PV object {name} but its pv.Spec.ClaimRef.UID {reference.get('uid', '')} does not point "
            f"to claim.UID {wanted}"
        )


def claimed_volume(volume: Mapping[str, Any], read_only: bool) -> ClaimedVolume:
    """What the node needs to know of a PersistentVolume.

    Args:
        volume: the PersistentVolume.
        read_only: whether the Pod asked for it read-only.
    """
    spec = volume["spec"]
    required = (spec.get("nodeAffinity") or {}).get("required")
    return ClaimedVolume(
        name=volume["metadata"]["name"],
        source={key: value for key, value in spec.items() if key not in NOT_SOURCES},
        read_only=read_only,
        exclusive=(spec.get("accessModes") or []) == ["ReadWriteOncePod"],
        affinity=tuple(required.get("nodeSelectorTerms") or []) if required else None,
    )


def _is_owned(claim: Mapping[str, Any], pod: Pod) -> bool:
    owners = claim["metadata"].get("ownerReferences") or []
    return any(each.get("controller") and each["uid"] == pod["metadata"]["uid"] for each in owners)
