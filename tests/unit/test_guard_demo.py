"""What the guard has kubectl send where the demo's image cannot be had: its program first, then the rest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from k8slab import manifests
from k8slab.errors import GuardError
from k8slab.guard import Guard
from tests.unit.guarded_cluster import FakeApi, FakeCluster


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
    monkeypatch.setenv("K8SLAB_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("K8SLAB_CACHE_DIR", str(tmp_path / "cache"))
    made = FakeCluster(tmp_path)
    made.demo_images = False
    # Writes each text that it is sent as a line; asked for an object it prints what `answer` holds.
    made.kubectl.write_text(
        "#!/usr/bin/python3\nimport os, sys\n"
        f"answer = {str(tmp_path / 'answer')!r}\n"
        "if '--output=yaml' in sys.argv:\n"
        "    print(open(answer).read())\n"
        "else:\n"
        f"    with open({str(made.log)!r}, 'a') as log:\n"
        "        log.write(sys.stdin.read())\n"
        "    print('x created')\n"
    )
    return made


@pytest.fixture
def api(cluster: FakeCluster) -> FakeApi:
    return FakeApi(cluster.kubeconfig)


@pytest.fixture
def guard(cluster: FakeCluster, api: FakeApi) -> Guard:
    return Guard(cluster, api)


def sent(cluster: FakeCluster) -> list[dict[str, Any]]:
    return [json.loads(line) for line in cluster.log.read_text().splitlines()]


def test_without_the_demo_s_image_its_program_is_brought_first(guard: Guard, cluster: FakeCluster) -> None:
    spec = "{containers: [{name: c, image: 'k8slab/demo:2'}]}"
    text = f"apiVersion: v1\nkind: Pod\nmetadata: {{name: p}}\nspec: {spec}"
    documents = manifests.parse(text, "p.yaml")
    done = guard.apply("ch", documents, ["apply", "-f", "p.yaml"])
    program, pod = sent(cluster)
    assert (program["kind"], program["metadata"]["namespace"]) == ("ConfigMap", "ch")
    assert pod["spec"]["containers"][0]["image"] == "python:3.13-alpine"
    assert pod["metadata"] == {"name": "p"}, "on a cluster of the lab's own nothing is labelled"
    assert done.stdout == "x created\n"
    assert "k8slab/demo:2 runs here from python:3.13-alpine" in done.stderr
    cluster.log.write_text("")
    guard.apply("ch", documents, ["apply"], flags=["--dry-run=server"])
    assert len(sent(cluster)) == 1, "a dry run brings nothing"


def test_another_image_of_the_demo_is_sent_as_one_patch_of_that_object(
    guard: Guard, cluster: FakeCluster, api: FakeApi, tmp_path: Path
) -> None:
    text = (
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: ch, uid: u}\n"
        "spec: {template: {spec: {containers:"
        " [{name: demo, image: 'k8slab/demo:2'}, {name: b, image: httpd}]}}}\n"
    )
    (tmp_path / "answer").write_text(text)
    done = guard.kubectl("ch", ["set", "image", "deployment/web", "demo=k8slab/demo:2"])
    assert done.stdout == "deployment.apps/web image updated\n"
    assert [each["kind"] for each in sent(cluster)] == ["ConfigMap"]
    ((method, path, body),) = api.changes
    assert (method, path) == ("PATCH", "/apis/apps/v1/namespaces/ch/deployments/web")
    assert body["metadata"] == {"uid": "u"}
    demo, other = body["spec"]["template"]["spec"]["containers"]
    assert demo["env"][0] == {"name": "VERSION", "value": "2"}
    assert other == {"name": "b", "image": "httpd"}


def test_other_images_are_left_to_kubectl(
    guard: Guard, cluster: FakeCluster, api: FakeApi, tmp_path: Path
) -> None:
    (tmp_path / "answer").write_text(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: ch, uid: u}\n"
        "spec: {template: {spec: {containers: [{name: demo, image: httpd}]}}}\n"
    )
    assert guard.kubectl("ch", ["set", "image", "deployment/web", "demo=httpd"]).stdout == "x created\n"
    assert api.changes == [] and sent(cluster) == []


PATCH = '{"spec": {"template": {"spec": {"containers": [{"name": "demo", "image": "k8slab/demo:2"}]}}}}'


@pytest.mark.parametrize(
    ("words", "cure"),
    [
        (["patch", "deployment", "web", "-p", PATCH], "set image KIND/NAME CONTAINER=k8slab/demo:2"),
        (["patch", "deployment", "web", "--type=json", f"--patch={PATCH}"], "set image"),
        (["debug", "web", "--image=k8slab/demo:1"], "--image=python:3.13-alpine"),
        (["debug", "web", "--image", "docker.io/k8slab/demo:1"], "--image=python"),
        (["debug", "web", "--copy-to=x", "--set-image=demo=k8slab/demo:2"], "--image=python"),
    ],
)
def test_a_line_that_names_the_image_alone_says_what_brings_the_program_too(
    guard: Guard, cluster: FakeCluster, words: list[str], cure: str
) -> None:
    with pytest.raises(GuardError, match="cannot have the image") as caught:
        guard.kubectl("ch", words)
    assert cure in caught.value.cure
    assert not cluster.log.exists()
    cluster.demo_images = True
    guard.kubectl("ch", words)


def test_other_patches_and_images_pass(guard: Guard, cluster: FakeCluster) -> None:
    for words in (
        ["patch", "deployment", "web", "-p", '{"spec": {"replicas": 2}}'],
        ["patch", "deployment", "web", "-p", PATCH.replace("demo:2", "demo:99")],
        ["debug", "web", "--image=busybox"],
    ):
        assert guard.kubectl("ch", words).stdout == "x created\n"
