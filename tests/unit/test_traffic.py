"""Steady requests: the rate is kept by the clock, every answer is counted once, nothing is sent twice."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import urllib3

from k8slab.cluster.api import Api
from k8slab.errors import LabError
from k8slab.traffic import Requests, table

Answer = tuple[int, bytes]


class FakeApi(Api):
    """Answers every request as it is told, and keeps when it came."""

    def __init__(self, answer: Callable[[int], Answer]) -> None:
        super().__init__(Path("none"))
        self.answer = answer
        self.moments: list[float] = []
        self.lock = threading.Lock()

    def open(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
        timeout: tuple[float, float] = (5, 30),
    ) -> urllib3.BaseHTTPResponse:
        assert (method, path) == ("GET", "/svc/")
        with self.lock:
            self.moments.append(time.monotonic())
            number = len(self.moments)
        status, content = self.answer(number)
        return urllib3.HTTPResponse(io.BytesIO(content), status=status, preload_content=False)


def by(pod: str) -> Answer:
    return 200, json.dumps({"pod": pod}).encode()


def requests(answer: Callable[[int], Answer], rate: float = 100) -> tuple[Requests, FakeApi]:
    api = FakeApi(answer)
    return Requests(api, "/svc/", rate, "svc/web"), api


def run_until(sender: Requests, count: int) -> None:
    sender.start()
    deadline = time.monotonic() + 20
    while sender.answered + sender.failed < count:
        assert time.monotonic() < deadline, sender.tally()
        time.sleep(0.01)
    sender.stop()


def test_every_request_is_counted_once_by_who_answered() -> None:
    sender, api = requests(lambda number: by(f"web-{number % 3}"))
    run_until(sender, 60)
    tally = sender.tally()
    assert tally.sent == len(api.moments) == tally.answered
    assert tally.failed == 0
    assert sum(tally.by_pod.values()) == tally.answered
    assert set(tally.by_pod) == {"web-0", "web-1", "web-2"}
    assert sum(answered for _, answered, _ in tally.seconds) == tally.answered
    assert not tally.running


def test_refusals_and_broken_answers_are_failures_with_a_reason() -> None:
    def answer(number: int) -> Answer:
        match number % 4:
            case 0:
                return 503, b'{"message": "no endpoints available for service \\"web\\""}'
            case 1:
                return 500, b"not json"
            case 2:
                raise ConnectionRefusedError
            case _:
                return by("web-1")

    sender, api = requests(answer)
    run_until(sender, 40)
    tally = sender.tally()
    assert tally.sent == len(api.moments) == tally.answered + tally.failed
    assert set(tally.failures) == {"HTTP 503, no endpoints available", "HTTP 500", "ConnectionRefusedError"}
    assert sum(tally.failures.values()) == tally.failed


def test_a_slow_answer_delays_nobody_else_and_causes_no_burst() -> None:
    """One answer of 1 s in a hundred a second: the others go on, and what was missed is not made up for."""
    slow = threading.Event()

    def answer(number: int) -> Answer:
        if number == 5:
            slow.wait(1.0)
        return by("web-1")

    sender, api = requests(answer)
    started = time.monotonic()
    run_until(sender, 150)
    spent = api.moments[-1] - started
    assert len([each for each in api.moments if started + 0.2 < each < started + 0.9]) > 40
    assert len(api.moments) <= 100 * (spent + 0.1) + 5


def test_the_rate_is_kept() -> None:
    sender, api = requests(lambda number: by("web-1"), rate=50)
    run_until(sender, 51)
    spent = api.moments[50] - api.moments[0]
    assert spent >= 0.95, "51 requests at 50 a second take one second"


def test_stop_waits_briefly_and_leaves_no_thread_and_start_goes_on() -> None:
    sender, _ = requests(lambda number: by("web-1"))
    run_until(sender, 5)
    assert not [each for each in threading.enumerate() if each.name.startswith("k8slab-requests")]
    before = sender.sent
    run_until(sender, before + 5)
    assert sender.sent > before


def test_stop_does_not_hold_the_kernel_for_a_hanging_answer() -> None:
    release = threading.Event()

    def answer(number: int) -> Answer:
        release.wait(10)
        return by("web-1")

    sender, _ = requests(answer)
    sender.start()
    while not sender.sent:
        time.sleep(0.01)
    started = time.monotonic()
    tally = sender.stop()
    assert time.monotonic() - started < 2
    assert tally.sent > tally.answered
    release.set()


@pytest.mark.parametrize("rate", [0, -1, 1000])
def test_a_rate_that_cannot_be_kept_is_refused(rate: float) -> None:
    with pytest.raises(LabError, match="requests a second"):
        requests(lambda number: by("x"), rate)


def test_the_figures_read_well_and_hostile_names_stay_text() -> None:
    sender, _ = requests(lambda number: by("<b>web</b>") if number > 1 else (200, b"[1]"))
    assert "No answer yet" in repr(sender)
    run_until(sender, 5)
    text = repr(sender)
    assert "svc/web: " in text
    assert "0 failed; stopped." in text
    assert "(does not say)" in text
    assert "<b>" not in table(sender.tally())._repr_html_()
