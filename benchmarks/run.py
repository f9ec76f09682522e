"""`make bench`: measure, print settings, raw samples and the performance table, and keep them as JSON.

    python -m benchmarks.run [--pairs 5] [--kills 60] [--changes 100] [--readme]

Everything is measured on clusters of its own in a folder of its own. Nothing is warmed up for it: no
spare process, no Pod made ahead, no other clock, and no sample is left out.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import browser, footprint, healing, messages, mirror, opening, picture
from benchmarks.figures import Measurement, table, write_into_readme
from k8slab.folders import cache_folder

ROOT = Path(__file__).parents[1]


def main() -> int:
    """Measure, print and keep; the exit code is 1 if a target was missed."""
    wanted = _arguments()
    os.environ["K8SLAB_CACHE_DIR"] = str(cache_folder())
    place = tempfile.mkdtemp(prefix="k8s-", dir="/tmp")
    os.environ["K8SLAB_STATE_DIR"] = place
    try:
        measurements = _measure(wanted)
    finally:
        shutil.rmtree(place)
    result: dict[str, Any] = {"machine": machine(), "measurements": [each.as_json() for each in measurements]}
    print(json.dumps(result, indent=1))
    folder = ROOT / "benchmarks" / "results"
    folder.mkdir(exist_ok=True)
    kept = folder / f"{time.strftime('%Y-%m-%dT%H-%M-%S')}.json"
    kept.write_text(json.dumps(result, indent=1) + "\n")
    text = f"{table(measurements)}\n\n{sentence(result['machine'])}"
    print(f"\n{text}\n\nkept in {kept.relative_to(ROOT)}")
    if wanted.readme:
        write_into_readme(ROOT / "README.md", text)
    return 0 if all(each.reached for each in measurements) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.run", description="Measure k8slab on this machine.")
    parser.add_argument("--pairs", type=int, default=5, help="starts of the bare programs and of a lab")
    parser.add_argument("--kills", type=int, default=60, help="Pods killed")
    parser.add_argument(
        "--changes", type=int, default=100, help="changes sent to the API server under the map"
    )
    parser.add_argument(
        "--only",
        choices=("opening", "healing", "messages", "footprint", "mirror", "picture"),
        help="measure one of them",
    )
    parser.add_argument("--readme", action="store_true", help="write the table into README.md")
    return parser.parse_args()


def _measure(wanted: argparse.Namespace) -> list[Measurement]:
    measurements = []
    if wanted.only in (None, "opening"):
        _say(f"starting the bare programs and a lab, {wanted.pairs} times each")
        measurements += opening.measure(wanted.pairs)
    if wanted.only in (None, "picture"):
        _say(f"changing the status of {wanted.changes} Pods in a picture, and in a browser")
        measurements += picture.measure(wanted.changes) + browser.measure(wanted.changes)
    if wanted.only in ("opening", "picture"):
        return measurements
    from k8slab import Lab

    with contextlib.redirect_stdout(sys.stderr):
        lab = Lab.open(opening.CHAPTER, backend="embedded", name="bench", nodes=opening.NODES)
    cluster = lab.cluster
    try:
        if wanted.only in (None, "healing"):
            _say(f"killing {wanted.kills} Pods, one after the other")
            measurements += healing.measure(lab, wanted.kills)
        if wanted.only in (None, "messages"):
            _say(f"sending {wanted.changes} changes under the map")
            measurements += messages.measure(cluster, opening.CHAPTER, wanted.changes)
        if wanted.only in (None, "footprint"):
            _say("looking at the memory and the idle time of every process")
            with contextlib.redirect_stdout(sys.stderr):
                measurements += footprint.measure(lab)
        if wanted.only in (None, "mirror"):
            _say(f"starting mirrors over {mirror.PODS} Pods")
            measurements += mirror.measure(cluster)
    finally:
        lab.close()
        cluster.delete()
    return measurements


def machine() -> dict[str, Any]:
    """What the figures were taken on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    return {
        "cores": os.cpu_count(),
        "memory_gib": round(memory, 1),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "load_before_1_min": round(os.getloadavg()[0], 2),
        "date": time.strftime("%Y-%m-%d"),
    }


def sentence(found: dict[str, Any]) -> str:
    """The machine in one sentence."""
    return (
        f"Measured by `make bench` on {found['date']}: {found['cores']} cores, {found['memory_gib']} GiB, "
        f"{found['system']}, Python {found['python']}; settings and raw samples are printed with it."
    )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
