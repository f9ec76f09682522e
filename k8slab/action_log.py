"""The log of what the lab did to clusters: a line of JSON before each act, in a file only ever added to."""

from __future__ import annotations

import json
import os
import time

from k8slab.errors import GuardError
from k8slab.folders import state_folder


def record(cluster: str, action: str, namespace: str, what: str) -> None:
    """Write an act down before it is done.

    Args:
        cluster: uuid of the cluster, as its journal has it.
        action: such as `DELETE` or `kubectl drain`.
        namespace: where; empty for what belongs to the whole cluster.
        what: on what, with the uid that was seen.

    Raises:
        GuardError: it cannot be written, so it must not be done.
    """
    line = {
        "time": round(time.time(), 3),
        "user": os.getuid(),
        "cluster": cluster,
        "action": action,
        "namespace": namespace,
        "what": what,
    }
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
