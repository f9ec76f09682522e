"""How long a killed Pod's replacement takes to be Ready: real processes, default readiness settings."""

from __future__ import annotations

import contextlib
import io
import time
from functools import partial
from typing import Any

from benchmarks.figures import Measurement, percentile
from benchmarks.watching import Eye, condition
from k8slab.cluster.api import Api
from k8slab.lab import Lab

P50 = 0.8
P95 = 1.5
MANIFEST = "web.yaml"
REPLICAS = 3


def measure(lab: Lab, kills: int) -> list[Measurement]:
    """Kill one Pod of a ReplicaSet again and again, each time with all three Ready and none leaving.

    The clock runs from the call of `lab.kill` until a watch of the benchmark's own sees a Pod that
    was not there before with the condition Ready.

    Args:
        lab: an open lab of chapter 03, its namespace empty.
        kills: how many samples to take.
    """
    api = Api(lab.cluster.kubeconfig, lab.cluster.context)
    with Eye(api, "pods", lab.namespace) as eye:
        with contextlib.redirect_stdout(io.StringIO()):
            lab.apply(MANIFEST)
        samples, phases = [], []
        for number in range(kills):
            pods = eye.until(_settled, f"{REPLICAS} Pods Ready and none leaving, before kill {number + 1}")
            victim = sorted(pods, key=lambda pod: str(pod["metadata"]["name"]))[number % REPLICAS]
            before, seen = set(eye.objects), len(eye.events)
            started = time.monotonic()
            with contextlib.redirect_stdout(io.StringIO()):
                lab.kill(str(victim["metadata"]["name"]))
            moments = eye.until(partial(_heir, before=before, seen=seen), "a replacement that is Ready")
            samples.append(moments["ready"] - started)
            phases.append({name: round(moment - started, 3) for name, moment in moments.items()})
    container = victim["spec"]["containers"][0]
    settings: dict[str, Any] = {
        "kills": kills,
        "replicas": REPLICAS,
        "manifest": f"manifests/03-replicasets/{MANIFEST}",
        "image": container["image"],
        "readinessProbe": container["readinessProbe"],
        "isolation": lab.cluster.isolation,
        "phases": phases,
        "phases_p50": {
            name: percentile([each[name] for each in phases], 50)
            for name in ("created", "scheduled", "ready")
        },
    }
    return [
        Measurement(
            "kill → replacement Ready, real processes",
            "s",
            tuple(samples),
            settings,
            {"p50": P50, "p95": P95},
        )
    ]


def _settled(eye: Eye) -> list[dict[str, Any]] | None:
    pods = list(eye.objects.values())
    ready = [pod for pod in pods if condition(pod, "Ready") and "deletionTimestamp" not in pod["metadata"]]
    return ready if len(ready) == len(pods) == REPLICAS else None


def _heir(eye: Eye, before: set[str], seen: int) -> dict[str, float] | None:
    """When the first new Pod that is Ready was seen created, scheduled and Ready; None without one."""
    for moment, _, pod in eye.events[seen:]:
        uid = pod["metadata"]["uid"]
        if uid not in before and condition(pod, "Ready"):
            own = [(at, each) for at, _, each in eye.events[seen:] if each["metadata"]["uid"] == uid]
            scheduled = next(at for at, each in own if each["spec"].get("nodeName"))
            return {"created": own[0][0], "scheduled": scheduled, "ready": moment}
    return None
