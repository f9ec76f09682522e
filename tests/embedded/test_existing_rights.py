"""Somebody else's cluster with few rights there: the chapter says what is missing, and runs with the rest.

The user is a ServiceAccount with one Role in one namespace: no Nodes, no Secrets, no other namespace.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from k8slab import Lab
from k8slab.errors import LabError
from tests.embedded.conftest import RunningCluster, until

CHAPTER = "03-replicasets"

ROLE = """
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: learner, namespace: NAMESPACE}
rules:
- {apiGroups: [""], resources: [namespaces], verbs: [get]}
- apiGroups: [""]
  resources: [pods, services, configmaps]
  verbs: [get, list, watch, create, patch, delete]
- {apiGroups: [""], resources: [pods/log, resourcequotas, limitranges, events], verbs: [get, list, watch]}
- {apiGroups: [apps], resources: [replicasets], verbs: [get, list, watch, create, patch, delete]}
- {apiGroups: [apps], resources: [deployments, daemonsets], verbs: [get, list, watch]}
- {apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [get, list, watch]}
"""


@pytest.fixture
def sandbox(cluster: RunningCluster, namespace: str) -> str:
    cluster.kubectl(f"label namespace {namespace} k8slab.dev/sandbox=true")
    cluster.kubectl(f"-n {namespace} create serviceaccount learner")
    cluster.kubectl("apply -f -", stdin=ROLE.replace("NAMESPACE", namespace))
    cluster.kubectl(
        f"-n {namespace} create rolebinding learner --role=learner --serviceaccount={namespace}:learner"
    )
    return namespace


@pytest.fixture
def kubeconfig(cluster: RunningCluster, sandbox: str, tmp_path: Path) -> Path:
    """The learner's kubeconfig: the cluster's, with a token in place of the administrator's certificate."""
    token = cluster.kubectl(f"-n {sandbox} create token learner").strip()
    content = yaml.safe_load(cluster.cluster.kubeconfig.read_text())
    named = next(each["context"] for each in content["contexts"])
    content["users"] = [{"name": named["user"], "user": {"token": token}}]
    content["contexts"] = [{"name": "class", "context": {**named, "namespace": sandbox}}]
    file = tmp_path / "class.yaml"
    file.write_text(yaml.safe_dump(content))
    # The API server's authorizer hears of a new role a moment after it is stored.
    asked = f"-n {sandbox} auth can-i delete replicasets.apps --kubeconfig={file} --context=class"
    until(lambda: cluster.kubectl(asked).strip() == "yes", "the role to take effect")
    return file


def attach(kubeconfig: Path, namespaces: list[str], typed: str) -> Lab:
    return Lab.open(
        CHAPTER,
        backend="existing",
        context="class",
        kubeconfig=kubeconfig,
        namespaces=namespaces,
        typed=typed,
    )


@pytest.fixture
def lab(kubeconfig: Path, sandbox: str) -> Iterator[Lab]:
    opened = attach(kubeconfig, [sandbox], "class")
    yield opened
    opened.close()


def test_with_few_rights_a_chapter_says_what_is_missing_and_runs_with_the_rest(
    lab: Lab, cluster: RunningCluster, sandbox: str, capsys: pytest.CaptureFixture[str]
) -> None:
    said = str(lab.needs())
    assert "You may not see Nodes" in said
    assert "statefulsets, jobs, cronjobs" in said and "the map does without" in said
    assert "create pods/exec (`kubectl exec`)" in said and "get services/proxy (lab.requests())" in said
    assert "You may not create, patch or delete replicationcontrollers" in said and "old.yaml" in said
    assert "nodes that you may not see" in repr(lab)

    lab.apply("web.yaml").wait(60)
    until(lambda: [pod.ready for pod in lab.pods("app=web")] == ["1/1"] * 3, "3 ready Pods")
    source = lab._views._source()

    def all_placed() -> dict[str, Any]:
        """The picture, once the mirror has heard of three Pods and of a node for each."""
        found: dict[str, Any] = source.scene()
        assert len(found["pods"]) == 3 and all(pod["node"] for pod in found["pods"].values()), found["pods"]
        return found

    scene = until(all_placed, "the mirror to follow")
    nodes = {each["name"]: each["status"] for each in scene["nodes"].values()}
    assert nodes and set(nodes.values()) == {"state not to be seen"}
    assert set(nodes) <= {"worker-1", "worker-2", "worker-3"}
    assert {pod["node"] for pod in scene["pods"].values()} <= set(scene["nodes"])

    victim = lab.pods("app=web")[0]
    lab.kill(victim)
    until(lambda: victim.name not in str(lab.pods("app=web")), "the Pod to be gone")
    until(lambda: [pod.ready for pod in lab.pods("app=web")] == ["1/1"] * 3, "3 ready Pods again")
    with pytest.raises(LabError, match="forbidden"):
        lab.kubectl("create deployment x --image=k8slab/demo:1").wait(60)
    lab.reset()
    left = cluster.kubectl(f"-n {sandbox} get pods,replicasets,services -o name")
    assert left.split() == []


def test_what_is_missing_is_said_when_the_lab_opens_in_two_seconds_or_so(
    kubeconfig: Path, cluster: RunningCluster, sandbox: str, capsys: pytest.CaptureFixture[str]
) -> None:
    quota = {"pods": "2", "requests.memory": "1Gi"}
    body = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "small"},
        "spec": {"hard": quota},
    }
    cluster.kubectl(f"-n {sandbox} apply -f -", stdin=json.dumps(body))
    cluster.kubectl(f"label namespace {sandbox} pod-security.kubernetes.io/enforce=restricted")
    until(
        lambda: "1Gi" in cluster.kubectl(f"-n {sandbox} get quota small -o jsonpath={{.status.hard}}"),
        "a count",
    )
    lab = attach(kubeconfig, [], "")
    try:
        said = capsys.readouterr().out
        assert "The lab only reads class." in said and "typed name class" in said
        assert "the list of namespaces" in said
        assert "You may not see Nodes" in said
        assert "lab.needs() shows all of it" in said
    finally:
        lab.close()
    lab = attach(kubeconfig, [sandbox], "")
    try:
        said = capsys.readouterr().out
        assert "Still missing: the typed name class." in said
        assert "The quota small allows 2 Pods, and 0 are there now" in said
        assert "counts requests.memory, so every container has to say it" in said
        assert "The level restricted of the namespace lets the chapter's Pods in." in str(lab.needs())
    finally:
        lab.close()
