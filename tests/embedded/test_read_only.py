"""Somebody else's cluster without its keys: whatever a learner calls or clicks, only reads leave the process.

The cluster is an embedded one of the tests', attached by a kubeconfig as a stranger's; a proxy in front of it
writes down every request. A public call that is added to the lab fails here until it is tried too.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from k8slab import Lab
from k8slab.errors import LabError
from k8slab.session.actions import ButtonActions
from k8slab.session.object_actions import ObjectActions
from k8slab.session.pods import PodRow
from tests.embedded.conftest import RunningCluster, until
from tests.embedded.recording_proxy import RecordingProxy

Call = Callable[[Lab, PodRow], Any]

MANIFEST = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n"

REACHES_PROGRAMS = re.compile(r"/(exec|attach|portforward|proxy)\b")
"""What is a GET and does something all the same: it runs a program, or asks one for what it likes."""

CALLS: dict[str, Call] = {
    "apply": lambda lab, pod: lab.apply("web.yaml"),
    "apply_text": lambda lab, pod: lab.apply_text(MANIFEST),
    "charts": lambda lab, pod: [
        lab.charts.lives(), lab.charts.replicas("rs/web"), lab.charts.requests(), lab.charts.recoveries(),
        lab.charts.memory(),
    ],
    "check": lambda lab, pod: lab.check("keep-three"),
    "cluster": lambda lab, pod: [
        lab.cluster.info(), lab.cluster.reality(), lab.cluster.nodes(), lab.cluster.processes(),
        lab.cluster.url("10.0.0.1", 80),
    ],
    "components": lambda lab, pod: lab.components.text(),
    "crash": lambda lab, pod: lab.crash(pod),
    "etcd": lambda lab, pod: lab.etcd(f"pod/{pod.name}"),
    "events": lambda lab, pod: lab.events(),
    "exercise": lambda lab, pod: lab.exercise("keep-three"),
    "graph": lambda lab, pod: lab.graph(),
    "kill": lambda lab, pod: lab.kill(pod, force=True),
    "label": lambda lab, pod: lab.label(pod, "a", "b"),
    "logs": lambda lab, pod: lab.logs(pod),
    "manifests": lambda lab, pod: lab.manifests(),
    "map": lambda lab, pod: lab.map(("ingress", "volumes", "configuration", "limits")),
    "namespace": lambda lab, pod: lab.namespace,
    "needs": lambda lab, pod: lab.needs(),
    "nodes": lambda lab, pod: lab.nodes.add(),
    "pods": lambda lab, pod: lab.pods("web"),
    "predict": lambda lab, pod: lab.predict("after-the-kill"),
    "progress": lambda lab, pod: lab.progress(),
    "reality": lambda lab, pod: lab.reality(),
    "recap": lambda lab, pod: lab.recap(),
    "requests": lambda lab, pod: lab.requests("svc/web"),
    "reset": lambda lab, pod: lab.reset(),
    "stopwatch": lambda lab, pod: lab.stopwatch(),
    "stuck": lambda lab, pod: lab.stuck(),
    "timeline": lambda lab, pod: lab.timeline(),
    "unlabel": lambda lab, pod: lab.unlabel(pod, "app"),
    "unlock": lambda lab, pod: lab.unlock("their"),
    "url": lambda lab, pod: lab.url("svc/web"),
}  # fmt: skip
TRIED_OTHERWISE = {"open", "close", "kubectl", "export"}

LINES = (
    "delete pod {pod}", "delete pods --all", "delete pods -A --all",
    "delete namespace play", "delete node worker-1",
    "apply -f {file}", "apply -f - ", "create -f {file}", "create configmap x", "replace --force -f {file}",
    "run x --image=busybox", "run -it x --image=busybox", "expose rs web", "scale rs web --replicas=0",
    "autoscale rs web --max=3", "label pod {pod} a=b", "annotate pod {pod} a=b", "patch pod {pod} -p {{}}",
    "edit rs web", "set image rs/web demo=x", "rollout restart deploy/web", "rollout undo deploy/web",
    "exec {pod} -- true", "exec -i {pod} -- true", "attach {pod}", "cp {file} {pod}:/tmp/x",
    "port-forward {pod} 8080", "proxy", "debug {pod} --image=busybox", "debug node/worker-1 --image=busybox",
    "cordon worker-1", "drain worker-1", "taint node worker-1 a=b:NoSchedule", "certificate approve x",
    "auth reconcile -f {file}", "config set-context x", "config use-context x", "create token default",
    "get --raw /api/v1/namespaces/{namespace}/pods/{pod}/proxy/crash",
    "get --raw=/api/v1/namespaces/{namespace}/services/web/proxy/",
    "get --raw /api/v1/namespaces/{namespace}/pods/{pod}/exec?command=true", "get --raw /api/v1/nodes",
    "delete --raw /api/v1/nodes/worker-1", "get --raw /api/v1/nodes/worker-1/proxy/pods",
    "get --raw /api/v1/namespaces/{namespace}/pods/{pod}%2fproxy/crash",
    "create --raw /api/v1/namespaces -f {file}", "replace --raw /x -f {file}",
    "kustomize .", "plugin list", "get pods --kubeconfig /etc/passwd", "get pods --context other",
    "get pods --server https://127.0.0.1:1", "get pods --as system:admin", "get pods --token x",
)  # fmt: skip
READS = ("get pods", "get nodes -o wide", "describe pod {pod}", "logs {pod}", "explain pod", "api-resources")


@pytest.fixture
def pods_of_theirs(cluster: RunningCluster, namespace: str) -> str:
    """A namespace with what chapter 03 makes, made by its owner."""
    cluster.kubectl(f"label namespace {namespace} k8slab.dev/sandbox=true")
    cluster.kubectl(f"-n {namespace} apply -f manifests/03-replicasets/web.yaml")
    # Of the Pods alone none may be there yet; and nothing changes by itself any more once they are counted.
    counted = "-o jsonpath={.status.readyReplicas}/{.status.availableReplicas}"
    until(lambda: cluster.kubectl(f"-n {namespace} get rs web {counted}") == "3/3", "three ready Pods")
    return namespace


@pytest.fixture
def lab(proxy: RecordingProxy, pods_of_theirs: str) -> Iterator[Lab]:
    """A lab with two of the three keys: nobody has typed the context's name."""
    opened = Lab.open(
        "03-replicasets",
        backend="existing",
        context="theirs",
        kubeconfig=proxy.kubeconfig,
        namespaces=[pods_of_theirs],
    )
    yield opened
    opened.close()


def public(kind: type) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")}


def tried(call: Callable[[], Any]) -> None:
    """Run a call to its end, whatever it says."""
    with contextlib.suppress(LabError):
        done = call()
        if hasattr(done, "wait"):
            done.wait(30)
        _ = repr(done)


def test_every_public_call_sends_reads_and_nothing_else(
    lab: Lab, proxy: RecordingProxy, tmp_path: Path, cluster: RunningCluster
) -> None:
    assert public(Lab) == {*CALLS, *TRIED_OTHERWISE}, "a new call is to be tried here"
    before = cluster.kubectl(f"-n {lab.namespace} get pods,rs,svc -o yaml")
    pod = next(iter(lab.pods("web")))
    for name, call in CALLS.items():
        tried(lambda call=call: call(lab, pod))  # type: ignore[misc]
        assert proxy.changes == [], name
        assert [path for _, path in proxy.requests if REACHES_PROGRAMS.search(path)] == [], name
    for verb in public(type(lab.nodes["worker-1"])):
        tried(lambda verb=verb: getattr(lab.nodes["worker-1"], verb)())  # type: ignore[misc]
    for verb in public(type(lab.components["etcd"])):
        tried(lambda verb=verb: getattr(lab.components["etcd"], verb)())  # type: ignore[misc]
    tried(lambda: lab.export(str(tmp_path / "lesson.html")))
    assert proxy.changes == []
    assert cluster.kubectl(f"-n {lab.namespace} get pods,rs,svc -o yaml") == before


def test_every_button_of_the_map_sends_reads_and_nothing_else(lab: Lab, proxy: RecordingProxy) -> None:
    nothing = lambda *_: None  # noqa: E731
    actions = ButtonActions(lab._actions, nothing, ObjectActions(lab._session), nothing)
    pod = next(iter(lab.pods("web")))
    owner = lab._session.api.get(f"/apis/apps/v1/namespaces/{lab.namespace}/replicasets/web")["metadata"][
        "uid"
    ]
    node = lab._session.api.get("/api/v1/nodes/worker-1")["metadata"]["uid"]
    until(lambda: lab._session.mirror.status().state == "live", "the mirror")
    for verb in ("kill", "force_kill", "logs", "events", "yaml"):
        tried(lambda verb=verb: getattr(actions, verb)(pod.uid))  # type: ignore[misc]
    tried(lambda: actions.crash(pod.uid, "demo"))
    for verb, uid, value in (
        ("cordon", node, ""), ("uncordon", node, ""), ("drain", node, ""), ("power_off", node, ""),
        ("power_on", node, ""), ("scale", owner, "0"), ("restart", owner, ""), ("stop", "etcd", ""),
        ("start", "etcd", ""), ("delete", owner, ""),
    ):  # fmt: skip
        tried(lambda verb=verb, uid=uid, value=value: actions.act(verb, uid, value))  # type: ignore[misc]
        assert proxy.changes == [], verb
    assert [path for _, path in proxy.requests if REACHES_PROGRAMS.search(path)] == []


def test_no_kubectl_line_sends_anything_but_reads(lab: Lab, proxy: RecordingProxy, tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(MANIFEST)
    pod = next(iter(lab.pods("web"))).name
    for line in LINES:
        filled = line.format(pod=pod, file=file, namespace=lab.namespace)
        tried(lambda filled=filled: lab.kubectl(filled))  # type: ignore[misc]
        assert proxy.changes == [], filled
        assert [path for _, path in proxy.requests if REACHES_PROGRAMS.search(path)] == [], filled
    for line in READS:
        assert lab.kubectl(line.format(pod=pod)).wait(30), line
