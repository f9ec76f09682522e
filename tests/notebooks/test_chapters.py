"""Every chapter in a fresh kernel: untouched its checks are red and say why, solved they are green."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from k8slab.chapters.exercises import CHAPTERS, chapter
from k8slab.cluster.choose import open_cluster
from k8slab.progress import SilentProgress
from k8slab.session.record import LearnerRecord
from tests.notebooks.chapter_notebooks import TEST_SECONDS, errors, execute, notebook, results

pytestmark = pytest.mark.timeout(TEST_SECONDS)


@pytest.fixture(scope="module", autouse=True)
def running() -> Iterator[None]:
    """The cluster of all chapters, held by this process as by another notebook."""
    cluster = open_cluster(backend="embedded", progress=SilentProgress())
    try:
        yield
        assert cluster.info()["state"] == "running", "a notebook that ends takes nothing from another"
    finally:
        cluster.delete()


@pytest.mark.parametrize("name", CHAPTERS)
def test_untouched_all_checks_are_red_and_say_why(name: str, tmp_path: Path) -> None:
    ran = execute(notebook(name, solved=False), tmp_path)
    assert errors(ran) == []
    found = results(ran)
    assert set(found) == {exercise.id for exercise in chapter(name).exercises}
    for id, (passed, message) in found.items():
        assert not passed, (id, message)
        assert message.endswith("?"), (id, message)


@pytest.mark.parametrize("name", CHAPTERS)
def test_with_its_solutions_all_checks_are_green_and_recorded(name: str, tmp_path: Path) -> None:
    ran = execute(notebook(name, solved=True), tmp_path)
    assert errors(ran) == []
    assert [said for passed, said in results(ran).values() if not passed] == []
    recorded = LearnerRecord().chapters()[name]
    assert set(recorded.solved) >= {exercise.id for exercise in chapter(name).exercises}
