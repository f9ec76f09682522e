"""Chapter 03 in a fresh kernel: with its solution all checks are green, untouched all are red."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from k8slab.cluster.choose import open_cluster
from k8slab.cluster.embedded.journal import Journal
from k8slab.folders import ClusterFolder
from k8slab.processes import processes_of_cluster
from k8slab.progress import SilentProgress
from tests.notebooks.chapter_notebooks import (
    TEST_SECONDS,
    errors,
    execute,
    new_code_cell,
    notebook,
    results,
    shown,
    texts,
)

pytestmark = pytest.mark.timeout(TEST_SECONDS)

NAME = "03-replicasets"
APPLY = 'lab.apply("web.yaml")'
APPLIED = "_.wait(60)\nprint(_)"
"""What a cell said of its program once that has ended: the cell itself may be over before."""
WATCH = "lab.stopwatch()"
WATCHED = """import time
deadline = time.monotonic() + 60
while "its replacement is" not in repr(lab.stopwatch()) and time.monotonic() < deadline: time.sleep(0.1)
print(repr(lab.stopwatch()))"""
GONE_SECONDS = 60
"""How long after its kernel a cluster that nobody else uses may last."""


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
    content = notebook(NAME, solved=True)
    content.cells.append(new_code_cell("print(lab.cluster.uuid)"))
    for source, later in ((APPLY, APPLIED), (WATCH, WATCHED)):
        place = next(index for index, cell in enumerate(content.cells) if cell.source == source)
        content.cells.insert(place + 1, new_code_cell(later))
    ran = execute(content, tmp_path)
    ended = time.monotonic()
    assert errors(ran) == []
    assert all(passed for passed, _ in results(ran).values()), results(ran)
    opened = shown(ran, 'from k8slab import Lab\nlab = Lab.open("03-replicasets")\nlab')
    assert "3 nodes" in opened
    assert "Played by k8slab" in opened
    assert "replicaset.apps/web created" in shown(ran, APPLIED)
    assert "left; its replacement is" in shown(ran, WATCHED)
    uuid = shown(ran, "print(lab.cluster.uuid)").strip()
    assert uuid
    folder = ClusterFolder.of("default")
    left: list[object] = [folder]
    while left and time.monotonic() < ended + GONE_SECONDS:
        time.sleep(0.1)
        left = [*processes_of_cluster(uuid), *filter(None, [Journal.read(folder.journal)])]
    assert left == [], "the cluster outlived the last kernel that used it"


@pytest.mark.usefixtures("running")
def test_a_cell_before_the_lab_is_open_and_every_cell_run_twice(tmp_path: Path) -> None:
    content = notebook(NAME, solved=False)
    early = [new_code_cell(source) for source in ("lab.map()", 'lab.kill("pod/x")', "lab")]
    twice = [new_code_cell(cell.source) for cell in content.cells if cell.cell_type == "code" for _ in "12"]
    threads = new_code_cell(
        "import threading\nfrom collections import Counter\n"
        "print(dict(Counter(each.name for each in threading.enumerate() if 'k8slab' in each.name)))"
    )
    again = new_code_cell('unchanged = lab.apply("web.yaml")\nunchanged.wait(60)\nprint(unchanged)')
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
