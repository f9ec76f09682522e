"""A chapter's notebook for tests: with its solutions or not, executed, and what its cells showed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from k8slab.chapters.exercises import chapter
from k8slab.session.notebook import environment

nbformat: Any = import_module("nbformat")  # it ships types for half of itself
FOLDER = Path(__file__).parents[2] / "notebooks"
RUNNER = Path(__file__).with_name("run_notebook.py")
RUN_SECONDS = 900
"""How long a notebook may run in which nothing hangs: four and a half minutes were seen on a busy machine."""
TEST_SECONDS = RUN_SECONDS + 120
"""The same with the start and the end of its cluster."""

CHECKS = """import json, time
deadline = time.monotonic() + WAIT
found = [lab.check(id) for id in IDS]
while time.monotonic() < deadline and not all(found):
    time.sleep(0.25)
    found = [lab.check(id) for id in IDS]
print("CHECKS " + json.dumps([[id, each.passed, each.message] for id, each in zip(IDS, found)]))"""
ASKS = re.compile(r"^lab\.kubectl\(f?\"exec (client|deploy/web|replicaset/tea) -- .*\)$")
"""A line that asks through the network, or a Pod that an owner just made."""
ASKED = """import time
from k8slab.errors import GuardError, LabError
deadline = time.monotonic() + 60
while time.monotonic() < deadline:
    try:
        LINE.wait(60)
        break
    except GuardError:
        break
    except LabError:
        time.sleep(0.5)
LINE"""
"""What such a line needs is told by several watchers. A learner comes later than Run All, or asks again."""


def new_code_cell(source: str) -> Any:
    """A code cell."""
    return nbformat.v4.new_code_cell(source)


def checks(name: str, wait: float) -> Any:
    """A cell that writes down how each check stands, after at most `wait` seconds."""
    ids = [exercise.id for exercise in chapter(name).exercises]
    return new_code_cell(CHECKS.replace("WAIT", str(wait)).replace("IDS", repr(ids)))


def notebook(name: str, solved: bool) -> Any:
    """The notebook with its solutions filled in or not, and the checks written down before it resets."""
    found = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    cells = []
    for cell in found.cells:
        for tag in cell.metadata.get("tags", []):
            kind, _, id = tag.partition(":")
            if kind == "solution" and solved:
                cell.source = "\n".join(chapter(name).exercise(id).solution)
            if kind == "reset":
                cells.append(checks(name, wait=240 if solved else 3))
        if cell.cell_type == "code" and "fails-on-purpose" not in cell.metadata.get("tags", []):
            cell.source = asked_in_time(cell.source)
        cells.append(cell)
    found.cells = cells
    return found


def asked_in_time(source: str) -> str:
    """A cell whose last line is asked when what it asks for is there, as it would be for a learner.

    Args:
        source: the cell; left as it is if it asks for nothing of the kind.
    """
    *first, last = source.splitlines() or [""]
    if not ASKS.match(last):
        return source
    return "\n".join([*first, ASKED.replace("LINE", last)])


def execute(content: Any, folder: Path, backend: Mapping[str, str] | None = None) -> Any:
    """The notebook as it is after a run in a fresh kernel.

    Args:
        content: the notebook.
        folder: where it is written.
        backend: environment variables that choose the cluster; the embedded one if None.
    """
    nbformat.write(content, folder / "in.ipynb")
    done = subprocess.run(
        [sys.executable, str(RUNNER), str(folder / "in.ipynb"), str(folder / "out.ipynb")],
        env={**environment(dict(os.environ)), **(backend or {"K8SLAB_BACKEND": "embedded"})},
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return nbformat.read(folder / "out.ipynb", as_version=4)


def errors(content: Any) -> list[tuple[str, str]]:
    """Source and error of each cell that failed; not of one that is meant to."""
    return [
        (cell.source, f"{output.ename}: {output.evalue}")
        for cell in content.cells
        if cell.cell_type == "code" and "fails-on-purpose" not in cell.metadata.get("tags", [])
        for output in cell.outputs
        if output.output_type == "error"
    ]


def texts(cell: Any) -> str:
    """All that a cell showed as text; what it printed may have come in pieces."""
    parts: list[str] = []
    printing = ""
    for output in cell.outputs:
        text = output.get("text", "") or output.get("data", {}).get("text/plain", "")
        if printing and output.get("name", "") == printing:
            parts[-1] += text
        else:
            parts.append(text)
        printing = output.get("name", "")
    return "\n".join(parts)


def shown(content: Any, source: str) -> str:
    """What the cell with that source showed."""
    return texts(next(cell for cell in content.cells if cell.source == source))


def results(content: Any) -> dict[str, tuple[bool, str]]:
    """How each check stood: whether it passed, and its message."""
    line = next(
        line
        for cell in content.cells
        if cell.cell_type == "code"
        for line in texts(cell).splitlines()
        if line.startswith("CHECKS ")
    )
    return {id: (passed, message) for id, passed, message in json.loads(line.removeprefix("CHECKS "))}
