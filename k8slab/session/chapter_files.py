"""Where a chapter's files are, and which of its cells comes next. Pure but for looking at the disk."""

from __future__ import annotations

import os
from pathlib import Path

from k8slab.answers import Table
from k8slab.chapters.evidence import Evidence
from k8slab.chapters.exercises import Chapter
from k8slab.errors import ManifestError
from k8slab.manifests import read


def manifests_folder(chapter: str) -> Path:
    """The folder of a chapter's manifests: in the current folder or one above it, else beside the package.

    Raises:
        ManifestError: there is none.
    """
    here = Path.cwd()
    roots = [here, *here.parents, Path(__file__).resolve().parents[2]]
    for root in roots:
        folder = root / "manifests" / chapter
        if folder.is_dir():
            return folder
    raise ManifestError(
        f"The folder manifests/{chapter} was not found in {here} or above it.",
        "Start Jupyter in the lab's own folder.",
    )


def manifest_path(chapter: str, name: str) -> Path:
    """The file that `name` means: one of the chapter's manifests, else a path from the current folder.

    Raises:
        ManifestError: there is no such file; the message lists the chapter's.
    """
    folder = manifests_folder(chapter)
    for path in (folder / name, Path(name).expanduser()):
        if path.is_file():
            return path
    raise ManifestError(
        f"There is no manifest {name!r}.",
        f"The chapter has: {', '.join(sorted(each.name for each in folder.glob('*.yaml')))}.",
    )


def shown_path(path: Path) -> str:
    """A path as one would type it from here."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("../..") else relative


def table_of_manifests(chapter: str) -> Table:
    """The chapter's manifests and what each holds."""
    rows = []
    for path in sorted(manifests_folder(chapter).glob("*.yaml")):
        rows.append((path.name, ", ".join(f"{each.kind} {each.name}" for each in read(path))))
    return Table(("FILE", "HOLDS"), tuple(rows), f"Manifests of chapter {chapter}")


def next_step(chapter: Chapter, evidence: Evidence) -> str:
    """One sentence: the earliest cell that has not been run, as far as the cluster shows."""
    for step in chapter.steps:
        if not step.done(evidence):
            return f"Run the cell with `{step.call}`: it {step.purpose}."
    return "No earlier cell is missing: everything that later cells need is there."
