"""The guard: what it lets through, what it refuses, and that nothing else in the lab changes a cluster."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from k8slab import manifests
from k8slab.errors import CommandError, ConflictError, GuardError, LabError
from k8slab.guard import Guard
from k8slab.kubectl_arguments import understand
from tests.unit.guarded_cluster import UUID, FakeApi, FakeCluster, write_kubeconfig


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("K8SLAB_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("K8SLAB_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "state"


@pytest.fixture
def cluster(tmp_path: Path) -> FakeCluster:
    return FakeCluster(tmp_path)


@pytest.fixture
def api(cluster: FakeCluster) -> FakeApi:
    return FakeApi(cluster.kubeconfig)


@pytest.fixture
def guard(cluster: FakeCluster, api: FakeApi) -> Guard:
    return Guard(cluster, api)


def test_a_kill_carries_the_uid_and_is_checked_first(guard: Guard, api: FakeApi) -> None:
    guard.delete_pod("ch", "web-1", "uid-1")
    assert api.requests[0][:2] == ("GET", "/api/v1/namespaces/kube-system/configmaps/k8slab-owner")
    method, path, body = api.requests[-1]
    assert (method, path) == ("DELETE", "/api/v1/namespaces/ch/pods/web-1")
    assert body["preconditions"] == {"uid": "uid-1"}
    assert "gracePeriodSeconds" not in body
    guard.delete_pod("ch", "web-1", "uid-1", grace=0)
    assert api.requests[-1][2]["gracePeriodSeconds"] == 0


def test_a_label_carries_the_uid(guard: Guard, api: FakeApi) -> None:
    guard.label_pod("ch", "web-1", "uid-1", "app", None)
    assert api.changes == [
        ("PATCH", "/api/v1/namespaces/ch/pods/web-1", {"metadata": {"uid": "uid-1", "labels": {"app": None}}})
    ]


def test_a_crash_hits_only_the_pod_that_was_seen(guard: Guard, api: FakeApi) -> None:
    api.pod_uid = "another"
    with pytest.raises(ConflictError, match="another Pod"):
        guard.crash("ch", "web-1", "uid-1", "/api/v1/namespaces/ch/pods/web-1:8080/proxy/crash")
    assert api.changes == []


@pytest.mark.parametrize(
    "namespace",
    [
        "kube-system",
        "kube-public",
        "kube-node-lease",
        "kube-anything",
        "Kube-System",
        "kube\u2010system",
        "kube-\u0455ystem",
        "\uff4bube-system",
        " kube-system",
        "kube-system\n",
        "kube-system/",
        "../kube-system",
        "",
        "a" * 64,
        "-a",
    ],
)
def test_system_namespaces_and_what_looks_like_them_are_refused(
    guard: Guard, api: FakeApi, cluster: FakeCluster, namespace: str
) -> None:
    document = manifests.Document("Pod", "p", namespace, {"kind": "Pod"}, "x.yaml")
    attempts: list[Callable[[], object]] = [
        lambda: guard.delete_pod(namespace, "p", "u"),
        lambda: guard.label_pod(namespace, "p", "u", "k", "v"),
        lambda: guard.empty(namespace, "pods"),
        lambda: guard.delete_object(namespace, "services", "s"),
        lambda: guard.create_namespace(namespace, {}),
        lambda: guard.kubectl("ch", ["delete", "pod", "p", f"--namespace={namespace}"]),
        lambda: guard.kubectl(namespace, ["delete", "pod", "p"]),
    ]
    if namespace:
        attempts.append(lambda: guard.apply("ch", [document], []))
    for attempt in attempts:
        with pytest.raises(GuardError):
            attempt()
    assert api.changes == []
    assert not cluster.log.exists()


@pytest.mark.parametrize(
    "marker",
    [{}, {"metadata": {"uid": "m"}, "data": {"uuid": "another"}}, {"metadata": {"uid": "m"}}],
    ids=["missing", "another uuid", "empty"],
)
def test_a_server_that_is_not_the_lab_s_own_is_never_changed(
    guard: Guard, api: FakeApi, marker: dict[str, Any]
) -> None:
    api.marker = marker
    with pytest.raises(GuardError, match="not the cluster"):
        guard.delete_pod("ch", "web-1", "uid-1")
    assert api.changes == []


def test_a_cluster_swapped_between_two_kills_is_noticed(
    guard: Guard, api: FakeApi, cluster: FakeCluster
) -> None:
    guard.delete_pod("ch", "a", "u")
    api.marker = {"metadata": {"uid": "made again"}, "data": {"uuid": UUID}}
    with pytest.raises(GuardError, match="not the cluster"):
        guard.delete_pod("ch", "b", "u")
    api.marker = {"metadata": {"uid": "m"}, "data": {"uuid": UUID}}
    write_kubeconfig(cluster.kubeconfig, "https://elsewhere:6443")
    with pytest.raises(GuardError, match="another server or authority"):
        guard.delete_pod("ch", "c", "u")
    write_kubeconfig(cluster.kubeconfig, "https://127.1.255.1:6443")
    (cluster.kubeconfig.parent / "ca.crt").write_text("another authority")
    with pytest.raises(GuardError, match="another server or authority"):
        guard.delete_pod("ch", "d", "u")
    assert [each[1] for each in api.changes] == ["/api/v1/namespaces/ch/pods/a"]


def test_a_cluster_of_somebody_else_is_read_only(tmp_path: Path) -> None:
    cluster = FakeCluster(tmp_path, owned=False)
    api = FakeApi(cluster.kubeconfig)
    guard = Guard(cluster, api)
    document = manifests.Document("Pod", "p", "", {"kind": "Pod"}, "x.yaml")
    for attempt in (
        lambda: guard.delete_pod("ch", "a", "u"),
        lambda: guard.create_namespace("ch", {}),
        lambda: guard.empty("ch", "pods"),
        lambda: guard.apply("ch", [document], []),
        lambda: guard.kubectl("ch", ["delete", "pod", "a"]),
        lambda: guard.kubectl("ch", ["diff", "-f", "x.yaml"]),
    ):
        with pytest.raises(GuardError, match="only reads it"):
            attempt()
    assert api.changes == []
    assert not cluster.log.exists()
    assert guard.kubectl("ch", ["get", "pods"]).stdout == "done\n"


def test_kubectl_gets_the_lab_s_cluster_and_a_clean_environment(
    guard: Guard, cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", "/trap")
    monkeypatch.setenv("HTTPS_PROXY", "http://trap")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    guard.kubectl("ch", ["get", "pods", "-o", "wide"])
    argv, _, environment = cluster.ran()
    assert argv == [
        f"--kubeconfig={cluster.kubeconfig}",
        "--context=c",
        "--namespace=ch",
        "get",
        "pods",
        "-o",
        "wide",
    ]
    assert not {"KUBECONFIG", "HTTPS_PROXY", "AWS_SECRET_ACCESS_KEY"} & environment.keys()
    assert environment["KUBECTL_KUBERC"] == "false"
    assert environment["KUBECACHEDIR"].endswith("/cache/kubectl")


def test_apply_hands_over_exactly_what_was_checked(guard: Guard, cluster: FakeCluster) -> None:
    documents = manifests.parse("apiVersion: v1\nkind: Pod\nmetadata: {name: $(touch x)}\n", "x.yaml")
    guard.apply("ch", documents, ["apply", "-f", "x.yaml"])
    argv, stdin, _ = cluster.ran()
    assert argv[-3:] == ["apply", "-f", "-"]
    assert json.loads(stdin) == documents[0].content


@pytest.mark.parametrize("kind", ["ClusterRole", "Node", "CustomResourceDefinition", "PersistentVolume"])
def test_what_belongs_to_the_whole_cluster_is_not_applied(
    guard: Guard, cluster: FakeCluster, kind: str
) -> None:
    document = manifests.Document(kind, "x", "", {}, "x.yaml")
    with pytest.raises(GuardError, match="whole cluster"):
        guard.apply("ch", [document], [])
    assert not cluster.log.exists()


def test_kubectl_s_failure_is_one_message_with_what_to_do(guard: Guard, cluster: FakeCluster) -> None:
    cluster.kubectl.write_text(
        "#!/bin/sh\necho 'Error from server (NotFound): pods \"x\" not found' >&2\nexit 1\n"
    )
    with pytest.raises(CommandError) as caught:
        guard.kubectl("ch", ["get", "pod", "x"])
    assert "`kubectl get pod x` ended with exit code 1" in str(caught.value)
    assert "kubectl get all" in caught.value.cure


def test_a_difference_that_diff_finds_is_an_answer_and_its_failure_an_error(
    guard: Guard, cluster: FakeCluster, tmp_path: Path
) -> None:
    file = tmp_path / "web.yaml"
    file.write_text("kind: Service")
    cluster.kubectl.write_text("#!/bin/sh\necho '-  replicas: 6'\nexit 1\n")
    assert guard.kubectl("ch", ["diff", "-f", str(file)]).stdout == "-  replicas: 6\n"
    with pytest.raises(CommandError):
        guard.kubectl("ch", ["get", "pods"])
    cluster.kubectl.write_text("#!/bin/sh\necho 'error: no such file' >&2\nexit 2\n")
    with pytest.raises(CommandError, match="no such file"):
        guard.kubectl("ch", ["diff", "-f", str(file)])


def test_every_change_is_written_down_before_it_is_made(guard: Guard, api: FakeApi, state: Path) -> None:
    api.status = 409
    with pytest.raises(ConflictError):
        guard.delete_pod("ch", "web-1", "uid-1")
    log = state / "actions.jsonl"
    entry, answer = map(json.loads, log.read_text().splitlines())
    assert entry["context"] == guard.cluster.context
    assert answer["act"] == entry["act"]
    assert answer["answer"].startswith("ConflictError: ")
    assert (entry["action"], entry["namespace"], entry["cluster"]) == ("DELETE", "ch", UUID)
    assert "uid-1" in entry["what"]
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_the_log_is_only_ever_added_to(guard: Guard, api: FakeApi, state: Path) -> None:
    log = state / "actions.jsonl"
    guard.delete_pod("ch", "web-1", "uid-1")
    first = log.read_text()
    assert json.loads(first.splitlines()[1])["answer"] == "done"
    guard.delete_pod("ch", "web-2", "uid-2")
    assert log.read_text().startswith(first)


def test_without_the_log_nothing_is_changed(
    guard: Guard, api: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("K8SLAB_STATE_DIR", str(tmp_path / "file"))
    with pytest.raises(GuardError, match="nothing was changed"):
        guard.delete_pod("ch", "web-1", "uid-1")
    monkeypatch.setenv("K8SLAB_STATE_DIR", "/dev/full/x")
    with pytest.raises(GuardError, match="nothing was changed"):
        guard.delete_pod("ch", "web-1", "uid-1")
    assert api.changes == []


READS = [
    "get pods",
    "get pods -A",
    "get pods -n kube-system -o wide",
    "describe pod x",
    "logs x --tail=3",
    "rollout status deploy/web",
    "auth can-i list pods",
    "apply --help",
    "explain pod.spec",
    "version",
    "",
]


@pytest.mark.parametrize("line", READS)
def test_reading_is_free(guard: Guard, line: str) -> None:
    assert not guard.check("ch", line.split()).changes


CHANGES = [
    ("delete pod web-1", ("pods",)),
    ("delete pod/web-1 svc/web", ("pods", "services")),
    ("delete pods,svc --all", ("pods", "services")),
    ("delete --grace-period 0 pod web-1", ("pods",)),
    ("scale rs/web --replicas=3", ("replicasets",)),
    ("scale --replicas 3 rs web", ("replicasets",)),
    ("label pod web-1 app-", ("pods",)),
    ("label pod web-1 k8slab.dev/x=y --overwrite", ("pods",)),
    ("set image deploy/web demo=k8slab/demo:2", ("deployments",)),
    ("rollout restart deployment web", ("deployments",)),
    ("run shell --image=busybox -it --rm", ("pods",)),
    ("exec web-1 -- sh -c ls", ("pods",)),
    ("exec deploy/web -- ls -s -n kube-system", ("deployments",)),
    ("create deployment web --image=x", ("deployments",)),
    ("cordon worker-1", ("nodes",)),
    ("drain worker-1 --ignore-daemonsets", ("nodes",)),
    ("label node worker-1 a=b", ("nodes",)),
    ("create namespace mine", ("namespaces",)),
]


@pytest.mark.parametrize(("line", "types"), CHANGES)
def test_changes_in_the_lab_s_namespaces_are_let_through(
    guard: Guard, line: str, types: tuple[str, ...]
) -> None:
    request = guard.check("ch", line.split())
    assert request.changes
    assert request.types == types


REFUSED = [
    "delete pod x --kubeconfig=/other",
    "get pods --kubeconfig /other",
    "get pods --context=prod",
    "get pods --token=abc",
    "get pods --as=admin",
    "get pods -s https://prod",
    "get pods -os https://prod -s x",
    "get pods --server_name=x --tls_server_name=y",
    "--namespace=kube-system delete pod x",
    "delete pod x -n kube-system",
    "delete pod x -nkube-system",
    "delete pod x -n=kube-system",
    "delete pod x --namespace kube-system",
    "delete pod x --name_space=a --namespace=ch --namespace=kube-public",
    "run x --image=y -itn kube-system",
    "delete pods --all -A",
    "delete pods --all --all-namespaces",
    "delete pod x --all_namespaces=true",
    "delete --raw /api/v1/namespaces/kube-system",
    "create pod x",
    "create evil",
    "apply -f x.yaml --prune --all",
    "apply -k .",
    "apply -f -",
    "apply -f https://example.org/x.yaml",
    "apply",
    "delete namespace kube-system",
    "delete ns/kube-system",
    "delete namespaces --all",
    "delete node worker-1",
    "delete no/worker-1",
    "delete pods,nodes --all",
    "delete nodes.v1. worker-1",
    "delete clusterrole admin",
    "create clusterrolebinding x --clusterrole=cluster-admin",
    "patch pv x -p {}",
    "debug node/worker-1 --image=x",
    "cp kube-system/pod:/x .",
    "delete --unknown-flag 5 pod x",
    "delete widgets x",
    "delete pod x -n kube-system --field-manager --help",
    "rollout --foo status restart deploy/web -n kube-system",
    "frobnicate pods",
    "config set-context prod",
    "auth reconcile -f x",
    "certificate approve x",
    "proxy",
    "delete",
    "edit csr x",
]


@pytest.mark.parametrize("line", REFUSED)
def test_lines_that_reach_further_are_refused(
    guard: Guard, cluster: FakeCluster, api: FakeApi, line: str
) -> None:
    with pytest.raises(LabError) as caught:
        guard.kubectl("ch", line.split())
    assert caught.value.cure, "a refusal says what to do"
    assert not cluster.log.exists()
    assert api.changes == []


@pytest.mark.parametrize("line", ["logs x -f", "get pods -w", "exec -it x -- sh", "edit rs web", "attach x"])
def test_what_would_hold_a_cell_is_recognised(line: str) -> None:
    assert understand(line.split()).endless


def test_a_manifest_given_to_kubectl_is_read_first(
    guard: Guard, cluster: FakeCluster, tmp_path: Path
) -> None:
    file = tmp_path / "files" / "x.yaml"
    file.parent.mkdir()
    file.write_text("apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: kube-system}\n")
    for line in (["apply", "-f", str(file)], ["delete", f"--filename={file}"], ["create", f"-f{file}"]):
        with pytest.raises(GuardError, match="belongs to Kubernetes itself"):
            guard.kubectl("ch", line)
    with pytest.raises(GuardError, match="belongs to Kubernetes itself"):
        guard.kubectl("ch", ["apply", "-R", "-f", str(file.parent)])
    assert not cluster.log.exists()
