"""The panels made of ipywidgets: each is composed, updated from the drawer, and inert to hostile text."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ipywidgets.widgets.widget import _instances

from k8slab.chapters.predictions import Choice, Question
from k8slab.errors import LabError
from k8slab.traffic import Tally
from k8slab.widgets.exercise_view import ExerciseView
from k8slab.widgets.graph_view import GraphView
from k8slab.widgets.kill_panel import KillPanel
from k8slab.widgets.panel import Panel
from k8slab.widgets.prediction_view import UNKNOWN, PredictionView
from k8slab.widgets.stopwatch_view import StopwatchView
from k8slab.widgets.traffic_view import TrafficView
from tests.browser.scripted import HOSTILE, NotingActions, ScriptedSource, hostile_scene

QUESTIONS = (
    Question("count", "How many Pods five seconds later?", (Choice("2", "two"), Choice("3", "three"))),
    Question(
        "name", "Will it have the same name?", (Choice("same", "the same"), Choice("another", "another"))
    ),
)


def wait(condition: Callable[[], Any], seconds: float = 5.0) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.01)
    raise AssertionError("the condition did not come true")


@pytest.fixture
def open_panel() -> Iterator[Callable[[Panel], Panel]]:
    """Closes what a test opened; no thread may be left, and no widget but the kernel's figure."""
    before = set(threading.enumerate())
    known = set(_instances)
    opened: list[Panel] = []

    def keep(panel: Any) -> Any:
        opened.append(panel)
        return panel

    yield keep
    for panel in opened:
        panel.close()
        panel.close()
    wait(lambda: set(threading.enumerate()) <= before)
    left = [type(widget).__name__ for key, widget in _instances.items() if key not in known]
    assert [name for name in left if "Figure" not in name] == []


Open = Callable[[Any], Any]


def press(button: Any) -> None:
    """Click a button as the browser does."""
    message = {"method": "custom", "content": {"event": "click"}}
    button.comm.handle_msg({"content": {"data": message}, "buffers": []})


def set_index(dropdown: Any, index: int) -> None:
    """Choose as the browser does."""
    message = {"method": "update", "state": {"index": index}}
    dropdown.comm.handle_msg({"content": {"data": message}, "buffers": []})


def test_a_prediction_takes_one_click_a_question(open_panel: Open) -> None:
    said: list[tuple[str, str]] = []
    view = open_panel(PredictionView(QUESTIONS, lambda q, v: said.append((q, v)), act="Now press Kill."))
    wait(lambda: "Say what you expect" in view.outcome.value)
    assert [button.description for button in view.buttons.values()][:3] == [
        "two",
        "three",
        "I don't know, show me",
    ]
    press(view.buttons["count", "3"])
    wait(lambda: said == [("count", "3")])
    assert not view.answered
    press(view.buttons["name", UNKNOWN])
    wait(lambda: view.answered and "Now press Kill." in view.outcome.value)
    assert view.buttons["count", "3"].description == "✓ three"
    press(view.buttons["count", "2"])
    wait(lambda: view.buttons["count", "3"].description == "three")
    assert said[-1] == ("count", "2")


def test_a_judged_prediction_says_so_and_is_closed(open_panel: Open) -> None:
    view = open_panel(PredictionView(QUESTIONS, lambda q, v: None, said={"count": "3", "name": "another"}))
    view.judge("You said three and another: right on both.", {"count": True, "name": True})
    wait(lambda: "right on both" in view.outcome.value and "k8p-good" in view.outcome.value)
    assert all(button.disabled for button in view.buttons.values())
    view.show({})
    wait(lambda: not any(button.disabled for button in view.buttons.values()))
    assert not view.answered


def test_a_refused_answer_is_shown(open_panel: Open) -> None:
    def refuse(question: str, value: str) -> None:
        raise LabError("Too late.")

    view = open_panel(PredictionView(QUESTIONS, refuse))
    press(view.buttons["count", "3"])
    wait(lambda: "Too late." in view.outcome.value)


@dataclass
class Found:
    """What a check found."""

    passed: bool
    message: str


@dataclass
class Task:
    """A task whose state a test decides."""

    found: Found = field(default_factory=lambda: Found(False, "Two are there. What would make a third?"))
    callbacks: list[Callable[[], None]] = field(default_factory=list)
    threads: set[str] = field(default_factory=set)

    def check(self) -> Found:
        self.threads.add(threading.current_thread().name)
        return self.found

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        self.callbacks.append(callback)
        return lambda: self.callbacks.remove(callback)


def test_an_exercise_turns_green_by_itself_and_back(open_panel: Open) -> None:
    task = Task()
    view = open_panel(ExerciseView("Keep three", "Make it keep three.", task.check, subscribe=task.subscribe))
    wait(lambda: "not yet: Two are there." in view.result.value)
    task.found = Found(True, "Three, and always three.")
    task.callbacks[0]()
    wait(lambda: "✓ done: Three, and always three." in view.result.value)
    assert view.passed
    task.found = Found(False, "It was done.")
    task.callbacks[0]()
    wait(lambda: "not yet: It was done." in view.result.value)
    assert task.threads == {"k8slab-exercise-check"}, "a slow check must not hold up the drawer"
    view.close()
    assert task.callbacks == []


def test_hints_come_one_by_one_and_then_the_solution(open_panel: Open) -> None:
    told: list[int] = []
    hints, solution = ("Look at spec.", "spec.replicas."), ("lab.kubectl('scale')", "lab.map()")
    view = open_panel(ExerciseView("T", "t", Task().check, hints, solution, on_hint=told.append))
    wait(lambda: view.hint_button.description == "Hint 1 of 2")
    press(view.hint_button)
    wait(lambda: "Look at spec." in view.more.value)
    assert "spec.replicas" not in view.more.value
    press(view.hint_button)
    wait(lambda: "spec.replicas" in view.more.value)
    assert (view.hint_button.disabled, view.hint_button.description) == (True, "No more hints")
    press(view.solution_button)
    wait(lambda: "lab.map()" in view.more.value)
    assert told == [1, 2]


def test_a_check_that_fails_says_so(open_panel: Open) -> None:
    def fails() -> Found:
        raise ZeroDivisionError("division by zero")

    view = open_panel(ExerciseView("T", "t", fails))
    wait(lambda: "The check itself failed: ZeroDivisionError" in view.result.value)


def test_the_kill_panel_follows_the_pods_and_kills(open_panel: Open, tmp_path: Path) -> None:
    source = ScriptedSource()
    actions = NotingActions(source, tmp_path / "notes.jsonl")
    panel = open_panel(KillPanel(source, actions))
    wait(lambda: len(panel.pod.options) == 5)
    names = [label for label, _ in panel.pod.options]
    assert names[0] == "web-b4t8n (Running)"
    set_index(panel.pod, 1)
    wait(lambda: panel.pod.value == "p4")
    source.change(lambda scene: scene["pods"].pop("p3"))
    wait(lambda: len(panel.pod.options) == 4)
    assert panel.pod.value == "p4", "a choice that is still there stays"
    press(panel.button)
    wait(lambda: "kubectl kill pod web-m2v6k" in panel.result.value)
    assert "deleted" in panel.result.value
    set_index(panel.verb, 1)
    wait(lambda: panel.button.description == "Force kill" and not panel.button.disabled)
    press(panel.button)
    wait(lambda: "The guard refused" in panel.result.value and "k8p-bad" in panel.result.value)
    panel.set_armed(False, "Say first what you expect.")
    wait(lambda: panel.button.disabled and "Say first" in panel.result.value)


def test_crashing_asks_for_a_container(open_panel: Open, tmp_path: Path) -> None:
    source = ScriptedSource()
    actions = NotingActions(source, tmp_path / "notes.jsonl")
    panel = open_panel(KillPanel(source, actions))
    wait(lambda: panel.container.options == ("web", "log"))
    assert panel.container.layout.display == "none"
    assert panel.pod.layout.display is None, "the others stay to be seen"
    set_index(panel.verb, 2)
    wait(lambda: panel.container.layout.display is None)
    set_index(panel.container, 1)
    press(panel.button)
    wait(lambda: "container log was sent SIGKILL" in panel.result.value)


def test_the_graph_keeps_one_figure_and_its_traces(open_panel: Open, tmp_path: Path) -> None:
    source = ScriptedSource()
    actions = NotingActions(source, tmp_path / "notes.jsonl")
    graph = open_panel(GraphView(source, actions))
    source.change(lambda scene: scene["pods"]["p3"].update(look="failed"))
    graph._drawer.run(lambda: None)
    assert graph.updates == 0, "what is sent before the figure's script is loaded is lost"
    message = {"method": "update", "state": {"_js2py_relayout": None}}
    graph.figure.comm.handle_msg({"content": {"data": message}, "buffers": []})
    wait(lambda: graph.updates)
    figure, traces = graph.figure, len(graph.figure.data)
    assert traces > 8
    begin, updates = time.monotonic(), graph.updates
    while time.monotonic() < begin + 1.2:
        source.change(lambda scene: scene["pods"]["p3"].update(look="failed", note=str(scene["changes"])))
        time.sleep(0.01)
    source.change(lambda scene: scene["pods"].pop("p3"))
    wait(lambda: graph._seen and not any("p3" in (trace.get("customdata") or ()) for trace in graph._seen))
    assert updates < graph.updates <= updates + 5, "at most two updates a second"
    assert len(graph.figure.data) == traces
    assert not any("p3" in (trace.customdata or ()) for trace in graph.figure.data)
    again = open_panel(GraphView(source, actions))
    wait(lambda: again.updates)
    assert again.figure is figure
    assert len(again.figure.data) == traces
    assert graph.comm is None
    assert source.listeners == 2, "the graph and its kill panel"


def test_the_stopwatch_shows_each_phase(open_panel: Open) -> None:
    source = ScriptedSource()
    view = open_panel(StopwatchView(source, lambda: "You said 3: right."))
    wait(lambda: "Healed in 0.74 s." in view.figures.value)
    for words in ("web-q9z4m left; its replacement is web-x7k2p.", "process started", "0.31 s", "right."):
        assert words in view.figures.value
    source.change(lambda scene: scene.update(recovery=None))
    wait(lambda: "Nothing to time yet" in view.figures.value)


def tally(**more: Any) -> Tally:
    values: dict[str, Any] = {
        "target": "svc/web", "running": True, "sent": 12, "answered": 9, "failed": 3,
        "by_pod": {"web-a": 3, "web-b": 6}, "failures": {"HTTP 503": 3}, "seconds": (), "median": 0.01,
    }  # fmt: skip
    return Tally(**{**values, **more})


def test_traffic_is_counted_by_pod(open_panel: Open) -> None:
    now = [tally()]
    view = open_panel(TrafficView(lambda: now[0]))
    wait(lambda: "12 requests sent" in view.figures.value)
    assert 'width:50.0%"' in view.figures.value
    assert "3 (3 HTTP 503)" in view.figures.value
    now[0] = tally(sent=20, by_pod={"web-a": 11, "web-b": 6})
    wait(lambda: "20 requests sent" in view.figures.value)


def test_hostile_text_stays_text(open_panel: Open, tmp_path: Path) -> None:
    source = ScriptedSource(hostile_scene())
    actions = NotingActions(source, tmp_path / "notes.jsonl")
    hostile = Question("q", HOSTILE, (Choice("a", HOSTILE),))
    views = [
        open_panel(PredictionView((hostile,), lambda q, v: None, act=HOSTILE)),
        open_panel(ExerciseView(HOSTILE, HOSTILE, lambda: Found(False, HOSTILE), (HOSTILE,), (HOSTILE,))),
        open_panel(StopwatchView(source)),
        open_panel(TrafficView(lambda: tally(by_pod={HOSTILE: 1}, failures={HOSTILE: 1}, target=HOSTILE))),
        open_panel(KillPanel(source, actions)),
    ]
    views[0].judge(HOSTILE)
    press(views[1].hint_button)
    press(views[1].solution_button)
    press(views[4].button)
    wait(lambda: "&lt;img" in views[1].more.value and "&lt;img" in views[4].result.value)
    wait(lambda: "&lt;img" in views[0].outcome.value)
    for view in views:
        for widget in (w for child in view.children for w in (child, *getattr(child, "children", ()))):
            if type(widget).__name__ == "HTML":
                assert "<img" not in widget.value
                assert "<script" not in widget.value
