"""Every field of a Pod, and every command of kubectl, has its word in the tables; none is ignored in silence.

The schema is the running API server's; the tables are read as the data they are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.conftest import ClusterUnderTest
from tests.cluster.manifests import pod, shell
from tests.cluster.pod_states import apply, condition, is_ready, logged, status_of, told, waits_for, when

FIELDS = Path(__file__).parents[2] / "k8slab" / "node" / "fields"
POD_SPEC = "io.k8s.api.core.v1.PodSpec"
SAME_TYPE = {"PodResources": "ResourceRequirements"}


def schema_of(cluster: ClusterUnderTest) -> dict[str, Any]:
    answer = json.loads(cluster.kubectl("get --raw /openapi/v3/api/v1"))
    schemas: dict[str, Any] = answer["components"]["schemas"]
    return schemas


def held(declared: dict[str, Any]) -> str:
    """The type that a property holds, or an empty string."""
    inner = declared.get("items") or declared.get("additionalProperties") or declared
    for each in (inner, *inner.get("allOf", [])):
        if isinstance(each, dict) and "$ref" in each:
            return str(each["$ref"]).rsplit("/", 1)[-1]
    return ""


def missing(schemas: dict[str, Any], table: dict[str, Any], kind: str, name: str, path: str) -> Iterator[str]:
    """What the table lacks of a type, or has too much."""
    properties: dict[str, Any] = schemas[kind]["properties"]
    rows: dict[str, Any] = table[name]
    yield from (f"{path}.{field} is not in the table" for field in properties if field not in rows)
    yield from (f"{path}.{field} is not in the schema" for field in rows if field not in properties)
    for field in rows.keys() & properties.keys():
        entry = rows[field] if isinstance(rows[field], dict) else {"is": rows[field]}
        below = held(properties[field])
        short = below.rsplit(".", 1)[-1]
        words = {entry["is"], entry.get("plain", entry["is"])}
        if "of" in entry:
            if SAME_TYPE.get(entry["of"], entry["of"]) != short:
                yield f"{path}.{field} holds a {short} and not a {entry['of']}"
            else:
                yield from missing(schemas, table, below, entry["of"], f"{path}.{field}")
        elif below and schemas[below].get("properties") and words & {"real", "played"}:
            yield f"{path}.{field} is {words} and says nothing of the fields of {short}"


@pytest.mark.needs("process nodes")
def test_the_table_has_every_field_of_the_schema_and_no_other(cluster: ClusterUnderTest) -> None:
    table = yaml.safe_load((FIELDS / "pod_fields.yaml").read_text())
    schemas = schema_of(cluster)
    assert list(missing(schemas, table, POD_SPEC, "PodSpec", "spec")) == []
    # The test is worth something only if it finds what is not there.
    broken = {**table, "PodSpec": {**table["PodSpec"], "stale": "real"}}
    broken["Probe"] = {field: word for field, word in table["Probe"].items() if field != "grpc"}
    found = list(missing(schemas, broken, POD_SPEC, "PodSpec", "spec"))
    assert "spec.stale is not in the schema" in found
    assert "spec.containers.livenessProbe.grpc is not in the table" in found


@pytest.mark.needs("process nodes")
def test_the_table_has_every_command_of_kubectl(cluster: ClusterUnderTest) -> None:
    table = yaml.safe_load((FIELDS / "kubectl_verbs.yaml").read_text())
    commands = set(re.findall(r"^  ([a-z-]+) {2,}", cluster.kubectl("--help"), re.MULTILINE))
    assert commands == set(table)


@pytest.mark.needs("process nodes")
def test_a_field_without_effect_is_said_and_what_would_mislead_is_not_run(
    cluster: ClusterUnderTest, namespace: str
) -> None:
    odd = shell(
        "sleep 600",
        securityContext={"seccompProfile": {"type": "RuntimeDefault"}, "privileged": True},
        ports=[{"containerPort": 80, "hostPort": 31999}],
    )
    apply(cluster, namespace, pod("odd", odd, hostNetwork=False, imagePullSecrets=[{"name": "none"}]))
    when(cluster, namespace, "odd", is_ready, "odd to be Ready")
    for field in (
        "spec.imagePullSecrets",
        "ports[0].hostPort",
        "securityContext (seccompProfile)",
        "(privileged)",
    ):
        told(
            cluster,
            namespace,
            "odd",
            "Warning",
            "Unsupported",
            f"{field} has no effect on k8slab's process nodes",
        )
    nfs = [{"name": "share", "nfs": {"server": "files", "path": "/"}}]
    mounts = [{"name": "share", "mountPath": "/share"}]
    apply(cluster, namespace, pod("blocked", shell("sleep 600", volumeMounts=mounts), volumes=nfs))
    told(cluster, namespace, "blocked", "Warning", "FailedMount", "nfs")
    told(
        cluster,
        namespace,
        "blocked",
        "Warning",
        "Unsupported",
        "nfs is not offered by k8slab's process nodes",
    )
    blocked = when(cluster, namespace, "blocked", waits_for("ContainerCreating"), "blocked to wait")
    assert blocked["status"]["phase"] == "Pending" and not is_ready(blocked)


@pytest.mark.needs("own file tree")
def test_users_groups_capabilities_and_a_read_only_root(cluster: ClusterUnderTest, namespace: str) -> None:
    restricted = shell(
        "id -u; id -g; grep CapEff /proc/self/status; touch /x 2>/dev/null || echo refused;"
        "touch /data/y && echo kept; sleep 600",
        securityContext={
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
        volumeMounts=[{"name": "data", "mountPath": "/data"}],
    )
    who = {"runAsUser": 1000, "runAsGroup": 3000, "fsGroup": 3000, "runAsNonRoot": True}
    volumes = [{"name": "data", "emptyDir": {}}]
    apply(cluster, namespace, pod("restricted", restricted, securityContext=who, volumes=volumes))
    said = ("1000", "3000", "CapEff:\t0000000000000000", "refused", "kept")
    logged(cluster, namespace, "restricted", *said)
    # A command that is run later is as restricted.
    line = f"-n {namespace} exec restricted -- sh -c 'id -u; grep CapEff /proc/self/status'"
    assert cluster.kubectl(line).splitlines() == [said[0], said[2]]
    now = cluster.get(f"-n {namespace} pod restricted")
    user = status_of(now)["user"]["linux"]
    assert (user["uid"], user["gid"]) == (1000, 3000)
    only = shell(
        "grep CapEff /proc/self/status; sleep 600",
        securityContext={"capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}},
    )
    apply(cluster, namespace, pod("one-capability", only))
    logged(cluster, namespace, "one-capability", "CapEff:\t0000000000000400")


def test_a_container_that_must_not_be_root_is_not_started_as_root(
    cluster: ClusterUnderTest, namespace: str
) -> None:
    """Texts: pkg/kubelet/kuberuntime/security_context_others.go:44 and :54."""
    apply(cluster, namespace, pod("image", shell("sleep 600"), securityContext={"runAsNonRoot": True}))
    zero = shell("sleep 600", securityContext={"runAsUser": 0})
    apply(cluster, namespace, pod("zero", zero, securityContext={"runAsNonRoot": True}))
    for name, text in (
        ("image", "container has runAsNonRoot and image will run as root"),
        ("zero", "container's runAsUser breaks non-root policy"),
    ):
        waiting = when(cluster, namespace, name, waits_for("CreateContainerConfigError"), "the refusal")
        full = f'{text} (pod: "{name}_{namespace}({waiting["metadata"]["uid"]})", container: main)'
        assert status_of(waiting)["state"]["waiting"]["message"] == full
        told(cluster, namespace, name, "Warning", "Failed", f"Error: {full}")
        assert waiting["status"]["phase"] == "Pending"
        assert condition(waiting, "ContainersReady")["message"] == "containers with unready status: [main]"


@pytest.mark.needs("own file tree")
def test_host_names_hosts_and_resolver(cluster: ClusterUnderTest, namespace: str) -> None:
    names = shell(
        "hostname; sed -n '/Entries added/,$p' /etc/hosts; grep -c '^options' /etc/resolv.conf; sleep 600"
    )
    fields: dict[str, Any] = {
        "hostname": "db",
        "subdomain": "shop",
        "setHostnameAsFQDN": True,
        "hostAliases": [{"ip": "10.1.2.3", "hostnames": ["one", "two"]}],
        "dnsConfig": {"options": [{"name": "ndots", "value": "2"}], "searches": ["example.test"]},
    }
    apply(cluster, namespace, pod("named", names, **fields))
    entries = ("# Entries added by HostAliases.", "10.1.2.3\tone\ttwo")
    logged(cluster, namespace, "named", f"db.shop.{namespace}.svc.cluster.local", *entries, "1")
    resolver = cluster.kubectl(f"-n {namespace} exec named -- cat /etc/resolv.conf")
    assert "example.test" in resolver and "ndots:2" in resolver
    apply(
        cluster,
        namespace,
        pod("override", shell("hostname; sleep 600"), hostnameOverride="other.example.test"),
    )
    logged(cluster, namespace, "override", "other.example.test")
