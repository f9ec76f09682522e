"""How a whole run is divided, and where what pytest says at its end begins."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.lanes import LANES, Lane, is_heading
from tests.tiers import TIERS


def test_every_tier_runs_in_one_lane() -> None:
    assert sorted(tier for tiers in LANES.values() for tier in tiers) == sorted(each.name for each in TIERS)


@pytest.mark.parametrize(
    ("line", "heading"),
    [
        ("============================= test session starts ==============================\n", False),
        ("=================================== FAILURES ===================================\n", True),
        ("\x1b[31m===== 1 failed, 3181 passed in 4426.81s (1:13:46) =====\x1b[0m\n", True),
        ("=========================== short test summary info ============================\n", True),
        ("tests/unit/test_checks.py ..F.                                           [ 40%]\n", False),
        ("\n", False),
    ],
)
def test_a_closing_report_begins_with_a_heading(line: str, heading: bool) -> None:
    assert is_heading(line) == heading


@pytest.mark.parametrize(("code", "passed"), [(0, True), (1, False), (2, False), (5, True), (-9, False)])
def test_a_lane_passes_as_its_pytest_does(
    code: int, passed: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    program = (
        "import os, signal; print('tests/unit/test_x.py .', flush=True);"
        " print('==== 1 passed ====', flush=True); print('the rest', flush=True);"
        f" os.kill(os.getpid(), {-code}) if {code} < 0 else os._exit({code})"
    )
    argv = [sys.executable, "-c", program]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        lane = Lane("programs", process)
        lane.show()
    assert lane.passed == passed
    assert capsys.readouterr().out == "programs: tests/unit/test_x.py .\n"
    assert lane.closing == ["==== 1 passed ====\n", "the rest\n"]
