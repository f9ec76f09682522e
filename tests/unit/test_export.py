"""What lab.export writes: one inert page that needs nothing from outside, or the log it is made from."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from k8slab.cli import app
from k8slab.errors import LabError
from k8slab.graph.replay import replay
from k8slab.graph.static_picture import static_html
from k8slab.mirror.recording import About, Recording
from k8slab.mirror.timeline import Timeline
from k8slab.session.exports import export
from k8slab.widgets.history_message import packed
from k8slab.widgets.replay_page import page_script
from tests.unit.recorded_objects import kill, lesson

HOSTILE = "</script><script>alert(1)</script><!--"
SVG_NAMESPACE = "http://www.w3.org/2000/svg"


def recorded(title: str = "03 · ReplicaSets") -> Recording:
    timeline = Timeline()
    recording = lesson(timeline.record)
    since = recording.now
    timeline.announce("delete", "pod-web-a", since)
    kill(recording)
    return timeline.recording(About(title, "lesson", "embedded", {}, since, since + 40))


def test_the_page_needs_nothing_from_outside_and_is_small(tmp_path: Path) -> None:
    written = export(recorded(), tmp_path / "lesson.html")
    text = written.path.read_text()
    assert written.size == len(text.encode()) and "lesson.html" in repr(written)
    assert "http" not in text.replace(SVG_NAMESPACE, "").replace("http-equiv", "")
    assert "default-src 'none'" in text and "<noscript>" in text and "You deleted web-a." in text
    code = page_script()
    assert len(code.encode()) < 300_000 and "</" not in code and "<!--" not in code
    assert code in text


def test_hostile_texts_stay_texts(tmp_path: Path) -> None:
    path = export(recorded(HOSTILE), tmp_path / "lesson.html").path
    text = path.read_text()
    assert "alert(1)</script>" not in text and text.count("<script") == 2
    found = re.search(
        r'<script type="application/json" id="k8slab-recording">(.*?)</script>', text, re.DOTALL
    )
    assert found is not None and json.loads(found[1])["start"]["title"] == HOSTILE


def test_the_same_log_gives_the_same_page(tmp_path: Path) -> None:
    log = export(recorded(), tmp_path / "lesson.jsonl").path
    first = export(recorded(), tmp_path / "one.html").path.read_bytes()
    told = CliRunner().invoke(app, ["replay", str(log), "--html", str(tmp_path / "two.html")])
    assert told.exit_code == 0 and first == (tmp_path / "two.html").read_bytes()
    text = CliRunner().invoke(app, ["replay", str(log)]).output
    assert "+0.00 s  You deleted web-a." in text and "At its end" in text


def test_a_file_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    export(recorded(), tmp_path / "lesson.html")
    export(recorded(), tmp_path / "lesson.html")
    for name in ("mine.html", "mine.jsonl"):
        (tmp_path / name).write_text("mine")
        with pytest.raises(LabError, match="did not write it"):
            export(recorded(), tmp_path / name)
        assert (tmp_path / name).read_text() == "mine"
    with pytest.raises(LabError, match="neither a page nor a log"):
        export(recorded(), tmp_path / "lesson.txt")
    with pytest.raises(LabError, match="cannot be written"):
        export(recorded(), tmp_path / "nowhere" / "lesson.html")
    assert {each.name for each in tmp_path.iterdir()} == {"lesson.html", "mine.html", "mine.jsonl"}


def test_a_history_that_is_too_large_is_cut_at_its_start_and_says_so() -> None:
    import gzip

    history = replay(recorded())[0].as_json()
    whole = json.loads(gzip.decompress(packed(history)))
    assert whole["cut"] == 0 and whole["frames"] == history["frames"]
    cut = json.loads(gzip.decompress(packed(history, len(packed(history)) - 100)))
    assert cut["cut"] == cut["start"]["changes"] - history["start"]["changes"] > 0
    assert cut["frames"] == history["frames"][-len(cut["frames"]) :]


def test_the_still_picture_has_a_description_and_its_text() -> None:
    scene = {**replay(recorded(HOSTILE))[1]}
    text = static_html(scene)
    assert "alert(1)</script>" not in text and text.count("<") == text.count(">") == 9
    assert re.search(r'<img alt="Map of the cluster: .*3 nodes, 4 Pods, 4 of them ready', text)
    assert "Node worker-1: Ready" in text and "data:image/svg+xml;base64," in text
