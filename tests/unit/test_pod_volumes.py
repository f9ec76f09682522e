"""What the files of volumes hold, and how a folder of them changes in one step."""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Any

import pytest

from k8slab.node.containers.field_values import Surroundings
from k8slab.node.pods.pod_files import hosts_file, resolver_file
from k8slab.node.volumes.atomic_files import FileContent, write_atomically
from k8slab.node.volumes.content import (
    MissingContentError,
    follows_pod,
    token_sources,
    volume_files,
    volume_references,
)

AROUND = Surroundings("10.7.255.11", "10.7.0.5", {"cpu": "2"})
OBJECTS: dict[tuple[str, str], dict[str, Any]] = {
    ("configmap", "settings"): {
        "data": {"a": "1", "b": "2"},
        "binaryData": {"c": base64.b64encode(b"\0").decode()},
    },
    ("secret", "keys"): {"data": {"k": base64.b64encode(b"s").decode()}},
}


def pod(*volumes: dict[str, Any], **spec: Any) -> dict[str, Any]:
    metadata = {"name": "web", "namespace": "shop", "uid": "u", "labels": {"app": "web"}}
    return {"metadata": metadata, "spec": {"volumes": list(volumes), **spec}}


def files(volume: dict[str, Any]) -> dict[str, FileContent] | None:
    return volume_files(
        pod(volume), volume, lambda kind, name: OBJECTS.get((kind, name)), lambda source: "token", AROUND
    )


def test_a_config_map_is_a_file_for_each_key() -> None:
    found = files({"name": "v", "configMap": {"name": "settings", "defaultMode": 0o400}})
    assert found == {
        "a": FileContent(b"1", 0o400),
        "b": FileContent(b"2", 0o400),
        "c": FileContent(b"\0", 0o400),
    }


def test_items_choose_names_and_modes() -> None:
    items = [{"key": "a", "path": "deep/one", "mode": 0o600}]
    assert files({"name": "v", "configMap": {"name": "settings", "items": items}}) == {
        "deep/one": FileContent(b"1", 0o600)
    }


@pytest.mark.parametrize(
    ("volume", "message"),
    [
        ({"configMap": {"name": "none"}}, 'configmap "none" not found'),
        ({"secret": {"secretName": "none"}}, 'secret "none" not found'),
        (
            {"configMap": {"name": "settings", "items": [{"key": "x", "path": "x"}]}},
            "configmap references non-existent config key: x",
        ),
        (
            {"secret": {"secretName": "keys", "items": [{"key": "x", "path": "x"}]}},
            "references non-existent secret key: x",
        ),
    ],
)
def test_what_is_missing_is_said_unless_it_is_optional(volume: dict[str, Any], message: str) -> None:
    with pytest.raises(MissingContentError) as caught:
        files({"name": "v", **volume})
    assert str(caught.value) == message
    kind = next(iter(volume))
    assert files({"name": "v", kind: {**volume[kind], "optional": True}}) == {}


def test_a_projected_volume_holds_all_its_sources() -> None:
    sources: list[dict[str, Any]] = [
        {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
        {"configMap": {"name": "settings", "items": [{"key": "a", "path": "ca.crt"}]}},
        {"secret": {"name": "keys"}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
    ]
    volume = {"name": "v", "projected": {"sources": sources, "defaultMode": 0o644}}
    found = files(volume)
    assert found is not None
    assert {path: content.data for path, content in found.items()} == {
        "token": b"token",
        "ca.crt": b"1",
        "k": b"s",
        "namespace": b"shop",
    }
    assert volume_references(pod(volume)) == {("configmap", "settings"), ("secret", "keys")}
    assert token_sources(pod(volume)) == [sources[0]["serviceAccountToken"]]
    with pytest.raises(MissingContentError, match="clusterTrustBundle"):
        files({"name": "v", "projected": {"sources": [{"clusterTrustBundle": {"path": "x"}}]}})


def test_all_that_is_missing_from_a_projected_volume_is_said_at_once() -> None:
    sources = [{"configMap": {"name": "one"}}, {"secret": {"name": "two"}}, {"configMap": {"name": "one"}}]
    with pytest.raises(MissingContentError) as caught:
        files({"name": "v", "projected": {"sources": sources}})
    assert str(caught.value) == '[configmap "one" not found, secret "two" not found]'


def test_a_pod_is_followed_by_what_tells_about_it() -> None:
    downward: dict[str, Any] = {"downwardAPI": {"items": []}}
    assert follows_pod(pod({"name": "v", **downward}))
    assert follows_pod(pod({"name": "v", "projected": {"sources": [downward]}}))
    assert not follows_pod(pod({"name": "v", "configMap": {"name": "settings"}}))


def test_other_volumes_hold_no_files_of_ours() -> None:
    assert files({"name": "v", "emptyDir": {}}) is None


def test_a_folder_changes_in_one_step(tmp_path: Path) -> None:
    folder = tmp_path / "volume"
    first = {"a": FileContent(b"1"), "deep/b": FileContent(b"2", 0o600)}
    assert write_atomically(folder, first)
    assert not write_atomically(folder, first)
    assert (folder / "deep" / "b").read_bytes() == b"2"
    assert (folder / "deep" / "b").stat().st_mode & 0o777 == 0o600
    assert os.readlink(folder / "a") == "..data/a"
    # Who has opened the folder behind ..data goes on seeing the old files whole.
    old = (folder / "..data").resolve()
    descriptor = os.open(old / "a", os.O_RDONLY)
    assert write_atomically(folder, {"a": FileContent(b"9")})
    assert os.read(descriptor, 9) == b"1" and (folder / "a").read_bytes() == b"9"
    os.close(descriptor)
    assert sorted(name for name in os.listdir(folder) if not name.startswith("..")) == ["a"]
    assert not old.exists()
    # The place of a volume within this one stays, and what an interrupted write left goes.
    (folder / "nested").mkdir()
    (folder / "..2020_01_01_00_00_00.left").mkdir()
    assert write_atomically(folder, {"b": FileContent(b"1")})
    assert sorted(os.listdir(folder))[1:] == ["..data", "b", "nested"]


def test_hosts_and_resolver_read_as_a_kubelet_writes_them() -> None:
    named = pod(
        hostAliases=[{"ip": "10.0.0.1", "hostnames": ["old", "older"]}], subdomain="db", hostname="zero"
    )
    text = hosts_file(named, "10.7.0.5")
    assert text.startswith("# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n")
    assert "10.7.0.5\tzero.db.shop.svc.cluster.local\tzero\n" in text
    assert text.endswith("# Entries added by HostAliases.\n10.0.0.1\told\tolder\n")
    assert resolver_file(pod(), "10.7.128.10", "") == (
        "search shop.svc.cluster.local svc.cluster.local cluster.local\n"
        "nameserver 10.7.128.10\noptions ndots:5\n"
    )
    own = {"nameservers": ["1.1.1.1"], "options": [{"name": "ndots", "value": "2"}]}
    assert (
        resolver_file(pod(dnsPolicy="None", dnsConfig=own), "x", "")
        == "nameserver 1.1.1.1\noptions ndots:2\n"
    )
    assert (
        resolver_file(pod(dnsPolicy="Default"), "x", "# mine\nnameserver 9.9.9.9\n") == "nameserver 9.9.9.9\n"
    )
