"""The parts that make up a Pod's volumes: the node's own tree, claims, selectors, sub-paths, size limits."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest

from k8slab.node.node_selector import matches
from k8slab.node.volumes.claims import ClaimError, check_claim, check_volume, claim_name, claimed_volume
from k8slab.node.volumes.empty_dir_limits import excess, limits, used_bytes
from k8slab.node.volumes.mounts import (
    VolumeError,
    copied,
    nested_places,
    prepare_sub_path,
    sub_path_of,
    used_volumes,
)
from k8slab.node.volumes.node_tree import NodePathError, NodeTree


def pod(*mounts: dict[str, Any], volumes: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    container = {"name": "main", "volumeMounts": list(mounts)}
    metadata = {"name": "web", "namespace": "shop", "uid": "u"}
    return {"metadata": metadata, "spec": {"containers": [container], "volumes": volumes or []}}


def test_links_of_a_node_lead_nowhere_else(tmp_path: Path) -> None:
    tree = NodeTree(tmp_path / "host")
    assert tree.place("/etc").is_dir() and tree.place("/var/log").is_dir()
    (tmp_path / "host/mnt/up").symlink_to("../../../../etc/passwd")
    (tmp_path / "host/mnt/root").symlink_to("/etc")
    assert tree.place("/mnt/up") == tmp_path / "host/etc/passwd"
    assert tree.place("/mnt/root/x") == tmp_path / "host/etc/x"
    (tmp_path / "host/mnt/circle").symlink_to("circle")
    with pytest.raises(OSError, match="levels of symbolic links"):
        tree.place("/mnt/circle")


def test_a_tree_that_a_pod_rearranged_is_furnished_within_its_bounds(tmp_path: Path) -> None:
    host, outside = tmp_path / "host", tmp_path / "outside"
    outside.mkdir(mode=0o700)
    host.mkdir()
    (host / "tmp").symlink_to(outside)
    (host / "var").symlink_to("../outside")
    (host / "srv").write_text("a file")
    assert NodeTree(host).place("/mnt") == host / "mnt"
    assert list(outside.iterdir()) == [] and outside.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("Directory", "a directory"),
        ("File", "a file"),
        ("Socket", "a socket file"),
        ("CharDevice", "a character device"),
        ("BlockDevice", "a block device"),
    ],
)
def test_a_path_of_the_node_is_checked_by_its_type(tmp_path: Path, kind: str, words: str) -> None:
    tree = NodeTree(tmp_path)
    with pytest.raises(NodePathError) as caught:
        tree.host_path({"path": "/mnt/x", "type": kind})
    assert str(caught.value) == f"hostPath type check failed: /mnt/x is not {words}"


def test_paths_of_the_node_that_are_what_they_should_be(tmp_path: Path) -> None:
    tree = NodeTree(tmp_path)
    assert tree.host_path({"path": "/mnt/made/here"}).is_dir()
    assert tree.host_path({"path": "/mnt/more", "type": "DirectoryOrCreate"}).is_dir()
    assert tree.host_path({"path": "/mnt/file", "type": "FileOrCreate"}).is_file()
    assert tree.host_path({"path": "/mnt/file", "type": "File"}).is_file()
    with pytest.raises(NodePathError, match="is not a directory"):
        tree.host_path({"path": "/mnt/file", "type": "DirectoryOrCreate"})
    here = os.getcwd()
    os.chdir(tmp_path / "mnt")
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("sock")
            assert tree.host_path({"path": "/mnt/sock", "type": "Socket"})
    finally:
        os.chdir(here)
    with pytest.raises(NodePathError, match=r"invalid HostPath `/mnt/\.\.`: must not contain '\.\.'"):
        tree.host_path({"path": "/mnt/.."})
    assert tree.local("/mnt") == tmp_path / "mnt"
    with pytest.raises(NodePathError, match='path "/nowhere" does not exist'):
        tree.local("/nowhere")
    with pytest.raises(NodePathError, match="only directory and block device are supported"):
        tree.local("/mnt/file")


def requirement(operator: str, *values: str) -> list[dict[str, Any]]:
    return [{"matchExpressions": [{"key": "n", "operator": operator, "values": list(values)}]}]


def test_node_selectors() -> None:
    labels = {"n": "5", "zone": "a"}
    for operator, values in (("In", "45"), ("NotIn", "46"), ("Exists", ""), ("Gt", "4"), ("Lt", "6")):
        assert matches(requirement(operator, *values), labels, "w"), operator
    for operator, values in (("In", "4"), ("NotIn", "5"), ("DoesNotExist", ""), ("Gt", "5"), ("Lt", "x")):
        assert not matches(requirement(operator, *values), labels, "w"), operator
    assert not matches([{}], labels, "w") and not matches([], labels, "w")
    field = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["w"]}]}
    assert matches([field], {}, "w") and not matches([field], {}, "v")


def test_what_a_claim_must_be_before_a_pod_may_use_it() -> None:
    bound: dict[str, Any] = {
        "metadata": {"uid": "c"},
        "spec": {"volumeName": "pv"},
        "status": {"phase": "Bound"},
    }
    check_claim(bound)
    for change, text in (
        ({"status": {"phase": "Pending"}}, "PVC is not bound"),
        ({"spec": {}}, "PVC has empty pvc.Spec.VolumeName"),
        ({"metadata": {"uid": "c", "deletionTimestamp": "x"}}, "PVC is being deleted"),
    ):
        with pytest.raises(ClaimError, match=text):
            check_claim({**bound, **change})
    check_claim(
        {**bound, "metadata": {"deletionTimestamp": "x", "finalizers": ["kubernetes.io/pvc-protection"]}}
    )
    held: dict[str, Any] = {"metadata": {"name": "pv"}, "spec": {"claimRef": {"uid": "c"}}}
    check_volume(held, bound)
    with pytest.raises(ClaimError, match=r"nil pv\.Spec\.ClaimRef"):
        check_volume({**held, "spec": {}}, bound)
    with pytest.raises(ClaimError, match=r"UID other does not point to claim\.UID c"):
        check_volume({**held, "spec": {"claimRef": {"uid": "other"}}}, bound)


def test_a_claimed_volume_is_its_source_and_who_may_use_it() -> None:
    terms = requirement("In", "a")
    spec = {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOncePod"],
        "local": {"path": "/data"},
        "nodeAffinity": {"required": {"nodeSelectorTerms": terms}},
    }
    found = claimed_volume({"metadata": {"name": "pv"}, "spec": spec}, read_only=True)
    assert found.source == {"local": {"path": "/data"}} and found.exclusive and found.read_only
    assert found.affinity == tuple(terms)
    assert claimed_volume({"metadata": {"name": "pv"}, "spec": {}}, False).affinity is None
    ephemeral = {"name": "work", "ephemeral": {"volumeClaimTemplate": {}}}
    assert claim_name(pod(), ephemeral) == "web-work"
    assert claim_name(pod(), {"name": "x", "persistentVolumeClaim": {"claimName": "data"}}) == "data"
    assert claim_name(pod(), {"name": "x", "emptyDir": {}}) == ""


def test_only_mounted_volumes_count_and_nested_ones_get_their_place() -> None:
    volumes = [{"name": "conf", "configMap": {}}, {"name": "idle", "configMap": {}}]
    wanted = pod(
        {"name": "conf", "mountPath": "/conf/"},
        {"name": "more", "mountPath": "/conf/in/side"},
        {"name": "more", "mountPath": "/configuration"},
        volumes=volumes,
    )
    assert [each["name"] for each in used_volumes(wanted)] == ["conf"]
    assert list(nested_places(wanted, "conf")) == ["in/side"]


@pytest.mark.parametrize(
    ("mount", "text"),
    [
        ({"subPathExpr": "$(A)/$(B)"}, "missing value for A, B"),
        ({"subPathExpr": "$(UP)"}, "unable to provision SubPath `../x`: must not contain '..'"),
        ({"subPathExpr": "$(ROOT)"}, "error SubPath `/etc` must not be an absolute path"),
    ],
)
def test_sub_paths_that_are_refused(mount: dict[str, str], text: str) -> None:
    with pytest.raises(VolumeError) as caught:
        sub_path_of(mount, {"UP": "../x", "ROOT": "/etc", "B": ""})
    assert str(caught.value) == text


def test_sub_paths(tmp_path: Path) -> None:
    assert sub_path_of({"subPathExpr": "logs/$(NAME)"}, {"NAME": "web"}) == "logs/web"
    assert sub_path_of({"subPath": "a..b"}, {}) == "a..b" and sub_path_of({}, {}) == ""
    volume = tmp_path / "volume"
    volume.mkdir()
    volume.chmod(0o777)
    made = prepare_sub_path(volume, "a/b", "work", "main")
    assert made == volume / "a/b" and made.stat().st_mode & 0o777 == 0o777
    (volume / "out").symlink_to(tmp_path)
    with pytest.raises(VolumeError, match='failed to prepare subPath for volumeMount "work" of container'):
        prepare_sub_path(volume, "out", "work", "main")
    (volume / "file").write_text("1")
    with pytest.raises(VolumeError, match='failed to create subPath directory for volumeMount "work"'):
        prepare_sub_path(volume, "file/x", "work", "main")
    (volume / "circle").symlink_to("circle")
    for path in ("circle", "n" * 300):
        with pytest.raises(VolumeError, match='failed to create subPath directory for volumeMount "work"'):
            prepare_sub_path(volume, path, "work", "main")
    copy = copied(volume / "file", tmp_path / "copies/0")
    (volume / "file").write_text("2")
    assert copy.read_text() == "1" and copied(volume / "file", copy).read_text() == "2"
    assert copied(volume / "a", copy).is_dir() and copied(volume / "file", copy).is_file()


def test_size_limits(tmp_path: Path) -> None:
    volumes = [
        {"name": "small", "emptyDir": {"sizeLimit": "64Ki"}},
        {"name": "none", "emptyDir": {}},
        {"name": "zero", "emptyDir": {"sizeLimit": "0"}},
    ]
    wanted = limits(pod(volumes=volumes))
    assert wanted == {"small": "64Ki"}
    folders = {"small": tmp_path}
    assert excess(wanted, folders) == ""
    (tmp_path / "big").write_bytes(b"1" * 200_000)
    os.link(tmp_path / "big", tmp_path / "twin")
    assert 200_000 <= used_bytes(tmp_path) < 400_000
    assert excess(wanted, folders) == 'Usage of EmptyDir volume "small" exceeds the limit "64Ki". '
