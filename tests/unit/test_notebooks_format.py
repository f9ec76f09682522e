"""Every notebook of the kit: no outputs, short cells, the agreed tone, and no call that is not there."""

from __future__ import annotations

import ast
import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from k8slab.chapters.exercises import chapter
from k8slab.lab import Lab

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LARGEST = 500_000
LONGEST_MANIFEST = 25
COLOURS = re.compile(
    r"\bstyle\s*=[^>]*\b(?:color|background)\b|<[^>]*\b(?:bg)?color\s*=|<font\b|<style\b", re.I
)
IMAGE = re.compile(r"!\[(?P<alt>[^\]]*)\]\((?P<file>[^)\s]+)[^)]*\)|(?P<tag><img\b[^>]*>)", re.I)


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def path(request: pytest.FixtureRequest) -> Path:
    found: Path = request.param
    return found


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def cells(path: Path, kind: str) -> list[str]:
    return ["".join(cell["source"]) for cell in read(path)["cells"] if cell["cell_type"] == kind]


def python_cells(path: Path) -> list[str]:
    """The code cells that hold Python; the others begin with a magic."""
    return [source for source in cells(path, "code") if not source.startswith("%")]


def images(source: str) -> list[tuple[str, str]]:
    """Alternative text and file of each image of a text cell."""
    found = []
    for image in IMAGE.finditer(source):
        values = image.groupdict()
        if values["tag"]:
            pairs = dict(re.findall(r"""(\w+)\s*=\s*["']([^"']*)["']""", values["tag"]))
            values = {"alt": pairs.get("alt"), "file": pairs.get("src")}
        found.append((values["alt"] or "", values["file"] or ""))
    return found


def calls(source: str) -> list[ast.Call]:
    return [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]


def method_calls(path: Path) -> list[tuple[str, ast.Call]]:
    """The calls `lab.x(...)` of a notebook."""
    return [
        (call.func.attr, call)
        for source in python_cells(path)
        for call in calls(source)
        if isinstance(call.func, ast.Attribute)
        and isinstance(call.func.value, ast.Name)
        and call.func.value.id == "lab"
    ]


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS


def test_nothing_was_left_by_a_run(path: Path) -> None:
    notebook = read(path)
    assert path.stat().st_size < LARGEST
    assert "widgets" not in notebook["metadata"]
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None


def test_code_cells_are_short_and_end_in_something_to_look_at(path: Path) -> None:
    for source in python_cells(path):
        assert 1 <= len(source.splitlines()) <= 5, source
        assert isinstance(ast.parse(source).body[-1], ast.Expr), source


def test_cells_with_magics_read_like_the_terminal(path: Path) -> None:
    for cell in read(path)["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] != "code" or not source.startswith("%"):
            continue
        first, _, manifest = source.partition("\n")
        if first == "%%apply":
            assert 1 <= len(manifest.strip().splitlines()) <= LONGEST_MANIFEST, source
            if "broken-on-purpose" not in cell["metadata"].get("tags", []):
                documents = [each for each in yaml.safe_load_all(manifest) if each is not None]
                assert documents, source
                assert all(each.get("apiVersion") and each.get("kind") for each in documents), source
        else:
            assert 1 <= len(source.splitlines()) <= 5, source
            assert all(line.startswith("%kubectl ") for line in source.splitlines()), source


def test_images_have_words_and_their_files_are_here(path: Path) -> None:
    for source in cells(path, "markdown"):
        for alternative, file in images(source):
            assert alternative.strip(), f"an image without words for those who do not see it: {source}"
            assert file and (path.parent / file).is_file(), f"{file} is not beside the notebook"


def test_text_cells_set_no_colours(path: Path) -> None:
    for source in cells(path, "markdown"):
        assert not COLOURS.search(source), f"a theme knows its colours: {source}"


def test_the_rules_see_what_they_look_for() -> None:
    assert images("![](a.svg) and ![A Pod](b.svg 'x')") == [("", "a.svg"), ("A Pod", "b.svg")]
    assert images('<img src="c.svg" alt="A node">, <IMG src=d.svg>') == [("A node", "c.svg"), ("", "")]
    for text in ('<b style="font-weight: 1; color: red">', "<font size=1>", "<td bgcolor='#fff'>"):
        assert COLOURS.search(text), text
    for text in ("`color` is a label, color=red too", "in the background: x", "<details><summary>A"):
        assert not COLOURS.search(text), text


def test_the_recap_stands_in_the_notebook_and_has_three_questions(path: Path) -> None:
    recap = chapter(path.stem).recap
    assert len(recap) == 3, f"{len(recap)} recap questions"
    assert len({question.id for question in recap}) == 3
    for question in recap:
        values = [choice.value for choice in question.choices]
        assert len(set(values)) == len(values) >= 2, question.id
        assert set(question.why) == set(values) and question.right in values, question.id
    assert "recap" in [name for name, _ in method_calls(path)]


def test_text_cells_are_short_and_in_the_agreed_tone(path: Path) -> None:
    for source in cells(path, "markdown"):
        words = re.findall(r"[\w'’.-]+", re.sub(r"<[^>]*>|^#+ .*$", "", source, flags=re.M))
        assert 15 <= len(words) <= 60, (len(words), source)
        assert not re.search(r"\b(simply|just|obviously|easy)\b|!", source, re.I), source


def test_headings_skip_no_level_and_there_is_one_title(path: Path) -> None:
    levels = [
        len(found[1])
        for source in cells(path, "markdown")
        for found in re.finditer(r"^(#+) ", source, flags=re.M)
    ]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_every_call_and_every_name_in_it_exists(path: Path) -> None:
    folder = ROOT / "manifests" / path.stem
    for name, call in method_calls(path):
        assert callable(getattr(Lab, name, None)), f"lab.{name}"
        argument = call.args[0].value if call.args and isinstance(call.args[0], ast.Constant) else ""
        if name == "open":
            assert argument == path.stem
        if name == "apply":
            assert (folder / str(argument)).is_file()
        if name == "exercise":
            chapter(path.stem).exercise(str(argument))
        if name == "predict":
            chapter(path.stem).prediction(str(argument))


def test_it_says_what_is_played_opens_first_and_resets_last(path: Path) -> None:
    text, code = "\n".join(cells(path, "markdown")), cells(path, "code")
    assert "k8slab plays" in text
    assert f'Lab.open("{path.stem}")' in code[0]
    assert code[-1] == "lab.reset()"


def test_every_exercise_stands_in_its_notebook_with_hints_and_a_solution(path: Path) -> None:
    tags = [tag for cell in read(path)["cells"] for tag in cell["metadata"].get("tags", [])]
    for exercise in chapter(path.stem).exercises:
        assert f"exercise:{exercise.id}" in tags
        assert f"solution:{exercise.id}" in tags
        assert len(exercise.hints) >= 2
        ast.parse("\n".join(exercise.solution))
        assert len(exercise.solution) <= 5


def test_steps_that_later_cells_need_stand_in_the_notebook(path: Path) -> None:
    code = "\n".join(cells(path, "code"))
    for step in chapter(path.stem).steps:
        assert step.call in code
