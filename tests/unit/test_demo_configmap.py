"""The demo application from a public image: every shipped manifest turned, and nothing else of it changed."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from k8slab import manifests
from k8slab.attached_changes import documents_of, files_of, way_of
from k8slab.demo_configmap import (
    BASE,
    ENTRYPOINT,
    FOLDER,
    NAME,
    asks_for_demo,
    image_of,
    image_patch,
    program_files,
    program_name,
    turned,
)
from k8slab.errors import GuardError, ManifestError
from k8slab.manifests import Document
from k8slab.node.images.catalogue import catalogue
from k8slab.node.images.demo import BASE_VARIABLE, COLOURS

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "manifests").rglob("*.yaml"))

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      initContainers: [{name: wait, image: "docker.io/k8slab/demo:2", args: [job, --seconds, "1"]}]
      containers:
      - name: demo
        image: k8slab/demo:1
        args: [serve, --drain, "0"]
        env: [{name: COLOUR, value: red}, {name: LATER, value: "$(VERSION)"}]
        ports: [{containerPort: 8080}]
        volumeMounts: [{name: desk, mountPath: /desk}]
        readinessProbe: {exec: {command: [cat, /desk/ready]}}
      - {name: other, image: "busybox:1.37"}
      volumes: [{name: desk, emptyDir: {}}]
"""


def one(text: str) -> Document:
    (document,) = manifests.parse(text, "x.yaml")
    return document


def containers(value: Any) -> Iterator[dict[str, Any]]:
    """Every container anywhere in an object, found without knowing where kinds keep them."""
    if isinstance(value, dict):
        if isinstance(value.get("image"), str):
            yield value
        for each in value.values():
            yield from containers(each)
    elif isinstance(value, list):
        for each in value:
            yield from containers(each)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_of_every_shipped_manifest_the_known_demo_images_are_turned_and_nothing_else(path: Path) -> None:
    try:
        documents = manifests.read(path)
    except ManifestError:
        return  # broken on purpose
    before = copy.deepcopy([each.content for each in documents])
    result = turned(documents, "here")
    assert [each.content for each in documents] == before, "what was read was changed"
    for old, new in zip(documents, result.documents, strict=True):
        for written, sent in zip(containers(old.content), containers(new.content), strict=True):
            known = written["image"] in {f"k8slab/demo:{version}" for version in COLOURS}
            assert image_of(sent) == written["image"]
            if not known:
                assert sent == written
                continue
            assert sent["image"] == BASE
            for key in set(written) - {"image", "env", "volumeMounts", "command"}:
                assert sent[key] == written[key], key
            assert sent["command"] == written.get("command", list(ENTRYPOINT))
    expected = {image_of(each) for old in documents for each in containers(old.content)}
    assert set(result.versions) == expected & {f"k8slab/demo:{version}" for version in COLOURS}
    assert bool(result.programs) == bool(result.versions)


def test_what_is_sent_is_what_the_dockerfile_would_have_built() -> None:
    result = turned((one(DEPLOYMENT),), "here")
    spec = result.documents[0].content["spec"]["template"]["spec"]
    demo, other = spec["containers"]
    assert demo["args"] == ["serve", "--drain", "0"]
    assert demo["env"] == [
        {"name": "VERSION", "value": "1"},
        {"name": "COLOUR", "value": "red"},
        {"name": "LATER", "value": "$(VERSION)"},
    ]
    assert demo["volumeMounts"][-1] == {"name": NAME, "mountPath": FOLDER, "readOnly": True}
    assert spec["volumes"] == [
        {"name": "desk", "emptyDir": {}},
        {"name": NAME, "configMap": {"name": program_name()}},
    ]
    assert spec["initContainers"][0]["env"][0] == {"name": "VERSION", "value": "2"}
    assert other == {"name": "other", "image": "busybox:1.37"}
    assert result.versions == ("k8slab/demo:1", "k8slab/demo:2")
    assert "python:3.13-alpine" in result.sentence and program_name() in result.sentence
    dockerfile = (ROOT / "images/demo/Dockerfile").read_text()
    assert f"library/{BASE}" in dockerfile
    assert "ENTRYPOINT " + str(list(ENTRYPOINT)).replace("'", '"') in dockerfile
    assert f"COPY *.py {FOLDER}/" in dockerfile
    assert "USER " not in dockerfile and "WORKDIR " not in dockerfile
    entry = next(each for each in catalogue() if each.answers_for("k8slab/demo"))
    assert {tag: each["COLOUR"] for tag, each in entry.tags.items()} == COLOURS


def test_the_program_goes_into_each_namespace_that_needs_it_and_fits() -> None:
    text = DEPLOYMENT.replace("{name: web}\nspec", "{name: web, namespace: there}\nspec")
    result = turned((one(DEPLOYMENT), one(text)), "here")
    assert [each.namespace for each in result.programs] == ["here", "there"]
    program = result.programs[0].content
    assert program["data"] == program_files() and "demo.py" in program["data"] and program["immutable"]
    assert sum(map(len, program["data"].values())) < 200_000  # its copy in an annotation has 256 KiB


def test_where_a_level_restricts_pods_the_demo_asks_for_no_more() -> None:
    text = DEPLOYMENT.replace(
        "    spec:\n      init", "    spec:\n      securityContext: {runAsUser: 1000}\n      init"
    )
    (document,) = turned((one(text),), "here", lambda namespace: namespace == "here").documents
    spec = document.content["spec"]["template"]["spec"]
    demo, other = spec["containers"]
    assert demo["securityContext"] == spec["initContainers"][0]["securityContext"]
    assert demo["securityContext"]["runAsNonRoot"] is True and "runAsUser" not in demo["securityContext"]
    assert "securityContext" not in other
    (unrestricted,) = turned((one(text),), "there", lambda namespace: namespace == "here").documents
    assert "securityContext" not in unrestricted.content["spec"]["template"]["spec"]["containers"][0]


def test_another_base_may_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BASE_VARIABLE, "python:3.14-slim")
    (document,) = turned((one(DEPLOYMENT),), "here").documents
    assert next(each["image"] for each in containers(document.content)) == "python:3.14-slim"


def live(image: str = "k8slab/demo:1") -> Document:
    """A turned Deployment as a cluster has it, with another image for its container `demo`."""
    (document,) = turned((one(DEPLOYMENT),), "here").documents
    document.content["spec"]["template"]["spec"]["containers"][0]["image"] = image
    return document


def patched(image: str) -> dict[str, Any]:
    found = image_patch(live(image))
    assert found.changes_more
    spec: dict[str, Any] = found.patch["spec"]["template"]["spec"]
    return spec


def test_another_version_of_the_demo_is_another_environment() -> None:
    demo = patched("k8slab/demo:3")["containers"][0]
    assert demo["image"] == BASE and demo["env"][0] == {"name": "VERSION", "value": "3"}
    assert [each["name"] for each in demo["volumeMounts"]] == ["desk", NAME]
    plain = turned((one(DEPLOYMENT.replace("{name: COLOUR, value: red}, ", "")),), "here").documents[0]
    plain.content["spec"]["template"]["spec"]["containers"][0]["image"] = "k8slab/demo:2"
    env = image_patch(plain).patch["spec"]["template"]["spec"]["containers"][0]["env"]
    assert env[:2] == [{"name": "VERSION", "value": "2"}, {"name": "COLOUR", "value": "green"}]


@pytest.mark.parametrize("image", ["k8slab/demo:9", "httpd:2.4"])
def test_an_image_that_is_not_the_kits_gets_nothing_of_the_demo(image: str) -> None:
    demo = patched(image)["containers"][0]
    assert demo["image"] == image and "command" not in demo and demo["args"] == ["serve", "--drain", "0"]
    assert [each["name"] for each in demo["env"]] == ["COLOUR", "LATER"]
    assert [each["name"] for each in demo["volumeMounts"]] == ["desk"]


def test_what_needs_only_another_image_is_left_to_kubectl_and_a_pod_is_refused() -> None:
    text = "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: a, image: 'IMAGE'}]}"
    assert not image_patch(one(text.replace("IMAGE", "httpd"))).changes_more
    (pod,) = turned((one(text.replace("IMAGE", "k8slab/demo:1")),), "here").documents
    pod.content["spec"]["containers"][0]["image"] = "k8slab/demo:2"
    with pytest.raises(GuardError, match="Delete it"):
        image_patch(pod)


@pytest.mark.parametrize(
    ("line", "way"),
    [
        ("apply -f a.yaml", "files"),
        ("apply --filename=a.yaml --server-side", "files"),
        ("create -Rf folder", "files"),
        ("diff -fa.yaml", "files"),
        ("replace --force -f a.yaml", "files"),
        ("apply set-last-applied -f a.yaml", None),
        ("delete -f a.yaml", None),
        ("set image deployment/web demo=k8slab/demo:2", "image"),
        ("set image deployment/web demo=k8slab/demo:2 --dry-run=server", None),
        ("set env deployment/web A=b", None),
        ("run x --image=k8slab/demo:1", "flags"),
        ("create deployment x --image=k8slab/demo:1", "flags"),
        ("get pods -o wide", None),
    ],
)
def test_where_the_objects_of_a_line_come_from(line: str, way: str | None) -> None:
    assert way_of(line.split()) == way


def test_on_a_cluster_of_ones_own_only_the_demo_is_turned() -> None:
    assert way_of(["run", "x", "--image=httpd"], owned=True) is None
    assert way_of(["run", "x", "--image", "k8slab/demo:1"], owned=True) == "flags"
    assert not asks_for_demo(["--image=k8slab/demo:9", "k8slab/demo"])


def test_files_are_taken_out_of_a_line_and_read(tmp_path: Path) -> None:
    line = "apply -f a --server-side -fb --filename=c -R --filename d -o f"
    assert files_of(line.split()) == (
        ["a", "b", "c", "d"],
        ["apply", "--server-side", "-o", "f"],
    )
    (tmp_path / "one.yaml").write_text(DEPLOYMENT)
    (tmp_path / "deep").mkdir()
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}}
    (tmp_path / "deep" / "two.yml").write_text(yaml.safe_dump(service))
    assert [each.kind for each in documents_of(["apply", "-f", str(tmp_path)])] == ["Deployment"]
    assert [each.kind for each in documents_of(["apply", "-Rf", str(tmp_path)])] == ["Service", "Deployment"]
