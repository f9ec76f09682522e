"""What the storage provisioner decides: which claims get a volume, what it looks like, when it goes. Pure.

Source of the rules and texts: controller/controller.go of sig-storage-lib-external-provisioner, on which
every out-of-tree provisioner is built, and provisioner.go of local-path-provisioner, which kind and k3s
bring along; component-helpers' storage/volume (v0.36) for a claim's class.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from k8slab.addons.storage.nodes import HOSTNAME, StorageNode

Item = Mapping[str, Any]

PROVISIONER = "k8slab.dev/local-path"
DISK = "/var/lib/k8slab/local-path"
"""The folder on each node in which the volumes lie, one folder a volume."""

FINALIZER = "external-provisioner.volume.kubernetes.io/finalizer"
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
SELECTED_NODE = "volume.kubernetes.io/selected-node"
WANTED_PROVISIONER = (
    "volume.kubernetes.io/storage-provisioner",
    "volume.beta.kubernetes.io/storage-provisioner",
)
BETA_CLASS = "volume.beta.kubernetes.io/storage-class"
OFFERED_MODES = {"ReadWriteOnce", "ReadWriteOncePod"}

_VOLUME_NAME = re.compile(r"pvc-[0-9a-f-]{36}")
_NODE_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")


# -- claims ------------------------------------------------------------------------------------


def class_of(claim: Item) -> str:
    """The name of a claim's StorageClass; empty if it wants none."""
    annotations = claim["metadata"].get("annotations") or {}
    return str(annotations.get(BETA_CLASS) or claim["spec"].get("storageClassName") or "")


def volume_name(claim: Item) -> str:
    """The name of the volume that is made for a claim: the same at every attempt."""
    return f"pvc-{claim['metadata']['uid']}"


def selected_node(claim: Item) -> str:
    """The node that the scheduler chose for a claim's first Pod; empty if none."""
    return str((claim["metadata"].get("annotations") or {}).get(SELECTED_NODE, ""))


def is_for_us(claim: Item) -> bool:
    """Whether a claim still wants a volume, and from this provisioner."""
    annotations = claim["metadata"].get("annotations") or {}
    wanted = next((annotations[each] for each in WANTED_PROVISIONER if each in annotations), "")
    return not claim["spec"].get("volumeName") and wanted == PROVISIONER


def waits_for_consumer(claim: Item, storage_class: Item) -> bool:
    """Whether a claim of a class with WaitForFirstConsumer has no node yet."""
    delayed = storage_class.get("volumeBindingMode") == "WaitForFirstConsumer"
    return delayed and not selected_node(claim)


def is_block(claim: Item) -> bool:
    """Whether a claim wants a raw device."""
    return bool(claim["spec"].get("volumeMode") == "Block")


def refusal(claim: Item, storage_class: Item) -> str:
    """Why no volume can be made for a claim whatever happens; empty if one can."""
    spec = claim["spec"]
    if spec.get("selector"):
        return "claim.Spec.Selector is not supported"
    if not set(spec.get("accessModes") or []) <= OFFERED_MODES:
        return "NodePath only supports ReadWriteOnce and ReadWriteOncePod (1.22+) access modes"
    if spec.get("dataSource") or spec.get("dataSourceRef"):
        return (
            "claim.Spec.DataSource is not supported: a volume of this provisioner begins as an empty folder"
        )
    if spec.get("volumeAttributesClassName"):
        return "claim.Spec.VolumeAttributesClassName is not supported: a folder has no such attributes"
    options = storage_class.get("mountOptions")
    if options:
        told = "[" + " ".join(options) + "]"
        name = storage_class["metadata"]["name"]
        return (
            f'Mount options are not supported by the provisioner but StorageClass "{name}" '
            f"has mount options {told}"
        )
    parameters = storage_class.get("parameters")
    if parameters:
        return (
            f"the provisioner knows no parameters, and the StorageClass has {', '.join(sorted(parameters))}"
        )
    return ""


def failure(claim: Item, problem: str) -> str:
    """The text of a ProvisioningFailed Event."""
    return f'failed to provision volume with StorageClass "{class_of(claim)}": {problem}'


def persistent_volume(claim: Item, storage_class: Item, node: StorageNode) -> dict[str, Any]:
    """The PersistentVolume for a claim: a folder on one node, which it names by affinity.

    Args:
        claim: the claim.
        storage_class: its class.
        node: where the volume lies.
    """
    metadata, spec = claim["metadata"], claim["spec"]
    name = volume_name(claim)
    hostname = {"key": HOSTNAME, "operator": "In", "values": [node.hostname]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {
            "name": name,
            "annotations": {PROVISIONED_BY: PROVISIONER},
            "finalizers": [FINALIZER],
        },
        "spec": {
            "capacity": {"storage": spec["resources"]["requests"]["storage"]},
            "accessModes": list(spec["accessModes"]),
            "volumeMode": spec.get("volumeMode") or "Filesystem",
            "persistentVolumeReclaimPolicy": storage_class.get("reclaimPolicy") or "Delete",
            "storageClassName": class_of(claim),
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": metadata["namespace"],
                "name": metadata["name"],
                "uid": metadata["uid"],
                "resourceVersion": metadata.get("resourceVersion", ""),
            },
            "local": {"path": f"{DISK}/{name}"},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [hostname]}]}},
        },
    }


# -- volumes -----------------------------------------------------------------------------------


def is_ours(volume: Item) -> bool:
    """Whether this provisioner made a volume."""
    return (volume["metadata"].get("annotations") or {}).get(PROVISIONED_BY) == PROVISIONER


def node_of(volume: Item) -> str:
    """The host name of the node on which one of our volumes lies; empty if its affinity names none."""
    required = (volume["spec"].get("nodeAffinity") or {}).get("required") or {}
    for term in required.get("nodeSelectorTerms") or []:
        for each in term.get("matchExpressions") or []:
            if each["key"] == HOSTNAME and each["operator"] == "In" and len(each["values"]) == 1:
                return str(each["values"][0])
    return ""


def finalizer_patch(volume: Item) -> dict[str, Any] | None:
    """The strategic merge patch that adds or removes our finalizer, or None if it is right as it is."""
    metadata = volume["metadata"]
    policy = volume["spec"].get("persistentVolumeReclaimPolicy")
    present = FINALIZER in (metadata.get("finalizers") or [])
    if present and policy in ("Retain", "Recycle"):
        return without_finalizer()
    bound = volume.get("status", {}).get("phase") == "Bound"
    if not present and policy == "Delete" and bound and not metadata.get("deletionTimestamp"):
        return {"metadata": {"finalizers": [FINALIZER]}}
    return None


def without_finalizer() -> dict[str, Any]:
    """The strategic merge patch that removes our finalizer and leaves those of others."""
    return {"metadata": {"$deleteFromPrimitiveList/finalizers": [FINALIZER]}}


def is_to_be_deleted(volume: Item) -> bool:
    """Whether one of our volumes, and what lies in it, is to go."""
    metadata = volume["metadata"]
    if metadata.get("deletionTimestamp") and FINALIZER not in (metadata.get("finalizers") or []):
        return False
    released = volume.get("status", {}).get("phase") == "Released"
    return bool(released and volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete")


def is_safe(node: str, volume: Item) -> bool:
    """Whether a volume's folder is one that this provisioner makes, whatever somebody wrote into the object.

    Args:
        node: the node it is said to lie on.
        volume: the PersistentVolume.
    """
    name = volume["metadata"]["name"]
    path = (volume["spec"].get("local") or {}).get("path")
    right = bool(_VOLUME_NAME.fullmatch(name)) and path == f"{DISK}/{name}"
    return right and bool(_NODE_NAME.fullmatch(node)) and ".." not in node
