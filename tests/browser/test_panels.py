"""Graph and panels in a real JupyterLab: they move and take clicks by mouse while a cell runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from k8slab.chapters.exercises import chapter
from tests.browser.busy_cell import BEATING, BusyCell
from tests.browser.conftest import ARTIFACTS, Notebook, until, until_equal

Open = Callable[..., Notebook]
Notes = Callable[[], list[dict[str, Any]]]

PANEL = """
from pathlib import Path
from tests.browser.scripted import NotingActions, ScriptedSource, HOSTILE
from k8slab.widgets.graph_view import GraphView
from k8slab.widgets.exercise_view import ExerciseView
from k8slab.widgets.kill_panel import KillPanel
from k8slab.widgets.prediction_view import PredictionView
from k8slab.widgets.stopwatch_view import StopwatchView
from k8slab.widgets.traffic_view import TrafficView
source = ScriptedSource()
actions = NotingActions(source, Path({file!r}))
{last}
"""
GRAPH = """
from plotly.graph_objects import FigureWidget  # as a lab does: the thread that draws does not wait for it
GraphView(source, actions)
"""
DRAWN = """() => (document.querySelector('.js-plotly-plot')?.data ?? [])
    .map(trace => (trace.hovertext ?? []).join()).join()"""
EXERCISE = """
from dataclasses import dataclass
from k8slab.chapters.predictions import Choice, Question
@dataclass
class Found:
    passed: bool
    message: str
solved = []
def check():
    return Found(True, "Three, and always three.") if solved else Found(False, "Two are there.")
hints = ("Look at spec.", HOSTILE)
ExerciseView("Keep three", "Make the ReplicaSet keep three Pods.", check, hints, ("lab.map()",))
"""


def cell(tmp_path: Path, last: str) -> str:
    return PANEL.format(file=str(tmp_path / "notes.jsonl"), last=last)


def test_the_graph_moves_and_its_button_kills_while_a_cell_runs(
    open_notebook: Open, tmp_path: Path, notes: Notes, busy: BusyCell
) -> None:
    notebook = open_notebook(
        cell(tmp_path, GRAPH),
        busy.source(BEATING),
        "source.change(lambda scene: scene['pods']['p3'].update(note='seen again'))",
    )
    notebook.run(0)
    page = notebook.page
    page.locator(".js-plotly-plot .scatterlayer .trace").first.wait_for(state="attached")
    until(lambda: "web-b4t8n" in notebook.evaluate(DRAWN), "the Pods in the figure")
    traces = notebook.evaluate("() => document.querySelector('.js-plotly-plot').data.length")
    notebook.start(1)
    until(lambda: "change " in notebook.evaluate(DRAWN), "the figure to move while the cell runs")
    first = notebook.evaluate(DRAWN)
    until(lambda: notebook.evaluate(DRAWN) != first, "it to move on")
    assert notebook.count(1) is None, "the cell still runs"
    button = page.get_by_role("button", name="Kill", exact=True)
    button.click()
    if not notebook.has_subshells():
        note = page.locator(".k8-click-note", has_text="queued: a cell is running")
        note.wait_for()
        busy.end()
        until(lambda: notebook.count(1) is not None, "the cell's end")
    noted = until(notes, "the kill")
    assert noted[0]["verb"] == "kill"
    if notebook.has_subshells():
        assert notebook.count(1) is None, "the cell still runs"
        assert noted[0]["uid"] == "p3"
        page.locator(".k8p-note", has_text='pod "web-b4t8n" deleted').wait_for()
    page.locator(".k8slab-panel").first.screenshot(path=ARTIFACTS / "graph-view.png")
    busy.end()
    notebook.shows(1, "woke")
    assert notebook.evaluate("() => document.querySelector('.js-plotly-plot').data.length") == traces
    notebook.run(0)
    notebook.run(2)
    until(lambda: "seen again" in notebook.evaluate(DRAWN), "a second view of the figure to follow")


def test_a_choice_in_the_panel_is_taken_while_a_cell_runs(
    open_notebook: Open, tmp_path: Path, notes: Notes, busy: BusyCell
) -> None:
    notebook = open_notebook(cell(tmp_path, "KillPanel(source, actions)"), busy.source(BEATING))
    notebook.run(0)
    page = notebook.page
    pods = page.locator(".k8slab-panel select").first
    until(lambda: pods.locator("option").count() == 5, "the Pods to choose from")
    if not notebook.has_subshells():
        return
    notebook.start(1)
    pods.select_option(label="web-m2v6k (Running)")
    page.get_by_role("button", name="Kill", exact=True).click()
    noted = until(notes, "the kill")
    assert notebook.count(1) is None, "the cell still runs"
    assert noted[0]["uid"] == "p4"
    busy.end()
    notebook.shows(1, "woke")


def test_an_exercise_turns_green_by_itself(open_notebook: Open, tmp_path: Path) -> None:
    notebook = open_notebook(cell(tmp_path, EXERCISE), "solved.append(1)")
    notebook.run(0)
    page = notebook.page
    page.locator(".k8p-note", has_text="○ not yet: Two are there.").wait_for()
    page.get_by_role("button", name="Hint 1 of 2").click()
    page.get_by_text("Hint 1. Look at spec.").wait_for()
    page.get_by_role("button", name="Hint 2 of 2").click()
    page.get_by_text("Hint 2. <img src=x").wait_for()
    page.get_by_role("button", name="Show the solution").click()
    page.locator(".k8slab-panel pre").wait_for()
    notebook.run(1)
    page.locator(".k8p-note", has_text="✓ done: Three, and always three.").wait_for()
    assert page.locator(".k8slab-panel img").count() == 0
    assert "owned" not in page.title()
    page.locator(".k8slab-panel").screenshot(path=ARTIFACTS / "exercise-view.png")


def test_a_prediction_is_one_click_a_question(open_notebook: Open, tmp_path: Path) -> None:
    questions = (
        "from k8slab.chapters.predictions import Choice, Question\n"
        "questions = (Question('count', 'How many Pods will there be five seconds later?',"
        " (Choice('2', 'two'), Choice('3', 'three'))),"
        " Question('name', 'Will the new one have the same name?',"
        " (Choice('same', 'the same'), Choice('another', 'another'))))\n"
        "said = {}\n"
        "view = PredictionView(questions, said.__setitem__, act='Now press Kill on any Pod.')\nview"
    )
    notebook = open_notebook(
        cell(tmp_path, questions),
        "print(said); view.judge('You said three and another: right on both.', dict.fromkeys(said, True))",
        "from IPython.display import display\n"
        "from k8slab.traffic import Tally\n"
        "pods = {'web-b4t8n': 25, 'web-m2v6k': 12}\n"
        "tally = Tally('svc/web', True, 40, 37, 3, pods, {'HTTP 503': 3}, (), 0.01)\n"
        "display(StopwatchView(source), TrafficView(lambda: tally))",
    )
    notebook.run(0)
    page = notebook.page
    page.get_by_role("button", name="three", exact=True).click()
    page.get_by_role("button", name="✓ three", exact=True).wait_for()
    page.get_by_role("button", name="another", exact=True).click()
    page.locator(".k8p-note", has_text="Now press Kill on any Pod.").wait_for()
    notebook.run(1)
    notebook.shows(1, "'count': '3'")
    page.locator(".k8p-note", has_text="right on both.").wait_for()
    page.locator(".k8slab-panel").screenshot(path=ARTIFACTS / "prediction-view.png")
    notebook.run(2)
    page.get_by_text("Healed in 0.74 s.").wait_for()
    page.get_by_text("40 requests sent").wait_for()
    for number, name in ((1, "stopwatch"), (2, "traffic")):
        page.locator(".k8slab-panel").nth(number).screenshot(path=ARTIFACTS / f"{name}-view.png")


def test_a_recap_is_answered_by_mouse_and_keeps_its_count(open_notebook: Open, tmp_path: Path) -> None:
    recap = (
        "from k8slab.chapters.exercises import chapter\n"
        "from k8slab.session.recalling import RecapRun\n"
        "from k8slab.session.record import LearnerRecord\n"
        "from k8slab.session.record_keeper import RecordKeeper\n"
        "from k8slab.widgets.recap_view import RecapView\n"
        f"keeper = RecordKeeper(LearnerRecord(Path({str(tmp_path / 'progress.json')!r})), '05-services')\n"
        "run = RecapRun(chapter('05-services').recap, keeper.recalled)"
    )
    progress = (
        "from k8slab.session.reached import as_html, reached, what_is_next\n"
        "from k8slab.widgets.progress_view import ProgressView\n"
        "def look():\n"
        "    chapters = reached(keeper.chapters())\n"
        "    return as_html(chapters), what_is_next(chapters), keeper.trouble\n"
        "keeper.opened(); ProgressView(look, keeper.follow)"
    )
    questions = chapter("05-services").recap
    notebook = open_notebook(
        cell(tmp_path, recap), "RecapView(run)", progress, "keeper.solved('misspelt', 1)"
    )
    notebook.run(0)
    notebook.run(1)
    notebook.run(2)
    page = notebook.page
    page.get_by_text("0 of 3 right. Try as often as you like.").wait_for()
    for number, question in enumerate(questions):
        wrong = next(choice for choice in question.choices if not question.is_right(choice.value))
        right = next(choice for choice in question.choices if question.is_right(choice.value))
        page.get_by_role("button", name=wrong.text, exact=True).click()
        page.get_by_role("button", name=f"✗ not quite: {wrong.text}", exact=True).wait_for()
        page.locator(".k8p-note", has_text=question.sentence(wrong.value)).wait_for()
        if number == 2:
            page.locator(".k8slab-panel").first.screenshot(path=ARTIFACTS / "recap-view.png")
        page.get_by_role("button", name=right.text, exact=True).click()
        page.get_by_role("button", name=f"✓ right: {right.text}", exact=True).wait_for()
        page.locator(".k8p-note", has_text=question.sentence(right.value)).wait_for()
        page.get_by_text(f"{number + 1} of 3 right.", exact=number == 2).first.wait_for()
    page.get_by_role("cell", name="3 of 3 right").wait_for()
    notebook.run(1)
    page.get_by_text("3 of 3 right.", exact=True).wait_for()
    kept = page.get_by_role("button", name="✓ right: ")
    until_equal(kept.count, 3, "kept when the cell is run again")
    notebook.run(3)
    page.get_by_text("✓ solved on").wait_for()
    page.locator(".k8slab-panel").nth(1).screenshot(path=ARTIFACTS / "progress-view.png")
