"""What a `python -m` that gets programs says and returns where they could not be had."""

from __future__ import annotations

import pytest

from k8slab.cluster.components.fetched import exit_code
from k8slab.errors import MissingToolError


def missing() -> None:
    raise MissingToolError("There is no kind.", "Install kind.")


def interrupted() -> None:
    raise KeyboardInterrupt


def test_programs_that_are_there_are_a_success_without_a_word(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(lambda: None) == 0
    assert capsys.readouterr() == ("", "")


def test_programs_that_cannot_be_had_are_told_with_the_cure(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(missing) == 1
    assert "Install kind." in capsys.readouterr().err


def test_an_interrupt_has_the_shells_own_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(interrupted) == 130
    assert capsys.readouterr().err == "Interrupted; nothing was left half done.\n"
