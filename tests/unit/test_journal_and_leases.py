"""What the supervisor writes down, and who holds a cluster."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from k8slab.cluster.embedded.journal import Journal
from k8slab.cluster.embedded.supervisor.leases import LINGER_SECONDS, Leases
from k8slab.processes import ProcessIdentity


def myself() -> ProcessIdentity:
    identity = ProcessIdentity.of(os.getpid())
    assert identity is not None
    return identity


def test_a_journal_reads_back_as_it_was_written_and_is_private(tmp_path: Path) -> None:
    os.umask(0)
    try:
        journal = Journal("default", "u-1", 7, myself()).with_process("etcd", None)
        journal = journal.with_process("x", myself())
        path = tmp_path / "journal.json"
        journal.write(path)
    finally:
        os.umask(0o022)
    assert Journal.read(path) == journal
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"name": "x"}', '{"supervisor": 3}'])
def test_what_is_no_journal_reads_as_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "journal.json"
    path.write_text(text)
    assert Journal.read(path) is None


def test_a_supervisor_counts_only_with_pid_start_time_and_uuid_together() -> None:
    me = myself()
    assert not Journal("n", "some-uuid", 7, me).supervisor_is_alive()
    recycled = ProcessIdentity(me.pid, me.start_time + 1)
    assert not recycled.is_alive()
    assert not recycled.send(0)


def test_a_cluster_ends_only_after_its_last_holder_and_the_linger() -> None:
    leases = Leases(keep=False)
    leases.take("one", myself())
    leases.take("two", None)
    assert not leases.expired(now=0.0)
    leases.give_back("one")
    assert not leases.expired(now=1.0)
    leases.give_back("two")
    assert not leases.expired(now=2.0)
    assert not leases.expired(now=2.0 + LINGER_SECONDS - 0.1)
    assert leases.expired(now=2.0 + LINGER_SECONDS)


def test_a_new_holder_within_the_linger_keeps_it() -> None:
    leases = Leases(keep=False)
    assert not leases.expired(now=0.0)
    leases.take("one", myself())
    assert not leases.expired(now=100.0)


def test_a_holder_whose_process_is_gone_does_not_count() -> None:
    leases = Leases(keep=False)
    leases.take("one", ProcessIdentity(myself().pid, 1))
    leases.expired(now=0.0)
    assert len(leases) == 0


def test_a_kept_cluster_needs_no_holder() -> None:
    leases = Leases(keep=True)
    assert not leases.expired(now=0.0)
    assert not leases.expired(now=1000.0)
