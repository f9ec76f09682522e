"""The audit log of a cluster: each of the lab's own users did what it is for, and nothing else.

It runs after all other tests and judges what they did to the shared clusters, and a workload of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any

import pytest

from k8slab.cluster.embedded.roles import ROLES
from tests.embedded.audit_expectations import SELDOM_USED, WRITES
from tests.embedded.conftest import RunningCluster, until

# The workload comes and goes before the first of them.
pytestmark = [pytest.mark.judges_the_run, pytest.mark.timeout(420)]

OURS = ("system:node:", "k8slab:", "kubernetes-super-admin")
READS = ("get", "list", "watch")

WORKLOAD = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: demo, image: "k8slab/demo:1"}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: LoadBalancer, selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: store}
spec:
  serviceName: web
  selector: {matchLabels: {app: store}}
  template:
    metadata: {labels: {app: store}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: demo, image: "k8slab/demo:1", volumeMounts: [{name: data, mountPath: /data}]}]
      volumes: [{name: data, persistentVolumeClaim: {claimName: data}}]
---
apiVersion: batch/v1
kind: Job
metadata: {name: once}
spec:
  template:
    spec:
      restartPolicy: Never
      containers: [{name: once, image: busybox, command: [sh, -c, "exit 0"]}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec:
  rules:
    - host: audit.example
      http:
        paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: open}
spec: {podSelector: {}, policyTypes: [Ingress], ingress: [{}]}
"""

NAMESPACE = "t-audit"


@dataclass(frozen=True)
class Deed:
    """One request of the audit log that was answered with success.

    Args:
        user: who.
        what: verb and resource, as audit_expectations.py writes them.
        where: the request's path.
        options: the request's body, if the policy records it.
    """

    user: str
    what: str
    where: str
    options: dict[str, Any]


@pytest.fixture(scope="module")
def deeds(cluster: RunningCluster) -> list[Deed]:
    """All requests of the lab's own users, after a workload has come and gone."""
    cluster.kubectl(f"create namespace {NAMESPACE}")
    try:
        until(
            lambda: "default" in cluster.kubectl(f"-n {NAMESPACE} get serviceaccounts -o name"), "an account"
        )
        cluster.kubectl(f"-n {NAMESPACE} apply -f -", stdin=WORKLOAD)
        for line in ("deployment/web", "statefulset/store"):
            cluster.kubectl(f"-n {NAMESPACE} rollout status {line} --timeout=90s", timeout=120)
        cluster.kubectl(f"-n {NAMESPACE} wait --for=condition=Complete job/once --timeout=60s")
        until(
            lambda: (
                cluster.kubectl(
                    f"-n {NAMESPACE} get service,ingress "
                    "-o jsonpath={.items[*].status.loadBalancer.ingress}"
                ).count("10.")
                == 2
            ),
            "addresses of load balancer and Ingress",
        )
        until(lambda: "web-" in cluster.kubectl(f"-n {NAMESPACE} top pods", check=False), "metrics", 120)
        until(
            lambda: "NetworkPolic" in cluster.kubectl(f"-n {NAMESPACE} get events -o wide"),
            "a word on the NetworkPolicy",
        )
        cluster.kubectl(f"-n {NAMESPACE} rollout restart deployment/web")
        cluster.kubectl(f"-n {NAMESPACE} rollout status deployment/web --timeout=90s", timeout=120)
    finally:
        cluster.kubectl(f"delete namespace {NAMESPACE} --timeout=90s", timeout=120)
    until(
        lambda: (
            NAMESPACE
            not in cluster.kubectl(
                "get persistentvolumes -o jsonpath={.items[*].spec.claimRef.namespace}"
            ).split()
        ),
        "the volume's end",
    )
    return list(recorded(cluster))


def recorded(cluster: RunningCluster) -> Iterator[Deed]:
    """What the audit log tells of our own users' requests that were let through."""
    for path in sorted(cluster.folder.logs.glob("audit*.jsonl")):
        with path.open() as file:
            for line in file:
                if not line.endswith("\n"):
                    # It is being written.
                    continue
                event = json.loads(line)
                user, about = event["user"]["username"], event.get("objectRef") or {}
                if not user.startswith(OURS) or event.get("responseStatus", {}).get("code", 500) >= 400:
                    continue
                if event.get("userAgent", "").startswith("kubectl/"):
                    # A test that borrowed an identity to ask what it may: nothing of ours runs kubectl.
                    continue
                resource = "/".join(filter(None, [about.get("resource", "?"), about.get("subresource")]))
                if about.get("apiGroup"):
                    resource += f".{about['apiGroup']}"
                what = f"{event['verb']} {resource}"
                yield Deed(user, what, event["requestURI"], event.get("requestObject") or {})


def expected_of(user: str) -> set[str]:
    """The changes that a user may make."""
    return next((deeds for pattern, deeds in WRITES.items() if fnmatch(user, pattern)), set())


def test_each_of_our_users_changed_only_what_is_its_own(deeds: list[Deed]) -> None:
    changes = {(deed.user, deed.what): deed.where for deed in deeds if not deed.what.startswith(READS)}
    assert any(user.startswith("system:node:worker-") for user, _ in changes), "the log tells nothing"
    unexpected = {
        f"{user}: {what}": where for (user, what), where in changes.items() if what not in expected_of(user)
    }
    assert not unexpected


def test_nobody_of_ours_does_what_a_kubernetes_controller_owns() -> None:
    owned = {"replicasets", "deployments", "statefulsets", "daemonsets", "jobs", "endpoints"}
    subresources = {"pods/eviction", "pods/binding", "deployments/scale"}
    for user, allowed in WRITES.items():
        resources = {what.partition(" ")[2].partition(".")[0] for what in allowed}
        assert not resources & (owned | subresources), user


def test_a_node_removes_a_pod_as_a_kubelet_does(deeds: list[Deed]) -> None:
    """At once, and no other than the Pod it means: pkg/kubelet/status/status_manager.go:1212 of 1.36."""
    deletes = [deed for deed in deeds if deed.what == "delete pods"]
    assert len(deletes) >= 4
    for deed in deletes:
        assert deed.options.get("gracePeriodSeconds") == 0, deed
        assert (deed.options.get("preconditions") or {}).get("uid"), deed


def test_no_slice_of_a_service_with_a_selector_is_ours(cluster: RunningCluster, deeds: list[Deed]) -> None:
    services = json.loads(cluster.kubectl("get services -A -o json"))["items"]
    slices = json.loads(cluster.kubectl("get endpointslices -A -o json"))["items"]
    selecting = {
        (each["metadata"]["namespace"], each["metadata"]["name"])
        for each in services
        if each["spec"].get("selector")
    }
    for each in slices:
        labels = each["metadata"].get("labels") or {}
        owner = each["metadata"]["namespace"], labels.get("kubernetes.io/service-name", "")
        if owner in selecting:
            assert labels["endpointslice.kubernetes.io/managed-by"] == "endpointslice-controller.k8s.io"
    made = [deed for deed in deeds if "endpointslices" in deed.what and not deed.what.startswith(READS)]
    assert all("/namespaces/kube-system/" in deed.where for deed in made), made


def test_no_role_grants_what_is_never_asked_for(deeds: list[Deed]) -> None:
    asked = {f"{deed.user}: {deed.what}" for deed in deeds}
    unused = {
        f"k8slab:{name}: {verb} {resource}{'.' + group if group else ''}"
        for name, rules in ROLES.items()
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    } - asked
    leases = "leases.coordination.k8s.io"
    unexplained = {
        each
        for each in unused
        if not each.endswith(leases) and not any(fnmatch(each, seldom) for seldom in SELDOM_USED)
    }
    assert not unexplained, "a verb that is never used is one too many"
