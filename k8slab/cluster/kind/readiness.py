"""Whether the Nodes of a kind cluster are Ready, each of them by its name.

`kubectl wait nodes --all` is not enough: since Kubernetes 1.34 `kubeadm join` does not touch its Node any
more (feature NodeLocalCRISocket), so kind may be done before a worker's kubelet has registered it, and what
is not there yet is not waited for.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import Any

from k8slab.errors import LabError, WaitTimeoutError
from k8slab.progress import reason_of

PAUSE = 0.3

Ask = Callable[..., str]
"""Runs kubectl on the cluster and returns what it printed."""


def not_ready(listed: dict[str, Any], wanted: Sequence[str]) -> dict[str, str]:
    """Which of the Nodes are not Ready, and what they are instead. Pure.

    Args:
        listed: a NodeList.
        wanted: the names that should be in it.
    """
    states = {each["metadata"]["name"]: _state(each) for each in listed.get("items") or ()}
    seen = {name: states.get(name, "not registered") for name in wanted}
    return {name: state for name, state in seen.items() if state != "Ready"}


def in_words(ask: Ask, wanted: Sequence[str]) -> str:
    """Which of the Nodes are not Ready, as a clause; empty if all are, or why nobody can say.

    Args:
        ask: runs kubectl on the cluster.
        wanted: their names.
    """
    try:
        left = not_ready(json.loads(ask("get", "nodes", "--output", "json")), wanted)
    except LabError as error:
        # An API server that was just started refuses for a moment.
        return reason_of(error)
    except (ValueError, KeyError, TypeError) as error:
        return f"no list of Nodes: {error!r}"
    return ", ".join(f"{name} {state}" for name, state in left.items())


def wait_for_nodes(ask: Ask, wanted: Sequence[str], seconds: float, cure: str) -> None:
    """Wait until every one of the Nodes is there and Ready.

    Args:
        ask: runs kubectl on the cluster.
        wanted: their names.
        seconds: how long to wait.
        cure: what to do if it takes longer.

    Raises:
        WaitTimeoutError: not all were in time; the message says what each was instead.
    """
    deadline = time.monotonic() + seconds
    while True:
        if not (seen := in_words(ask, wanted)):
            return
        if time.monotonic() > deadline:
            raise WaitTimeoutError("every node to be Ready", seconds, seen, cure)
        time.sleep(PAUSE)


def _state(node: dict[str, Any]) -> str:
    for condition in (node.get("status") or {}).get("conditions") or ():
        if condition.get("type") == "Ready":
            if condition.get("status") == "True":
                return "Ready"
            return f"NotReady ({condition.get('reason') or condition.get('status')})"
    return "NotReady"
