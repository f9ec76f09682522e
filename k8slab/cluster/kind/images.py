"""The images of a kind cluster: its nodes' own, and the demo application's, built here and loaded."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from k8slab.cluster.container_engine import Engine
from k8slab.cluster.kind.command import Kind
from k8slab.errors import LabError
from k8slab.node.images.demo import BASE_VARIABLE, COLOURS
from k8slab.node.images.programs import demo_folder
from k8slab.progress import Progress, reason_of

IMAGE_VARIABLE = "K8SLAB_KIND_IMAGE"
"""Names the nodes' image, such as one that is here already."""

PINNED = {
    "v0.33.0": "kindest/node:v1.37.0@sha256:a1ed56cfb0e7b93589bdf97c8cd566405a265939e3620fc4f5de89adff580ae5"
}
"""The nodes' image for a version of kind; source: kind's pkg/apis/config/defaults/image.go. Other versions
of kind name their own, pinned by digest too."""

NODE_REPOSITORY = "kindest/node"
MINORS = range(34, 38)
"""Minor versions of Kubernetes 1 that a node image which is here already may have."""

DEMO_REPOSITORY = "docker.io/k8slab/demo"
"""With its registry: podman would call it `localhost/...` otherwise, and no node would find it."""

CONTENT_LABEL = "k8slab.dev/content"

BUILD_SECONDS = 600.0
SAVE_SECONDS = 120.0

_TAG = re.compile(r"(\S*kindest/node:v1\.(\d+)\.(\d+))")

_LOGGED = re.compile(r'level=\w+ msg="((?:[^"\\]|\\.)*)"')


def node_image(kind_version: str, engine: Engine) -> tuple[str, str]:
    """The image to make nodes from, and one sentence that says why.

    Args:
        kind_version: such as `v0.33.0`.
        engine: asked which images are here, so that a machine without network is served.

    Returns:
        The image, empty for the one that kind itself names; and the sentence.
    """
    if named := os.environ.get(IMAGE_VARIABLE):
        return named, f"node image {named}, as {IMAGE_VARIABLE} says"
    pinned = PINNED.get(kind_version, "")
    if not pinned:
        return "", f"the node image that kind {kind_version} names itself"
    short = pinned.partition("@")[0]
    if is_here(engine, pinned):
        return pinned, f"node image {short}, which is here"
    present = _newest(engine)
    if present:
        return present, f"node image {present}, which is here; {IMAGE_VARIABLE} chooses another"
    return pinned, f"node image {short}; it is downloaded now"


def is_here(engine: Engine, image: str) -> bool:
    """Whether an engine has an image already."""
    return engine.call("image", "inspect", image, check=False).returncode == 0


def _newest(engine: Engine) -> str:
    """The newest node image that is here under a tag, or an empty string."""
    words = ("image", "ls", "--format", "{{.Repository}}:{{.Tag}}")
    found = [
        match for line in engine.call(*words, check=False).stdout.split() if (match := _TAG.fullmatch(line))
    ]
    fitting = [match for match in found if int(match[2]) in MINORS]
    return max(fitting, key=lambda match: (int(match[2]), int(match[3])))[1] if fitting else ""


def load_demo(kind: Kind, cluster: str, folder: Path, progress: Progress) -> tuple[str, ...]:
    """Build the demo application's images where they are not here, and load them into every node.

    A failure is told and is none of the cluster's: the program then runs from a ConfigMap.

    Args:
        kind: kind's command line.
        cluster: kind's name of the cluster.
        folder: where the archive passes through.
        progress: told about it.

    Returns:
        The images that are in the cluster now, as Pods name them.
    """
    try:
        source = demo_folder()
        with progress.step(f"The demo application's images, built by {kind.engine.name} and loaded") as step:
            for version in _missing(kind.engine, source):
                step.detail(f"version {version}")
                _build(kind.engine, source, version)
            archive = folder / "demo.tar"
            archive.unlink(missing_ok=True)
            several = ["--multi-image-archive"] if kind.engine.name == "podman" else []
            names = [f"{DEMO_REPOSITORY}:{version}" for version in COLOURS]
            try:
                kind.engine.call("save", *several, "--output", archive, *names, timeout=SAVE_SECONDS)
                step.detail("loading")
                kind.load_archive(cluster, archive)
            finally:
                archive.unlink(missing_ok=True)
    except LabError as error:
        progress.line(
            f"The demo application's image could not be had: {_last(error)}. Its program runs from"
            " python:3.13-alpine with a ConfigMap instead, if the nodes can have it. The image is built from"
            f" the same, or from the one that {BASE_VARIABLE} names; open the lab again to try again."
        )
        return ()
    return tuple(f"k8slab/demo:{version}" for version in COLOURS)


def _missing(engine: Engine, source: Path) -> list[str]:
    """The versions that are not here as their source is now."""
    label = f'{{{{index .Config.Labels "{CONTENT_LABEL}"}}}}'
    names = [f"{DEMO_REPOSITORY}:{version}" for version in COLOURS]
    seen = engine.call("image", "inspect", "--format", label, *names, check=False)
    contents = seen.stdout.split() if seen.returncode == 0 else []
    wanted = [content_of(source, version) for version in COLOURS]
    return [] if contents == wanted else list(COLOURS)


def _build(engine: Engine, source: Path, version: str) -> None:
    image, content = f"{DEMO_REPOSITORY}:{version}", content_of(source, version)
    arguments = {"VERSION": version, "COLOUR": COLOURS[version]}
    if base := os.environ.get(BASE_VARIABLE):
        arguments["BASE"] = base
    words = [word for key, value in arguments.items() for word in ("--build-arg", f"{key}={value}")]
    engine.call(
        "build",
        "--tag",
        image,
        "--label",
        f"{CONTENT_LABEL}={content}",
        *words,
        source,
        timeout=BUILD_SECONDS,
    )


def content_of(source: Path, version: str) -> str:
    """A sum over what the image of a version is built from."""
    digest = hashlib.sha256(f"{version} {COLOURS[version]} {os.environ.get(BASE_VARIABLE, '')}".encode())
    for file in sorted(source.glob("*")):
        if file.is_file():
            digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def _last(error: LabError) -> str:
    """The last words of an engine's output, which name the cause, or the message itself."""
    output = str(getattr(error, "output", "")).strip()
    if not output:
        return reason_of(error).rstrip(".")
    line = output.splitlines()[-1]
    if match := _LOGGED.search(line):
        # nerdctl logs its errors; only the first of several lines says what is the matter.
        line = match[1].replace('\\"', '"').split("\\n")[0]
    return line.strip().rstrip(".")
