"""How long `Lab.open` takes until three nodes are Ready, against the bare four programs in the same run."""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import sys
import time

from benchmarks.bare import seconds_to_readyz
from benchmarks.figures import Measurement
from benchmarks.watching import condition
from k8slab.commands import run
from k8slab.errors import LabError

CHAPTER = "03-replicasets"
NODES = 3
MOST = 1.6
"""Largest allowed ratio of the lab's time to the bare programs' time."""


def measure(pairs: int) -> list[Measurement]:
    """Alternate between the bare programs and a lab in a fresh Python process, so many times.

    Returns:
        The ratio of the medians; the raw samples of both are in its settings.
    """
    bare, opened, imported = [], [], []
    for _ in range(pairs):
        bare.append(seconds_to_readyz())
        child = json.loads(_in_fresh_process())
        opened.append(child["open"])
        imported.append(child["import"])
    settings = {
        "nodes": NODES,
        "isolation": child["isolation"],
        "kubernetes": child["kubernetes"],
        "bare": "four programs launched at once, until /readyz says ok; certificates not counted",
        "lab": "Lab.open in a fresh process, cluster not running; certificates, namespace and mirror counted",
        "bare_samples": [round(each, 3) for each in bare],
        "import_samples": [round(each, 3) for each in imported],
        "pair_ratios": [round(lab / yard, 3) for lab, yard in zip(opened, bare, strict=True)],
    }
    ratio = statistics.median(opened) / statistics.median(bare)
    values = {"ratio": ratio, "bare p50": statistics.median(bare)}
    name = f"`Lab.open()` to {NODES} nodes Ready ÷ the bare four programs to `/readyz`"
    return [Measurement(name, "s", tuple(opened), settings, {"ratio": MOST}, values)]


def _in_fresh_process() -> str:
    # Its own session's last line is the answer; everything else it says goes to standard error.
    return run([sys.executable, "-m", "benchmarks.opening"], timeout=180).stdout


def main() -> None:
    """Open a lab once, print the times as JSON, and delete the cluster."""
    out = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):
        started = time.monotonic()
        from k8slab import Lab

        imported = time.monotonic()
        lab = Lab.open(CHAPTER, backend="embedded", name=f"bench-{os.getpid()}", nodes=NODES)
        opened = time.monotonic()
        try:
            from k8slab.cluster.api import Api

            api = Api(lab.cluster.kubeconfig, lab.cluster.context)
            ready = [node for node in api.list("nodes")[0] if condition(node, "Ready")]
            workers = [node for node in ready if node["metadata"]["name"].startswith("worker-")]
            if len(workers) != NODES:
                raise LabError(f"Lab.open returned while {len(workers)} of {NODES} workers were Ready.")
            answer = {
                "import": imported - started,
                "open": opened - imported,
                "isolation": lab.cluster.isolation,
                "kubernetes": lab.cluster.info()["kubernetes"],
            }
        finally:
            cluster = lab.cluster
            lab.close()
            cluster.delete()
    print(json.dumps(answer), file=out)


if __name__ == "__main__":
    main()
