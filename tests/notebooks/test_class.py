"""A class on one shared cluster, as docs/teaching.md sets it up: notebooks as they are, learners' few rights.

The cluster is an embedded one, and nothing of k8slab's knows that: it is attached through kubeconfigs whose
users may do what the page grants, and the API server's audit log says what was sent. Each learner does
another chapter, some at the same time.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from k8slab.cluster.choose import open_cluster
from k8slab.cluster.embedded.backend import EmbeddedCluster
from k8slab.progress import SilentProgress
from tests.notebooks.chapter_notebooks import TEST_SECONDS, errors, execute, new_code_cell, notebook, results
from tests.notebooks.classroom import CONTEXT, Place, place

pytestmark = pytest.mark.timeout(2 * TEST_SECONDS)

LEARNERS = {
    "anna": "02-pods",
    "bela": "03-replicasets",
    "cleo": "04-deployments",
    "dora": "05-services",
    "gina": "00-start",
}
AT_ONCE = 3
"""Learners at work at the same time: kernels need a processor, too."""
COLLECTED_SECONDS = 60
READER, TAKER = "emil", "fay"
"""One who never types the context's name, and one who opens the chapter that takes a cluster apart."""


@dataclass(frozen=True)
class Lesson:
    """What one learner did.

    Args:
        place: where.
        before: what was in the namespace before.
        ran: the notebook, as it was afterwards.
    """

    place: Place
    before: set[str]
    ran: Any


@pytest.fixture(scope="module")
def lessons(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Lesson]]:
    """Everybody's lesson, by name."""
    cluster = open_cluster("shared", backend="embedded", progress=SilentProgress())
    assert isinstance(cluster, EmbeddedCluster)
    audit, folder = cluster.folder.logs / "audit.jsonl", tmp_path_factory.mktemp("class")
    chapters = {**LEARNERS, READER: "03-replicasets", TAKER: "01-cluster-anatomy"}

    def lesson(here: Place) -> Lesson:
        name = chapters[here.learner]
        content = notebook(name, solved=here.learner in LEARNERS)
        opened = next(index for index, cell in enumerate(content.cells) if "Lab.open(" in cell.source)
        if here.learner != READER:
            content.cells.insert(opened + 1, new_code_cell(f'lab.unlock("{CONTEXT}")'))
        notes = folder / here.learner
        notes.mkdir()
        environment = {**here.environment, "K8SLAB_STATE_DIR": str(notes / "state")}
        return Lesson(here, here.objects(), execute(content, notes, environment))

    try:
        with ExitStack() as places, ThreadPoolExecutor(AT_ONCE) as pool:
            everybody = [places.enter_context(place(each, cluster, audit, folder)) for each in chapters]
            yield {each.place.learner: each for each in pool.map(lesson, everybody)}
    finally:
        cluster.delete()


@pytest.mark.parametrize("learner", LEARNERS)
def test_solved_a_chapter_is_green_there_and_leaves_nothing(learner: str, lessons: dict[str, Lesson]) -> None:
    lesson = lessons[learner]
    # The Service `kubernetes` is not the learner's to see: the API server says so, in its own words.
    refused = [text for source, text in errors(lesson.ran) if "-n default" in source]
    assert all("forbidden" in text for text in refused)
    assert len(errors(lesson.ran)) == len(refused), errors(lesson.ran)
    assert [said for passed, said in results(lesson.ran).values() if not passed] == []
    assert lesson.place.changes()
    assert lesson.place.outside == []
    # What a Service's or a Deployment's end takes with it is collected by others, a moment later.
    deadline = time.monotonic() + COLLECTED_SECONDS
    while (left := lesson.place.objects()) != lesson.before and time.monotonic() < deadline:
        time.sleep(0.2)
    assert left == lesson.before, "a reset removes what the lab made, and that alone"


def test_without_the_typed_name_nothing_but_reads_is_sent(lessons: dict[str, Lesson]) -> None:
    lesson = lessons[READER]
    assert lesson.place.changes() == []
    found = errors(lesson.ran)
    assert any("typed once more" in text for _, text in found)
    assert all("Lab.open" not in source for source, _ in found), "to open it and look is free"


def test_chapter_01_says_what_cannot_be_done_there(lessons: dict[str, Lesson]) -> None:
    lesson = lessons[TAKER]
    for id, (passed, message) in results(lesson.ran).items():
        assert not passed and "Open the chapter with backend='embedded' or 'kind'" in message, id
    assert lesson.place.outside == []
    assert lesson.place.objects() == lesson.before
