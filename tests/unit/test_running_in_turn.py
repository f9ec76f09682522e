"""What is changed first is so first, however quickly the next cell runs."""

from __future__ import annotations

import threading

import pytest

from k8slab.commands import Completed
from k8slab.errors import LabError
from k8slab.session import running
from k8slab.session.running import let_change_end, run_for_a_while


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "PATIENCE", 0.01)
    monkeypatch.setattr(running, "_changing", None)


@pytest.mark.parametrize(
    "change",
    ["apply -f x", "set image deployment/web demo=k8slab/demo:2", "rollout undo deployment web", "run x"],
)
def test_a_line_waits_for_the_change_before_it_and_holds_no_cell(change: str) -> None:
    told: list[str] = []
    gate = threading.Event()

    def send() -> Completed:
        gate.wait(5)
        told.append("change")
        return Completed(("kubectl",), 0, "created", "")

    def get() -> Completed:
        told.append("get")
        return Completed(("kubectl",), 0, "there", "")

    first = run_for_a_while(change.split(), send)
    second = run_for_a_while(["get", "x"], get)
    assert not first.ended
    assert not second.ended
    gate.set()
    assert second.wait(5)
    assert told == ["change", "get"]
    third = run_for_a_while(["get", "x"], get)
    assert third.wait(5)


@pytest.mark.parametrize("slow", ["delete pods --all", "rollout status deployment web", "drain worker-1"])
def test_nothing_waits_behind_what_waits_itself(slow: str) -> None:
    gate = threading.Event()

    def wait() -> Completed:
        gate.wait(5)
        return Completed(("kubectl",), 0, "gone", "")

    first = run_for_a_while(slow.split(), wait)
    second = run_for_a_while(["get", "x"], lambda: Completed(("kubectl",), 0, "there", ""))
    assert second.wait(4)
    assert not first.ended
    gate.set()
    assert first.wait(5)


def test_what_looks_for_an_object_waits_for_the_manifests_and_not_for_ever() -> None:
    gate = threading.Event()

    def apply() -> Completed:
        gate.wait(5)
        return Completed(("kubectl",), 0, "created", "")

    let_change_end(0.01)
    first = run_for_a_while(["apply", "-f", "x"], apply)
    let_change_end(0.01)
    assert not first.ended
    gate.set()
    let_change_end(5)
    assert first.ended


def test_manifests_that_fail_hold_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> Completed:
        raise LabError("refused")

    monkeypatch.setattr(running, "PATIENCE", 1.0)
    with pytest.raises(LabError, match="refused"):
        run_for_a_while(["apply", "-f", "x"], fails)
    after = run_for_a_while(["get", "x"], lambda: Completed(("kubectl",), 0, "there", ""))
    assert after.text == "there"
