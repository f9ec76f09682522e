"""Writes docs/coverage.md: which cell of which notebook teaches each fact of docs/facts.tsv.

    python docs/coverage.py

A cell says what it covers in its own metadata: `"k8slab": {"covers": ["C117", "X17"]}`. A fact of a chapter
that is written has a place, and no cell names a fact that is not there; tests/unit/test_coverage.py insists.
"""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FACTS = ROOT / "docs" / "facts.tsv"
PAGE = ROOT / "docs" / "coverage.md"
NOTEBOOKS = ROOT / "notebooks"

HEAD = """# Where each fact is taught

Made by `python docs/coverage.py` from `docs/facts.tsv` and the notebooks; a test checks that it is true.
C numbers are facts of the five notes that the chapters grew from, X numbers experiments they suggest.
"""


@dataclass(frozen=True)
class Fact:
    """One fact or experiment.

    Args:
        id: such as `C117` or `X17`.
        chapter: two digits of the chapter it belongs to.
        what: a few words.
    """

    id: str
    chapter: str
    what: str


@dataclass(frozen=True)
class Place:
    """A cell that covers something.

    Args:
        notebook: its stem, such as `02-pods`.
        cell: the cell's id.
        section: the heading it stands under.
    """

    notebook: str
    cell: str
    section: str


def facts(path: Path = FACTS) -> list[Fact]:
    """Every fact, in the order of the file."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return [Fact(row["id"], row["chapter"], row["what"]) for row in rows]


def places(folder: Path = NOTEBOOKS) -> dict[str, list[Place]]:
    """The cells that cover each id, in reading order."""
    found: dict[str, list[Place]] = defaultdict(list)
    for path in sorted(folder.glob("*.ipynb")):
        for id, place in _places_in(path):
            found[id].append(place)
    return found


def chapters(folder: Path = NOTEBOOKS) -> set[str]:
    """Two digits of each chapter that is written."""
    return {path.stem[:2] for path in folder.glob("*.ipynb")}


def problems(known: Sequence[Fact], where: Mapping[str, Sequence[Place]], written: set[str]) -> list[str]:
    """What is wrong: facts of written chapters without a place in their own, and places without a fact."""
    ids = {fact.id for fact in known}
    lost = [
        f"{fact.id} ({fact.what}) has no place in chapter {fact.chapter}."
        for fact in known
        if fact.chapter in written
        and not any(place.notebook.startswith(fact.chapter) for place in where.get(fact.id, ()))
    ]
    strange = [
        f"{place.notebook} {place.cell} covers {id}, which docs/facts.tsv does not know."
        for id, found in where.items()
        if id not in ids
        for place in found
    ]
    return lost + strange


def page() -> str:
    """The text of docs/coverage.md."""
    where, written = places(), chapters()
    lines = [HEAD]
    for chapter in sorted(written):
        name = next(path.stem for path in NOTEBOOKS.glob(f"{chapter}-*.ipynb"))
        lines += [f"## [{name}](../notebooks/{name}.ipynb)\n", "| id | what | cells |", "| --- | --- | --- |"]
        for fact in facts():
            if fact.chapter == chapter:
                cells = ", ".join(_shown(place, name) for place in where.get(fact.id, ()))
                lines.append(f"| {fact.id} | {fact.what.replace('|', '&#124;')} | {cells} |")
        lines.append("")
    return "\n".join(lines)


def _places_in(path: Path) -> Iterator[tuple[str, Place]]:
    section = ""
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            heads = [line.lstrip("# ") for line in source.splitlines() if line.startswith("#")]
            section = heads[-1] if heads else section
        for id in cell["metadata"].get("k8slab", {}).get("covers", []):
            yield str(id), Place(path.stem, str(cell["id"]), section)


def _shown(place: Place, home: str) -> str:
    text = f"{place.cell} ({place.section})" if place.section else place.cell
    return text if place.notebook == home else f"{place.notebook} {text}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print("\n".join(problems(facts(), places(), chapters())) or f"{PAGE.relative_to(ROOT)} is written.")
