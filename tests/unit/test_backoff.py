"""The pauses between restarts: none, 10, 20, 40 … 300 s, forgotten after 10 quiet minutes."""

from __future__ import annotations

import pytest

from k8slab.node.containers.backoff import Backoff, duration_text, replayed
from k8slab.node.containers.container_record import ContainerRecord


def run(attempt: int, created: float, finished: float | None) -> ContainerRecord:
    return ContainerRecord(
        container=f"{attempt:064x}",
        pod="p",
        name="web",
        attempt=attempt,
        running=finished is None,
        created=created,
        started=created,
        finished=finished,
        exit_code=1,
    )


def crash_at_once(times: int) -> list[float]:
    """The pauses a container gets that ends the moment it is started."""
    backoff, now, pauses = Backoff(), 1000.0, []
    for _ in range(times):
        finished = now
        now = max(finished, backoff.ends(finished))
        pauses.append(now - finished)
        backoff = backoff.lengthened(finished, now)
    return pauses


def test_first_restart_is_at_once_and_the_pauses_double_up_to_five_minutes() -> None:
    assert crash_at_once(8) == [0, 10, 20, 40, 80, 160, 300, 300]


def test_ten_quiet_minutes_start_the_series_again() -> None:
    backoff = Backoff(pause=160.0, updated=1000.0)
    assert backoff.ends(1000.0 + 599) > 0
    assert backoff.ends(1000.0 + 601) == 0.0
    assert backoff.lengthened(1000.0 + 601, 1000.0 + 601).pause == 10.0


def test_a_lab_may_have_shorter_pauses() -> None:
    backoff = Backoff(first=1.0, longest=3.0).lengthened(0, 0)
    assert [
        backoff.pause,
        backoff.lengthened(0, 1).pause,
        backoff.lengthened(0, 1).lengthened(0, 2).pause,
    ] == [1, 2, 3]


def test_a_new_agent_goes_on_where_the_old_one_was() -> None:
    # Attempts 0 and 1 left no record; the restarts to 2 and 3 had the pauses 20 and 40 behind them.
    backoff = replayed([run(3, 1080.0, 1081.0), run(2, 1030.0, 1031.0)])
    assert backoff.pause == 40.0
    assert backoff.ends(1081.0) == 1121.0


def test_a_container_that_never_ran_again_has_no_pause() -> None:
    assert replayed([]).ends(5.0) == 0.0
    assert replayed([run(0, 1.0, 2.0)]).ends(2.0) == 0.0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(10, "10s"), (20, "20s"), (80, "1m20s"), (160, "2m40s"), (300, "5m0s"), (0.5, "0.5s"), (3600, "1h0m0s")],
)
def test_durations_read_as_in_go(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text
