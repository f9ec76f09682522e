"""The demo application where its image cannot be had: a public Python image, the program in a ConfigMap.

Manifests say `image: k8slab/demo:1` everywhere. What is *sent* to such a cluster says instead what
`images/demo/Dockerfile` would have built: the Python it starts from, the files at `/app`, the ENTRYPOINT as
the command, VERSION and COLOUR in the environment. Everything else stays as it was written. A tag that the
kit does not have stays too, and is not found, as anywhere. Pure but for reading the kit's own files.
"""

from __future__ import annotations

import copy
import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from k8slab.cluster.api import KINDS
from k8slab.errors import GuardError
from k8slab.manifests import Document
from k8slab.node.images.demo import BASE_VARIABLE, COLOURS
from k8slab.node.images.programs import demo_folder

BASE = "python:3.13-alpine"
"""The Dockerfile's own base, as a Pod names it; `K8SLAB_DEMO_BASE` names another."""

ENTRYPOINT = ("python", "-I", "-S", "-E", "-B", "/app/demo.py")
"""The Dockerfile's; its CMD `serve` is what the program does by itself without a word."""

NOBODY = 65534
"""The user that the program runs as where it may not be root; Alpine calls it nobody."""

FOLDER = "/app"
NAME = "k8slab-demo"
"""The volume's name, and the beginning of the ConfigMap's, which a sum of the program completes."""

_DEMO = re.compile(r"(?:docker\.io/)?k8slab/demo:([0-9A-Za-z_.-]+)")

_SENDS_PARTS = {
    "patch": "`kubectl set image KIND/NAME CONTAINER={image}` brings both.",
    "debug": "Debug with an image that can be pulled: --image={base}.",
}
"""Verbs that name an image in a piece of an object, each with what to do instead."""

_POD_PATHS: Mapping[str, tuple[str, ...]] = {
    "Pod": ("spec",),
    "PodTemplate": ("template", "spec"),
    "CronJob": ("spec", "jobTemplate", "spec", "template", "spec"),
    **dict.fromkeys(
        ("Deployment", "ReplicaSet", "ReplicationController", "StatefulSet", "DaemonSet", "Job"),
        ("spec", "template", "spec"),
    ),
}
"""Where each kind keeps the specification of its Pods."""

_LISTS = ("initContainers", "containers")


@dataclass(frozen=True)
class Turned:
    """Objects as they are sent to a cluster without the demo application's image.

    Args:
        documents: the objects.
        programs: the ConfigMaps they need, one a namespace; none where nothing was turned.
        versions: the images that were replaced, such as `k8slab/demo:1`.
    """

    documents: tuple[Document, ...]
    programs: tuple[Document, ...] = ()
    versions: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """What a learner has to know of it; empty where nothing was turned."""
        if not self.programs:
            return ""
        return (
            f"{' and '.join(self.versions)} runs here from {base_image()}, with its program in the ConfigMap"
            f" {self.programs[0].name}: this cluster cannot have the image."
        )


@dataclass(frozen=True)
class ImagePatch:
    """New images for one object.

    Args:
        document: the object.
        patch: a merge patch with them.
        turned: what goes with it.
        changes_more: whether anything besides images has to be changed for it.
    """

    document: Document
    patch: dict[str, Any]
    turned: Turned
    changes_more: bool

    @property
    def plural(self) -> str:
        """The plural name of the object's kind."""
        return next(plural for plural, kind in KINDS.items() if kind.kind == self.document.kind)

    @property
    def uid(self) -> str:
        """The object's uid."""
        return str(self.document.content["metadata"]["uid"])

    @property
    def shown_name(self) -> str:
        """The object as kubectl prints it, such as `deployment.apps/web`."""
        group, slash, _ = str(self.document.content.get("apiVersion", "")).partition("/")
        return f"{self.document.kind.lower()}{'.' + group if slash else ''}/{self.document.name}"


def turned(
    documents: Iterable[Document], namespace: str, restricted: Callable[[str], bool] = lambda name: False
) -> Turned:
    """The same objects with every container of the demo application run from the public image.

    Args:
        documents: the objects; a container that was turned before and asks for another image is put right.
        namespace: where those go that name none.
        restricted: whether a namespace enforces the Pod Security level of that name: there the containers are
            given what it asks for, which the demo application can do without.
    """
    made, versions, places = [], dict[str, None](), dict[str, None]()
    for document in documents:
        content = copy.deepcopy(document.content)
        place = document.namespace or namespace
        found = _turn(_pod_spec(document.kind, content), restricted(place))
        if found is None:
            made.append(document)
            continue
        made.append(replace(document, content=content))
        if found:
            versions |= dict.fromkeys(found)
            places[place] = None
    programs = tuple(_program(place) for place in places)
    return Turned(tuple(made), programs, tuple(sorted(versions)))


def image_patch(document: Document) -> ImagePatch:
    """What `kubectl set image` has to change of an object.

    Args:
        document: the object as the cluster has it, with the images it is to get.

    Raises:
        GuardError: it is a Pod, of which only the image can be changed.
    """
    result = turned((document,), document.namespace)
    before, after = (_pod_spec(document.kind, each.content) or {} for each in (document, *result.documents))
    keys = [key for key in (*_LISTS, "volumes") if key in before or key in after]
    patch: dict[str, Any] = {key: after.get(key) for key in keys}
    if document.kind == "Pod" and before != after:
        raise GuardError(
            f"The Pod {document.name} runs the demo application from {base_image()}, with the version in its"
            " environment, which nobody can change in a Pod that is there.",
            "Delete it, and apply it with the other image.",
        )
    for word in reversed(_POD_PATHS.get(document.kind, ())):
        patch = {word: patch}
    return ImagePatch(document, patch, result, before != after)


def image_of(container: Mapping[str, Any]) -> str:
    """The image that a container's manifest names, whether or not the public one runs in its place.

    Args:
        container: from a Pod's specification or a template's.
    """
    image = str(container.get("image") or "")
    if image == base_image() and _is_turned(container):
        values = {each.get("name"): each.get("value") for each in container.get("env") or ()}
        if values.get("VERSION") in COLOURS:
            return f"k8slab/demo:{values['VERSION']}"
    return image


def pod_spec_of(document: Document) -> dict[str, Any] | None:
    """What an object says of the Pods it is or makes; None if it makes none."""
    return _pod_spec(document.kind, document.content)


def base_image() -> str:
    """The public image that the program runs on."""
    return os.environ.get(BASE_VARIABLE) or BASE


def asks_for_demo(words: Iterable[str]) -> bool:
    """Whether a word of a kubectl line names one of the demo application's images."""
    return any(_version(word.rpartition("=")[2]) for word in words)


def check_line(arguments: Sequence[str]) -> None:
    """Refuse a kubectl line whose image of the demo application nobody could find, and say what does it.

    Args:
        arguments: the words after `kubectl`, for a cluster without these images.

    Raises:
        GuardError: it patches an object, or debugs a Pod, with such an image: what it sends is no whole
            object that could be completed first.
    """
    verb = arguments[0] if arguments else ""
    if verb not in _SENDS_PARTS:
        return
    named = next((found[0] for word in arguments for found in _DEMO.finditer(word) if _version(found[0])), "")
    if named:
        raise GuardError(
            f"This cluster cannot have the image {named}, and `kubectl {verb}` sends no more than its name:"
            f" the program runs here from {base_image()}, with the rest in a ConfigMap.",
            _SENDS_PARTS[verb].format(image=named, base=base_image()),
        )


def _version(image: str) -> str:
    """The version that an image of the kit's names; empty for any other image."""
    found = _DEMO.fullmatch(image)
    return found[1] if found and found[1] in COLOURS else ""


def _pod_spec(kind: str, content: dict[str, Any]) -> dict[str, Any] | None:
    found: Any = content
    for word in _POD_PATHS.get(kind, ("",)):
        found = found.get(word) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else None


def _turn(spec: dict[str, Any] | None, restricted: bool) -> list[str] | None:
    """Turn a Pod's specification in place; the images that were replaced, None where it stays as it was."""
    if spec is None:
        return None
    found, restored = [], False
    for container in _containers(spec):
        if _is_turned(container) and container.get("image") != base_image():
            _restore(container)
            restored = True
        version = _version(str(container.get("image") or ""))
        if version:
            found.append(f"k8slab/demo:{version}")
            _run_from_base(container, version)
            if restricted:
                _restrict(container, spec.get("securityContext") or {})
    if not found and not restored:
        return None
    others = [each for each in spec.get("volumes") or () if each.get("name") != NAME]
    needed = any(_is_turned(each) for each in _containers(spec))
    volumes = [*others, *([{"name": NAME, "configMap": {"name": program_name()}}] if needed else [])]
    if volumes:
        spec["volumes"] = volumes
    else:
        spec.pop("volumes", None)
    return found


def _containers(spec: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for key in _LISTS:
        listed = spec.get(key)
        yield from (each for each in listed if isinstance(each, dict)) if isinstance(listed, list) else ()


def _is_turned(container: Mapping[str, Any]) -> bool:
    return any(each.get("name") == NAME for each in container.get("volumeMounts") or ())


def _run_from_base(container: dict[str, Any], version: str) -> None:
    container["image"] = base_image()
    if not container.get("command"):
        container["command"] = list(ENTRYPOINT)
    # What a Pod sets itself wins over what an image sets, so that is added only where it is missing.
    own = container.get("env") or []
    known = {each.get("name") for each in own}
    image = {"VERSION": version, "COLOUR": COLOURS[version]}
    container["env"] = [
        *({"name": key, "value": value} for key, value in image.items() if key not in known),
        *own,
    ]
    mounts = container.get("volumeMounts") or []
    container["volumeMounts"] = [*mounts, {"name": NAME, "mountPath": FOLDER, "readOnly": True}]


def _restrict(container: dict[str, Any], pod: Mapping[str, Any]) -> None:
    """Ask for no more than the level `restricted` allows; what the manifest says itself stays.

    Source: kubernetes.io/docs/concepts/security/pod-security-standards.
    """
    asked = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "runAsUser": NOBODY,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    missing = {key: value for key, value in asked.items() if key not in pod}
    container["securityContext"] = {**missing, **(container.get("securityContext") or {})}


def _restore(container: dict[str, Any]) -> None:
    """Take out what `_run_from_base` put in: the container asks for another image now."""
    if container.get("command") == list(ENTRYPOINT):
        del container["command"]
    env = container.get("env") or []
    values = {each.get("name"): each.get("value") for each in env}
    ours = {"COLOUR": COLOURS.get(str(values.get("VERSION")), ""), "VERSION": values.get("VERSION", "")}
    _set(container, "env", [each for each in env if each.get("value") != ours.get(str(each.get("name")))])
    mounts = container.get("volumeMounts") or []
    _set(container, "volumeMounts", [each for each in mounts if each.get("name") != NAME])


def _set(container: dict[str, Any], key: str, value: list[Any]) -> None:
    if value:
        container[key] = value
    else:
        container.pop(key, None)


@lru_cache(maxsize=1)
def program_files() -> dict[str, str]:
    """The demo application's files, by name: what its Dockerfile copies to `/app`."""
    return {file.name: file.read_text(encoding="utf-8") for file in sorted(demo_folder().glob("*.py"))}


@lru_cache(maxsize=1)
def program_name() -> str:
    """The ConfigMap's name: another program has another one, so that running Pods keep theirs."""
    digest = hashlib.sha256(repr(program_files()).encode()).hexdigest()[:10]
    return f"{NAME}-{digest}"


def _program(namespace: str) -> Document:
    content = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": program_name(), "namespace": namespace},
        "immutable": True,
        "data": program_files(),
    }
    return Document("ConfigMap", program_name(), namespace, content, "the kit's demo application")
