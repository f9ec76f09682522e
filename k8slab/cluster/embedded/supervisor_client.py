"""The kernel's side of a supervisor: holding the cluster, asking, following its start."""

from __future__ import annotations

import json
import os
import socket
import weakref
from collections.abc import Iterator
from typing import Any

from k8slab.errors import ClusterStateError
from k8slab.folders import ClusterFolder
from k8slab.processes import ProcessIdentity

ANSWER_SECONDS = 30.0
"""How long an answer is waited for. It comes at once, but on a busy machine or of a slow end."""

_leases: weakref.WeakSet[Lease] = weakref.WeakSet()


def _connect(folder: ClusterFolder, timeout: float) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(timeout)
    try:
        connection.connect(str(folder.supervisor_socket))
    except OSError as error:
        connection.close()
        raise _silent(folder, error) from error
    return connection


def ask(folder: ClusterFolder, timeout: float = ANSWER_SECONDS, **request: Any) -> dict[str, Any]:
    """Send one request to a cluster's supervisor and return its answer.

    Args:
        folder: the cluster's folder.
        timeout: seconds to wait for the answer.
        request: `op` and what belongs to it; see docs/architecture.md.

    Raises:
        ClusterStateError: nobody answers, or the supervisor refused.
    """
    with _connect(folder, timeout) as connection:
        return _first_answer(folder, connection, request)


def answers(folder: ClusterFolder) -> bool:
    """Whether a supervisor answers there; its socket's file appears a moment before that."""
    try:
        _connect(folder, timeout=1.0).close()
    except ClusterStateError:
        return False
    return True


def follow(folder: ClusterFolder, timeout: float) -> Iterator[dict[str, Any]]:
    """The supervisor's status at every change, until the cluster runs, fails or ends.

    Args:
        folder: the cluster's folder.
        timeout: longest time between two changes, in seconds.

    Raises:
        ClusterStateError: nobody answers, or nothing changed for that long.
    """
    with _connect(folder, timeout) as connection:
        try:
            connection.sendall(b'{"op": "follow"}\n')
            for answer in _answers(connection):
                yield answer
                if answer["cluster"]["state"] != "starting":
                    return
        except OSError as error:
            raise _silent(folder, error) from error


def _first_answer(
    folder: ClusterFolder, connection: socket.socket, request: dict[str, Any]
) -> dict[str, Any]:
    try:
        connection.sendall(json.dumps(request).encode() + b"\n")
        answer = next(_answers(connection), None)
    except OSError as error:
        raise _silent(folder, error) from error
    if answer is None:
        raise ClusterStateError(
            f"The cluster {folder.path.name!r} ended while it was asked.", "Open it again."
        )
    if not answer.get("ok"):
        raise ClusterStateError(str(answer.get("error")))
    return answer


def _silent(folder: ClusterFolder, error: OSError) -> ClusterStateError:
    return ClusterStateError(
        f"The cluster {folder.path.name!r} does not answer ({error.strerror or error}).",
        "Run the cell with `Lab.open(...)` again, or `k8slab up` in a terminal.",
    )


def _answers(connection: socket.socket) -> Iterator[dict[str, Any]]:
    with connection.makefile("r", encoding="utf-8") as lines:
        for line in lines:
            answer: dict[str, Any] = json.loads(line)
            yield answer


class Lease:
    """This process's hold on a cluster: as long as it is open the cluster stays.

    Args:
        folder: the cluster's folder.

    Raises:
        ClusterStateError: nobody answers there.
    """

    def __init__(self, folder: ClusterFolder) -> None:
        identity = ProcessIdentity.of(os.getpid())
        if identity is None:
            raise ClusterStateError("This process has no entry in /proc, so it cannot hold a cluster.")
        request = {"op": "lease", "pid": identity.pid, "start_time": identity.start_time}
        connection = _connect(folder, ANSWER_SECONDS)
        try:
            _first_answer(folder, connection, request)
        except BaseException:
            connection.close()
            raise
        self._connection: socket.socket | None = connection
        _leases.add(self)

    @property
    def is_open(self) -> bool:
        """Whether it still holds; False once closed or once the supervisor is gone."""
        if self._connection is None:
            return False
        try:
            self._connection.setblocking(False)
            return self._connection.recv(1, socket.MSG_PEEK) != b""
        except BlockingIOError:
            return True
        except OSError:
            return False

    def close(self) -> None:
        """Give the hold back. Safe to call twice."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _close_in_child() -> None:
    """A forked child shares the connections; it must not hold what its parent gives back."""
    for lease in list(_leases):
        lease.close()


os.register_at_fork(after_in_child=_close_in_child)
