"""What etcd holds on kind, read by its own etcdctl past the API server."""

from __future__ import annotations

import base64

import pytest

from k8slab.cluster.contract import StoredValue
from k8slab.cluster.kind.backend import open_kind
from k8slab.errors import ClusterStateError
from k8slab.progress import CollectedProgress
from tests.process.kind_standins import StandIns

KEY = "/registry/pods/02-pods/web"


def entry(value: bytes) -> dict[str, object]:
    """A key as etcdctl prints it."""
    encoded = {
        name: base64.b64encode(text).decode() for name, text in (("key", KEY.encode()), ("value", value))
    }
    return {**encoded, "create_revision": 41, "mod_revision": 47, "version": 3}


def test_a_key_is_read_in_the_containers_own_words(stand_ins: StandIns) -> None:
    cluster = open_kind("lab", 1, False, CollectedProgress())
    stand_ins.change(etcd={KEY: entry(b"k8s\0\x00\xff")})
    assert cluster.stored(KEY) == StoredValue(KEY, b"k8s\0\x00\xff", 41, 47, 3)
    assert cluster.stored("/registry/pods/02-pods/other") is None
    asked = [words for words, _ in stand_ins.calls("docker") if "etcdctl" in words]
    assert all(words[0] == "exec" and words[-2] == "get" for words in asked)


def test_an_etcd_that_is_stopped_or_silent_is_said(stand_ins: StandIns) -> None:
    cluster = open_kind("lab", 1, False, CollectedProgress())
    stand_ins.change(etcd_hangs=True)
    with pytest.raises(ClusterStateError, match=r"etcd does not answer: .*context deadline exceeded"):
        cluster.stored(KEY)
    cluster.process("etcd", "stop")
    with pytest.raises(ClusterStateError, match=r"etcd does not run\.") as caught:
        cluster.stored(KEY)
    assert "['etcd'].start()" in caught.value.cure
