"""docs/coverage.md is what its program writes, every fact has a place, and every place a fact."""

from __future__ import annotations

import json
from pathlib import Path

from docs.coverage import PAGE, Fact, chapters, facts, page, places, problems
from k8slab.chapters.exercises import CHAPTERS


def test_every_fact_of_a_written_chapter_has_a_place_and_every_place_a_fact() -> None:
    assert problems(facts(), places(), chapters()) == []


def test_the_page_is_what_the_program_writes() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python docs/coverage.py"


def test_every_chapter_is_written() -> None:
    assert {name[:2] for name in CHAPTERS} == chapters()


def test_facts_are_whole() -> None:
    known = facts()
    assert [each.id for each in known if each.id[0] == "C"] == [f"C{number:03}" for number in range(1, 257)]
    assert [each.id for each in known if each.id[0] == "X"] == [f"X{number:02}" for number in range(1, 99)]
    assert all(each.what and len(each.chapter) == 2 for each in known)


def test_a_lost_fact_and_a_strange_place_are_found(tmp_path: Path) -> None:
    cells = [
        {"cell_type": "markdown", "id": "cell-00", "source": ["# Title"], "metadata": {}},
        {
            "cell_type": "code",
            "id": "cell-01",
            "source": ["1"],
            "metadata": {"k8slab": {"covers": ["C1", "Q9"]}},
        },
    ]
    (tmp_path / "02-pods.ipynb").write_text(json.dumps({"cells": cells}))
    known = [Fact("C1", "02", "one"), Fact("C2", "02", "two"), Fact("C3", "07", "later")]
    where = places(tmp_path)
    assert [(each.cell, each.section) for each in where["C1"]] == [("cell-01", "Title")]
    assert problems(known, where, chapters(tmp_path)) == [
        "C2 (two) has no place in chapter 02.",
        "02-pods cell-01 covers Q9, which docs/facts.tsv does not know.",
    ]
