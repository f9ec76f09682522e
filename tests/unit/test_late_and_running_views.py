"""Views of what takes its time: there at once, filled in when it comes, closed without a trace."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import ipywidgets
import pytest

from k8slab.commands import Completed
from k8slab.errors import CommandError, LabError
from k8slab.session.running import Running, kubectl_words
from k8slab.widgets.late_panel import LatePanel
from k8slab.widgets.panel import Panel
from k8slab.widgets.running_view import RunningView


def wait(condition: Callable[[], Any], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.01)


class Plain(Panel):
    """A panel with one widget."""

    def build(self) -> list[Any]:
        return [ipywidgets.HTML("made")]


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    wait(lambda: set(threading.enumerate()) <= before)


def test_a_late_panel_is_there_at_once_and_fills_itself_in() -> None:
    ready = threading.Event()
    started = time.monotonic()
    panel = LatePanel("late", "It is being made.", lambda: assert_waited(ready), lambda: Plain("made"))
    assert time.monotonic() - started < 1
    assert panel.made is None
    assert "being made" in panel.waiting.value
    ready.set()
    wait(lambda: panel.made is not None and panel.made in panel.children)
    panel.close()
    made: Any = panel.made
    assert made.comm is None


def assert_waited(event: threading.Event) -> None:
    assert event.wait(5)


def test_a_late_panel_that_is_closed_before_leaves_nothing() -> None:
    ready, made = threading.Event(), []

    def make() -> Any:
        made.append(Plain("made"))
        return made[0]

    panel = LatePanel("late", "x", lambda: assert_waited(ready), make)
    panel.close()
    ready.set()
    wait(lambda: not any(each.name == "k8slab-late-panel" for each in threading.enumerate()))
    assert made == []


@pytest.mark.parametrize("error", [LabError("It is not there.", "Install it."), ImportError("no module <b>")])
def test_what_goes_wrong_is_shown_in_its_place(error: Exception) -> None:
    def fails() -> None:
        raise error

    panel = LatePanel("late", "x", fails, lambda: Plain("made"))
    wait(lambda: "k8p-bad" in panel.waiting.value)
    assert "<b>" not in panel.waiting.value
    panel.close()


def test_a_running_program_is_shown_when_it_ends() -> None:
    release = threading.Event()

    def work() -> Completed:
        assert release.wait(5)
        return Completed(("kubectl",), 0, "pod/<x> deleted\n", "")

    running = Running(work, "kubectl delete pod x")
    assert not running.wait(0.01)
    assert "still running" in repr(running)
    view = RunningView(lambda: running.text, lambda: running.ended)
    wait(lambda: "still running" in view.output.value)
    release.set()
    wait(lambda: "pod/&lt;x&gt; deleted" in view.output.value)
    assert running.wait(1)
    assert repr(running) == "pod/<x> deleted"
    assert "<x>" not in running._repr_html_()
    view.close()


def test_a_program_that_fails_raises_where_it_is_waited_for() -> None:
    def work() -> Completed:
        raise CommandError(["kubectl", "get", "x"], 1, "Error from server")

    running = Running(work, "kubectl get x")
    with pytest.raises(CommandError):
        running.wait(5)
    assert "Error from server" in repr(running)


@pytest.mark.parametrize("line", ["get pods | wc", "get 'pods", "get pods > file", "get pods && ls"])
def test_a_line_that_wants_a_shell_is_refused(line: str) -> None:
    with pytest.raises(LabError) as caught:
        kubectl_words(line)
    assert caught.value.cure


def test_words_are_split_as_a_shell_would() -> None:
    assert kubectl_words("kubectl exec x -- sh -c 'a | b'") == ["exec", "x", "--", "sh", "-c", "a | b"]
