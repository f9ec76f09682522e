"""The image catalogue: which program of this host runs when a Pod names an image.

A process node pulls nothing. What it can run is data (`images.yaml`), which a user extends with
a file of the same form. What the catalogue does not know is refused as a registry refuses a
name that is not there, with a sentence that says what to do.
"""

from __future__ import annotations

import fnmatch
import hashlib
import os
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from k8slab.errors import LabError, ManifestError
from k8slab.folders import Isolation, state_folder

CATALOGUE = Path(__file__).with_name("images.yaml")
VARIABLE = "K8SLAB_IMAGES"
"""Environment variable that names a user's own catalogue file."""

HOST_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""PATH of a container where the image says nothing, as containerd's default."""

REFERENCE = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9._-]*(?::[0-9]+)?(?:/[a-z0-9][a-z0-9._-]*)*?)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
"""An image reference: a shortened form of distribution's grammar."""

KEYS = frozenset(
    {
        *("match", "tags", "entrypoint", "command", "environment", "working_dir"),
        *("program", "files", "levels", "stand_in", "story"),
    }
)


class UnknownImageError(LabError):
    """An image that cannot run on this node.

    Args:
        message: what is wrong with it.
        cure: what to do.
        reason: the kubelet's word for the container's waiting state: `ErrImagePull` or `InvalidImageName`.
    """

    def __init__(self, message: str, cure: str = "", reason: str = "ErrImagePull") -> None:
        super().__init__(message, cure)
        self.reason = reason


@dataclass(frozen=True)
class ImagePlan:
    """How one container of an image runs here.

    Args:
        image: the image as the Pod names it.
        image_id: identity of what really runs: `k8slab://<name>@sha256:<digest of the program>`.
        argv: program and arguments, the Pod's own `command` and `args` applied.
        env: the image's environment; what the Pod sets comes after it and wins.
        working_dir: the image's working folder; the Pod's `workingDir` wins.
        read_only_paths: paths of the host that the program needs besides /usr and its kin.
        stand_in: one sentence if it is not the named product; empty otherwise.
        story: one sentence: what runs here.
    """

    image: str
    image_id: str
    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    working_dir: str
    read_only_paths: tuple[str, ...]
    stand_in: str
    story: str


def resolve(
    image: str,
    command: Sequence[str],
    args: Sequence[str],
    isolation: Isolation,
    entries: Sequence[Mapping[str, Any]] | None = None,
) -> ImagePlan:
    """How a container of an image runs on this node.

    Args:
        image: the reference in the Pod, such as `k8slab/demo:1`.
        command: the container's `command` (replaces the image's ENTRYPOINT and CMD); may be empty.
        args: the container's `args` (replace the image's CMD); may be empty.
        isolation: the node's level.
        entries: the catalogue; `catalogue()` if None.

    Raises:
        UnknownImageError: the name does not parse, nothing is known of it, its tag does not exist,
            the host lacks its program, or it cannot run at this level.
        ManifestError: the user's own catalogue does not parse.
    """
    name, tag = parse_reference(image)
    known = catalogue() if entries is None else entries
    entry = next((each for each in known if _matches(each, name)), None)
    if entry is None:
        raise UnknownImageError(
            f"The image {image!r} is not known here: a process node pulls nothing.",
            f"Use one of {', '.join(_names(known))}, or add an entry to {user_catalogue()}.",
        )
    tags = {str(key): value for key, value in entry.get("tags", {}).items()}
    if tags and tag not in tags:
        raise UnknownImageError(
            f"The image {name!r} has no tag {tag!r}; its tags are {', '.join(tags)}.",
            f"Write {name}:{next(iter(tags))}, say.",
        )
    if isolation not in entry.get("levels", ("sandboxed", "plain")):
        raise UnknownImageError(
            f"The image {name!r} runs at the sandboxed level only, and this node isolates at the plain one.",
            "`k8slab doctor` says what the sandboxed level needs.",
        )
    return _plan(image, name, entry, tags.get(tag) or {}, command, args)


def _plan(
    image: str,
    name: str,
    entry: Mapping[str, Any],
    tag_environment: Mapping[str, str],
    command: Sequence[str],
    args: Sequence[str],
) -> ImagePlan:
    files = [_kit_file(str(file)) for file in entry.get("files", ())]
    entrypoint = [_kit_file(str(word)) for word in entry.get("entrypoint", ())]
    own_args = args or [str(word) for word in entry.get("command", ())]
    argv = [*command, *args] if command else [*entrypoint, *own_args]
    if not argv:
        raise UnknownImageError(f"The image {name!r} names no program.", "Write a `command` in the Pod.")
    search, needed = HOST_PATH, list(files)
    if entry.get("program") == "python":
        python = interpreter()
        search = f"{python.parent}:{HOST_PATH}"
        needed += interpreter_folders()
        if argv[0] in ("python", "python3"):
            argv[0] = str(python)
    program = files[0] if files else shutil.which(argv[0], path=search)
    if program is None and not command and not args:
        raise UnknownImageError(
            f"The image {name!r} runs this host's own {argv[0]}, and that is not installed.",
            f"Install {argv[0]}, or use k8slab/demo:1 where any web server will do.",
        )
    env = {"PATH": search, **entry.get("environment", {}), **tag_environment}
    return ImagePlan(
        image=image,
        image_id=f"k8slab://{name}@sha256:{_digest(program or '', tuple(sorted(env.items())))}",
        argv=tuple(argv),
        env=tuple((key, str(value)) for key, value in env.items()),
        working_dir=str(entry.get("working_dir", "/")),
        read_only_paths=tuple(needed),
        stand_in=str(entry.get("stand_in", "")),
        story=str(entry.get("story", "")),
    )


def parse_reference(image: str) -> tuple[str, str]:
    """Name and tag of an image: docker.io/ and library/ are left out, and no tag means `latest`.

    Raises:
        UnknownImageError: with the reason `InvalidImageName`, where it does not parse.
    """
    match = REFERENCE.fullmatch(image)
    if match is None:
        raise UnknownImageError(
            f"{image!r} is no image name: lower case, parts divided by /, and a tag after a colon.",
            "Correct the Pod's `image`.",
            reason="InvalidImageName",
        )
    name = match["name"]
    for prefix in ("docker.io/", "index.docker.io/", "library/"):
        name = name.removeprefix(prefix)
    return name, match["tag"] or "latest"


def user_catalogue() -> Path:
    """The file for a user's own entries; it need not exist."""
    return Path(os.environ.get(VARIABLE) or state_folder() / "images.yaml")


def catalogue() -> list[dict[str, Any]]:
    """All entries: the user's own first, then the kit's.

    Raises:
        ManifestError: a catalogue does not parse; the message names the file and the place.
    """
    own = user_catalogue()
    entries = list(_entries(own, own.stat().st_mtime_ns)) if own.is_file() else []
    return entries + list(_entries(CATALOGUE, CATALOGUE.stat().st_mtime_ns))


@lru_cache(maxsize=8)
def _entries(path: Path, changed: int) -> tuple[dict[str, Any], ...]:
    # `changed` is part of the key, so that an edited file is read again.
    try:
        parsed = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise ManifestError(f"The image catalogue {path} does not parse: {error}.", "Correct it.") from error
    entries = parsed.get("images") if isinstance(parsed, dict) else None
    if not isinstance(entries, list):
        raise ManifestError(f"The image catalogue {path} has no list `images`.", f"{CATALOGUE} has one.")
    for number, entry in enumerate(entries, 1):
        if not isinstance(entry, dict) or not isinstance(entry.get("match"), list) or not set(entry) <= KEYS:
            raise ManifestError(
                f"Entry {number} of the image catalogue {path} is not one: {entry!r}.",
                f"An entry has a list `match` and may have {', '.join(sorted(KEYS - {'match'}))}.",
            )
    return tuple(entries)


def _matches(entry: Mapping[str, Any], name: str) -> bool:
    return any(fnmatch.fnmatchcase(name, str(pattern)) for pattern in entry["match"])


def _names(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """What to write instead: names without wildcards, each with its first tag."""
    names = []
    for entry in entries:
        tag = f":{next(iter(entry['tags']))}" if entry.get("tags") else ""
        names += [f"{name}{tag}" for name in map(str, entry["match"]) if "*" not in name]
    return names


def _kit_file(word: str) -> str:
    folder = demo_folder()
    return {"{demo}": str(folder / "demo.py"), "{demo_folder}": str(folder)}.get(word, word)


def demo_folder() -> Path:
    """The demo application's folder: images/demo of a checkout, or the copy inside an installed package."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "images" / "demo"
    return inside if inside.exists() else package.parent / "images" / "demo"


@lru_cache(maxsize=1)
def interpreter() -> Path:
    """The Python that containers run: the one below this environment, without its packages."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for candidate in (Path(sys.base_prefix, "bin", version), Path(sys.executable)):
        if os.access(candidate, os.X_OK):
            return candidate.resolve()
    raise LabError(f"There is no Python in {sys.base_prefix}/bin that can run.", "Install Python again.")


@lru_cache(maxsize=1)
def interpreter_folders() -> tuple[str, ...]:
    """Folders of the host, outside /usr, without which the interpreter does not start."""
    prefixes = {Path(sys.base_prefix).resolve(), interpreter().parent.parent}
    return tuple(sorted(str(prefix) for prefix in prefixes if not prefix.is_relative_to("/usr")))


@lru_cache(maxsize=64)
def _digest(program: str, environment: tuple[tuple[str, str], ...]) -> str:
    digest = hashlib.sha256(repr(environment).encode())
    if program:
        path = Path(program)
        for file in sorted(path.glob("*.py")) if path.is_dir() else [path]:
            digest.update(file.read_bytes())
    return digest.hexdigest()
