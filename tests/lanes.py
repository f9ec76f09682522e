"""`python -m tests.lanes`: every tier of tests, in runs side by side; this is what `make test` does.

Most of a run waits for programs to start and for controllers to act, so two at a time take little more
than the longer one. Each is a pytest of its own, with a home, a state folder and clusters of its own. What
they print while they go comes line by line with the lane's name; what they say at their end comes whole,
that of a lane that failed last.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass, field

import pytest

LANES = {
    "programs": ("unit", "process", "notebooks", "browser"),
    "clusters": ("embedded", "cluster"),
}
"""Which tiers run one after the other, balanced by how long they take."""

_HEADING = re.compile(r"=+ (?!test session starts)\S.* =+$")
_GOOD = frozenset({pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED})
"""Where none of a lane's tiers can run, it collects nothing; one that is required fails before that."""


@dataclass
class Lane:
    """One pytest, and what it prints.

    Args:
        name: the lane's name.
        process: the pytest, with its output in a pipe.
        closing: what it printed from the first heading after its tests on.
    """

    name: str
    process: subprocess.Popen[str]
    closing: list[str] = field(default_factory=list)

    def show(self) -> None:
        """Print its progress as it comes, and keep its closing report, until it ends."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if self.closing or is_heading(line):
                self.closing.append(line)
            else:
                print(f"{self.name}: {line}", end="", flush=True)

    @property
    def passed(self) -> bool:
        """Whether it ended, and well."""
        return self.process.returncode in _GOOD


def is_heading(line: str) -> bool:
    """Whether a line of pytest begins what it says at its end, colours or not."""
    return _HEADING.fullmatch(re.sub(r"\x1b\[[0-9;]*m", "", line).strip()) is not None


def run(arguments: list[str]) -> int:
    """Run all lanes; 0 if all of them passed.

    Args:
        arguments: what every pytest is given besides its tiers.
    """
    colour = [] if not sys.stdout.isatty() else ["--color=yes"]
    lanes = []
    for name, tiers in LANES.items():
        argv = [sys.executable, "-u", "-m", "pytest", f"--tiers={','.join(tiers)}", "-p", "no:cacheprovider"]
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            [*argv, *colour, *arguments], stdout=pipe, stderr=subprocess.STDOUT, text=True, errors="replace"
        )
        lanes.append(Lane(name, process))

    def pass_on(number: int, _frame: object) -> None:
        # A Ctrl-C reaches them by itself. Interrupted, they end what they started; this process waits for it.
        if number == signal.SIGTERM:
            for lane in lanes:
                lane.process.send_signal(signal.SIGINT)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, pass_on)
    shown = [threading.Thread(target=lane.show) for lane in lanes]
    for thread in shown:
        thread.start()
    for thread, lane in zip(shown, lanes, strict=True):
        thread.join()
        lane.process.wait()
    for lane in sorted(lanes, key=lambda each: not each.passed):
        print(f"\n{lane.name} ({', '.join(LANES[lane.name])}):\n{''.join(lane.closing)}", end="", flush=True)
    return 0 if all(lane.passed for lane in lanes) else 1


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
