"""Claims, volumes and what is told about them, for the black-box tests of storage."""

from __future__ import annotations

import json
from typing import Any

from tests.cluster.conftest import ClusterUnderTest, until


def claim(name: str, *modes: str, **spec: Any) -> dict[str, Any]:
    """A PersistentVolumeClaim of 16Mi."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name},
        "spec": {
            "accessModes": list(modes or ("ReadWriteOnce",)),
            "resources": {"requests": {"storage": "16Mi"}},
            **spec,
        },
    }


def persistent_volume(name: str, node: str = "", **spec: Any) -> dict[str, Any]:
    """A PersistentVolume without a class, on one node if one is named."""
    host = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
    affinity = {"required": {"nodeSelectorTerms": [{"matchExpressions": [host]}]}}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": "16Mi"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": "",
            **({"nodeAffinity": affinity} if node else {}),
            **spec,
        },
    }


def storage_class(name: str, like: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A StorageClass with the provisioner of another one."""
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name},
        "provisioner": like["provisioner"],
        **fields,
    }


def of_claim(name: str, **fields: Any) -> dict[str, Any]:
    """A volume `data` that stands for a claim."""
    return {"name": "data", "persistentVolumeClaim": {"claimName": name, **fields}}


def apply(cluster: ClusterUnderTest, namespace: str, *objects: dict[str, Any] | str) -> None:
    """`kubectl apply` of several objects."""
    items = [json.loads(each) if isinstance(each, str) else each for each in objects]
    body = {"apiVersion": "v1", "kind": "List", "items": items}
    cluster.kubectl(f"-n {namespace} apply -f -", stdin=json.dumps(body))


def told(cluster: ClusterUnderTest, namespace: str, name: str, reason: str) -> list[str]:
    """The messages of the Events about an object that have a reason."""
    selector = f"involvedObject.name={name},reason={reason}"
    return [
        each["message"] for each in cluster.get(f"-n {namespace} events --field-selector={selector}")["items"]
    ]


def until_told(
    cluster: ClusterUnderTest, namespace: str, name: str, reason: str, part: str, seconds: float = 60
) -> str:
    """Wait for an Event about an object whose message contains a text; the whole message."""

    def found() -> str:
        messages = told(cluster, namespace, name, reason)
        assert any(part in each for each in messages), messages
        return next(each for each in messages if part in each)

    return until(found, f"the event {reason} of {name}", seconds)


def until_prints(cluster: ClusterUnderTest, line: str, *words: str) -> None:
    """Wait until a kubectl line prints these words; a program may need a moment after its Pod is Ready."""

    def printed() -> bool:
        seen = cluster.run(line).stdout.split()
        assert seen == list(words), seen
        return True

    until(printed, f"kubectl {line} to print {' '.join(words)}")


def default_class(cluster: ClusterUnderTest) -> dict[str, Any]:
    """The cluster's default StorageClass."""
    mark = "storageclass.kubernetes.io/is-default-class"
    classes: list[dict[str, Any]] = cluster.get("storageclasses")["items"]
    return next(each for each in classes if (each["metadata"].get("annotations") or {}).get(mark) == "true")


def workers(cluster: ClusterUnderTest) -> list[str]:
    """The names of the nodes without taints."""
    nodes = cluster.get("nodes")["items"]
    return [each["metadata"]["name"] for each in nodes if not each["spec"].get("taints")]


def gone(cluster: ClusterUnderTest, line: str) -> bool:
    """Whether an object is no longer there."""
    done = cluster.run(f"get {line}")
    return done.returncode != 0 and "NotFound" in done.stderr
