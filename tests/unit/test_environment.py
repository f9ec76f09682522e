"""Where a container's variables come from, and what is said when something is missing."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8slab.node.containers.environment import MissingConfigError, environment, expand, references
from k8slab.node.containers.field_values import Surroundings, UnknownFieldError, field_value
from k8slab.node.pods.service_variables import service_variables
from k8slab.quantity import bytes_of, parse

AROUND = Surroundings("10.7.255.11", "10.7.0.5", {"cpu": "2", "memory": "1Gi", "ephemeral-storage": "1000"})
POD: dict[str, Any] = {
    "metadata": {
        "name": "web-1",
        "namespace": "shop",
        "uid": "u1",
        "labels": {"app": "web", "a": 'say "hi"'},
        "annotations": {"k8slab.dev/note": "n"},
    },
    "spec": {"nodeName": "worker-1", "serviceAccountName": "clerk", "containers": []},
}
CONFIG = {"data": {"COLOUR": "green", "SIZE": "7"}}
SECRET = {"data": {"PASSWORD": base64.b64encode(b"s3cret").decode()}}


def lookup(kind: str, name: str) -> dict[str, Any] | None:
    return {("configmap", "settings"): CONFIG, ("secret", "keys"): SECRET}.get((kind, name))


def variables(container: dict[str, Any], services: dict[str, str] | None = None) -> dict[str, str]:
    def no_file(volume: str, path: str) -> Path:
        raise MissingConfigError(f"{volume}/{path}")

    return environment(POD, {"name": "web", **container}, services or {}, lookup, AROUND, no_file)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$(A)-$(B)", "1-2"),
        ("$$(A)", "$(A)"),
        ("$(MISSING)", "$(MISSING)"),
        ("$(A", "$(A"),
        ("$A $", "$A $"),
        ("$$$(A)", "$1"),
        ("plain", "plain"),
        ("$(A)$(A)", "11"),
    ],
)
def test_references_are_expanded_as_kubernetes_does(text: str, expected: str) -> None:
    assert expand(text, {"A": "1", "B": "2"}) == expected


@given(st.text(alphabet=st.characters(blacklist_characters="$")))
def test_a_text_without_dollars_stays_as_it_is(text: str) -> None:
    assert expand(text, {"A": "1"}) == text


def test_values_come_from_everywhere() -> None:
    found = variables(
        {
            "envFrom": [
                {"configMapRef": {"name": "settings"}, "prefix": "CFG_"},
                {"secretRef": {"name": "keys"}},
            ],
            "env": [
                {"name": "A", "value": "1"},
                {"name": "URL", "value": "http://$(HOST):$(A)/$(CFG_COLOUR)"},
                {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                {"name": "APP", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
                {
                    "name": "CPU",
                    "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1m"}},
                },
                {"name": "MEM", "valueFrom": {"resourceFieldRef": {"resource": "requests.memory"}}},
                {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "PASSWORD"}}},
                {"name": "COLOUR", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "COLOUR"}}},
            ],
            "resources": {"requests": {"memory": "64Mi"}, "limits": {"cpu": "250m"}},
        },
        {"HOST": "10.7.128.9", "COLOUR": "a service's"},
    )
    assert found["URL"] == "http://10.7.128.9:1/green"
    assert found["CFG_SIZE"] == "7"
    assert found["PASSWORD"] == found["KEY"] == "s3cret"
    assert (found["NAME"], found["IP"], found["APP"]) == ("web-1", "10.7.0.5", "web")
    assert (found["CPU"], found["MEM"]) == ("250", str(64 * 1024 * 1024))
    # A container's own variable wins over a Service's of the same name.
    assert found["COLOUR"] == "green"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"configMapKeyRef": {"name": "none", "key": "K"}}, 'configmap "none" not found'),
        ({"secretKeyRef": {"name": "none", "key": "K"}}, 'secret "none" not found'),
        (
            {"configMapKeyRef": {"name": "settings", "key": "K"}},
            "couldn't find key K in ConfigMap shop/settings",
        ),
        ({"secretKeyRef": {"name": "keys", "key": "K"}}, "couldn't find key K in Secret shop/keys"),
    ],
)
def test_what_is_missing_is_said_in_the_kubelets_words(entry: dict[str, Any], message: str) -> None:
    with pytest.raises(MissingConfigError) as caught:
        variables({"env": [{"name": "X", "valueFrom": entry}]})
    assert str(caught.value) == message
    kind = next(iter(entry))
    optional = {kind: {**entry[kind], "optional": True}}
    assert variables({"env": [{"name": "X", "valueFrom": optional}]}) == {}


def test_a_missing_source_of_all_variables() -> None:
    with pytest.raises(MissingConfigError, match='secret "none" not found'):
        variables({"envFrom": [{"secretRef": {"name": "none"}}]})
    assert variables({"envFrom": [{"secretRef": {"name": "none", "optional": True}}]}) == {}


def test_fields() -> None:
    assert field_value(POD, "metadata.labels", AROUND) == 'a="say \\"hi\\""\napp="web"'
    assert field_value(POD, "metadata.annotations['k8slab.dev/note']", AROUND) == "n"
    assert field_value(POD, "status.hostIP", AROUND) == "10.7.255.11"
    assert field_value(POD, "spec.serviceAccountName", AROUND) == "clerk"
    with pytest.raises(UnknownFieldError, match=r"unsupported fieldPath: spec\.hostname"):
        field_value(POD, "spec.hostname", AROUND)


def test_a_missing_limit_is_what_the_node_has() -> None:
    found = variables(
        {"env": [{"name": "L", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory"}}}]}
    )
    assert found["L"] == str(2**30)


def test_references_name_what_must_be_watched() -> None:
    container = {
        "envFrom": [{"configMapRef": {"name": "a"}}],
        "env": [
            {"name": "X", "valueFrom": {"secretKeyRef": {"name": "b", "key": "k"}}},
            {"name": "Y", "value": "1"},
        ],
    }
    assert references(container) == {("configmap", "a"), ("secret", "b")}


def test_services_are_told_as_docker_links_were() -> None:
    services = [
        {
            "metadata": {"name": "web-front", "namespace": "shop"},
            "spec": {
                "clusterIP": "10.7.128.9",
                "ports": [{"port": 80, "name": "http"}, {"port": 53, "protocol": "UDP", "name": "d"}],
            },
        },
        {
            "metadata": {"name": "none", "namespace": "shop"},
            "spec": {"clusterIP": "None", "ports": [{"port": 1}]},
        },
        {
            "metadata": {"name": "other", "namespace": "bank"},
            "spec": {"clusterIP": "10.7.128.8", "ports": [{"port": 1}]},
        },
        {
            "metadata": {"name": "kubernetes", "namespace": "default"},
            "spec": {"clusterIP": "10.7.128.1", "ports": [{"port": 443, "name": "https"}]},
        },
    ]
    found = service_variables(services, "shop", links=True)
    assert found["WEB_FRONT_SERVICE_HOST"] == "10.7.128.9"
    assert found["WEB_FRONT_SERVICE_PORT"] == found["WEB_FRONT_SERVICE_PORT_HTTP"] == "80"
    assert found["WEB_FRONT_PORT"] == found["WEB_FRONT_PORT_80_TCP"] == "tcp://10.7.128.9:80"
    assert found["WEB_FRONT_PORT_53_UDP_PROTO"] == "udp"
    assert found["KUBERNETES_SERVICE_PORT_HTTPS"] == "443"
    assert not any(name.startswith(("OTHER", "NONE")) for name in found)
    alone = service_variables(services, "shop", links=False)
    assert set(alone) == {name for name in found if name.startswith("KUBERNETES")}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("100m", 0.1),
        ("1Ki", 1024),
        ("1.5Gi", 1.5 * 2**30),
        ("1e3", 1000),
        ("2M", 2e6),
        ("12E", 12e18),
    ],
)
def test_quantities(text: str, value: float) -> None:
    assert float(parse(text)) == value


def test_a_quantity_in_bytes_is_rounded_up() -> None:
    assert bytes_of("1500m") == 2
    with pytest.raises(ValueError, match="not a quantity"):
        bytes_of("64 MB")


@pytest.mark.parametrize(
    ("key", "optional", "message"),
    [
        # pkg/kubelet/kubelet_pods.go:951 and :960
        ("COLOUR", False, ""),
        ("NONE", False, 'environment variable key "NONE" not found in file "{file}"'),
        ("NONE", True, ""),
        ("BROKEN", False, "couldn't parse env file"),
    ],
)
def test_variables_may_stand_in_a_file(tmp_path: Path, key: str, optional: bool, message: str) -> None:
    file = tmp_path / "file"
    file.write_text("COLOUR='green'\n" + ("BROKEN" if key == "BROKEN" else ""))
    reference = {"volumeName": "v", "path": "file", "key": key, "optional": optional}
    container = {"name": "web", "env": [{"name": "C", "valueFrom": {"fileKeyRef": reference}}]}
    if message:
        with pytest.raises(MissingConfigError) as missing:
            environment(POD, container, {}, lookup, AROUND, lambda volume, path: tmp_path / path)
        assert str(missing.value) == message.format(file=file)
    else:
        found = environment(POD, container, {}, lookup, AROUND, lambda volume, path: tmp_path / path)
        assert found == ({} if optional else {"C": "green"})
