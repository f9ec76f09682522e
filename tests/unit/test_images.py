"""The image catalogue: what runs for which image, and what is said of the others."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from k8slab import images
from k8slab.errors import ManifestError
from k8slab.folders import Isolation
from k8slab.node.images.catalogue import CATALOGUE, catalogue, read_entries
from k8slab.node.images.entries import ENTRY_KEYS, PROGRAM_KEYS
from k8slab.node.images.names import UnknownImageError, parse_name
from k8slab.node.images.programs import demo_folder, images_folder
from k8slab.node.images.resolution import content_mounts, resolve


@pytest.fixture(autouse=True)
def no_catalogue_of_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "images.yaml"
    monkeypatch.setenv("K8SLAB_IMAGES", str(path))
    return path


@pytest.mark.parametrize(
    ("image", "short", "full"),
    [
        ("nginx", "nginx", "docker.io/library/nginx:latest"),
        ("docker.io/library/nginx:1.29", "nginx", "docker.io/library/nginx:1.29"),
        ("index.docker.io/nginx", "nginx", "docker.io/library/nginx:latest"),
        ("docker.io/k8slab/demo:1", "k8slab/demo", "docker.io/k8slab/demo:1"),
        ("localhost/x", "localhost/x", "localhost/x:latest"),
        ("registry.k8s.io:5000/pause:3.10", "registry.k8s.io:5000/pause", "registry.k8s.io:5000/pause:3.10"),
        ("busybox@sha256:" + "a" * 64, "busybox", "docker.io/library/busybox@sha256:" + "a" * 64),
        ("busybox:1@sha256:" + "a" * 64, "busybox", "docker.io/library/busybox@sha256:" + "a" * 64),
        ("a__b/c-d.e:X_1", "a__b/c-d.e", "docker.io/a__b/c-d.e:X_1"),
    ],
)
def test_names_are_read_as_a_container_runtime_reads_them(image: str, short: str, full: str) -> None:
    name = parse_name(image)
    assert (name.short, name.full) == (short, full)


@pytest.mark.parametrize(
    "image", ["", "Nginx", "nginx:", "a b", "nginx@sha256:12", "-x", "a//b", "x" * 300, "a.b:c/d"]
)
def test_what_is_no_name_is_an_invalid_image_name(image: str) -> None:
    with pytest.raises(UnknownImageError, match="couldn't parse image name") as caught:
        resolve(image, [], [], "plain")
    assert caught.value.reason == "InvalidImageName"


def test_an_invalid_name_is_told_in_the_words_of_the_library() -> None:
    """github.com/distribution/reference, normalize.go: `ParseNormalizedNamed`."""
    with pytest.raises(UnknownImageError) as caught:
        parse_name("Nginx")
    wanted = "invalid reference format: repository name (library/Nginx) must be lowercase"
    assert str(caught.value) == f'couldn\'t parse image name "Nginx": {wanted}'


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
    path = dict(plan.env)["PATH"].split(":")
    assert path.index(str(Path(plan.argv[0]).parent)) < path.index("/usr/bin")


def test_an_unknown_image_says_what_to_do(no_catalogue_of_the_users: Path) -> None:
    with pytest.raises(UnknownImageError) as caught:
        resolve("ghost/image:1", [], [], "plain")
    assert caught.value.reason == "ErrImagePull"
    assert "k8slab/demo:1" in caught.value.cure
    assert str(no_catalogue_of_the_users) in caught.value.cure


@pytest.mark.parametrize(
    ("image", "exists"),
    [
        *(
            ("nginx" + tag, True)
            for tag in ("", ":1", ":1.29", ":1.29.3", ":1.29-alpine", ":stable-alpine3.22")
        ),
        *(("nginx:" + tag, False) for tag in ("nosuchtag", "1.99-broken", "1.99", "2", "latest2", "v1.29")),
        *(("httpd:" + tag, tag != "3") for tag in ("2.4", "2.4.65-alpine", "3")),
        *(("busybox:" + tag, tag != "9") for tag in ("1.36", "1.37.0", "1.36-musl", "stable", "9")),
        *(("python:" + tag, tag != "2.7") for tag in ("3.13", "3.13-slim-bookworm", "slim", "2.7")),
        *(("ubuntu:" + tag, tag != "99.04") for tag in ("24.04", "noble", "99.04")),
        *(("debian:" + tag, tag != "xp") for tag in ("12", "bookworm-slim", "12-slim", "xp")),
        ("nicolaka/netshoot:v0.14", True),
        ("curlimages/curl:8.17.0", True),
        ("registry.k8s.io/pause:3.10.1", True),
        ("registry.k8s.io/e2e-test-images/busybox:1.36.1-1", True),
        ("mirror.example.com/library/nginx:1.29", True),
        ("example.com/my/nginx:1.29", False),
    ],
)
def test_tags_exist_if_they_look_like_those_of_the_registry(image: str, exists: bool) -> None:
    if exists:
        assert resolve(image, [], [], "plain").argv
    else:
        with pytest.raises(UnknownImageError, match="not found") as caught:
            resolve(image, [], [], "plain")
        assert caught.value.reason == "ErrImagePull"


@pytest.mark.parametrize(
    ("image", "root"), [("nginx", "/usr/share/nginx/html"), ("httpd", "/usr/local/apache2/htdocs")]
)
@pytest.mark.parametrize("isolation", ["sandboxed", "plain"])
def test_what_stands_in_says_so_wherever_it_can(
    image: str, root: str, isolation: Isolation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("k8slab.node.images.resolution.HOST_PATH", "/nonexistent")
    plan = resolve(f"{image}:latest", [], [], isolation)
    assert "stand-in" in plan.shown and "stand-in" in plan.image_id
    assert plan.stand_in.startswith("Stand-in:") and root in plan.stand_in
    assert (str(images_folder() / "web-server" / "html"), root) in plan.content
    own = Path(dict(plan.env)["PATH"].split(":")[0])
    assert os.access(own / plan.argv[0], os.X_OK), (
        "the name that the image's command has leads to the stand-in"
    )
    # A Pod's own command finds it, too.
    assert "stand-in" in resolve(image, ["sh", "-c", "exec nginx"], [], isolation).shown


def test_the_host_s_own_server_is_no_stand_in_and_needs_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "nginx"
    program.write_text("")
    program.chmod(0o755)
    monkeypatch.setattr("k8slab.node.images.resolution.HOST_PATH", str(tmp_path))
    real = resolve("nginx:1.29", [], [], "sandboxed")
    assert (real.shown, real.stand_in, real.argv[0]) == ("nginx:1.29", "", "nginx")
    assert dict((target, source) for source, target in real.content).keys() >= {"/etc/nginx"}
    assert "stand-in" in resolve("nginx:1.29", [], [], "plain").shown


@pytest.mark.parametrize("image", ["mysql:8.4", "postgres", "mariadb:11"])
def test_a_database_is_refused_with_what_to_use(image: str) -> None:
    with pytest.raises(UnknownImageError, match=r"k8slab/demo:1 with args \[store"):
        resolve(image, [], [], "sandboxed")


def test_a_program_that_the_host_lacks_and_nothing_replaces_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("k8slab.node.images.resolution.HOST_PATH", "/nonexistent")
    with pytest.raises(UnknownImageError, match="own redis-server, and that is not installed"):
        resolve("redis:7", [], [], "sandboxed")
    with pytest.raises(UnknownImageError, match="sandboxed level only"):
        resolve("redis:7", [], [], "plain")


def test_a_digest_is_this_content_or_none() -> None:
    own = resolve("busybox:1.36", [], [], "plain").image_id.rpartition("@")[2]
    assert resolve(f"busybox@{own}", [], [], "plain").argv == ("sh",)
    with pytest.raises(UnknownImageError, match="not found") as caught:
        resolve("busybox:1.36@sha256:" + "a" * 64, [], [], "plain")
    assert own in str(caught.value)


def test_shells_bring_the_kit_s_programs_first_and_curl_last() -> None:
    path = dict(resolve("alpine", [], [], "plain").env)["PATH"].split(":")
    assert path[0] == str(images_folder() / "applets" / "bin")
    assert path[-1] == str(images_folder() / "applets" / "fallback")
    for name in ("wget", "nc", "nslookup", "ping", "busybox"):
        assert os.access(Path(path[0]) / name, os.X_OK)
    assert os.access(Path(path[-1]) / "curl", os.X_OK)


def test_content_is_hidden_by_what_a_pod_mounts_over_it() -> None:
    plan = resolve("nginx", [], [], "plain")
    targets = {mount["target"] for mount in content_mounts(plan, [])}
    assert targets == {"/usr/share/nginx/html", "/etc/nginx"}
    for mounted, left in (
        ("/usr/share/nginx/html/", {"/etc/nginx"}),
        ("/usr/share/nginx", {"/etc/nginx"}),
        ("/usr/share/nginx/html/index.html", targets),
        ("/usr/share/nginx/htm", targets),
    ):
        assert {mount["target"] for mount in content_mounts(plan, [mounted])} == left


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
    "text", ["images: {", "other: 1", "images: [{match: nginx}]", "images: [{x: 1}]", "- 1", "", "images: 3"]
)
def test_a_catalogue_that_does_not_parse_is_named(no_catalogue_of_the_users: Path, text: str) -> None:
    no_catalogue_of_the_users.write_text(text)
    with pytest.raises(ManifestError, match=str(no_catalogue_of_the_users)):
        resolve("busybox", [], [], "plain")


def test_what_cannot_be_read_is_told_of_its_image_alone(no_catalogue_of_the_users: Path) -> None:
    no_catalogue_of_the_users.write_text(
        "images:\n- {match: [my/tool], entrypoint: [sh], files: [/proc/self/mem]}\n"
    )
    with pytest.raises(UnknownImageError, match="What runs for this image cannot be read: "):
        resolve("my/tool", [], [], "plain")
    assert resolve("busybox", [], [], "plain").argv
    no_catalogue_of_the_users.write_bytes(b"images: \xff\xff\n")
    with pytest.raises(ManifestError, match=f"{no_catalogue_of_the_users} cannot be read"):
        resolve("busybox", [], [], "plain")


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("match: nginx", "`match` is a list of words, and this is 'nginx'"),
        ("command: [x]", "`match` is missing"),
        ("{match: [x], comand: [y]}", "there is no key `comand`; known are .*command"),
        ("{match: [x], environment: {A: true}}", "`environment` is a mapping .*quotes"),
        ("{match: [x], tags: [a]}", "`tags` is a mapping of tags"),
        ("{match: [x], tag_patterns: ['(']}", "`tag_patterns` is a list of regular expressions"),
        ("{match: [x], levels: [simple]}", "`levels` is a list of sandboxed and plain"),
        ("{match: [x], pull_seconds: -1}", "`pull_seconds` is a number of seconds"),
        ("{match: [x], working_dir: srv}", "`working_dir` is an absolute path"),
        ("{match: [x], content: {srv: x}}", "`content` is a mapping of absolute paths"),
        ("{match: [x], program: perl}", "`program` is python or host"),
        ("{match: [x], instead: 1}", "`instead` is a mapping"),
        ("{match: [x], instead: {match: [y]}}", "there is no key `match`"),
        ("17", "an entry is a mapping"),
    ],
)
def test_a_mistake_in_an_entry_is_told_with_line_and_key(entry: str, said: str) -> None:
    with pytest.raises(ManifestError, match=f"my.yaml, line 3: {said}"):
        read_entries(f"images:\n- match: [ok]\n- {entry}\n", "my.yaml")


def test_every_key_is_described_at_the_head_of_the_kit_s_catalogue() -> None:
    head = CATALOGUE.read_text().partition("\nimages:\n")[0]
    for key in {*ENTRY_KEYS, *PROGRAM_KEYS, "instead"}:
        assert f"#   {key} " in head, key


def test_a_user_adds_and_removes_images_from_python(no_catalogue_of_the_users: Path) -> None:
    images.add("my/tool", command=["python", "-c", "1"], program="python", tags={"1": {"LEVEL": 3}})
    images.add(["other/*"], command=("sh",), pull_seconds=2)
    images.add("my/tool", command=["sh"], tags={"2": {}})
    assert [each["match"] for each in images.own()] == [["my/tool"], ["other/*"]]
    assert resolve("my/tool:2", [], [], "plain").argv == ("sh",)
    assert resolve("other/x:9", [], [], "plain").pull_seconds == 2
    assert catalogue()[0].match == ("my/tool",)
    before = no_catalogue_of_the_users.read_text()
    with pytest.raises(ManifestError, match="no key `comand`"):
        images.add("bad", comand=["sh"])
    assert no_catalogue_of_the_users.read_text() == before
    assert images.remove("my/tool") and not images.remove("my/tool")
    with pytest.raises(UnknownImageError):
        resolve("my/tool:2", [], [], "plain")


def test_a_made_up_failure_says_that_it_is_one(no_catalogue_of_the_users: Path) -> None:
    images.add("sick/app", command=["sh"], pull_error="connection refused")
    with pytest.raises(UnknownImageError, match=r"connection refused \(Played: the image catalogue asks for"):
        resolve("sick/app:1", [], [], "plain")
