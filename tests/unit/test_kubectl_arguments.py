"""What a kubectl line names, whatever flags stand between."""

from __future__ import annotations

import shlex

import pytest

from k8slab.errors import GuardError
from k8slab.kubectl_arguments import understand

NAMED = [
    ("label --field-manager pod node worker-1 a=b", ("nodes",)),
    ("annotate --field-manager pods ns team a=b", ("namespaces",)),
    ("patch --field-manager pod ns team -p {}", ("namespaces",)),
    ("debug --target x node/worker-1 --image=y", ("nodes",)),
    ("debug web node/worker-1 --image=y", ("nodes",)),
    ("debug web --image=y --profile=general", ("pods",)),
    ("debug web --image y --profile general", ("pods",)),
    ("delete pod/x pod/a- node/worker-1", ("pods", "pods", "nodes")),
    ("delete pod/x pod/a=b node/worker-1", ("pods", "pods", "nodes")),
    ("scale rs/web rs/a- sts/db --replicas 1", ("replicasets", "replicasets", "statefulsets")),
    ("rollout restart deploy/a- deploy/b", ("deployments", "deployments")),
    ("set subject rolebinding/a clusterrolebinding/b- --user=x", None),
    ("set subject rolebinding/a- clusterrolebinding/b --group g", ("rolebindings", "clusterrolebindings")),
    ("set serviceaccount deploy/web robot", ("deployments",)),
    ("set env --from configmap/x deploy/web A=b C-", ("deployments",)),
    ("set env -e A=b deploy/web", ("deployments",)),
    ("set image deploy/web demo=k8slab/demo:2", ("deployments",)),
    ("label pod web a=b c- --overwrite", ("pods",)),
    ("create deployment web --image x -r 3", ("deployments",)),
    ("delete --cascade pod web", ("pods",)),
    ("delete --cascade=orphan deployments.apps web", ("deployments",)),
    ("scale deployment.v1.apps/web --replicas=1", ("deployments",)),
    ("delete ingress.networking.k8s.io web", ("ingresses",)),
    ("delete pods.v1 web", ("pods",)),
    ("label pod.example.org web a=b", None),
    ("delete jobs.v1.example.org web", None),
    ("delete services.serving.knative.dev web", None),
    ("label --frobnicate pod node worker-1 a=b", None),
    ("delete -Z pod node worker-1", None),
]


@pytest.mark.parametrize(("line", "types"), NAMED)
def test_every_kind_that_a_line_names_is_seen(line: str, types: tuple[str, ...] | None) -> None:
    """None: it cannot be told, so the line is refused."""
    words = shlex.split(line)
    if types is None:
        with pytest.raises(GuardError) as caught:
            understand(words)
        assert caught.value.cure
    else:
        assert understand(words).types == types


@pytest.mark.parametrize(
    "line",
    [
        "auth can-i create pods",
        "auth can-i --list",
        "auth whoami",
        "config view",
        "plugin list",
        "delete --help",
        "rollout status deploy/web",
        "apply view-last-applied deploy/web",
    ],
)
def test_what_sends_no_change_and_asks_no_program_is_only_a_read(line: str) -> None:
    request = understand(line.split())
    assert request.only_gets and not request.changes


@pytest.mark.parametrize(
    ("path", "namespace"),
    [
        ("/api/v1/namespaces/play/pods/x/proxy/", "play"),
        ("/api/v1/namespaces/play/pods/x/proxy/?from=../there", "play"),
        ("//api/v1/namespaces/team/pods/x/proxy/", "team"),
        ("/api/v1/namespaces/play/../team/pods/x/proxy/", ""),
        ("/api/v1/namespaces/play/%2e%2e/team/pods/x/proxy/", ""),
        ("/api/v1/./namespaces/play/pods/x/proxy/", ""),
        ("/api/v1/nodes/worker-1/proxy/pods", ""),
    ],
)
def test_where_a_raw_path_leads_is_told_from_a_plain_path_alone(path: str, namespace: str) -> None:
    request = understand(["get", "--raw", path])
    assert not request.only_gets
    assert request.namespaces == (namespace,)
