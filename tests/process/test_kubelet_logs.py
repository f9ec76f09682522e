"""Following a log that its runtime rotates, and reading parts of one that grows; the runtime's own writer."""

from __future__ import annotations

import asyncio
import errno
import itertools
from pathlib import Path

import pytest

from k8slab.node.kubelet_api.log_files import successor
from k8slab.node.kubelet_api.logs import LogOptions, LogSource, read_log
from k8slab.node.runtime import log as runtime_log
from k8slab.node.runtime.log import ContainerLog


async def collect(source: LogSource, options: LogOptions) -> bytes:
    return b"".join([chunk async for chunk in read_log(source, options)])


@pytest.fixture
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime_log, "LARGEST_FILE", 2000)


@pytest.mark.usefixtures("small_files")
async def test_nothing_is_lost_over_several_rotations_between_two_looks(tmp_path: Path) -> None:
    written = ContainerLog(tmp_path / "c" / "0.log")
    running = True
    source = LogSource(written.path, lambda: running)
    written.write("stdout", b"first\n")
    following = asyncio.create_task(collect(source, LogOptions(follow=True)))
    await asyncio.sleep(0.05)
    lines = [f"line {number} {'x' * 50}\n".encode() for number in range(400)]
    for line in lines[:100]:
        written.write("stdout", line)
    # Four files by now, and the follower has not looked since the first line.
    assert len(list(written.path.parent.iterdir())) >= 4
    for line in lines[100:]:
        await asyncio.sleep(0.002)
        written.write("stdout", line)
    written.close()
    running = False
    assert await asyncio.wait_for(following, 60) == b"first\n" + b"".join(lines)


@pytest.mark.usefixtures("small_files")
async def test_what_was_deleted_meanwhile_is_left_out(tmp_path: Path) -> None:
    written = ContainerLog(tmp_path / "c" / "0.log")
    running = True
    source = LogSource(written.path, lambda: running)
    written.write("stdout", b"first\n")
    following = asyncio.create_task(collect(source, LogOptions(follow=True)))
    await asyncio.sleep(0.05)
    for number in range(400):
        written.write("stdout", f"line {number} {'x' * 50}\n".encode())
    written.close()
    running = False
    told = (await asyncio.wait_for(following, 60)).splitlines()
    assert told[0] == b"first" and told[-1].startswith(b"line 399 ")
    numbers = [int(line.split()[1]) for line in told[1:]]
    gaps = [number for before, number in itertools.pairwise(numbers) if number != before + 1]
    assert numbers == sorted(set(numbers)) and len(gaps) == 1, "what was deleted is missing, and nothing else"
    assert len(list(written.path.parent.iterdir())) <= runtime_log.MOST_FILES


async def test_a_tail_ends_while_the_program_goes_on_printing(tmp_path: Path) -> None:
    written = ContainerLog(tmp_path / "0.log")
    for number in range(5000):
        written.write("stdout", f"{number}\n".encode())
    source = LogSource(written.path, lambda: True)
    told = b""
    async for chunk in read_log(source, LogOptions(tail=4500)):
        told += chunk
        written.write("stdout", b"more\n" * 100)
    written.close()
    assert told.splitlines() == [str(number).encode() for number in range(500, 5000)]


async def test_following_from_the_end_and_up_to_a_limit(tmp_path: Path) -> None:
    written = ContainerLog(tmp_path / "0.log")
    written.write("stdout", b"old\n")
    running = True
    source = LogSource(written.path, lambda: running)
    from_the_end = asyncio.create_task(collect(source, LogOptions(follow=True, tail=0)))
    limited = asyncio.create_task(collect(source, LogOptions(follow=True, limit=6)))
    await asyncio.sleep(0.05)
    written.write("stderr", b"new\n")
    # The limit ends it, whether the program runs or not.
    assert await asyncio.wait_for(limited, 30) == b"old\nne"
    running = False
    assert await asyncio.wait_for(from_the_end, 30) == b"new\n"
    written.close()


@pytest.mark.usefixtures("small_files")
def test_a_rotation_that_fails_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = ContainerLog(tmp_path / "c" / "0.log")

    def full() -> int:
        raise OSError(errno.ENOSPC, "no space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(written, "_open", full)
        written.write("stdout", b"x" * 2500 + b"\n")
        written.write("stdout", b"meanwhile\n")
    written.write("stdout", b"then\n")
    written.write("stdout", b"after\n")
    written.close()
    assert written.path.read_bytes().endswith(b"after\n")
    (old,) = written.path.parent.glob("0.log.*")
    assert b"meanwhile\n" in old.read_bytes() and old.read_bytes().endswith(b"then\n")


def test_a_writer_that_was_killed_while_it_rotated_ends_the_log(tmp_path: Path) -> None:
    path = tmp_path / "0.log"
    path.write_bytes(b"last\n")
    with path.open("rb") as file:
        path.rename(tmp_path / "0.log.20260101-000000")
        assert successor(file, path) is None


async def test_a_log_that_vanishes_ends_whoever_follows_it(tmp_path: Path) -> None:
    written = ContainerLog(tmp_path / "c" / "0.log")
    written.write("stdout", b"last\n")
    running = True
    source = LogSource(written.path, lambda: running)
    following = asyncio.create_task(collect(source, LogOptions(follow=True)))
    await asyncio.sleep(0.05)
    written.close()
    written.path.unlink()
    written.path.parent.rmdir()
    running = False
    assert await asyncio.wait_for(following, 30) == b"last\n"
