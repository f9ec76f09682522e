"""Whether the API server can answer at this moment, told from the processes that let it answer.

Without this a call would hang: an API server that has lost etcd keeps its clients waiting for a minute.
"""

from __future__ import annotations

import time

import urllib3

from k8slab.cluster.api import Api
from k8slab.cluster.contract import Cluster, ClusterProcess
from k8slab.errors import ClusterStateError

NEEDED = ("etcd", "kube-apiserver")
"""What must run before anything is answered, in the order of their start."""

YOUNG_SECONDS = 180.0
"""How long after its start a process of these is asked whether it serves already."""

_READY_SECONDS = 0.7


def away(cluster: Cluster) -> ClusterProcess | None:
    """The first process without which nothing is answered and that does not run, or None."""
    found = {each.name: each for each in cluster.processes()}
    return next((found[name] for name in NEEDED if name in found and found[name].state != "running"), None)


def is_ready(api: Api) -> bool:
    """Whether the API server says that it is ready; asked for less than a second."""
    try:
        response = api.open("GET", "/readyz", timeout=(_READY_SECONDS, _READY_SECONDS))
        try:
            response.read()
        finally:
            response.release_conn()
    except (urllib3.exceptions.HTTPError, OSError):
        return False
    return response.status == 200


def wait_ready(api: Api, seconds: float) -> bool:
    """Wait until the API server is ready; whether it came to that."""
    deadline = time.monotonic() + seconds
    while not is_ready(api):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def check_answers(cluster: Cluster, api: Api, patience: float = 0.0) -> None:
    """Raise where the API server cannot answer now; costs a millisecond where all is well.

    Args:
        cluster: the cluster.
        api: a connection to it.
        patience: seconds that one which was started again lately may take until it is ready.

    Raises:
        ClusterStateError: in one sentence, which process does not run and how it is started.
    """
    missing = away(cluster)
    if missing is not None:
        start = f"lab.components[{missing.name!r}].start() starts it, and so does lab.reset()."
        silent = "nobody answers" if missing.name == "kube-apiserver" else "kube-apiserver cannot answer"
        raise ClusterStateError(f"{_state(missing)}, so {silent}.", start)
    now = time.time()
    # A static Pod that was away for a minute begins to count its restarts anew.
    young = [
        each
        for each in cluster.processes()
        if each.name in NEEDED and (each.restarts > 0 or each.foreign) and now - each.started < YOUNG_SECONDS
    ]
    if young and not wait_ready(api, patience):
        latest = max(young, key=lambda each: each.started)
        raise ClusterStateError(
            f"The API server is not ready yet: {latest.name} was started {now - latest.started:.0f} s ago.",
            "Run the cell again in a few seconds.",
        )


def _state(process: ClusterProcess) -> str:
    if process.state == "stopped":
        return f"{process.name} is stopped"
    how = f" (exit code {process.exit_code})" if process.exit_code is not None else ""
    return f"{process.name} has ended{how} and is being started again"
