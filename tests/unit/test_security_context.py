"""Who a container runs as: its own word over its Pod's, checked as a kubelet does."""

from __future__ import annotations

import os
from typing import Any

import pytest

from k8slab.node.containers.security_context import RootRefusedError, Security, security, status_user
from k8slab.node.runtime.capabilities import DEFAULT_CAPABILITIES, NAMES


def asked(own: dict[str, Any] | None = None, pods: dict[str, Any] | None = None) -> Security:
    metadata = {"name": "web", "namespace": "shop", "uid": "u-1"}
    container = {"name": "main", "securityContext": own or {}}
    return security({"metadata": metadata, "spec": {"securityContext": pods or {}}}, container)


def test_a_container_s_own_word_wins() -> None:
    assert asked() == Security(0, 0, DEFAULT_CAPABILITIES, False)
    assert asked(pods={"runAsUser": 1000, "runAsGroup": 3000}).request()["group"] == 3000
    assert asked({"runAsUser": 0}, {"runAsUser": 1000}).user == 0
    assert asked({"readOnlyRootFilesystem": True}).read_only_root


@pytest.mark.parametrize(
    ("own", "message"),
    [
        # pkg/kubelet/kuberuntime/security_context_others.go:44 and :54
        ({}, "container has runAsNonRoot and image will run as root (pod: "),
        ({"runAsUser": 0}, "container's runAsUser breaks non-root policy (pod: "),
    ],
)
def test_root_is_refused_where_it_must_not_be(own: dict[str, Any], message: str) -> None:
    with pytest.raises(RootRefusedError) as refused:
        asked(own, {"runAsNonRoot": True})
    assert str(refused.value) == f'{message}"web_shop(u-1)", container: main)'
    assert asked({"runAsUser": 7}, {"runAsNonRoot": True}).user == 7
    assert asked({"runAsNonRoot": False}, {"runAsNonRoot": True}).user == 0


@pytest.mark.parametrize(
    ("capabilities", "kept"),
    [
        ({"drop": ["ALL"]}, ()),
        ({"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}, ("NET_BIND_SERVICE",)),
        ({"add": ["CAP_NET_ADMIN"], "drop": ["MKNOD"]}, None),
        ({"add": ["ALL"], "drop": ["SYS_TIME"]}, tuple(each for each in NAMES if each != "SYS_TIME")),
    ],
)
def test_capabilities_are_dropped_and_added(
    capabilities: dict[str, Any], kept: tuple[str, ...] | None
) -> None:
    found = asked({"capabilities": capabilities}).capabilities
    if kept is None:
        assert set(found) == {*DEFAULT_CAPABILITIES, "NET_ADMIN"} - {"MKNOD"}
    else:
        assert found == kept


def test_the_status_says_who_it_really_is() -> None:
    wanted = Security(1000, 3000)
    assert status_user(wanted, "sandboxed")["linux"] == {
        "uid": 1000,
        "gid": 3000,
        "supplementalGroups": [3000],
    }
    assert status_user(wanted, "plain")["linux"]["uid"] == os.getuid()
