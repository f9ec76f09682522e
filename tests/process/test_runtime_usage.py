"""What a runtime says its containers use: counted as a control group would, what has ended included."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.process.runtime_bench import Bench, Message, eventually, running_bench

SPIN = 'i=0; while [ "$i" -lt 300000 ]; do i=$((i+1)); done; echo done'


@pytest.fixture(params=["sandboxed", "plain"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    with running_bench(request.param, "nobody" if os.geteuid() == 0 else "root") as running:
        yield running


def cpu(bench: Bench, pod: str) -> float:
    (used,) = bench.client.ask("stats", pod=pod)["containers"]
    return float(used["cpu"])


def node(bench: Bench) -> Message:
    answer: Message = bench.client.ask("stats")["node"]
    return answer


def test_a_quiet_program_has_used_more_than_nothing(bench: Bench) -> None:
    pod = bench.pod()
    bench.shell(pod, "exec sleep 1000")
    # A clock of hundredths would show none, and a metrics-server leaves out who used none.
    assert 0 < cpu(bench, pod) < 0.1


def test_a_command_counts_for_its_container_also_when_it_has_ended(bench: Bench) -> None:
    pod = bench.pod()
    record = bench.shell(pod, "exec sleep 1000")
    before = cpu(bench, pod)
    asked = bench.client.ask(
        "exec", pod=pod, container=record["container"], argv=["sh", "-c", f"{SPIN}; read answer"], stdin=True
    )
    stdin, stdout, stderr = bench.client.take()
    try:
        assert os.read(stdout, 10) == b"done\n"
        during = cpu(bench, pod)
        assert during > before + 0.02
    finally:
        for descriptor in (stdin, stdout, stderr):
            os.close(descriptor)
    bench.client.event("exec_exited", exec=asked["exec"])
    assert cpu(bench, pod) >= during


def test_a_nodes_sum_holds_its_containers_and_what_they_used_before_they_ended(bench: Bench) -> None:
    empty = node(bench)
    pod = bench.pod()
    record = bench.shell(pod, f"{SPIN}; sleep 1000")
    eventually(lambda: "stdout F done" in bench.printed(record))
    used = cpu(bench, pod)
    full = node(bench)
    assert full["cpu"] >= empty["cpu"] + used
    assert full["memory"] > empty["memory"] > 1 << 20
    bench.client.ask("remove_pod", pod=pod)
    eventually(lambda: node(bench)["memory"] < full["memory"])
    assert node(bench)["cpu"] >= full["cpu"]
