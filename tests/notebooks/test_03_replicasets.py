"""Chapter 03 in a fresh kernel: with its solution all checks are green, untouched all are red."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from k8slab.chapters.exercises import chapter
from k8slab.cluster.choose import open_cluster
from k8slab.cluster.journal import Journal
from k8slab.folders import ClusterFolder
from k8slab.processes import processes_of_cluster
from k8slab.progress import SilentProgress
from k8slab.session.notebook import environment

nbformat: Any = import_module("nbformat")  # it ships types for half of itself
NAME = "03-replicasets"
NOTEBOOK = Path(__file__).parents[2] / "notebooks" / f"{NAME}.ipynb"
RUNNER = Path(__file__).with_name("run_notebook.py")
CHAPTER = chapter(NAME)
GONE_SECONDS = 15
"""How long after its kernel a cluster that nobody else uses may last."""

CHECKS = """import json, time
deadline = time.monotonic() + WAIT
while time.monotonic() < deadline and not all(lab.check(id) for id in IDS): time.sleep(0.25)
print("CHECKS " + json.dumps([[id, lab.check(id).passed, lab.check(id).message] for id in IDS]))"""


def new_code_cell(source: str) -> Any:
    return nbformat.v4.new_code_cell(source)


def checks(wait: float) -> Any:
    ids = [exercise.id for exercise in CHAPTER.exercises]
    return new_code_cell(CHECKS.replace("WAIT", str(wait)).replace("IDS", repr(ids)))


def notebook(solved: bool) -> Any:
    """The notebook with its solutions filled in or not, and the checks written down before it resets."""
    found = nbformat.read(NOTEBOOK, as_version=4)
    cells = []
    for cell in found.cells:
        for tag in cell.metadata.get("tags", []):
            kind, _, id = tag.partition(":")
            if kind == "solution" and solved:
                cell.source = "\n".join(CHAPTER.exercise(id).solution)
            if kind == "reset":
                cells.append(checks(wait=30 if solved else 3))
        cells.append(cell)
    found.cells = cells
    return found


def execute(content: Any, folder: Path) -> Any:
    """The notebook as it is after a run in a fresh kernel."""
    nbformat.write(content, folder / "in.ipynb")
    done = subprocess.run(
        [sys.executable, str(RUNNER), str(folder / "in.ipynb"), str(folder / "out.ipynb")],
        env={**environment(dict(os.environ)), "K8SLAB_BACKEND": "embedded"},
        capture_output=True,
        text=True,
        timeout=175,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return nbformat.read(folder / "out.ipynb", as_version=4)


def errors(content: Any) -> list[tuple[str, str]]:
    return [
        (cell.source, f"{output.ename}: {output.evalue}")
        for cell in content.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if output.output_type == "error"
    ]


def texts(cell: Any) -> str:
    """All that a cell showed as text."""
    parts = []
    for output in cell.outputs:
        parts.append(output.get("text", "") or output.get("data", {}).get("text/plain", ""))
    return "\n".join(parts)


def shown(content: Any, source: str) -> str:
    """What the cell with that source showed."""
    return texts(next(cell for cell in content.cells if cell.source == source))


def results(content: Any) -> dict[str, tuple[bool, str]]:
    line = next(
        line
        for cell in content.cells
        if cell.cell_type == "code"
        for line in texts(cell).splitlines()
        if line.startswith("CHECKS ")
    )
    return {id: (passed, message) for id, passed, message in json.loads(line.removeprefix("CHECKS "))}


@pytest.fixture
def running() -> Iterator[None]:
    """The cluster of all chapters, held by this process as by another notebook."""
    cluster = open_cluster(backend="embedded", progress=SilentProgress())
    try:
        yield
        assert cluster.info()["state"] == "running", "a notebook that ends takes nothing from another"
    finally:
        cluster.delete()


def test_with_its_solution_all_checks_are_green_and_nothing_is_left(tmp_path: Path) -> None:
    """The story of a fresh clone: the notebook starts its cluster, is solved, and its kernel ends."""
    content = notebook(solved=True)
    content.cells.append(new_code_cell("print(lab.cluster.uuid)"))
    ran = execute(content, tmp_path)
    ended = time.monotonic()
    assert errors(ran) == []
    assert all(passed for passed, _ in results(ran).values()), results(ran)
    opened = shown(ran, 'from k8slab import Lab\nlab = Lab.open("03-replicasets")\nlab')
    assert "3 nodes" in opened
    assert "Played by k8slab" in opened
    assert "replicaset.apps/web created" in shown(ran, 'lab.apply("web.yaml")')
    assert "left; its replacement is" in shown(ran, "lab.stopwatch()")
    uuid = shown(ran, "print(lab.cluster.uuid)").strip()
    assert uuid
    folder = ClusterFolder.of("default")
    left: list[object] = [folder]
    while left and time.monotonic() < ended + GONE_SECONDS:
        time.sleep(0.1)
        left = [*processes_of_cluster(uuid), *filter(None, [Journal.read(folder.journal)])]
    assert left == [], "the cluster outlived the last kernel that used it"


@pytest.mark.usefixtures("running")
def test_untouched_all_checks_are_red_and_say_why(tmp_path: Path) -> None:
    ran = execute(notebook(solved=False), tmp_path)
    assert errors(ran) == []
    for passed, message in results(ran).values():
        assert not passed
        assert message.endswith("?")
    assert "wants 1" in results(ran)["keep-three"][1]


@pytest.mark.usefixtures("running")
def test_a_cell_before_the_lab_is_open_and_every_cell_run_twice(tmp_path: Path) -> None:
    content = notebook(solved=False)
    early = [new_code_cell(source) for source in ("lab.map()", 'lab.kill("pod/x")', "lab")]
    twice = [new_code_cell(cell.source) for cell in content.cells if cell.cell_type == "code" for _ in "12"]
    threads = new_code_cell(
        "import threading\nfrom collections import Counter\n"
        "print(dict(Counter(each.name for each in threading.enumerate() if 'k8slab' in each.name)))"
    )
    again = new_code_cell('unchanged = lab.apply("web.yaml")\nunchanged.wait(30)\nprint(unchanged)')
    content.cells = [*early, *twice[:4], again, *twice[4:], threads]
    ran = execute(content, tmp_path)
    found = errors(ran)
    assert [source for source, _ in found] == ["lab.map()", 'lab.kill("pod/x")'], found
    for _, text in found:
        assert text.startswith("ClusterStateError: There is no lab in this notebook yet.")
        assert "Lab.open" in text
    for cell in ran.cells[:2]:
        assert "Traceback" not in "\n".join(cell.outputs[0].traceback)
    assert "replicaset.apps/web unchanged" in texts(ran.cells[7])
    counted = texts(ran.cells[-1])
    for thread in ("k8slab-drawer", "k8slab-judge", "k8slab-scene", "k8slab-mirror-pods"):
        assert f"'{thread}': 1" in counted, counted
