"""The image catalogue: what runs for which image, and what is said of the others."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from k8slab.errors import ManifestError
from k8slab.node.images import UnknownImageError, demo_folder, parse_reference, resolve


@pytest.fixture(autouse=True)
def no_catalogue_of_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "images.yaml"
    monkeypatch.setenv("K8SLAB_IMAGES", str(path))
    return path


@pytest.mark.parametrize(
    ("image", "name", "tag"),
    [
        ("nginx", "nginx", "latest"),
        ("docker.io/library/nginx:1.29", "nginx", "1.29"),
        ("docker.io/k8slab/demo:1", "k8slab/demo", "1"),
        ("registry.k8s.io:5000/pause:3.10", "registry.k8s.io:5000/pause", "3.10"),
        ("busybox@sha256:" + "a" * 64, "busybox", "latest"),
    ],
)
def test_names_are_read_as_a_container_runtime_reads_them(image: str, name: str, tag: str) -> None:
    assert parse_reference(image) == (name, tag)


@pytest.mark.parametrize("image", ["", "Nginx", "nginx:", "a b", "nginx@sha256:12", "-x"])
def test_what_is_no_name_is_an_invalid_image_name(image: str) -> None:
    with pytest.raises(UnknownImageError) as caught:
        resolve(image, [], [], "plain")
    assert caught.value.reason == "InvalidImageName"


@pytest.mark.parametrize("isolation", ["sandboxed", "plain"])
def test_the_demo_runs_as_its_dockerfile_says(isolation: str) -> None:
    plan = resolve("k8slab/demo:1", [], [], isolation)  # type: ignore[arg-type]
    dockerfile = (demo_folder() / "Dockerfile").read_text()
    python, *rest = plan.argv
    assert os.access(python, os.X_OK)
    assert rest == ["-I", "-S", "-E", "-B", str(demo_folder() / "demo.py"), "serve"]
    assert 'ENTRYPOINT ["python", "-I", "-S", "-E", "-B", "/app/demo.py"]' in dockerfile
    assert 'CMD ["serve"]' in dockerfile
    assert str(demo_folder()) in plan.read_only_paths
    assert plan.stand_in == ""


def test_tags_choose_version_and_colour() -> None:
    first, second = (dict(resolve(f"k8slab/demo:{tag}", [], [], "plain").env) for tag in (1, 2))
    assert (first["VERSION"], second["VERSION"]) == ("1", "2")
    assert first["COLOUR"] != second["COLOUR"]
    identities = {resolve(f"k8slab/demo:{tag}", [], [], "plain").image_id for tag in (1, 2)}
    assert len(identities) == 2
    assert all(each.startswith("k8slab://k8slab/demo@sha256:") for each in identities)


@pytest.mark.parametrize("image", ["k8slab/demo:broken", "k8slab/demo"])
def test_a_tag_that_is_not_there_is_refused_with_those_that_are(image: str) -> None:
    with pytest.raises(UnknownImageError, match="its tags are 1, 2, 3") as caught:
        resolve(image, [], [], "plain")
    assert caught.value.reason == "ErrImagePull"


def test_command_and_args_replace_as_in_kubernetes() -> None:
    program = list(resolve("k8slab/demo:1", [], [], "plain").argv[:-1])
    assert list(resolve("k8slab/demo:1", [], ["job"], "plain").argv) == [*program, "job"]
    assert list(resolve("k8slab/demo:1", ["sh"], [], "plain").argv) == ["sh"]
    assert list(resolve("k8slab/demo:1", ["sh"], ["-c", "x"], "plain").argv) == ["sh", "-c", "x"]
    assert list(resolve("busybox", [], [], "plain").argv) == ["sh"]


def test_python_is_the_one_that_runs_this() -> None:
    plan = resolve("python:3.13", ["python", "-c", "1"], [], "sandboxed")
    assert Path(plan.argv[0]).resolve() == Path(plan.argv[0])
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    assert Path(plan.argv[0]).name == version
    assert dict(plan.env)["PATH"].startswith(str(Path(plan.argv[0]).parent))


def test_an_unknown_image_says_what_to_do(no_catalogue_of_the_users: Path) -> None:
    with pytest.raises(UnknownImageError) as caught:
        resolve("ghost/image:1", [], [], "plain")
    assert caught.value.reason == "ErrImagePull"
    assert "k8slab/demo:1" in caught.value.cure
    assert str(no_catalogue_of_the_users) in caught.value.cure


def test_a_server_that_the_host_lacks_is_not_played(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("k8slab.node.images.HOST_PATH", "/nonexistent")
    with pytest.raises(UnknownImageError, match="own nginx, and that is not installed"):
        resolve("nginx:1.29", [], [], "sandboxed")
    with pytest.raises(UnknownImageError, match="sandboxed level only"):
        resolve("nginx:1.29", [], [], "plain")


def test_a_user_extends_the_catalogue(no_catalogue_of_the_users: Path) -> None:
    no_catalogue_of_the_users.write_text(
        "images:\n"
        "- match: [my/*, busybox]\n"
        "  entrypoint: [sh, -c]\n"
        "  command: [echo mine]\n"
        "  environment: {LEVEL: 7}\n"
        "  program: host\n"
        "  working_dir: /srv\n"
        "  stand_in: a shell stands in for it\n"
    )
    plan = resolve("my/tool:9", [], [], "plain")
    assert plan.argv == ("sh", "-c", "echo mine")
    assert dict(plan.env)["LEVEL"] == "7"
    assert (plan.working_dir, plan.stand_in) == ("/srv", "a shell stands in for it")
    assert resolve("busybox", [], [], "plain").argv == ("sh", "-c", "echo mine"), "the user's own come first"
    assert resolve("k8slab/demo:1", [], [], "plain").argv[-1] == "serve"


@pytest.mark.parametrize(
    "text", ["images: {", "other: 1", "images: [{match: nginx}]", "images: [{x: 1}]", "- 1"]
)
def test_a_catalogue_that_does_not_parse_is_named(no_catalogue_of_the_users: Path, text: str) -> None:
    no_catalogue_of_the_users.write_text(text)
    with pytest.raises(ManifestError, match=str(no_catalogue_of_the_users)):
        resolve("busybox", [], [], "plain")
