"""The storage provisioner killed in the middle of its work, and volumes on nodes that lose their power."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from k8slab.addons.storage.plan import DISK, PROVISIONER
from tests.embedded.conftest import RunningCluster, until
from tests.embedded.fast_cluster import fast_cluster, kill_9, node_is
from tests.embedded.node_objects import events, get, pod_manifest, shell

CLAIMS = 24


pytestmark = pytest.mark.timeout(420)


@pytest.fixture(scope="module")
def own() -> Iterator[RunningCluster]:
    with fast_cluster("storage") as cluster:
        cluster.kubectl("apply -f -", stdin=json.dumps(immediate()))
        until(lambda: "default" in cluster.kubectl("get sa -o name"), "the service account")
        yield cluster


def immediate() -> dict[str, Any]:
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": "now"},
        "provisioner": PROVISIONER,
        "volumeBindingMode": "Immediate",
    }


def claim(name: str, storage_class: str = "now", **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, **metadata},
        "spec": {
            "storageClassName": storage_class,
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Mi"}},
        },
    }


def apply(cluster: RunningCluster, *objects: dict[str, Any]) -> None:
    body = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
    cluster.kubectl("apply -f -", stdin=json.dumps(body))


def folders(cluster: RunningCluster) -> list[Path]:
    """The folders of volumes on all nodes."""
    return sorted((cluster.folder.path / "nodes").glob(f"*/host{DISK}/*"))


def node_of(folder: Path) -> str:
    """The node on which a volume's folder lies."""
    return str(folder).partition("/nodes/")[2].partition("/")[0]


def node_named(volume: dict[str, Any]) -> str:
    """The node that a volume names."""
    (term,) = volume["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"]
    named: str = term["matchExpressions"][0]["values"][0]
    return named


def volumes(cluster: RunningCluster) -> dict[str, dict[str, Any]]:
    """The PersistentVolumes by name."""
    items = json.loads(cluster.kubectl("get pv -o json"))["items"]
    return {each["metadata"]["name"]: each for each in items}


def kill_provisioner(cluster: RunningCluster) -> None:
    """Kill the add-ons' process and wait until there is another one."""
    before = next(each.pid for each in cluster.cluster.processes() if each.name == "addons")
    kill_9(cluster, "addons")

    def another() -> bool:
        now = next(each.pid for each in cluster.cluster.processes() if each.name == "addons")
        return now is not None and now != before

    until(another, "another process of the add-ons")


def test_killed_again_and_again_it_makes_each_volume_once_and_leaves_none(own: RunningCluster) -> None:
    names = [f"many-{number}" for number in range(CLAIMS)]
    apply(own, *(claim(name) for name in names))
    for _ in range(3):
        kill_provisioner(own)

    def bound() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(own.kubectl("get pvc -o json"))["items"]
        assert all(each["status"]["phase"] == "Bound" for each in found), found
        return found

    claims = until(bound, "every claim to be bound", 120)
    assert len(claims) == CLAIMS
    held = volumes(own)
    assert set(held) == {f"pvc-{each['metadata']['uid']}" for each in claims}
    assert sorted(each.name for each in folders(own)) == sorted(held)
    assert all(node_of(each) == node_named(held[each.name]) for each in folders(own))
    # Volumes that nobody waits for are spread over the nodes.
    assert len({node_of(each) for each in folders(own)}) == 3

    for folder in folders(own):
        (folder / "row").write_text("x")
    own.kubectl(f"delete pvc {' '.join(names)} --wait=false")
    for _ in range(3):
        kill_provisioner(own)
    until(lambda: not volumes(own), "every volume to go", 120)
    assert folders(own) == []


def test_a_volume_on_a_node_without_power_waits_for_it(own: RunningCluster) -> None:
    apply(own, claim("away"))
    until(lambda: get(own, "pvc away")["status"].get("phase") == "Bound", "the claim")
    (name,) = volumes(own)
    (folder,) = folders(own)
    node = node_of(folder)
    (folder / "row").write_text("x")
    own.cluster.node(node, "power_off")
    try:
        node_is(own, node, "Unknown")
        own.kubectl("delete pvc away")
        text = f"node {node} is not ready: its disk cannot be reached, and {name} waits for it"
        until(lambda: ("VolumeFailedDelete", text) in events(own, "default", name), "the event")
        kill_provisioner(own)
        assert volumes(own)[name]["status"]["phase"] == "Released"
        assert (folder / "row").exists()
        # A claim whose first Pod was sent there is placed anew.
        chosen = {"volume.kubernetes.io/selected-node": node}
        apply(own, claim("lost", "local-path", annotations=chosen))
        box = shell("sleep 600", volumeMounts=[{"name": "data", "mountPath": "/data"}])
        data = {"name": "data", "persistentVolumeClaim": {"claimName": "lost"}}
        apply(own, json.loads(pod_manifest("lost", box, volumes=[data])))
        until(lambda: get(own, "pvc lost")["status"].get("phase") == "Bound", "the claim to be met", 90)
        placed = get(own, "pvc lost")["metadata"]["annotations"]["volume.kubernetes.io/selected-node"]
        assert placed != node
    finally:
        own.cluster.node(node, "power_on")
    node_is(own, node, "True")
    until(lambda: name not in volumes(own), "the volume to go")
    assert not folder.exists()
    own.kubectl("delete pod/lost pvc/lost")
    until(lambda: not volumes(own), "the other volume to go", 60)


def test_an_agent_that_is_killed_finds_its_volumes_and_files_again(own: RunningCluster) -> None:
    apply(own, claim("data"))
    body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "settings"},
        "data": {"a": "1"},
    }
    mounts = [{"name": "data", "mountPath": "/data"}, {"name": "conf", "mountPath": "/conf"}]
    sources = [
        {"name": "data", "persistentVolumeClaim": {"claimName": "data"}},
        {"name": "conf", "configMap": {"name": "settings"}},
    ]
    manifest = pod_manifest(
        "keeper", shell("echo x >> /data/rows; sleep 600", volumeMounts=mounts), volumes=sources
    )
    apply(own, body, json.loads(manifest))
    own.kubectl("wait pod/keeper --for=condition=Ready --timeout=60s", timeout=70)
    node = get(own, "pod keeper")["spec"]["nodeName"]
    kill_9(own, f"{node}-agent")
    own.kubectl("patch configmap settings -p " + '\'{"data": {"a": "2"}}\'')
    until(lambda: own.kubectl("exec keeper -- cat /conf/a", check=False).strip() == "2", "the new value", 60)
    assert own.kubectl("exec keeper -- cat /data/rows").split() == ["x"]
    uid = get(own, "pod keeper")["metadata"]["uid"]
    own.kubectl("delete pod/keeper pvc/data")
    until(lambda: not volumes(own), "the volume to go", 60)
    left = own.folder.node(node) / "kubelet"
    until(lambda: not any(uid in each.name for each in left.iterdir()), "the Pod's files to go")
