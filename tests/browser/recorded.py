"""A recorded lesson behind a map in the kernels of the browser tests: a scene, and its history."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

from k8slab.graph.replay import replay
from k8slab.graph.scene import SceneBuilder
from k8slab.mirror.recording import About, Recording
from k8slab.mirror.timeline import Timeline
from tests.browser.scripted import ScriptedSource
from tests.unit import recorded_objects


def lesson_with_a_kill() -> tuple[recorded_objects.Recording, Timeline, float]:
    """Chapter 03 with one Pod killed by the learner: its cluster, its timeline, and where it begins."""
    timeline = Timeline()
    cluster = recorded_objects.lesson(timeline.record)
    since = cluster.now
    cluster.wait(2)
    timeline.announce("delete", "pod-web-a", cluster.now)
    recorded_objects.kill(cluster)
    cluster.wait(30)
    cluster.drop("pod-web-a")
    cluster.wait(10)
    return cluster, timeline, since


class RecordedSource(ScriptedSource):
    """A map's source that has a past, and changes on command."""

    def __init__(self) -> None:
        self.cluster, self.timeline, self._since = lesson_with_a_kill()
        self._builder = SceneBuilder("lesson", "03 · ReplicaSets", "embedded")
        self._builder.set_badge("live", self._since)
        for change in self.timeline.changes():
            self._builder.apply(change)
        self.cluster.listeners.append(self._builder.apply)
        super().__init__(self._builder.scene(self.cluster.now))

    def recording(self) -> Recording:
        """The lesson so far."""
        about = About("03 · ReplicaSets", "lesson", "embedded", {}, self._since, self.cluster.now)
        return self.timeline.recording(about)

    def history(self) -> dict[str, Any]:
        """What the map asks for when it goes into the past."""
        return replay(self.recording())[0].as_json()

    def crash(self, restarts: int) -> None:
        """Let a container of web-b have been started again, and tell the map."""
        self.cluster.wait(1)
        self.cluster.start("pod-web-b", ready=True, restarts=restarts)
        with self._lock:
            self._scene = self._builder.scene(self.cluster.now)
        for callback in list(self._callbacks):
            callback()

    def crash_until(self, end: Path) -> None:
        """Crash again and again beside a cell that runs, until a file is there."""

        def beat() -> None:
            restarts = 0
            while not end.exists():
                restarts += 1
                self.crash(restarts)
                time.sleep(0.3)

        threading.Thread(target=beat, daemon=True).start()
