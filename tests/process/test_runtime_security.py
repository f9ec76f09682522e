"""Users, capabilities and read-only roots of containers at the sandboxed level."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.process.runtime_bench import Bench, eventually, running_bench

USERS = ("root", "nobody") if os.geteuid() == 0 else ("root",)
ABOUT = "id -u; id -g; grep -i capeff /proc/self/status"


@pytest.fixture
def sandboxed(request: pytest.FixtureRequest) -> Iterator[Bench]:
    with running_bench("sandboxed", request.param[1]) as running:
        yield running


at_sandboxed = pytest.mark.parametrize("sandboxed", [("sandboxed", user) for user in USERS], indirect=True)
at_sandboxed_level = pytest.mark.parametrize("level", ["sandboxed"])


@at_sandboxed_level
@at_sandboxed
def test_a_user_of_its_own_has_no_capabilities_and_may_bind_low_ports(sandboxed: Bench, level: str) -> None:
    bench = sandboxed
    record = bench.shell(
        bench.pod(), f"{ABOUT}; touch /tmp/x; stat -c %u /tmp/x; sleep 1000", user=1000, group=3000
    )
    eventually(lambda: len(bench.printed(record)) == 4)
    said = [line.split(" ", 2)[2] for line in bench.printed(record)]
    assert said == ["1000", "3000", "CapEff:\t0000000000000000", "1000"]
    _, out, err = bench.execute(record, ABOUT)
    assert out.splitlines() == said[:3], err
    server = bench.demo(record["pod"], "serve", "--port", "80", user=1000)
    asked = {"pod": record["pod"], "container": server["container"]}
    assert bench.client.ask("wait_listening", ports=[80], timeout=20, **asked)["listening"]


@at_sandboxed_level
@at_sandboxed
def test_capabilities_are_those_asked_for(sandboxed: Bench, level: str) -> None:
    bench = sandboxed
    pod = bench.pod()
    admin = bench.shell(
        pod, "ip link set lo mtu 1400 && echo changed; sleep 1000", capabilities=["NET_ADMIN"]
    )
    eventually(lambda: len(bench.printed(admin)) == 1)
    assert bench.printed(admin)[0].endswith("changed")
    _, out, _ = bench.execute(admin, "grep -i capeff /proc/self/status")
    assert out.split()[1] == f"{1 << 12:016x}"
    bare = bench.shell(pod, "grep -i capeff /proc/self/status; sleep 1000", name="bare", capabilities=[])
    eventually(lambda: len(bench.printed(bare)) == 1)
    assert bench.printed(bare)[0].endswith(f"{0:016x}")


@at_sandboxed_level
@at_sandboxed
def test_a_read_only_root_leaves_volumes_writable(sandboxed: Bench, level: str) -> None:
    bench = sandboxed
    volume = bench.volumes / "data"
    volume.mkdir(mode=0o777)
    volume.chmod(0o777)
    mounts = [{"source": str(volume), "target": "/data", "read_only": False}]
    record = bench.shell(
        bench.pod(),
        "touch /tmp/x || echo refused; touch /data/x && echo kept; sleep 1000",
        read_only_root=True,
        mounts=mounts,
    )
    eventually(lambda: len([line for line in bench.printed(record) if "stdout" in line]) == 2)
    assert [line.split()[-1] for line in bench.printed(record) if "stdout" in line] == ["refused", "kept"]
    assert (volume / "x").exists()


@at_sandboxed_level
@at_sandboxed
def test_a_memory_limit_can_be_changed_while_it_runs(sandboxed: Bench, level: str) -> None:
    bench = sandboxed
    record = bench.shell(bench.pod(), "sleep 1000", memory_limit=1 << 30)
    bench.client.ask("update_container", pod=record["pod"], container=record["container"], memory_limit=4096)
    ended = bench.exited(record)
    assert (ended["oom"], ended["exit_code"]) == (True, 137)
