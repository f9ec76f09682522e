"""The runtime at both levels, as root and as an ordinary user without rights: what it promises the agent."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from k8slab.processes import ProcessIdentity, cluster_of, processes_of_cluster
from tests.process.runtime_bench import Bench, eventually, running_bench

USERS = ("root", "nobody") if os.geteuid() == 0 else ("root",)


@pytest.fixture(params=["sandboxed", "plain"])
def isolation(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=USERS)
def bench(request: pytest.FixtureRequest, isolation: Any) -> Iterator[Bench]:
    with running_bench(isolation, request.param) as running:
        yield running


def test_version_says_what_runs_here(bench: Bench) -> None:
    answer = bench.client.ask("version")
    assert answer["isolation"] == bench.isolation
    assert answer["pid"] == bench.runtime.pid
    assert abs(answer["started"] - time.time()) < 60


def test_the_record_is_what_the_operating_system_says(bench: Bench) -> None:
    pod = bench.pod()
    record = bench.shell(pod, "echo out; echo err >&2; sleep 1000 & wait")
    assert record["state"] == "running" and record["exit_code"] is None
    assert Path(f"/proc/{record['pid']}/cmdline").read_bytes().split(b"\0")[0] == b"sh"
    assert cluster_of(record["pid"]) == bench.uuid
    listed = bench.client.ask("list")["pods"]
    assert [each["pod"] for each in listed] == [pod]
    assert listed[0]["containers"][0]["pid"] == record["pid"]
    eventually(lambda: len(bench.printed(record)) == 2)
    os.kill(record["pid"], signal.SIGKILL)
    event = bench.exited(record)
    assert (event["exit_code"], event["signal"], event["oom"]) == (137, signal.SIGKILL, False)
    assert event["pod"] == pod and event["finished"] >= record["started"] >= record["created"]
    assert ProcessIdentity.of(record["pid"]) is None
    assert sorted(bench.printed(record)) == ["stderr F err", "stdout F out"]


@pytest.mark.parametrize("code", [0, 1, 77, 255])
def test_exit_codes_are_the_programs_own(bench: Bench, code: int) -> None:
    event = bench.exited(bench.shell(bench.pod(), f"exit {code}"))
    assert (event["exit_code"], event["signal"], event["state"]) == (code, 0, "exited")


def test_stopping_asks_first_and_insists_after_the_grace(bench: Bench) -> None:
    pod = bench.pod()
    polite = bench.shell(pod, "trap 'exit 5' TERM; echo up; while :; do sleep 0.02; done")
    stubborn = bench.shell(pod, "trap '' TERM; echo up; while :; do sleep 0.02; done", name="stubborn")
    eventually(lambda: bench.printed(polite) and bench.printed(stubborn))
    asked = {"pod": pod, "container": polite["container"], "grace": 10}
    assert bench.client.ask("stop_container", **asked)["exit_code"] == 5
    assert bench.client.ask("stop_container", **asked)["exit_code"] == 5
    began = time.monotonic()
    ended = bench.client.ask("stop_container", pod=pod, container=stubborn["container"], grace=0.3)
    assert (ended["exit_code"], ended["signal"]) == (137, 9)
    assert time.monotonic() - began >= 0.3


def test_a_signal_reaches_the_program(bench: Bench) -> None:
    pod = bench.pod()
    record = bench.shell(pod, "trap 'echo got it; exit 3' USR1; echo up; while :; do sleep 0.02; done")
    eventually(lambda: bench.printed(record))
    asked = {"pod": pod, "container": record["container"]}
    bench.client.ask("signal_container", signal="SIGUSR1", **asked)
    assert bench.exited(record)["exit_code"] == 3
    assert bench.printed(record)[-1] == "stdout F got it"
    assert bench.client.try_ask("signal_container", signal="SIGUSR1", **asked)["reason"] == "NotRunning"
    assert bench.client.try_ask("signal_container", signal="SIGNONE", **asked)["reason"] == "Invalid"


def test_a_program_that_is_not_there_has_ended_before_it_began(bench: Bench) -> None:
    record = bench.client.ask("start_container", **bench.request(bench.pod(), ["no-such-program"]))
    assert (record["state"], record["exit_code"], record["reason"]) == ("exited", 128, "StartError")
    assert record["message"] == 'exec: "no-such-program": executable file not found in $PATH'
    kept = bench.client.ask("list")["pods"][0]["containers"][0]
    assert (kept["reason"], kept["message"]) == (record["reason"], record["message"])


def test_what_cannot_be_made_is_refused_and_leaves_nothing(bench: Bench) -> None:
    pod = bench.pod()
    missing = [{"source": str(bench.path / "nothing"), "target": "/data", "read_only": False}]
    answer = bench.client.try_ask("start_container", **bench.request(pod, ["true"], mounts=missing))
    assert answer["reason"] == "CreateContainerError" and "/data" in answer["error"]
    assert bench.client.ask("list")["pods"][0]["containers"] == []
    answer = bench.client.try_ask("start_container", **bench.request("nowhere", ["true"]))
    assert answer["reason"] == "NotFound"


def test_nothing_of_the_user_leaks_into_a_container(bench: Bench) -> None:
    record = bench.shell(bench.pod(), "env; pwd")
    bench.exited(record)
    names = {line.split(" ")[2].split("=")[0] for line in bench.printed(record)}
    assert "POD" in names and "LEAKED" not in names and "PYTHONPATH" not in names


def test_volumes_lie_where_the_pod_wants_them(bench: Bench) -> None:
    data, config = bench.volumes / "data", bench.volumes / "config"
    for folder in (data, config):
        folder.mkdir()
        folder.chmod(0o777)
    (config / "greeting").write_text("hello\n")
    mounts = [
        {"source": str(data), "target": "/var/lib/data", "read_only": False},
        {"source": str(config), "target": "/etc/app", "read_only": True},
    ]
    script = "cat /etc/app/greeting > /var/lib/data/copy; cat $WHERE; ls /var/lib/database"
    record = bench.shell(bench.pod(), script, mounts=mounts, env=[["WHERE", "/etc/app/greeting"]])
    event = bench.exited(record)
    assert (data / "copy").read_text() == "hello\n"
    assert bench.printed(record)[0] == "stdout F hello"
    assert event["exit_code"] != 0, "/var/lib/database is another path than /var/lib/data"


def test_a_container_beyond_its_memory_limit_is_killed(bench: Bench) -> None:
    code = "data = bytearray(b'1') * (200 << 20); import time; time.sleep(1000)"
    argv = [bench.python, "-I", "-S", "-c", code]
    record = bench.container(bench.pod(), argv, memory_limit=100 << 20)
    event = bench.exited(record)
    assert (event["oom"], event["exit_code"]) == (True, 137)


def test_removing_takes_everything_that_a_pod_had(bench: Bench) -> None:
    pod = bench.pod()
    record = bench.shell(pod, "echo up; setsid sleep 1000 & sleep 1000")
    eventually(lambda: bench.printed(record))
    other = bench.shell(pod, "exit 0", name="other")
    bench.exited(other)
    asked = {"pod": pod, "container": other["container"]}
    bench.client.ask("remove_container", **asked)
    assert Path(other["log"]).exists()
    assert bench.client.try_ask("remove_container", **asked)["reason"] == "NotFound"
    refusal = bench.client.try_ask("remove_container", pod=pod, container=record["container"])
    assert refusal["reason"] == "Running"
    bench.client.ask("remove_pod", pod=pod)
    bench.client.ask("remove_pod", pod=pod)
    assert bench.client.ask("list")["pods"] == []
    node = bench.folder.node("worker-1")
    assert [path for path in node.rglob("*") if path.is_file()] == []
    own = {bench.runtime.pid, bench.switch.pid if bench.switch else 0}
    eventually(lambda: {each.pid for each in processes_of_cluster(bench.uuid)} <= own)


def test_an_ended_container_takes_its_children_along(bench: Bench) -> None:
    record = bench.shell(bench.pod(), "setsid sleep 1000 & echo up; read nothing", stdin=True)
    eventually(lambda: bench.printed(record))
    os.kill(record["pid"], signal.SIGKILL)
    bench.exited(record)
    own = {bench.runtime.pid, bench.switch.pid if bench.switch else 0}
    eventually(lambda: {each.pid for each in processes_of_cluster(bench.uuid)} <= own)


def test_power_off_takes_the_containers_and_the_next_runtime_says_so(bench: Bench) -> None:
    pod = bench.pod()
    record = bench.shell(pod, "echo up; sleep 1000 & sleep 1000")
    eventually(lambda: bench.printed(record))
    identity = ProcessIdentity.of(record["pid"])
    assert identity is not None
    bench.kill_runtime()
    eventually(lambda: not identity.is_alive())
    bench.start()
    own = {bench.runtime.pid, bench.switch.pid if bench.switch else 0}
    eventually(lambda: {each.pid for each in processes_of_cluster(bench.uuid)} <= own)
    listed = bench.client.ask("list")["pods"][0]
    after = listed["containers"][0]
    assert (after["container"], after["state"]) == (record["container"], "exited")
    assert (after["exit_code"], after["reason"]) == (255, "Unknown")
    bench.client.ask("run_pod", **bench.sandbox(pod, 1))
    again = bench.shell(pod, "exit 4", attempt=1)
    assert bench.exited(again)["exit_code"] == 4
    bench.client.ask("remove_pod", pod=pod)


def test_a_client_that_goes_takes_nothing_with_it(bench: Bench) -> None:
    record = bench.shell(bench.pod(), "echo up; sleep 1000")
    bench.client.close()
    bench.client = type(bench.client)(bench.folder.runtime_socket("worker-1"))
    assert bench.client.ask("list")["pods"][0]["containers"][0]["pid"] == record["pid"]
    assert ProcessIdentity.of(record["pid"]) is not None


def test_starting_twice_starts_once(bench: Bench) -> None:
    request = bench.request(bench.pod(), ["sleep", "1000"])
    first = bench.client.ask("start_container", **request)
    assert bench.client.ask("start_container", **request)["pid"] == first["pid"]


def test_bad_requests_are_refused_and_the_runtime_lives_on(bench: Bench) -> None:
    client = bench.client
    assert client.try_ask("fly")["reason"] == "NotImplemented"
    assert client.try_ask("run_pod")["reason"] == "Invalid"
    client.socket.sendall(b"no json\n")
    assert client.line()["ok"] is False
    assert client.try_ask("stop_container", pod="x", container="y", grace=1)["reason"] == "NotFound"
    assert client.ask("version")["isolation"] == bench.isolation


def test_stats_are_the_operating_systems(bench: Bench) -> None:
    pod = bench.pod()
    record = bench.demo(pod)
    asked = {"pod": pod, "container": record["container"]}
    assert bench.client.ask("wait_listening", ports=[8080], timeout=20, **asked)["listening"]
    (stats,) = bench.client.ask("stats", pod=pod)["containers"]
    assert stats["container"] == record["container"]
    text = Path(f"/proc/{record['pid']}/smaps_rollup").read_text()
    kibibytes = int(text.partition("\nPss:")[2].split()[0])
    assert stats["memory"] == pytest.approx(kibibytes << 10, rel=0.3)
    assert stats["cpu"] > 0
    assert bench.client.ask("stats", pod="other")["containers"] == []
