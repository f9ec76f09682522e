"""When a probe's result counts, and what follows from it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from k8slab.node.containers.probe_actions import ProbeError, ProbeOutcome
from k8slab.node.containers.probes import ContainerProbes, Threshold


def counted(threshold: Threshold, results: list[bool]) -> list[bool]:
    seen = []
    for result in results:
        threshold, counts = threshold.after(result)
        seen.append(counts)
    return seen


def test_a_result_counts_when_it_came_often_enough_in_a_row() -> None:
    failures = [False, False, True, False, False, False]
    assert counted(Threshold(success=1, failure=3), failures) == [False, False, True, False, False, True]
    assert counted(Threshold(success=2, failure=1), [True, False, True, True]) == [False, True, False, True]


class Recorded:
    """Probes of a container whose answers are given in advance."""

    def __init__(self, spec: dict[str, Any], answers: dict[str, Iterator[bool | Exception]]) -> None:
        self.failed: list[str] = []
        self.unhealthy: list[str] = []
        self.asked: list[str] = []
        self.changes = 0
        self.answers = answers
        self.probes = ContainerProbes(
            spec, time.time(), self._attempt, self._changed, self.failed.append, self.unhealthy.append
        )

    async def _attempt(self, probe: dict[str, Any]) -> ProbeOutcome:
        self.asked.append(probe["is"])
        answer = next(self.answers[probe["is"]])
        if isinstance(answer, Exception):
            raise answer
        return ProbeOutcome(answer, "" if answer else "no")

    def _changed(self) -> None:
        self.changes += 1

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not condition():
                await asyncio.sleep(0.005)
        self.probes.stop()


def probe(kind: str, **values: Any) -> dict[str, Any]:
    return {"is": kind, "periodSeconds": 0.01, **values}


async def test_without_probes_a_container_is_ready_as_soon_as_it_is_started() -> None:
    recorded = Recorded({}, {})
    recorded.probes.start()
    assert recorded.probes.started and recorded.probes.ready


async def test_readiness_comes_and_goes() -> None:
    answers = iter([False, True, True, False, False, False, *[False] * 999])
    recorded = Recorded({"readinessProbe": probe("readiness")}, {"readiness": answers})
    recorded.probes.start()
    assert not recorded.probes.ready
    seen = []
    async with asyncio.timeout(5):
        while recorded.changes < 2:
            seen.append(recorded.probes.ready)
            await asyncio.sleep(0.002)
    recorded.probes.stop()
    assert True in seen and not recorded.probes.ready and recorded.failed == []
    assert recorded.unhealthy[0] == "Readiness probe failed: no"


async def test_the_first_probe_is_at_once() -> None:
    spec = {"readinessProbe": {"is": "readiness", "periodSeconds": 60}}
    recorded = Recorded(spec, {"readiness": iter([True])})
    recorded.probes.start()
    await recorded.until(lambda: recorded.probes.ready)


async def test_a_startup_probe_holds_the_others_back() -> None:
    spec = {"startupProbe": probe("startup", failureThreshold=9), "livenessProbe": probe("liveness")}
    answers: dict[str, Iterator[bool | Exception]] = {
        "startup": iter([False, False, True]),
        "liveness": iter([True] * 999),
    }
    recorded = Recorded(spec, answers)
    recorded.probes.start()
    assert not recorded.probes.started
    await recorded.until(lambda: "liveness" in recorded.asked)
    assert recorded.asked[:4] == ["startup", "startup", "startup", "liveness"]
    assert recorded.probes.started


@pytest.mark.parametrize("kind", ["startup", "liveness"])
async def test_a_failure_for_good_is_told_once(kind: str) -> None:
    recorded = Recorded({f"{kind}Probe": probe(kind, failureThreshold=3)}, {kind: iter([False] * 999)})
    recorded.probes.start()
    await recorded.until(lambda: bool(recorded.failed))
    await asyncio.sleep(0)
    assert recorded.failed == [kind]
    assert recorded.asked == [kind] * 3


async def test_an_attempt_that_cannot_be_made_does_not_count() -> None:
    answers: Iterator[bool | Exception] = iter([ProbeError("no such port")] * 9 + [True] * 999)
    recorded = Recorded({"livenessProbe": probe("liveness", failureThreshold=1)}, {"liveness": answers})
    recorded.probes.start()
    await recorded.until(lambda: len(recorded.asked) > 12)
    assert recorded.failed == []
    assert recorded.unhealthy[0] == "Liveness probe errored and resulted in unknown state: no such port"


async def test_a_new_agent_believes_what_the_api_said_until_a_probe_says_otherwise() -> None:
    spec = {"readinessProbe": probe("readiness", initialDelaySeconds=60), "startupProbe": probe("startup")}
    recorded = Recorded(spec, {})
    recorded.probes.start(was_started=True, was_ready=True)
    assert recorded.probes.started and recorded.probes.ready
    recorded.probes.stop()
