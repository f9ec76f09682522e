"""What differs between the levels: the sandboxed one's namespaces, the plain one's twins and rewriting."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from k8slab.processes import processes_of_cluster
from tests.process.runtime_bench import Bench, eventually, running_bench
from tests.promptness import within

USERS = ("root", "nobody") if os.geteuid() == 0 else ("root",)


@pytest.fixture
def sandboxed(request: pytest.FixtureRequest) -> Iterator[Bench]:
    with running_bench("sandboxed", request.param[1]) as running:
        yield running


@pytest.fixture
def plain(request: pytest.FixtureRequest) -> Iterator[Bench]:
    with running_bench("plain", request.param[1]) as running:
        yield running


# `sandboxed` stands among the parameters so that these are left out where that level cannot run.
at_sandboxed = pytest.mark.parametrize("sandboxed", [("sandboxed", user) for user in USERS], indirect=True)
at_sandboxed_level = pytest.mark.parametrize("level", ["sandboxed"])
at_plain = pytest.mark.parametrize("plain", [("plain", user) for user in USERS], indirect=True)


@at_sandboxed_level
@at_sandboxed
def test_a_sandbox_is_a_world_of_its_own(sandboxed: Bench, level: str) -> None:
    bench = sandboxed
    record = bench.shell(bench.pod(3), "sleep 1000")
    _, out, err = bench.execute(
        record,
        "hostname; id -u; cat /proc/1/comm; ls /; touch /somewhere /tmp/x && echo written;"
        "touch /usr/x 2>/dev/null || echo read-only; test -e /home/nothing || ls /root /home",
    )
    lines = out.split()
    assert lines[:3] == ["web-3", "0", "sh"], err
    assert {"bin", "usr", "etc", "proc", "dev", "tmp"} <= set(lines)
    assert "written" in lines and "read-only" in lines
    for name in ("pid", "net", "mnt", "uts", "ipc"):
        assert os.readlink(f"/proc/{record['pid']}/ns/{name}") != os.readlink(f"/proc/self/ns/{name}")
    _, out, _ = bench.execute(record, "cat /etc/hosts /etc/resolv.conf; ls /etc")
    assert f"{bench.address(3)}\tweb-3" in out
    assert f"nameserver {bench.plan.dns_service}\n" in out
    assert "search default.svc.cluster.local svc.cluster.local cluster.local\n" in out
    assert "shadow" not in out


@at_sandboxed_level
@at_sandboxed
def test_capabilities_are_a_containers(sandboxed: Bench, level: str) -> None:
    record = sandboxed.shell(sandboxed.pod(), "grep -i -e capeff -e nonewprivs /proc/self/status; sleep 1000")
    eventually(lambda: len(sandboxed.printed(record)) == 2)
    _, out, _ = sandboxed.execute(record, "grep -i -e capeff -e nonewprivs /proc/self/status")
    assert out.split() == ["CapEff:", "00000000a80425fb", "NoNewPrivs:", "1"]
    assert [line.split(" ", 2)[2].split()[-1] for line in sandboxed.printed(record)] == out.split()[1::2]


@at_sandboxed_level
@at_sandboxed
def test_pods_reach_one_another_and_containers_share_their_pod(sandboxed: Bench, level: str) -> None:
    bench = sandboxed
    web, other = bench.pod(1), bench.pod(2)
    server = bench.demo(web, "serve", "--port", "80")
    asked = {"pod": web, "container": server["container"]}
    assert bench.client.ask("wait_listening", ports=[80], timeout=20, **asked)["listening"]
    client = bench.demo(other, "client", f"http://{bench.address(1)}/", "--count", "2", "--rate", "50")
    assert bench.exited(client)["exit_code"] == 0, bench.printed(client)
    neighbour = bench.demo(web, "client", "http://127.0.0.1/", "--count", "1", name="neighbour")
    assert bench.exited(neighbour)["exit_code"] == 0, bench.printed(neighbour)
    outside = bench.demo(other, "client", "http://192.0.2.1/", "--count", "1", name="out", attempt=1)
    with within(4):
        assert bench.exited(outside)["exit_code"] == 1
    assert "unreachable" in bench.printed(outside)[0] or "No route" in bench.printed(outside)[0]


@at_sandboxed_level
@at_sandboxed
def test_an_address_works_at_once_when_it_is_given_out_again(sandboxed: Bench, level: str) -> None:
    bench = sandboxed
    other = bench.pod(2)
    for attempt in range(3):
        web = bench.pod(1)
        server = bench.demo(web)
        asked = {"pod": web, "container": server["container"]}
        assert bench.client.ask("wait_listening", ports=[8080], timeout=20, **asked)["listening"]
        words = ("client", f"http://{bench.address(1)}:8080/", "--count", "1", "--timeout", "2")
        client = bench.demo(other, *words, attempt=attempt)
        assert bench.exited(client)["exit_code"] == 0, bench.printed(client)
        bench.client.ask("remove_pod", pod=web)


@at_sandboxed_level
@at_sandboxed
def test_listening_is_noticed_soon_and_its_lack_in_time(sandboxed: Bench, level: str) -> None:
    _listening(sandboxed)


@at_plain
def test_listening_is_noticed_on_the_twin(plain: Bench) -> None:
    _listening(plain)


def _listening(bench: Bench) -> None:
    pod = bench.pod()
    server = bench.demo(pod)
    asked = {"pod": pod, "container": server["container"]}
    assert bench.client.ask("wait_listening", ports=[8080], timeout=20, **asked)["listening"]
    began = time.monotonic()
    assert not bench.client.ask("wait_listening", ports=[8080, 8081], timeout=0.2, **asked)["listening"]
    assert time.monotonic() - began >= 0.2
    ended = bench.shell(pod, "exit 0", name="ended")
    asked = {"pod": pod, "container": ended["container"]}
    assert not bench.client.ask("wait_listening", ports=[9], timeout=60, **asked)["listening"]
    assert time.monotonic() - began < 30


@at_plain
def test_programs_are_told_their_address(plain: Bench) -> None:
    bench = plain
    pod = bench.pod(4)
    server = bench.demo(pod, "serve", "--port", "80")
    asked = {"pod": pod, "container": server["container"]}
    assert bench.client.ask("wait_listening", ports=[80], timeout=20, **asked)["listening"]
    with socket.create_connection(bench.place(4, 80), 20) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    assert f'"address": "{bench.address(4)}"'.encode() in answer
    environment = Path(f"/proc/{server['pid']}/environ").read_text().split("\0")
    twin = bench.plan.twin(bench.address(4))
    assert f"K8SLAB_ADDRESS={twin}" in environment
    assert f"http_proxy=http://{twin}:3128" in environment


@at_plain
@pytest.mark.parametrize("address", ["0.0.0.0", "127.0.0.1", "::"])
def test_a_listener_anywhere_else_is_stopped(plain: Bench, address: str) -> None:
    family = "AF_INET6" if ":" in address else "AF_INET"
    code = (
        f"import socket, time; s = socket.socket(socket.{family});"
        f"s.bind(('{address}', 0)); s.listen(); print(s.getsockname()[1], flush=True); time.sleep(1000)"
    )
    pod = plain.pod()
    good = plain.demo(pod, name="good")
    bad = plain.container(pod, [plain.python, "-I", "-S", "-c", code])
    event = plain.client.event("wrong_listener", container=bad["container"])
    port = plain.printed(bad)[0].split()[-1]
    assert (event["pod"], event["address"]) == (pod, f"{address}:{port}")
    assert plain.exited(bad)["exit_code"] == 137
    assert plain.execute(good, "echo alive")[1] == "alive\n"


@at_plain
def test_mount_paths_are_rewritten_and_no_others(plain: Bench) -> None:
    data = plain.volumes / "data"
    data.mkdir()
    data.chmod(0o777)
    (data / "file").write_text("x")
    mounts = [{"source": str(data), "target": "/data", "read_only": False}]
    env = [["LIST", "/data:/database:/srv/data"], ["FLAG", "--from=/data/file"]]
    record = plain.container(
        plain.pod(), ["sh", "-c", "echo $LIST $FLAG $0; cat /data/file", "/data"], mounts=mounts, env=env
    )
    assert plain.exited(record)["exit_code"] == 0
    root = plain.folder.node("worker-1") / "pods" / record["pod"] / "containers" / "app" / "0" / "root"
    expected = f"{root}/data:/database:/srv/data --from={root}/data/file {root}/data"
    assert plain.printed(record) == [f"stdout F {expected}", "stdout F x"]
    plain.client.ask("remove_pod", pod=record["pod"])
    assert (data / "file").read_text() == "x", "removing a Pod follows no link into a volume"


@at_plain
def test_a_container_that_left_its_session_is_found_all_the_same(plain: Bench) -> None:
    record = plain.shell(plain.pod(), "(setsid sh -c 'sleep 1000' &) ; sleep 0.1; exit 0")
    assert plain.exited(record)["exit_code"] == 0
    eventually(lambda: {each.pid for each in processes_of_cluster(plain.uuid)} == {plain.runtime.pid})


@pytest.mark.parametrize("level", ["sandboxed"])
def test_the_runtime_and_a_container_stay_small(level: str) -> None:
    with running_bench("sandboxed", "root") as bench:
        records = []
        for number in range(1, 4):
            pod = bench.pod(number)
            records.append(bench.demo(pod))
            asked = {"pod": pod, "container": records[-1]["container"]}
            assert bench.client.ask("wait_listening", ports=[8080], timeout=20, **asked)["listening"]
        for record in records:
            keeper = int(Path(f"/proc/{record['pid']}/stat").read_text().rpartition(")")[2].split()[1])
            assert _pss(record["pid"]) + _pss(keeper) <= 8 << 20
        assert _pss(bench.runtime.pid) <= 18 << 20


def _pss(pid: int) -> int:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(text.partition("\nPss:")[2].split()[0]) << 10
