"""Webhooks that run in a Pod: the API server finds them through their Service and waits for their word."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.cluster.conftest import ClusterUnderTest, until
from tests.cluster.webhook_server import NAME, Certificate, start_webhooks


def client(namespace: str, certificate: Certificate, path: str) -> dict[str, Any]:
    """Where the API server finds a webhook."""
    service = {"name": NAME, "namespace": namespace, "path": path, "port": 443}
    return {"service": service, "caBundle": certificate.bundle}


def configuration(namespace: str, certificate: Certificate, kind: str, path: str) -> dict[str, Any]:
    """A webhook for the ConfigMaps of one namespace."""
    rule = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "resources": ["configmaps"],
        "operations": ["CREATE", "UPDATE"],
    }
    webhook = {
        "name": f"{kind.lower()}.hooks.example.com",
        "clientConfig": client(namespace, certificate, path),
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "objectSelector": {"matchLabels": {"looked-at": "yes"}},
        "rules": [rule],
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "timeoutSeconds": 20,
        "failurePolicy": "Fail",
    }
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": f"{kind}WebhookConfiguration",
        "metadata": {"name": f"{namespace}-{kind.lower()}"},
        "webhooks": [webhook],
    }


@contextmanager
def applied(cluster: ClusterUnderTest, *manifests: dict[str, Any]) -> Iterator[None]:
    """Have objects that belong to no namespace there, and remove them afterwards."""
    text = "\n---\n".join(map(json.dumps, manifests))
    cluster.kubectl("apply -f -", stdin=text)
    try:
        yield
    finally:
        cluster.kubectl("delete -f - --ignore-not-found --wait=false", stdin=text)


def config_map(name: str, colour: str) -> str:
    """A ConfigMap that the webhooks are asked about."""
    metadata = {"name": name, "labels": {"looked-at": "yes"}}
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"colour": colour}}
    return json.dumps(body)


def test_admission_webhooks_in_a_pod_change_and_refuse(cluster: ClusterUnderTest, namespace: str) -> None:
    certificate = start_webhooks(cluster, namespace)
    mutating = configuration(namespace, certificate, "Mutating", "/mutate")
    validating = configuration(namespace, certificate, "Validating", "/validate")
    create = f"-n {namespace} create -f -"
    with applied(cluster, mutating, validating):
        # A new configuration is known to the API server a moment after it is stored.
        until(
            lambda: (
                "beige is not a colour"
                in cluster.run(f"{create} --dry-run=server", config_map("x", "beige")).stderr
            ),
            "the validating one to be asked",
        )
        trial = f"{create} --dry-run=server -o json"
        until(
            lambda: "seen" in json.loads(cluster.kubectl(trial, config_map("x", "blue")))["data"],
            "the mutating one to be asked",
        )
        taken = cluster.run(create, config_map("taken", "blue"))
        assert taken.returncode == 0 and "Warning: somebody looked at this" in taken.stderr
        assert cluster.get(f"-n {namespace} configmap taken")["data"]["seen"].startswith("by ")
        refused = cluster.run(create, config_map("refused", "beige"))
        # k8s.io/apiserver/pkg/admission/plugin/webhook/errors/statuserror.go:30-50
        assert refused.returncode != 0 and (
            'admission webhook "validating.hooks.example.com" denied the request: beige is not a colour'
            in refused.stderr
        )
        cluster.kubectl(f"-n {namespace} scale deployment/{NAME} --replicas=0")
        until(
            lambda: not cluster.get(f"-n {namespace} pods -l app={NAME}")["items"], "the webhooks to be gone"
        )
        # failurePolicy Fail: nobody is there to allow it.
        until(
            lambda: cluster.run(f"{create} --dry-run=server", config_map("x", "blue")).returncode != 0,
            "a refusal without the webhooks",
        )
        alone = cluster.run(create, config_map("alone", "blue"))
        assert 'failed calling webhook "mutating.hooks.example.com"' in alone.stderr
        cluster.kubectl(f"-n {namespace} create configmap unasked")


def test_a_conversion_webhook_in_a_pod_serves_both_versions(
    cluster: ClusterUnderTest, namespace: str
) -> None:
    certificate = start_webhooks(cluster, namespace)
    group = f"{namespace}.example.com"

    def version(name: str, stored: bool, fields: list[str]) -> dict[str, Any]:
        spec = {"type": "object", "properties": {field: {"type": "string"} for field in fields}}
        schema = {"type": "object", "properties": {"spec": spec}}
        return {"name": name, "served": True, "storage": stored, "schema": {"openAPIV3Schema": schema}}

    webhook = {
        "clientConfig": client(namespace, certificate, "/convert"),
        "conversionReviewVersions": ["v1"],
    }
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"targets.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": "targets", "singular": "target", "kind": "Target"},
            "versions": [version("v1", True, ["hostPort"]), version("v2", False, ["host", "port"])],
            "conversion": {"strategy": "Webhook", "webhook": webhook},
        },
    }
    with applied(cluster, definition):
        cluster.kubectl(f"wait --for=condition=Established crd/targets.{group} --timeout=30s")
        old = {"apiVersion": f"{group}/v1", "kind": "Target", "metadata": {"name": "old"}}
        new = {"apiVersion": f"{group}/v2", "kind": "Target", "metadata": {"name": "new"}}
        create = f"-n {namespace} create -f -"
        until(
            lambda: (
                cluster.run(create, json.dumps({**old, "spec": {"hostPort": "a.example:80"}})).returncode == 0
            ),
            "an object of the stored version",
        )
        # This one is converted: the API server must have heard of the endpoints behind the webhook's Service.
        other = json.dumps({**new, "spec": {"host": "b.example", "port": "81"}})
        until(lambda: cluster.run(create, other).returncode == 0, "an object of the other version")
        converted = cluster.get(f"-n {namespace} targets.v2.{group} old")
        assert (converted["apiVersion"], converted["spec"]) == (
            f"{group}/v2",
            {"host": "a.example", "port": "80"},
        )
        stored = cluster.get(f"-n {namespace} targets.v1.{group} new")
        assert stored["spec"] == {"hostPort": "b.example:81"}
        specs = [each["spec"] for each in cluster.get(f"-n {namespace} targets.v2.{group}")["items"]]
        assert [spec["port"] for spec in specs] == ["81", "80"]
        # While the definition is there its objects need the webhook, even to be deleted with the namespace.
        cluster.kubectl(f"-n {namespace} delete targets.v1.{group} --all")
