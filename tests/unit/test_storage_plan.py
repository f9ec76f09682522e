"""What the storage provisioner decides: claim, class and node in, PersistentVolume out; and when it goes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from k8slab.addons.storage import plan
from k8slab.addons.storage.disk import DiskError, NodeDisks
from k8slab.addons.storage.nodes import StorageNode, choose_node
from k8slab.addons.storage.objects import storage_objects
from k8slab.folders import ClusterFolder, remove_tree

UID = "6f1c2f5e-0b7e-4b7c-9a53-3c1f0f2b8f11"
WANTED = {"volume.kubernetes.io/storage-provisioner": plan.PROVISIONER}
DELAYED: dict[str, Any] = {
    "metadata": {"name": "local-path"},
    "provisioner": plan.PROVISIONER,
    "reclaimPolicy": "Delete",
    "volumeBindingMode": "WaitForFirstConsumer",
}
AT_ONCE = {**DELAYED, "volumeBindingMode": "Immediate"}
NODE = StorageNode("worker-1", {"kubernetes.io/hostname": "worker-1"})


def claim(annotations: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    metadata = {
        "name": "data",
        "namespace": "shop",
        "uid": UID,
        "resourceVersion": "7",
        "annotations": WANTED if annotations is None else annotations,
    }
    usual = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "local-path",
        "volumeMode": "Filesystem",
        "resources": {"requests": {"storage": "1Gi"}},
    }
    return {"metadata": metadata, "spec": {**usual, **spec}}


def volume(**changes: Any) -> dict[str, Any]:
    made = plan.persistent_volume(claim(), DELAYED, NODE)
    made["status"] = {"phase": changes.pop("phase", "Bound")}
    made["metadata"] |= changes.pop("metadata", {})
    made["spec"] |= changes
    return made


def test_a_volume_is_a_folder_of_one_node_with_the_name_of_its_claim() -> None:
    made = plan.persistent_volume(claim(), DELAYED, NODE)
    assert made["metadata"] == {
        "name": f"pvc-{UID}",
        "annotations": {"pv.kubernetes.io/provisioned-by": "k8slab.dev/local-path"},
        "finalizers": ["external-provisioner.volume.kubernetes.io/finalizer"],
    }
    spec = made["spec"]
    assert spec["local"] == {"path": f"/var/lib/k8slab/local-path/pvc-{UID}"}
    assert spec["capacity"] == {"storage": "1Gi"} and spec["accessModes"] == ["ReadWriteOnce"]
    assert spec["persistentVolumeReclaimPolicy"] == "Delete" and spec["storageClassName"] == "local-path"
    assert spec["claimRef"] == {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "namespace": "shop",
        "name": "data",
        "uid": UID,
        "resourceVersion": "7",
    }
    assert plan.node_of(made) == "worker-1" and plan.is_ours(made) and plan.is_safe("worker-1", made)
    kept = plan.persistent_volume(claim(), {**DELAYED, "reclaimPolicy": "Retain"}, NODE)
    assert kept["spec"]["persistentVolumeReclaimPolicy"] == "Retain"


def test_a_claim_is_for_us_until_it_has_a_volume() -> None:
    assert plan.is_for_us(claim())
    assert plan.is_for_us(claim({"volume.beta.kubernetes.io/storage-provisioner": plan.PROVISIONER}))
    assert not plan.is_for_us(claim(volumeName="other"))
    assert not plan.is_for_us(claim({}))
    assert not plan.is_for_us(claim({"volume.kubernetes.io/storage-provisioner": "disk.example"}))


def test_a_claim_of_a_delayed_class_waits_for_its_node() -> None:
    chosen = claim({**WANTED, "volume.kubernetes.io/selected-node": "worker-2"})
    assert plan.waits_for_consumer(claim(), DELAYED) and not plan.waits_for_consumer(chosen, DELAYED)
    assert not plan.waits_for_consumer(claim(), AT_ONCE)
    assert plan.selected_node(chosen) == "worker-2"


@pytest.mark.parametrize(
    ("wanted", "changes", "text"),
    [
        ({"selector": {"matchLabels": {"a": "b"}}}, {}, "claim.Spec.Selector is not supported"),
        (
            {"accessModes": ["ReadWriteOnce", "ReadOnlyMany"]},
            {},
            "NodePath only supports ReadWriteOnce and ReadWriteOncePod (1.22+) access modes",
        ),
        ({"dataSource": {"kind": "PersistentVolumeClaim", "name": "x"}}, {}, "claim.Spec.DataSource is not"),
        ({"volumeAttributesClassName": "gold"}, {}, "claim.Spec.VolumeAttributesClassName is not supported"),
        ({}, {"mountOptions": ["ro", "sync"]}, 'StorageClass "local-path" has mount options [ro sync]'),
        ({}, {"parameters": {"b": "1", "a": "2"}}, "the StorageClass has a, b"),
    ],
)
def test_what_cannot_be_given_is_named(wanted: dict[str, Any], changes: dict[str, Any], text: str) -> None:
    assert text in plan.refusal(claim(**wanted), {**DELAYED, **changes})
    assert plan.refusal(claim(accessModes=["ReadWriteOncePod"]), DELAYED) == ""
    assert plan.failure(claim(), "x") == 'failed to provision volume with StorageClass "local-path": x'
    assert plan.is_block(claim(volumeMode="Block")) and not plan.is_block(claim())


def test_a_volume_nobody_waits_for_goes_to_the_emptiest_open_node() -> None:
    nodes = [
        StorageNode("a", {"zone": "1"}, ready=False),
        StorageNode("b", {"zone": "1"}, open=False),
        StorageNode("c", {"zone": "1"}),
        StorageNode("d", {"zone": "2"}),
    ]
    chosen = choose_node(nodes, AT_ONCE, ["c"])
    assert chosen is not None and chosen.name == "d"
    term = {"matchLabelExpressions": [{"key": "zone", "values": ["1"]}]}
    chosen = choose_node(nodes, {**AT_ONCE, "allowedTopologies": [term]}, ["c"])
    assert chosen is not None and chosen.name == "c"
    assert choose_node(nodes[:2], AT_ONCE, []) is None


def test_a_node_is_open_without_taints_and_ready_by_its_condition() -> None:
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    node = StorageNode.of({"metadata": {"name": "a"}, "spec": {}, "status": ready})
    assert node == StorageNode("a") and node.hostname == "a"
    taints = [{"key": "x", "effect": "NoSchedule"}]
    closed = StorageNode.of({"metadata": {"name": "a"}, "spec": {"taints": taints}, "status": {}})
    assert not closed.open and not closed.ready


def test_a_volume_goes_when_it_is_released_and_its_policy_says_so() -> None:
    assert not plan.is_to_be_deleted(volume())
    assert plan.is_to_be_deleted(volume(phase="Released"))
    assert not plan.is_to_be_deleted(volume(phase="Released", persistentVolumeReclaimPolicy="Retain"))
    begun = {"deletionTimestamp": "2026-01-01T00:00:00Z"}
    assert plan.is_to_be_deleted(volume(phase="Released", metadata=begun))
    assert not plan.is_to_be_deleted(volume(phase="Released", metadata={**begun, "finalizers": []}))


def test_the_finalizer_follows_the_policy() -> None:
    assert plan.finalizer_patch(volume()) is None
    added = plan.finalizer_patch(volume(metadata={"finalizers": ["kubernetes.io/pv-protection"]}))
    assert added == {"metadata": {"finalizers": [plan.FINALIZER]}}
    removed = plan.finalizer_patch(volume(persistentVolumeReclaimPolicy="Retain"))
    assert removed == plan.without_finalizer()
    assert plan.finalizer_patch(volume(phase="Released", metadata={"finalizers": []})) is None


@pytest.mark.parametrize(
    ("node", "changes"),
    [
        ("worker-1", {"local": {"path": "/etc"}}),
        ("worker-1", {"local": {"path": f"{plan.DISK}/../pvc-{UID}"}}),
        ("worker-1", {"metadata": {"name": "pvc-1"}}),
        ("../worker-1", {}),
        ("..", {}),
        ("", {}),
    ],
)
def test_no_object_makes_it_remove_another_folder(node: str, changes: dict[str, Any]) -> None:
    assert not plan.is_safe(node, volume(**changes))


def test_disks_follow_no_link_out_of_a_node(tmp_path: Path) -> None:
    folder = ClusterFolder(tmp_path)
    disks = NodeDisks(folder)
    with pytest.raises(DiskError, match="node worker-1 has no disk"):
        disks.make("worker-1", "/var/lib/x")
    folder.node("worker-1").mkdir(parents=True)
    disks.make("worker-1", "/var/lib/x")
    disks.make("worker-1", "/var/lib/x")
    place = folder.node("worker-1") / "host/var/lib/x"
    assert place.stat().st_mode & 0o777 == 0o777
    link = place.with_name("link")
    link.symlink_to(place)
    with pytest.raises(DiskError, match="a symbolic link"):
        disks.make("worker-1", "/var/lib/link")
    link.unlink()
    closed = place / "closed"
    closed.mkdir()
    (closed / "file").touch()
    closed.chmod(0)
    disks.remove("worker-1", "/var/lib/x")
    disks.remove("worker-1", "/var/lib/x")
    assert not place.exists()
    outside = tmp_path / "outside"
    (outside / "x").mkdir(parents=True)
    place.parent.rmdir()
    place.parent.symlink_to(outside)
    for act in (disks.make, disks.remove):
        with pytest.raises(DiskError, match="a symbolic link"):
            act("worker-1", "/var/lib/x")
    assert (outside / "x").exists()


def test_removing_a_tree_never_follows_a_link(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    tree = tmp_path / "tree"
    (tree / "deep").mkdir(parents=True)
    (tree / "deep/link").symlink_to(kept)
    remove_tree(tree)
    remove_tree(tree)
    assert kept.exists() and not tree.exists()
    tree.symlink_to(kept)
    with pytest.raises(OSError):
        remove_tree(tree)
    assert kept.exists()


def test_a_fresh_cluster_has_one_default_class() -> None:
    classes = [body for _, body in storage_objects() if body["kind"] == "StorageClass"]
    assert [each["metadata"]["name"] for each in classes] == ["local-path"]
    assert classes[0]["metadata"]["annotations"] == {"storageclass.kubernetes.io/is-default-class": "true"}
    assert classes[0]["volumeBindingMode"] == "WaitForFirstConsumer"
    assert classes[0]["reclaimPolicy"] == "Delete"
