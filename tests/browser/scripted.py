"""A scripted cluster for the tests of widgets: a scene that changes when told, actions that take notes.

Runs inside the kernels of the browser tests and in the unit tests; knows nothing of Kubernetes.
"""

from __future__ import annotations

import copy
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from k8slab.errors import LabError
from tests.browser.scripted_scenes import (
    HOSTILE,
    Scene,
    busy_scene,
    first_scene,
    grouped_scene,
    hostile_scene,
    layered_scene,
    pod,
    resource,
)

__all__ = [
    "HOSTILE",
    "NotingActions",
    "Scene",
    "ScriptedSource",
    "busy_scene",
    "first_scene",
    "grouped_scene",
    "hostile_scene",
    "layered_scene",
    "pod",
    "resource",
]


LONGEST_DRAIN = 300.0
"""Seconds after which a drain ends though nobody has ended it."""


class ScriptedSource:
    """A scene source whose scene is changed by `change`."""

    def __init__(self, scene: Scene | None = None) -> None:
        self._scene = first_scene() if scene is None else scene
        self._callbacks: list[Callable[[], None]] = []
        self._lock = threading.Lock()

    def scene(self) -> Scene:
        with self._lock:
            return self._scene

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback)

    @property
    def listeners(self) -> int:
        return len(self._callbacks)

    def change(self, edit: Callable[[Scene], None]) -> None:
        """Edit a copy of the scene, count the change, and tell the listeners."""
        with self._lock:
            scene = copy.deepcopy(self._scene)
            edit(scene)
            scene["changes"] += 1
            scene["moment"] = time.time()
            self._scene = scene
        for callback in list(self._callbacks):
            callback()

    def beat(self, end: Path, every: float = 0.1) -> threading.Thread:
        """Change the scene from a thread, the note of one Pod and the counter, until a file is there."""

        def work() -> None:
            while not end.exists():
                self.change(lambda scene: scene["pods"]["p3"].update(note=f"change {scene['changes'] + 1}"))
                time.sleep(every)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        return thread


class NotingActions:
    """Actions that append what they were asked to a file, with the time, and change the scene.

    A drain lasts until a file `drained` stands beside theirs.
    """

    def __init__(self, source: ScriptedSource, file: Path) -> None:
        self.source = source
        self.file = file

    def note(self, verb: str, uid: str, **more: Any) -> None:
        with self.file.open("a") as out:
            out.write(json.dumps({"verb": verb, "uid": uid, "time": time.time(), **more}) + "\n")

    def kill(self, uid: str) -> str:
        self.note("kill", uid)
        end = time.time() + 30
        self.source.change(
            lambda scene: scene["pods"][uid].update(
                look="terminating", status="Terminating", grace_end=end, ready=False
            )
        )
        return f'pod "{self.source.scene()["pods"][uid]["name"]}" deleted'

    def force_kill(self, uid: str) -> str:
        self.note("force_kill", uid)
        raise LabError("The guard refused: this Pod is not in the sandbox.", "Open the lab again.")

    def crash(self, uid: str, container: str) -> str:
        self.note("crash", uid, container=container)
        return f"container {container} was sent SIGKILL"

    def act(self, verb: str, uid: str, value: str) -> str:
        self.note(verb, uid, value=value)
        if verb == "drain":
            deadline = time.monotonic() + LONGEST_DRAIN
            while not self.file.with_name("drained").exists() and time.monotonic() < deadline:
                time.sleep(0.05)
            raise LabError("A PodDisruptionBudget forbids it: web-b4t8n must stay.", "Uncordon ends it.")
        edits = {
            "cordon": lambda scene: scene["nodes"][uid].update(status="Ready,SchedulingDisabled"),
            "scale": lambda scene: scene["owners"][uid].update(wants=int(value)),
            "stop_component": lambda scene: scene["components"][uid].update(state="stopped"),
            "start_component": lambda scene: scene["components"][uid].update(state="running"),
        }
        self.source.change(edits.get(verb, lambda scene: None))
        return f"{verb} done"

    def set_layer(self, name: str, on: bool) -> str:
        self.note("layer", name, on=on)
        self.source.change(lambda scene: scene["layers"].update({name: on}))
        return "done"

    def logs(self, uid: str, container: str = "") -> str:
        return "\n".join(f"10.7.0.1 GET / 200 {n}" for n in range(40))

    def events(self, uid: str) -> str:
        return "Normal  Scheduled  Successfully assigned"

    def yaml(self, uid: str) -> str:
        return "apiVersion: v1\nkind: Pod\n"

    def command(self, uid: str, verb: str, container: str = "", value: str = "") -> str:
        scene = self.source.scene()
        kinds = {"pods": "pod", "nodes": "node", "services": "service"}
        for section in ("pods", "nodes", "owners", "services", "resources"):
            found = scene[section].get(uid)
            if found:
                kind = kinds.get(section) or found["kind"].lower()
                return f"kubectl {verb} {kind} {found['name']}" + (f" --replicas={value}" if value else "")
        return f'lab.components["{uid}"].{verb}()'
