"""How long something may take: so many seconds, and on a busy machine as much longer as all else takes."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

INTERPRETERS_A_SECOND = 25
"""Starts of a Python interpreter that stand for a second: an idle machine makes more than 50."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Fail if what happens inside takes longer.

    What has taken longer is compared with the start of a Python interpreter, which a busy machine delays too.

    Args:
        seconds: how long it may take on a machine that has nothing else to do.
    """
    started = time.monotonic()
    yield
    took = time.monotonic() - started
    if took >= seconds:
        busy = max(_interpreter_starts() for _ in range(5)) * INTERPRETERS_A_SECOND
        assert took < seconds * busy, (
            f"it took {took:.1f} s, and not {seconds} s; the machine's delay: {busy:.2f}"
        )


def _interpreter_starts() -> float:
    started = time.monotonic()
    subprocess.run([sys.executable, "-I", "-S", "-c", ""], check=True)
    return time.monotonic() - started
