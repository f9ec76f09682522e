"""Progress in a log, on a terminal, for a test, and for nobody."""

from __future__ import annotations

import io
import re

import pytest

from k8slab.errors import LabError
from k8slab.progress import CollectedProgress, Progress, SilentProgress, TextProgress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Ascii(io.StringIO):
    encoding = "ascii"


def without_seconds(text: str) -> str:
    return re.sub(r"\d+\.\d s", "S", text)


def tell(progress: Progress) -> None:
    progress.line("news [of] a kind")
    with progress.step("outer"):
        with progress.step("inner") as step:
            step.detail("3 of 5")
        progress.line("between")


def test_lines_of_a_log() -> None:
    stream = io.StringIO()
    tell(TextProgress(stream))
    assert without_seconds(stream.getvalue()).splitlines() == [
        "news [of] a kind",
        "outer ...",
        "  inner ...",
        "  ✓ inner (S)",
        "  between",
        "✓ outer (S)",
    ]


def test_details_appear_at_intervals(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    stream = io.StringIO()
    with TextProgress(stream).step("long") as step:
        for second in range(25):
            now[0] = float(second)
            step.detail(f"{second} s")
    assert [line for line in stream.getvalue().splitlines() if ": " in line] == [
        "  long: 10 s",
        "  long: 20 s",
    ]


def test_failed_step_says_why_and_passes_the_error_on() -> None:
    stream = io.StringIO()
    with pytest.raises(LabError), TextProgress(stream).step("work"):
        raise LabError("It broke\nin two.", "Mend it.")
    assert stream.getvalue().splitlines()[-1] == "✗ work: It broke in two."
    with pytest.raises(KeyboardInterrupt), TextProgress(stream).step("work"):
        raise KeyboardInterrupt
    assert stream.getvalue().splitlines()[-1] == "✗ work: interrupted"


def test_terminal_keeps_the_last_line_of_each_step() -> None:
    stream = Terminal()
    tell(TextProgress(stream))
    text = without_seconds(stream.getvalue())
    assert "news [of] a kind" in text and "✓ inner (S)" in text and "✓ outer (S)" in text
    assert "inner ..." not in text


def test_stream_without_these_signs() -> None:
    stream = Ascii()
    with TextProgress(stream).step("é"):
        pass
    assert without_seconds(stream.getvalue()).splitlines() == ["? ...", "ok: ? (S)"]


def test_standard_error_of_the_moment(capsys: pytest.CaptureFixture[str]) -> None:
    progress = TextProgress()
    progress.line("one")
    assert capsys.readouterr().err == "one\n"


def test_collected() -> None:
    progress = CollectedProgress()
    tell(progress)
    with pytest.raises(ValueError, match="no"), progress.step("bad"):
        raise ValueError("no")
    assert progress.lines == ["news [of] a kind", "✓ inner", "between", "✓ outer", "✗ bad: no"]
    assert progress.details == ["3 of 5"]


def test_silent(capsys: pytest.CaptureFixture[str]) -> None:
    tell(SilentProgress())
    assert capsys.readouterr() == ("", "")
