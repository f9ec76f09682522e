"""Where the demo application's image cannot be had, its program runs from a public Python image: really run.

The embedded cluster is attached as somebody else's. Its image catalogue runs `python:*` with this machine's
Python, so what runs in these Pods is the program that the ConfigMap holds, mounted at `/app`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from k8slab import Lab, manifests
from k8slab.commands import find_program, run
from k8slab.demo_configmap import image_of, program_name
from k8slab.errors import GuardError
from k8slab.guard import Guard
from k8slab.session.pods import PodRow
from tests.embedded.conftest import RunningCluster, until
from tests.embedded.recording_proxy import RecordingProxy

ROOT = Path(__file__).parents[2]


@pytest.fixture
def sandbox(cluster: RunningCluster, namespace: str) -> str:
    cluster.kubectl(f"label namespace {namespace} k8slab.dev/sandbox=true")
    return namespace


def attach(chapter: str, proxy: RecordingProxy, namespace: str) -> Lab:
    return Lab.open(
        chapter,
        backend="existing",
        context="theirs",
        kubeconfig=proxy.kubeconfig,
        namespaces=[namespace],
        typed="theirs",
    )


@pytest.fixture
def lab(proxy: RecordingProxy, sandbox: str) -> Iterator[Lab]:
    opened = attach("04-deployments", proxy, sandbox)
    yield opened
    opened.close()


def answers_of(lab: Lab, cluster: RunningCluster, app: str) -> set[str]:
    """Version and colour that each Pod of an app says it is, by way of the API server's proxy."""
    found = set()
    for pod in lab.pods(f"app={app}"):
        path = f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}:8080/proxy/"
        said = json.loads(cluster.kubectl(f"get --raw {path}"))
        found.add(f"{said['version']} {said['colour']}")
    return found


def is_ready(pod: PodRow) -> bool:
    here, _, wanted = pod.ready.partition("/")
    return here == wanted


def ready(lab: Lab, app: str, count: int) -> bool:
    pods = lab.pods(f"app={app}")
    return len(pods) == count and all(is_ready(pod) for pod in pods)


def line(lab: Lab, words: str) -> str:
    running = lab.kubectl(words)
    running.wait(60)
    return running.text


def test_a_deployment_rolls_from_version_to_version_and_back(lab: Lab, cluster: RunningCluster) -> None:
    applied = lab.apply("web.yaml")
    applied.wait(60)
    assert "deployment.apps/web created" in applied.text
    where = f"from python:3.13-alpine, with its program in the ConfigMap {program_name()}"
    assert f"k8slab/demo:1 runs here {where}" in applied.text
    until(lambda: ready(lab, "web", 4), "4 Pods of version 1")
    assert answers_of(lab, cluster, "web") == {"1 blue"}

    assert "deployment.apps/web image updated" in line(lab, "set image deployment/web demo=k8slab/demo:2")
    line(lab, "rollout status deployment/web --timeout=60s")
    until(lambda: ready(lab, "web", 4), "4 Pods of version 2")
    assert answers_of(lab, cluster, "web") == {"2 green"}

    assert "image updated" in line(lab, "set image deployment/web demo=k8slab/demo:9")
    until(lambda: "ImagePull" in line(lab, "get pods"), "version 9 not to be found")
    line(lab, "rollout undo deployment/web")
    line(lab, "rollout status deployment/web --timeout=60s")
    until(lambda: ready(lab, "web", 4), "4 Pods of version 2 again")
    assert answers_of(lab, cluster, "web") == {"2 green"}
    line(lab, "rollout undo deployment/web --to-revision=1")
    until(lambda: ready(lab, "web", 4) and answers_of(lab, cluster, "web") == {"1 blue"}, "version 1 again")

    again = lab.apply("web.yaml")
    again.wait(60)
    assert "deployment.apps/web" in again.text and "runs here from" not in again.text
    assert line(lab, "diff -f manifests/04-deployments/web.yaml") == ""
    web = json.loads(cluster.kubectl(f"-n {lab.namespace} get deployment web -o json"))
    containers = web["spec"]["template"]["spec"]["containers"]
    assert [image_of(each) for each in containers] == ["k8slab/demo:1"]


def test_the_exercise_of_a_rollout_is_judged_as_with_the_image(lab: Lab) -> None:
    exercise = lab._session.chapter.exercise("roll-out")
    lab.apply("till.yaml").wait(60)
    until(lambda: ready(lab, "till", 4), "4 Pods of till")
    exec("\n".join(exercise.solution), {"lab": lab})
    until(lambda: exercise.check(lab._session.evidence()).passed, "the exercise to be done")


def test_a_program_crashes_on_request(lab: Lab) -> None:
    lab.kubectl("run web --image=k8slab/demo:1 --labels=app=web").wait(60)
    until(lambda: ready(lab, "web", 1), "the Pod web")
    lab.crash(lab.pods("app=web")[0])
    until(lambda: "CrashLoop" in line(lab, "get pods") or " 1 (" in line(lab, "get pods"), "a second start")


def test_lines_that_make_objects_are_completed_too(lab: Lab, cluster: RunningCluster) -> None:
    line(lab, "run hand --image=k8slab/demo:2 --labels=app=hand")
    line(lab, "create deployment made --image=k8slab/demo:3 --port=8080")
    line(lab, f"apply -f {ROOT}/manifests/04-deployments/shop.yaml")
    until(lambda: ready(lab, "hand", 1) and ready(lab, "made", 1), "the Pods")
    assert answers_of(lab, cluster, "hand") == {"2 green"}
    assert answers_of(lab, cluster, "made") == {"3 orange"}
    with pytest.raises(GuardError, match="Delete it"):
        line(lab, "set image pod/hand hand=k8slab/demo:1")
    with pytest.raises(GuardError, match="set image KIND/NAME CONTAINER=k8slab/demo:2"):
        line(lab, """patch deploy made --type=json -p '[{"op": "replace", "value": "k8slab/demo:2"}]'""")
    with pytest.raises(GuardError, match="--image=python"):
        line(lab, "debug hand --image=k8slab/demo:1 --attach=false")
    made = set(cluster.kubectl(f"-n {lab.namespace} get all,cm -l k8slab.dev/made-by=k8slab -o name").split())
    assert {"pod/hand", "deployment.apps/made", "deployment.apps/shop", f"configmap/{program_name()}"} <= made
    lab.reset()
    assert program_name() not in cluster.kubectl(f"-n {lab.namespace} get configmaps -o name")


@pytest.mark.parametrize(
    ("chapter", "files"),
    [
        ("02-pods", ["bare.yaml"]),
        ("03-replicasets", ["web.yaml", "keeper.yaml"]),
        ("05-services", ["web.yaml", "web-service.yaml", "till.yaml", "shop.yaml"]),
    ],
)
def test_what_the_chapters_apply_becomes_ready(
    chapter: str, files: list[str], proxy: RecordingProxy, sandbox: str, cluster: RunningCluster
) -> None:
    lab = attach(chapter, proxy, sandbox)
    try:
        for file in files:
            lab.apply(file).wait(60)
        until(lambda: bool(lab.pods()) and all(map(is_ready, lab.pods())), f"all Pods of {chapter}")
        if chapter == "05-services":
            # That the Pods are ready does not say that their endpoints are written.
            asked = f"get --raw /api/v1/namespaces/{sandbox}/services/web:80/proxy/"
            until(lambda: cluster.kubectl(asked), "an answer of the Service")
            traffic = lab.requests("svc/web")
            until(lambda: traffic.answered >= 20, "20 answers")
            assert traffic.failed == 0
            traffic.stop()
    finally:
        lab.close()


def test_in_a_restricted_namespace_the_demo_runs_as_nobody(
    lab: Lab, cluster: RunningCluster, sandbox: str
) -> None:
    cluster.kubectl(f"label namespace {sandbox} pod-security.kubernetes.io/enforce=restricted")
    lab.apply("web.yaml").wait(60)
    until(lambda: ready(lab, "web", 4), "4 Pods of version 1")
    line(lab, "set image deployment/web demo=k8slab/demo:2")
    until(lambda: ready(lab, "web", 4) and answers_of(lab, cluster, "web") == {"2 green"}, "version 2")


def test_a_cluster_of_the_labs_own_without_the_image_runs_the_same(
    cluster: RunningCluster, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster.cluster, "demo_images", False)
    guard = Guard(cluster.cluster, cluster.api)

    def says(version: str) -> bool:
        names = cluster.kubectl(f"-n {namespace} get pods -l app=web -o name").split()
        path = f"/api/v1/namespaces/{namespace}/pods/{names[0].removeprefix('pod/')}:8080/proxy/"
        return len(names) == 1 and json.loads(cluster.kubectl(f"get --raw {path}"))["version"] == version

    guard.kubectl(namespace, ["create", "deployment", "web", "--image=k8slab/demo:1"])
    until(lambda: says("1"), "version 1")
    guard.kubectl(namespace, ["set", "image", "deployment/web", "demo=k8slab/demo:3"])
    until(lambda: says("3"), "version 3")
    made = json.loads(cluster.kubectl(f"-n {namespace} get deployment web -o json"))
    assert "k8slab.dev/made-by" not in made["metadata"]["labels"]


def test_every_kubectl_here_reads_what_the_lab_sends_it(cluster: RunningCluster) -> None:
    large = "x" * 90_000
    text = f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: NAME}}\ndata: {{a: {large}}}\n"
    both = "---\n".join(text.replace("NAME", name) for name in ("one", "two"))
    sent = manifests.to_text(manifests.parse(both, "x"))
    for kubectl in {cluster.cluster.kubectl, find_program("kubectl") or cluster.cluster.kubectl}:
        argv = [str(kubectl), "label", "--local", "-f", "-", "a=b", "-o", "name"]
        assert run(argv, timeout=30, input=sent).stdout.split() == ["configmap/one", "configmap/two"]
