"""`k8slab demo`: the core story without a browser.

A cluster is started, a Deployment and a Service are applied, requests flow, one Pod is killed, its healing
is timed, and what happened is written to files. Every figure is measured in this run.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from k8slab import __version__, manifests
from k8slab.answers import Table
from k8slab.chapters.evidence import ready_count
from k8slab.chapters.exercises import Chapter
from k8slab.cluster.api import Api
from k8slab.cluster.choose import open_cluster
from k8slab.clusters import find_cluster
from k8slab.errors import LabError, WaitTimeoutError
from k8slab.mirror.stopwatch import Recovery
from k8slab.progress import Progress
from k8slab.session.actions import PodActions
from k8slab.session.chapter_files import manifest_path, shown_path
from k8slab.session.pods import row_of
from k8slab.session.scene_source import LabScene
from k8slab.session.session import Session
from k8slab.traffic import Requests, table

STORY = Chapter("demo", "k8slab demo", "A Pod dies and is replaced.", (), (), ())
PODS = 3
RATE = 20.0
"""Requests a second."""

SETTLED = 40
"""Answers that are awaited before the kill, so that every Pod has had its share."""

WAIT_SECONDS = 90.0
AFTER_SECONDS = 2.0
"""How long requests go on once the victim has gone."""


def demonstrate(
    out: Path, progress: Progress, *, name: str = "default", backend: str | None = None, nodes: int = 3
) -> dict[str, Any]:
    """Tell the story and write `map.svg`, `map.html`, `timeline.html` and `summary.json`.

    Args:
        out: the folder to write to; made if it is not there.
        progress: told what happens.
        name: the cluster's name; one that is running is used, otherwise it is started and ended again.
        backend: as for `open_cluster`.
        nodes: worker nodes of a new cluster.

    Returns:
        What `summary.json` holds.

    Raises:
        LabError: with what was seen, what was wanted and what to do.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LabError(
            f"{out} cannot be written to: {error.strerror}.", "Give another folder with --out."
        ) from error
    started_here = find_cluster(name) is None
    cluster = open_cluster(name, backend, nodes, progress=progress)
    session = Session(cluster, STORY)
    try:
        session.start()
        session.reset(progress)
        summary = _story(session, out, progress)
        session.reset(progress)
    finally:
        session.close()
        if started_here:
            with progress.step("Ending the cluster"):
                cluster.delete()
    progress.line(f"Written to {shown_path(out)}: map.svg, map.html, timeline.html, summary.json")
    return summary


def _story(session: Session, out: Path, progress: Progress) -> dict[str, Any]:
    scene = LabScene(session)
    actions = PodActions(session)
    try:
        _apply(session, progress)
        with progress.step(f"{PODS} Pods become ready"):
            _until(
                lambda: len(_ready(session)) == PODS,
                f"{PODS} Pods of web to be ready",
                lambda: _pods_seen(session),
            )
        requests = Requests(_own_api(session), _service_path(session), RATE, "svc/web")
        requests.start()
        try:
            with progress.step(f"{RATE:.0f} requests a second flow through the Service"):
                _until(
                    lambda: requests.answered >= SETTLED and len(requests.by_pod) == PODS,
                    f"answers from {PODS} Pods",
                    lambda: requests.tally().sentence,
                )
            victim = row_of(_ready(session)[0])
            progress.line(f"$ {actions.line(victim, 'kill')} -n {session.namespace}")
            scene.announce(victim.uid, "kill")
            actions.delete(victim)
            with progress.step(f"{victim.name} is replaced"):
                _until(
                    lambda: _healed(session, victim.uid) is not None,
                    "the replacement",
                    lambda: _pods_seen(session),
                )
            with progress.step(f"{victim.name} finishes what it was doing, and goes"):
                _until(
                    lambda: _is_gone(session, victim.uid),
                    f"{victim.name} to be gone",
                    lambda: _pods_seen(session),
                )
            picture = scene.scene()
            time.sleep(AFTER_SECONDS)
        finally:
            requests.stop()
        recovery = session.timeline.recovery(victim.uid)
        assert recovery is not None and recovery.heir is not None
        _say_result(recovery, requests, progress)
        summary = _summary(session, recovery, requests)
        try:
            _draw(session, picture, out)
            (out / "summary.json").write_text(json.dumps(summary, indent=2, ensure_ascii=False) + "\n")
        except OSError as error:
            raise LabError(
                f"{out} cannot be written to: {error.strerror}.", "Give another folder with --out."
            ) from error
        return summary
    finally:
        scene.close()


def _apply(session: Session, progress: Progress) -> None:
    path = manifest_path(STORY.name, "web.yaml")
    words = ["apply", "-f", shown_path(path)]
    progress.line(f"$ kubectl {' '.join(words)} -n {session.namespace}")
    done = session.apply(manifests.read(path), words)
    for line in done.stdout.splitlines():
        progress.line(line)


def _ready(session: Session) -> list[Any]:
    pods = session.mirror.store.objects("Pod", session.namespace)
    return [pod for pod in pods if not pod["metadata"].get("deletionTimestamp") and ready_count([pod])]


def _pods_seen(session: Session) -> str:
    rows = [row_of(pod) for pod in session.mirror.store.objects("Pod", session.namespace)]
    return ", ".join(f"{row.name} {row.status} {row.ready}" for row in rows) or "no Pod"


def _healed(session: Session, victim: str) -> float | None:
    recovery = session.timeline.recovery(victim)
    return None if recovery is None else recovery.healed


def _is_gone(session: Session, uid: str) -> bool:
    life = session.timeline.life(uid)
    return life is not None and life.gone is not None


def _service_path(session: Session) -> str:
    return f"/api/v1/namespaces/{session.namespace}/services/web:http/proxy/"


def _own_api(session: Session) -> Api:
    return session.cluster.api()


def _say_result(recovery: Recovery, requests: Requests, progress: Progress) -> None:
    heir = recovery.heir.name if recovery.heir else "nobody"
    progress.line(f"{recovery.victim.name} was killed; {heir} took its place:")
    rows = tuple((name, f"{seconds:.2f} s") for name, seconds in recovery.phases)
    for line in [
        *repr(Table(("PHASE", "AFTER THE KILL"), rows)).splitlines(),
        *repr(table(requests.tally())).splitlines(),
    ]:
        progress.line(f"  {line}")


def _draw(session: Session, picture: dict[str, Any], out: Path) -> None:
    from k8slab.graph.drawing import svg
    from k8slab.graph.figure import figure
    from k8slab.graph.timeline_figure import lives_figure

    lives = [
        life
        for life in session.timeline.lives(session.namespace)
        if (life.gone or session.since) >= session.since
    ]
    (out / "map.svg").write_text(svg(picture))
    figure(picture).write_html(out / "map.html", include_plotlyjs=True)
    lives_figure(lives, time.time(), STORY.title).write_html(out / "timeline.html", include_plotlyjs=True)


def _summary(session: Session, recovery: Recovery, requests: Requests) -> dict[str, Any]:
    cluster, tally = session.cluster, requests.tally()
    info = cluster.info()
    victim, heir, seconds = recovery.victim, recovery.heir, info.get("seconds_to_ready")
    assert heir is not None
    return {
        "backend": cluster.backend,
        "isolation": cluster.isolation,
        "versions": {
            "k8slab": __version__,
            "kubernetes": info.get("kubernetes"),
            "python": platform.python_version(),
        },
        "nodes": info.get("nodes"),
        "seconds_to_ready": None if seconds is None else round(seconds, 2),
        "victim": {"name": victim.name, "uid": victim.uid, "node": victim.node},
        "heir": {"name": heir.name, "uid": heir.uid, "node": heir.node},
        "healing": {
            "phases": {name: round(seconds, 3) for name, seconds in recovery.phases},
            "healed": None if recovery.healed is None else round(recovery.healed, 3),
        },
        "requests": {
            "rate": requests.rate,
            "sent": tally.sent,
            "answered": tally.answered,
            "failed": tally.failed,
            "by_pod": tally.by_pod,
            "failures": tally.failures,
        },
        "reality": [
            {"part": each.part, "played": each.played, "sentence": each.sentence}
            for each in cluster.reality()
        ],
    }


def _until(condition: Callable[[], bool], what: str, seen: Callable[[], str]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise WaitTimeoutError(
                what, WAIT_SECONDS, seen(), "`k8slab doctor` says what this machine lacks."
            )
        time.sleep(0.05)
