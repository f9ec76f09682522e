"""How long a kubectl line is left alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from k8slab import kubectl_program
from k8slab.commands import Completed
from tests.unit.guarded_cluster import FakeCluster


@pytest.mark.parametrize(
    ("line", "seconds"),
    [
        ("get pods", 60.0),
        ("wait pod web --for=condition=Ready --timeout=60s", 75.0),
        ("rollout status deployment web --timeout=3m", 195.0),
        ("delete pod web --timeout=5s", 60.0),
    ],
)
def test_a_line_that_says_how_long_it_waits_is_the_one_to_say_that_it_was_in_vain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, seconds: float
) -> None:
    given: list[float] = []

    def run(argv: list[str], *, timeout: float, **_: Any) -> Completed:
        given.append(timeout)
        return Completed(tuple(argv), 0, "", "")

    monkeypatch.setattr(kubectl_program, "run", run)
    kubectl_program.run_kubectl(FakeCluster(tmp_path), "n", line.split(), line.split())
    assert given == [seconds]
