"""Which program of this host runs when a Pod names an image.

A process node pulls nothing. What it can run is data (`images.yaml`), which a user extends with
a file of the same form. What the catalogue does not know is refused as a registry refuses a
name that is not there, with a sentence that says what to do.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from k8slab.folders import Isolation
from k8slab.node.images.catalogue import catalogue, names_to_use, user_catalogue
from k8slab.node.images.entries import ImageEntry, Program
from k8slab.node.images.names import ImageName, UnknownImageError, parse_name
from k8slab.node.images.programs import (
    HOST_PATH,
    PYTHON_VARIABLE,
    Content,
    content,
    interpreter,
    interpreter_folders,
    kit_path,
)

STAND_IN = "stand-in"
"""The word that image, imageID and an Event carry where something else than the named product runs."""


@dataclass(frozen=True)
class ImagePlan:
    """How one container of an image runs here.

    Args:
        image: the image as the Pod names it.
        name: the reference, taken apart.
        shown: the image as the container's status shows it.
        image_id: identity of what really runs: `k8slab://<name>@sha256:<digest of the program>`.
        size: bytes of what really runs: programs and files that were named, without libraries.
        argv: program and arguments, the Pod's own `command` and `args` applied.
        env: the image's environment; what the Pod sets comes after it and wins.
        working_dir: the image's working folder; the Pod's `workingDir` wins.
        read_only_paths: paths of the host that the program needs besides /usr and its kin.
        content: folders the container starts with: pairs of source on this host and target in the container.
        stand_in: one sentence if it is not the named product; empty otherwise.
        ignores: paths whose content a stand-in does not read, though the product would.
        pull_seconds: how long a pull is made to take; 0 for no longer than it does.
        story: one sentence: what runs here.
    """

    image: str
    name: ImageName
    shown: str
    image_id: str
    size: int
    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    working_dir: str
    read_only_paths: tuple[str, ...]
    content: tuple[tuple[str, str], ...]
    stand_in: str
    ignores: tuple[str, ...]
    pull_seconds: float
    story: str


def resolve(
    image: str,
    command: Sequence[str],
    args: Sequence[str],
    isolation: Isolation,
    entries: Sequence[ImageEntry] | None = None,
) -> ImagePlan:
    """How a container of an image runs on this node.

    Args:
        image: the reference in the Pod, such as `k8slab/demo:1`.
        command: the container's `command` (replaces the image's ENTRYPOINT and CMD); may be empty.
        args: the container's `args` (replace the image's CMD); may be empty.
        isolation: the node's level.
        entries: the catalogue; `catalogue()` if None.

    Raises:
        UnknownImageError: the name does not parse, nothing is known of it, its tag or digest does not
            exist, the host lacks its program, it cannot run at this level, or its pull is made to fail.
        ManifestError: the user's own catalogue does not parse.
    """
    name = parse_name(image)
    known = catalogue() if entries is None else entries
    entry = next((each for each in known if each.answers_for(name.short)), None)
    if entry is None:
        raise _not_found(
            name,
            "A process node pulls nothing and runs what its catalogue lists",
            f"Use one of {', '.join(names_to_use(known))}, or add an entry to {user_catalogue()}.",
        )
    if name.tag and not name.digest and not entry.has_tag(name.tag):
        tags = (
            f"its tags are {', '.join(entry.tags)}" if entry.tags else "no tag of this image looks like that"
        )
        example = next(iter(entry.tags), "latest")
        raise _not_found(
            name,
            f"The image {name.short!r} has no tag {name.tag!r}: {tags}",
            f"Write {name.short}:{example}, say.",
        )
    if entry.refused:
        raise UnknownImageError(f"The image {name.short!r} does not run on process nodes: {entry.refused}")
    if entry.pull_error:
        raise UnknownImageError(entry.pull_error, "(Played: the image catalogue asks for this failure.)")
    if not name.digest:
        return _plan(image, name, name.tag, entry, command, args, isolation)
    own = ""
    for tag in entry.tags or ("",):
        plan = _plan(image, name, tag, entry, command, args, isolation)
        own = plan.image_id.rpartition("@")[2]
        if own == name.digest:
            return plan
    raise _not_found(
        name,
        "A digest names one exact content, and nothing is pulled here; what runs under this name has "
        f"another, such as {own}",
        "Leave the digest out.",
    )


def _not_found(name: ImageName, why: str, cure: str) -> UnknownImageError:
    """An error that begins as a registry's answer does."""
    return UnknownImageError(f"{name.full}: not found. {why}.", cure)


def _plan(
    image: str,
    name: ImageName,
    tag: str,
    entry: ImageEntry,
    command: Sequence[str],
    args: Sequence[str],
    isolation: Isolation,
) -> ImagePlan:
    here = _program(name, entry, bool(command or args), isolation)
    search, needed = _surroundings(here)
    entrypoint, own = map(kit_path, here.entrypoint), map(kit_path, here.command)
    argv = [*command, *args] if command else [*entrypoint, *(args or own)]
    if not argv:
        raise UnknownImageError(
            f"The image {name.short!r} names no program.", "Write a `command` in the Pod."
        )
    if here.program == "python" and argv[0] in ("python", "python3"):
        argv[0] = str(interpreter())
    env = {"PATH": search}
    if needs_python(here):
        env[PYTHON_VARIABLE] = str(interpreter())
    env |= {**here.environment, **entry.tags.get(tag, {})}
    behind = _content(here, search, env)
    kind = f"{STAND_IN}/" if here.stand_in else ""
    return ImagePlan(
        image=image,
        name=name,
        shown=f"k8slab.dev/{STAND_IN}/{name.short}:{name.tag or 'latest'}" if here.stand_in else image,
        image_id=f"k8slab://{kind}{name.short}@sha256:{behind.digest}",
        size=behind.size,
        argv=tuple(argv),
        env=tuple(env.items()),
        working_dir=here.working_dir,
        read_only_paths=tuple(dict.fromkeys(needed)),
        content=tuple((kit_path(source), target) for target, source in here.content.items()),
        stand_in=here.stand_in,
        ignores=here.ignores,
        pull_seconds=entry.pull_seconds,
        story=here.story,
    )


def _program(name: ImageName, entry: ImageEntry, told: bool, isolation: Isolation) -> Program:
    """What runs for an entry on this host: the program it names, or what stands in for it.

    Args:
        name: the image.
        entry: its entry.
        told: whether the Pod says itself what to run.
        isolation: the node's level.

    Raises:
        UnknownImageError: the host or the level lacks the program, and nothing stands in for it.
    """
    here, instead = entry.here, entry.instead
    lacking = _lacking(here)
    if isolation in here.levels and not lacking:
        return here
    if instead is not None and isolation in instead.levels and not _lacking(instead):
        return instead
    if isolation not in here.levels:
        raise UnknownImageError(
            f"The image {name.short!r} runs at the {' and '.join(here.levels)} level only, and this node "
            f"isolates at the {isolation} one.",
            "`k8slab doctor` says what the sandboxed level needs.",
        )
    if told and not here.requires:
        return here
    raise UnknownImageError(
        f"The image {name.short!r} runs this host's own {lacking}, and that is not installed.",
        f"Install {lacking}, or use k8slab/demo:1 where any server will do.",
    )


def _lacking(program: Program) -> str:
    """The program that the host would have to have and lacks; empty if it has it."""
    if program.program != "host":
        return ""
    wanted = program.requires or (*program.entrypoint, *program.command)[:1]
    search, _ = _surroundings(program)
    return "" if any(shutil.which(each, path=search) for each in wanted) else next(iter(wanted), "")


def needs_python(program: Program) -> bool:
    """Whether a program is Python, or brings programs of the kit, which are."""
    return program.program == "python" or any(
        "{images}" in folder for folder in (*program.programs, *program.fallback_programs)
    )


def _surroundings(program: Program) -> tuple[str, list[str]]:
    """PATH of a program, and the host's files that it needs."""
    first, last = map(kit_path, program.programs), map(kit_path, program.fallback_programs)
    needed = [*map(kit_path, (*program.files, *program.programs, *program.fallback_programs))]
    python: list[str] = []
    if program.program == "python":
        python.append(str(interpreter().parent))
    if needs_python(program):
        needed += interpreter_folders()
    return ":".join([*first, *python, HOST_PATH, *last]), needed


def _content(program: Program, search: str, env: Mapping[str, str]) -> Content:
    """Digest and size of what a program is made of; a Pod's own command does not change them."""
    own = (*program.entrypoint, *program.command)
    # Where the kit brings the program, the Python that runs it is no part of the image.
    counts = bool(own) and (program.program == "host" or not program.files)
    found = shutil.which(kit_path(own[0]), path=search) if counts else None
    paths = [*([found] if found else ()), *map(kit_path, (*program.files, *program.content.values()))]
    try:
        return content(tuple(paths), (own, *sorted(env.items())))
    except OSError as error:
        raise UnknownImageError(f"What runs for this image cannot be read: {error}.") from error


def content_mounts(plan: ImagePlan, targets: Iterable[str]) -> list[dict[str, Any]]:
    """What an image's own content looks like in the runtime's `mounts`: a copy for each container.

    Args:
        plan: the image's plan.
        targets: where the Pod mounts volumes: what lies at or below one of these is hidden by it.
    """
    hiding = [target.rstrip("/") for target in targets]
    return [
        {"source": source, "target": target, "read_only": False, "own": True}
        for source, target in plan.content
        if not any(target == each or target.startswith(f"{each}/") for each in hiding)
    ]
