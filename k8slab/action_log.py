"""The log of what the lab did to clusters: a line of JSON before each act and one after, only ever added."""

from __future__ import annotations

import contextlib
import json
import os
import time
import uuid
from collections.abc import Iterator

from k8slab.cluster.contract import Cluster
from k8slab.errors import GuardError, LabError
from k8slab.folders import state_folder

LONGEST_ANSWER = 300


@contextlib.contextmanager
def recorded(cluster: Cluster, action: str, namespace: str, what: str) -> Iterator[None]:
    """Write an act down before it is done, and its answer when it is.

    Args:
        cluster: where.
        action: such as `DELETE` or `kubectl drain`.
        namespace: where in it; empty for what belongs to the whole cluster.
        what: on what, with the uid that was seen.

    Raises:
        GuardError: it cannot be written, so it must not be done.
    """
    number = uuid.uuid4().hex[:12]
    _write(
        {
            "time": round(time.time(), 3),
            "act": number,
            "user": os.getuid(),
            "cluster": cluster.uuid,
            "context": cluster.context,
            "action": action,
            "namespace": namespace,
            "what": what,
        }
    )
    answer = "done"
    try:
        yield
    except BaseException as error:
        said = error.message if isinstance(error, LabError) else str(error)
        answer = f"{type(error).__name__}: {' '.join(said.split())}"[:LONGEST_ANSWER]
        raise
    finally:
        # It is done: that its answer cannot be written is no reason to hide the answer itself.
        with contextlib.suppress(GuardError):
            _write({"time": round(time.time(), 3), "act": number, "answer": answer})


def _write(line: dict[str, object]) -> None:
    log = state_folder() / "actions.jsonl"
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "a") as file:
            file.write(json.dumps(line) + "\n")
    except OSError as error:
        raise GuardError(
            f"The log of actions {log} cannot be written ({error.strerror}), so nothing was changed.",
            "Free some space there, or name another folder in K8SLAB_STATE_DIR.",
        ) from error
