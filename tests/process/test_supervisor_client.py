"""The kernel's side of a supervisor that is silent, or ends: one sentence, and nothing left open."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from k8slab.cluster.embedded import supervisor_client
from k8slab.cluster.embedded.supervisor_client import Lease, ask, follow
from k8slab.errors import ClusterStateError
from k8slab.folders import ClusterFolder

CALLS: tuple[Callable[[ClusterFolder], object], ...] = (
    lambda folder: ask(folder, timeout=0.2, op="status"),
    lambda folder: list(follow(folder, timeout=0.2)),
    Lease,
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ClusterFolder:
    monkeypatch.setenv("K8SLAB_STATE_DIR", str(tmp_path))
    monkeypatch.setattr(supervisor_client, "ANSWER_SECONDS", 0.2)
    made = ClusterFolder.of("x")
    made.supervisor_socket.parent.mkdir(parents=True)
    return made


@contextmanager
def listening(folder: ClusterFolder) -> Iterator[socket.socket]:
    """A supervisor's socket, and nobody who answers."""
    with closing(socket.socket(socket.AF_UNIX)) as made:
        made.bind(str(folder.supervisor_socket))
        made.listen()
        yield made


@pytest.mark.parametrize("call", CALLS)
def test_one_that_is_not_there_is_one_sentence(
    folder: ClusterFolder, call: Callable[[ClusterFolder], object]
) -> None:
    with pytest.raises(ClusterStateError, match=r"'x' does not answer \(No such file or directory\)"):
        call(folder)


@pytest.mark.parametrize("call", CALLS)
def test_one_that_is_silent_is_one_sentence(
    folder: ClusterFolder, call: Callable[[ClusterFolder], object]
) -> None:
    with (
        listening(folder),
        pytest.raises(ClusterStateError, match=r"'x' does not answer \(timed out\)"),
    ):
        call(folder)


@pytest.mark.parametrize("call", (CALLS[0], CALLS[2]))
def test_one_that_ends_while_it_is_asked_is_one_sentence(
    folder: ClusterFolder, call: Callable[[ClusterFolder], object]
) -> None:
    def end_at_once(server: socket.socket) -> None:
        connection, _ = server.accept()
        with closing(connection):
            connection.recv(1024)

    with listening(folder) as server:
        thread = threading.Thread(target=end_at_once, args=(server,))
        thread.start()
        with pytest.raises(ClusterStateError, match="'x' ended while it was asked"):
            call(folder)
        thread.join(5)
