"""A learner's record survives kernels, other writers and a spoilt file."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from k8slab.errors import LabError
from k8slab.session.record import LearnerRecord


def test_what_was_reached_is_there_again(tmp_path: Path) -> None:
    record = LearnerRecord(tmp_path / "deep" / "progress.json")
    assert record.chapters() == {}
    record.opened("02-pods")
    record.solved("02-pods", "share", 10.0)
    record.solved("02-pods", "share", 20.0)
    record.predicted("02-pods", "gone", 1, 2)
    record.predicted("02-pods", "gone", 2, 2)
    record.recalled("02-pods", "who", 30.0)
    record.recalled("02-pods", "who", 40.0)
    known = LearnerRecord(record.path).chapters()["02-pods"]
    assert known.recalled == {"who": 30.0}
    assert known.opened > 0 and known.solved == {"share": 10.0} and known.predicted == {"gone": (1, 2)}
    assert record.path.stat().st_mode & 0o777 == 0o600 and not record.trouble


def test_writers_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "progress.json"
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda n: LearnerRecord(path).solved("c", f"e{n}", float(n)), range(40)))
    assert set(LearnerRecord(path).chapters()["c"].solved) == {f"e{n}" for n in range(40)}


@pytest.mark.parametrize("text", ["", "no json", "[]", '{"version": 9, "chapters": {}}', '{"version": 1}'])
def test_a_spoilt_file_is_left_as_it_is_and_said(tmp_path: Path, text: str) -> None:
    record = LearnerRecord(tmp_path / "progress.json")
    record.path.write_text(text)
    record.solved("c", "e", 1.0)
    assert record.path.read_text() == text and "no record" in record.trouble
    with pytest.raises(LabError, match="was left as it is"):
        record.chapters()


def test_a_record_from_before_there_were_recaps_is_read_and_kept(tmp_path: Path) -> None:
    record = LearnerRecord(tmp_path / "progress.json")
    old = {"opened": 1.0, "solved": {"share": 2.0}, "predicted": {}}
    record.path.write_text(json.dumps({"version": 1, "chapters": {"02-pods": old}}))
    record.recalled("02-pods", "who", 3.0)
    known = record.chapters()["02-pods"]
    assert (known.opened, known.solved, known.recalled) == (1.0, {"share": 2.0}, {"who": 3.0})


def test_what_cannot_be_written_says_which_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    record = LearnerRecord(tmp_path / "file" / "progress.json")
    record.solved("c", "e", 1.0)
    assert record.trouble.startswith("What you reached could not be written down: ")
    assert str(tmp_path / "file") in record.trouble


def test_an_export_is_the_same_record(tmp_path: Path) -> None:
    record = LearnerRecord(tmp_path / "progress.json")
    record.solved("c", "e", 1.0)
    exported = record.export(tmp_path / "mine.json")
    assert json.loads(exported.read_text()) == json.loads(record.path.read_text())
    with pytest.raises(LabError, match="cannot be written"):
        record.export(tmp_path / "nowhere" / "mine.json")
