"""What a kind cluster has beside what kind makes, in words: metrics-server and a cloud, as they are now."""

from __future__ import annotations

import json
from collections.abc import Callable

from k8slab.cluster.contract import Reality
from k8slab.cluster.kind.cloud import PROGRAM
from k8slab.errors import CommandError, LabError

METRICS_API = "v1beta1.metrics.k8s.io"
"""The APIService that leads to metrics-server."""


def metrics_reality(ask: Callable[..., str]) -> Reality:
    """Whether `kubectl top` works, by the condition Available of its APIService.

    Args:
        ask: runs kubectl on the cluster.
    """
    part = "kubectl top"
    try:
        found = json.loads(ask("get", "apiservice", METRICS_API, "--output", "json", timeout=5))
    except CommandError as error:
        if "NotFound" in error.output:
            return Reality(part, False, "no metrics-server is in this cluster, so there are no figures")
        return Reality(part, False, "the real metrics-server, if it is there: the cluster does not answer")
    except (LabError, ValueError):
        return Reality(part, False, "the real metrics-server, if it is there: the cluster does not answer")
    conditions = (found.get("status") or {}).get("conditions") or []
    said: dict[str, str] = next((each for each in conditions if each.get("type") == "Available"), {})
    if said.get("status") == "True":
        return Reality(part, False, "the real metrics-server, which serves")
    reason = said.get("reason") or "nobody has looked yet"
    return Reality(
        part,
        False,
        f"the real metrics-server, applied and not serving ({reason}): its image has to be pulled, and"
        " figures take half a minute; `kubectl get pods -n kube-system` says how far it is",
    )


def cloud_reality(pid: int | None) -> Reality:
    """Who gives addresses to LoadBalancers and Ingresses.

    Args:
        pid: process of the cluster's cloud, or None.
    """
    part = "load balancers, Ingress"
    if pid is not None:
        return Reality(part, True, f"{PROGRAM} plays a cloud, as process {pid} of this machine")
    return Reality(
        part,
        True,
        "nobody plays a cloud: EXTERNAL-IP stays <pending> and an Ingress gets no ADDRESS until"
        " `k8slab cloud on`; a NodePort works without",
    )
