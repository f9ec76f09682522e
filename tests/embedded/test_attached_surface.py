"""Somebody else's cluster by all that a user touches: the command line and cells, in processes of their own.

The cluster is an embedded one of the tests', attached as a stranger's through a proxy that writes down every
request. Beside it lies what is ambient to a user, and leads to a trap: nobody is to come there, or to look.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from k8slab.cli import app
from k8slab.folders import cache_folder
from tests.embedded.ambient import Ambient
from tests.embedded.conftest import RunningCluster
from tests.embedded.recording_proxy import RecordingProxy
from tests.embedded.test_read_only import LINES, MANIFEST, REACHES_PROGRAMS, READS

pytestmark = pytest.mark.parametrize("cluster", ["plain"], indirect=True)
"""Nothing here is about how Pods are isolated."""

SHELL = Path(__file__).with_name("shell_of_a_learner.py")

COMMANDS = {
    "up": ("up", "up --backend existing"),
    "status": ("status",),
    "kubeconfig": ("kubeconfig --name theirs",),
    "kubectl": ("kubectl delete pods --all",),
    "contexts": ("contexts --kubeconfig {file} --run-programs",),
    "node list": ("node list",),
    "node add": ("node add",),
    "node remove": ("node remove worker-1",),
    "node off": ("node off worker-1 --name theirs",),
    "node on": ("node on worker-1",),
    "node pause": ("node pause worker-1",),
    "node containers": ("node containers worker-1",),
    "node kill-agent": ("node kill-agent worker-1",),
    "node start-agent": ("node start-agent worker-1",),
    "cloud on": ("cloud on",),
    "cloud off": ("cloud off",),
    "progress": ("progress",),
    "tree": ("tree -n {namespace}",),
    "replay": ("replay {folder}/nothing.jsonl",),
    "simulate": ("simulate --nodes 2",),
    "down": ("down --name theirs",),
    "doctor": ("doctor",),
    "demo": ("demo --out {folder}/demo",),
    "lab": ("lab --version",),
}  # fmt: skip
"""Every command, and the lines by which it may be pointed at a cluster."""

WORK_ON_OUR_OWN = {"kubeconfig", "kubectl", "tree", "simulate"}
"""Those, and all of `node` and `cloud`, say where the attached cluster is to be reached instead."""

MORE_LINES = (
    "kubectl delete pod {pod}", "delete pod/{pod} pod/a- node/worker-1", "delete all --all",
    "delete -f {lists}",
    "label --field-manager pod node worker-1 a=b", "debug --target demo node/worker-1 --image=busybox",
    "debug {pod} node/worker-1 --image=busybox", "patch node worker-1 -p {{}}", "set env rs/web A=b",
    "set serviceaccount rs/web robot", "set resources rs/web --limits=cpu=1", "rollout pause deploy/web",
    "apply --server-side -f {file}", "apply set-last-applied -f {file}", "apply -f {file} --dry-run=server",
    "diff -f {file}", "create job j --from=cronjob/x", "create quota q", "create ns x",
    "delete -n kube-system pods --all",
    "scale rs/web --replicas=0 -n kube-system", "delete pods.v1. {pod}", "alpha x", "krew x",
    "label namespace {namespace} k8slab.dev/sandbox=true", "wait --for=delete pod/{pod} --timeout=0",
)  # fmt: skip
ASKS = ("auth can-i create pods", "auth can-i --list", "auth whoami", "config view", "delete --help")
"""Reads that are no GET of an object, and are answered all the same."""

KIND_TO_APPLY = "%%apply\napiVersion: {version}\nkind: {kind}\nmetadata: {{name: x{place}}}\n"
APPLIED = (
    ("v1", "ConfigMap", ""), ("v1", "Namespace", ""), ("v1", "ConfigMap", ", namespace: kube-system"),
    ("storage.k8s.io/v1", "StorageClass", ""), ("rbac.authorization.k8s.io/v1", "ClusterRole", ""),
)  # fmt: skip
LAB_CALLS = (
    "lab.kill(lab.pods('web')[0])", "lab.kill(lab.pods('web')[0], force=True)",
    "lab.crash(lab.pods('web')[0])", "lab.label(lab.pods('web')[0], 'a', 'b')",
    "lab.unlabel(lab.pods('web')[0], 'app')", "lab.apply('web.yaml')",
    "lab.apply_text('apiVersion: v1\\nkind: ConfigMap\\nmetadata: {name: x}')", "lab.requests('svc/web')",
    "lab.reset()", "lab.nodes.add()", "lab.nodes['worker-1'].power_off()", "lab.components['etcd'].stop()",
    "lab.unlock('their')", "lab.etcd('pod/web')",
)  # fmt: skip
LOOKS = (
    "lab", "lab.map()", "lab.graph()", "lab.pods()", "lab.events()", "lab.needs()", "lab.reality()",
    "lab.progress()", "lab.check('keep-three')", "lab.exercise('keep-three')", "lab.timeline()",
    "lab.stuck()", "lab.manifests()", "lab.cluster.info()", "lab.logs(lab.pods('web')[0])",
)  # fmt: skip

WHY = re.compile(
    "only reads it|typed once more|may be changed|belong|guard|not made by k8slab|is no command|wait for you"
    "|for a lab|would choose|can change more|would reach|Name |cannot read|names no|out of reach|is 'theirs'"
    "|no shell|in hand"
)
"""What was wanted and why it is not done, in the words of one refusal or another."""

Cell = Callable[[str], dict[str, Any]]


@pytest.fixture
def ambient(tmp_path: Path) -> Iterator[Ambient]:
    with Ambient(tmp_path) as made:
        made.environment |= {"K8SLAB_STATE_DIR": str(tmp_path / "s"), "K8SLAB_CACHE_DIR": str(cache_folder())}
        yield made


@pytest.fixture
def theirs(cluster: RunningCluster, namespace: str) -> str:
    """A namespace of a stranger's, with Pods in it and the label of the first key."""
    cluster.kubectl(f"label namespace {namespace} k8slab.dev/sandbox=true")
    cluster.kubectl(f"-n {namespace} apply -f manifests/03-replicasets/web.yaml")
    cluster.kubectl(f"-n {namespace} wait --for=condition=Ready pods --all --timeout=60s")
    return namespace


@pytest.fixture
def cell(ambient: Ambient) -> Iterator[Cell]:
    """Runs a cell in a learner's IPython."""
    argv = [sys.executable, str(SHELL)]
    root = str(Path(__file__).parents[2])
    environment = {**ambient.environment, "PYTHONPATH": root}
    with subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=root
    ) as shell:
        assert shell.stdin is not None and shell.stdout is not None
        entering, leaving = shell.stdin, shell.stdout

        def run(source: str) -> dict[str, Any]:
            print(json.dumps(source), file=entering, flush=True)
            answer: dict[str, Any] = json.loads(leaving.readline())
            assert "Traceback" not in answer["said"], source
            return answer

        yield run
        entering.close()
        assert shell.wait(30) == 0


def opened(cell: Cell, proxy: RecordingProxy, namespaces: list[str], typed: str = "") -> None:
    given = (
        f"context='theirs', kubeconfig={str(proxy.kubeconfig)!r}, namespaces={namespaces!r}, typed={typed!r}"
    )
    answer = cell(
        f"from k8slab import Lab\nlab = Lab.open('03-replicasets', backend='existing', {given})\nlab"
    )
    assert not answer["failed"], answer["said"]


def all_commands() -> set[str]:
    found = set()
    for each in app.registered_commands:
        found.add(each.name or str(getattr(each.callback, "__name__", "")))
    for group in app.registered_groups:
        inner = group.typer_instance
        assert isinstance(inner, typer.Typer)
        found |= {
            f"{group.name} {each.name or getattr(each.callback, '__name__', '')}"
            for each in inner.registered_commands
        }
    return found


def programs_reached(proxy: RecordingProxy) -> list[str]:
    return [path for _, path in proxy.requests if REACHES_PROGRAMS.search(path)]


@pytest.mark.timeout(420)
def test_no_command_changes_an_attached_cluster_or_looks_at_what_is_ambient(
    ambient: Ambient, proxy: RecordingProxy, theirs: str, tmp_path: Path
) -> None:
    assert all_commands() == set(COMMANDS), "a new command is to be tried here"
    attached = {
        "K8SLAB_BACKEND": "existing",
        "K8SLAB_CONTEXT": "theirs",
        "K8SLAB_KUBECONFIG": str(proxy.kubeconfig),
        "K8SLAB_NAMESPACES": theirs,
    }
    for command, lines in COMMANDS.items():
        for line in lines:
            words = line.format(file=proxy.kubeconfig, namespace=theirs, folder=tmp_path).split()
            done = subprocess.run(
                [sys.executable, "-m", "k8slab.cli", *words],
                env={**ambient.environment, **attached},
                capture_output=True, text=True, timeout=120, check=False,
            )  # fmt: skip
            said = done.stdout + done.stderr
            assert proxy.changes == [] and programs_reached(proxy) == [], line
            ambient.check(line)
            assert "Traceback" not in said, line
            if command in WORK_ON_OUR_OWN or command.startswith(("node", "cloud")):
                assert done.returncode == 1 and "that k8slab made is running" in said, line
                assert f"kubectl --kubeconfig {proxy.kubeconfig} --context theirs" in said, line
            if command in ("up", "demo"):
                assert done.returncode == 1 and "in a notebook" in said and "--backend embedded" in said, line


@pytest.mark.timeout(420)
@pytest.mark.parametrize("named", [False, True], ids=["no key", "two keys"])
def test_without_the_keys_every_cell_only_reads_and_says_why(
    named: bool,
    cell: Cell,
    ambient: Ambient,
    proxy: RecordingProxy,
    theirs: str,
    cluster: RunningCluster,
    tmp_path: Path,
) -> None:
    file, lists = tmp_path / "x.yaml", tmp_path / "lists.yaml"
    file.write_text(MANIFEST)
    lists.write_text("apiVersion: v1\nkind: NamespaceList\nitems: [{metadata: {name: default}}]\n")
    pod = cluster.kubectl(f"-n {theirs} get pods -o name").split()[0].removeprefix("pod/")
    before = cluster.kubectl(f"-n {theirs} get all,configmaps -o yaml")
    opened(cell, proxy, [theirs] if named else [])
    where = f" -n {theirs}" if not named else ""

    def line(text: str) -> str:
        return "%kubectl " + text.format(pod=pod, file=file, lists=lists, namespace=theirs)

    refused = [
        *(line(text) for text in (*LINES, *MORE_LINES)),
        *(KIND_TO_APPLY.format(version=version, kind=kind, place=place) for version, kind, place in APPLIED),
        *(call for call in LAB_CALLS if named or "web')" not in call or "apply" in call),
    ]
    free = ("kustomize", "plugin list", "get --raw /api/v1/nodes", "apply view-last", "wait ", "port-forward")
    for source in refused:
        answer = cell(source)
        assert proxy.changes == [] and programs_reached(proxy) == [], source
        if not any(source.startswith(f"%kubectl {each}") for each in free):
            assert answer["failed"], source
            assert WHY.search(answer["said"]), (source, answer["said"])
    for source in (
        *(line(f"{text}{where}" if text.split()[0] in ("describe", "logs") else text) for text in READS),
        *(line(text) for text in ASKS),
        *(call for call in LOOKS if named or "pods('" not in call),
    ):
        answer = cell(source)
        assert not answer["failed"], (source, answer["said"])
        assert proxy.changes == [] and programs_reached(proxy) == [], source
    ambient.check("cells")
    cell("lab.close()")
    assert cluster.kubectl(f"-n {theirs} get all,configmaps -o yaml") == before


@pytest.mark.timeout(420)
def test_with_the_keys_nothing_but_the_named_namespace_is_changed(
    cell: Cell, ambient: Ambient, proxy: RecordingProxy, theirs: str, cluster: RunningCluster, tmp_path: Path
) -> None:
    lists, other = tmp_path / "lists.yaml", tmp_path / "other.yaml"
    lists.write_text("apiVersion: v1\nkind: NamespaceList\nitems: [{metadata: {name: default}}]\n")
    other.write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, namespace: default}\n")
    opened(cell, proxy, [theirs], "theirs")
    beyond = [
        *(f"%kubectl create configmap x {flag}" for flag in (
            "-n kube-system", "-nkube-system", "-n=kube-system", "--namespace kube-system",
            "--namespace=kube-system", "-n kube-public", "-n kube-node-lease", "-n Kube-System",
            "-n kube\u2010system", "-n \uff4bube-system", "-n default", "-n team-b",
            "-n ../kube-system", "-n 'kube-system '",
        )),
        f"%kubectl delete -f {lists}", f"%kubectl label -f {lists} a=b", f"%kubectl delete -f {other}",
        f"%kubectl apply -f {other}", "%kubectl delete all --all",
        "%kubectl delete pod/x pod/a- node/worker-1", "%kubectl cordon worker-1",
        "%kubectl label --field-manager pod node worker-1 a=b",
        "%kubectl annotate --field-manager pod ns default a=b",
        "%kubectl debug --target demo node/worker-1 --image=busybox --attach=false",
        "%kubectl create clusterrole x --verb=get --resource=pods", "%kubectl delete pods -A --all",
        "%kubectl run r --image=x --overrides='{\"metadata\":{\"namespace\":\"kube-system\"}}'",
        "%kubectl get --raw /api/v1/namespaces/kube-system/pods/x/proxy/",
        f"%kubectl get --raw /api/v1/namespaces/{theirs}/../kube-system/pods/x/proxy/",
        *(KIND_TO_APPLY.format(version=version, kind=kind, place=place)
          for version, kind, place in (
              *APPLIED[1:], ("storage.k8s.io/v1", "VolumeAttributesClass", ""), ("v1", "List", ""),
              ("networking.k8s.io/v1", "ServiceCIDR", ""), ("v1", "ConfigMap", ", namespace: KUBE-SYSTEM"),
              ("authorization.k8s.io/v1", "SelfSubjectAccessReview", ""),
          )),
        "lab.nodes.add()", "lab.nodes['worker-1'].power_off()", "lab.components['etcd'].stop()",
    ]  # fmt: skip
    for source in beyond:
        answer = cell(source)
        if "--overrides" not in source:
            assert answer["failed"], source
        outside = [path for _, path in proxy.changes if f"/namespaces/{theirs}/" not in path]
        assert outside == [] and programs_reached(proxy) == [], source
    within = (
        KIND_TO_APPLY.format(version="v1", kind="ConfigMap", place=""),
        "%kubectl create configmap y --from-literal=a=b",
        "%kubectl label configmap y c=d",
        "%kubectl scale rs/web --replicas=2",
        "lab.kill(lab.pods('web')[0])",
        "lab.reset()",
    )
    for source in within:
        answer = cell(source)
        assert not answer["failed"], (source, answer["said"])
        outside = [path for _, path in proxy.changes if f"/namespaces/{theirs}/" not in path]
        assert outside == [], source
    cell("lab.close()")
    ambient.check("cells")


@pytest.mark.parametrize("name", ["kube-system", "kube-public", "default"])
def test_a_system_namespace_with_all_three_keys_is_only_read(
    name: str, cell: Cell, proxy: RecordingProxy, cluster: RunningCluster
) -> None:
    cluster.kubectl(f"label namespace {name} k8slab.dev/sandbox=true")
    try:
        opened(cell, proxy, [name], "theirs")
        for source in (
            "%kubectl create configmap x", "%kubectl delete pods --all", "lab.apply('web.yaml')",
            "lab.reset()",
            "lab.requests('svc/kubernetes')" if name == "default" else "lab.requests('svc/kube-dns')",
            f"%kubectl get --raw /api/v1/namespaces/{name}/pods/x/proxy/", "%kubectl exec x -- true",
        ):  # fmt: skip
            answer = cell(source)
            assert answer["failed"], source
            assert re.search("belongs to Kubernetes itself|is everybody's|no Service", answer["said"]), answer
        cell("lab.close()")
    finally:
        cluster.kubectl(f"label namespace {name} k8slab.dev/sandbox-")
    assert proxy.changes == [] and programs_reached(proxy) == []
