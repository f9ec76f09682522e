"""The live map: the picture of a cluster that a learner watches and clicks.

The drawing is done in the browser by a small module of its own (`live_map*.js`); the kernel sends it what
changed. A source's callback only marks the map as out of date. The drawer then takes the scene, sends the
difference to the one sent before as one numbered custom message, the first at once and then at most twenty
a second, and writes the whole picture into the trait `snapshot` when things are quiet, so that a saved
notebook shows it.

Between the two:

    to the browser    {"seq": n, "moment": t, "set": {...}, "drop": {...}}    one batch of changes
                      {"snapshot": picture}                                    to a view that saw a gap
                      {"request": id, "state": "working"|"done"|"refused"|"failed", "text": ...}
                      {"request": id, "state": "done"} with a history as a buffer: gzipped JSON
    from the browser  {"op": ..., "uid": ..., "request": id, "container": ..., "verb": ...}
"""

from __future__ import annotations

import re
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import anywidget
import traitlets

from k8slab.errors import LabError
from k8slab.widgets.drawer import close_with_all, forget_open, is_open, replace_open, take_drawer
from k8slab.widgets.map_requests import MapActions, MapRequests

Scene = dict[str, Any]

BATCHES_A_SECOND = 20
QUIET = 1.0
"""Seconds without a change after which the whole picture is written into the trait."""
SNAPSHOT_AT_LEAST = 10.0
"""Seconds after which it is written even if changes keep coming."""

MOVED = "The live map now stands in the output of another cell, the one that was run last."

_COMMENT = re.compile(r"(^|\s)// .*$")
"""To the end of the line; an address has no space before its slashes."""
_JOINED = re.compile(r"(?<=[{;,])\n")
_FOLDER = Path(__file__).parent
_SCRIPT_PARTS = (
    "geometry",
    "drawing",
    "resources",
    "channel",
    "changes",
    "picture",
    "viewport",
    "menu",
    "keys",
    "panels",
    "toolbar",
    "replay",
)
_STYLE_PARTS = ("live_map", "live_map_view", "live_map_replay")


class SceneSource(Protocol):
    """Where a map gets its picture from."""

    def scene(self) -> Scene:
        """The scene of this moment, in the form that docs/architecture.md fixes; not changed afterwards."""
        ...

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` whenever the scene may have changed, from any thread; returns the end of it."""
        ...


def script() -> str:
    """The browser's part as one ES module: its parts share one scope, so they are joined in order.

    It is sent without comments, indentation and line ends that part nothing.
    """
    names = [f"live_map_{part}.js" for part in _SCRIPT_PARTS] + ["live_map.js"]
    lines = (
        _COMMENT.sub("", line).strip() for name in names for line in (_FOLDER / name).read_text().splitlines()
    )
    text = "\n".join(line for line in lines if line and not line.startswith("/**"))
    return _JOINED.sub("", text)


def style() -> str:
    """How it looks, as one style sheet."""
    return "\n".join((_FOLDER / f"{name}.css").read_text() for name in _STYLE_PARTS)


class LiveMap(anywidget.AnyWidget):
    """A map of a cluster that follows it and can kill its Pods.

    Args:
        source: what gives the scene and says when it changed.
        actions: what the toolbar's buttons do; called on threads of the map's own.
        key: what this map is of; a new map of the same key closes the old one.
    """

    _esm = script()
    _css = style()
    snapshot = traitlets.Dict().tag(sync=True)

    def __init__(self, source: SceneSource, actions: MapActions, key: str = "map") -> None:
        self._key = key
        self._source = source
        self._lock = threading.Lock()
        self._dirty_since: float | None = None
        self._sent = 0.0
        self._stored = time.monotonic()
        self._rest_asked = False
        self._closed = False
        self._failing = False
        self._news: dict[str, Any] = {}
        self.latencies: deque[float] = deque(maxlen=2000)
        """Seconds from a source's callback to the message that carries the change, latest last."""
        replace_open(key, self)
        self._picture: dict[str, Any] = {
            "seq": 0,
            "scene": source.scene(),
            "armed": True,
            "reason": "",
            "trouble": "",
        }
        self._drawer = take_drawer()
        self._requests = MapRequests(self, actions, self._drawer)
        super().__init__(snapshot=self.picture())
        self._drawer.adopt(self)
        self.on_msg(self._requests.received)
        self._unsubscribe = source.subscribe(self._mark)
        self._mark()

    def open(self) -> None:
        """Open the comm, on the drawer's thread like everything else that is published."""
        self._drawer.run(super().open)

    def picture(self) -> dict[str, Any]:
        """All that a view needs: scene, sequence number, whether Kill is awake, the kernel's clock."""
        return {**self._picture, "moment": time.time()}

    def get_state(self, key: Any = None, drop_defaults: bool = False) -> dict[str, Any]:
        """The widget's state for the front end, always with the picture of now."""
        state: dict[str, Any] = super().get_state(key=key, drop_defaults=drop_defaults)
        if "snapshot" in state:
            state["snapshot"] = self.picture()
        return state

    def history(self) -> dict[str, Any]:
        """What happened so far, as a scene and frames: what the map plays when it goes into the past.

        Raises:
            LabError: the map's source keeps none.
        """
        history = getattr(self._source, "history", None)
        if history is None:
            raise LabError("This map keeps no history.")
        found: dict[str, Any] = history()
        return found

    def set_armed(self, armed: bool, reason: str = "") -> None:
        """Let the map's Kill buttons act, or make them wait; `lab.kill` is not concerned.

        Args:
            armed: whether they act.
            reason: the sentence that stands beside them while they wait.
        """
        self._tell({"armed": armed, "reason": "" if armed else reason})

    def show_trouble(self, text: str) -> None:
        """Show a sentence above the drawing, such as why nothing changes; an empty one takes it away."""
        self._tell({"trouble": text})

    @property
    def armed(self) -> bool:
        """Whether the Kill buttons act."""
        return bool({**self._picture, **self._news}["armed"])

    @property
    def reason(self) -> str:
        """Why the Kill buttons wait; empty while they do not."""
        return str({**self._picture, **self._news}["reason"])

    def _tell(self, news: dict[str, Any]) -> None:
        with self._lock:
            self._news.update(news)
        self._mark()

    def _mark(self) -> None:
        """Say that the picture is out of date: from any thread, at any rate."""
        with self._lock:
            if self._closed or self._dirty_since is not None:
                return
            self._dirty_since = time.perf_counter()
        self._drawer.soon(self._flush)

    def _flush(self) -> None:
        """Send what changed since the last time, or wait for the turn; on the drawer's thread."""
        wait = self._sent + 1.0 / BATCHES_A_SECOND - time.monotonic()
        if wait > 0 and not self._closed:
            self._drawer.later(wait, self._flush)
            return
        with self._lock:
            since, self._dirty_since = self._dirty_since, None
            news, self._news = self._news, {}
        if self._closed:
            return
        try:
            scene = self._source.scene()
            changes = _difference(self._picture["scene"], scene)
            if self._failing:
                news.setdefault("trouble", "")
            self._failing = False
        except LabError as error:
            scene, changes = self._picture["scene"], {"set": {}, "drop": {}}
            news["trouble"] = str(error)
            self._failing = True
        news = {name: value for name, value in news.items() if self._picture[name] != value}
        if not news and not changes["set"] and not changes["drop"]:
            return
        seq = self._picture["seq"] + 1
        self._picture = {**self._picture, **news, "seq": seq, "scene": scene}
        self.send({"seq": seq, "moment": time.time(), **changes, **news})
        self._sent = time.monotonic()
        if since is not None:
            self.latencies.append(time.perf_counter() - since)
        if not self._rest_asked:
            self._rest_asked = True
            self._drawer.later(QUIET, self._rest)

    def _rest(self) -> None:
        """Write the picture into the trait once things are quiet; on the drawer's thread."""
        self._rest_asked = False
        if self._closed:
            return
        now = time.monotonic()
        if now - self._sent < QUIET and now - self._stored < SNAPSHOT_AT_LEAST:
            self._rest_asked = True
            self._drawer.later(QUIET, self._rest)
            return
        self._stored = now
        self.snapshot = self.picture()

    def close(self) -> None:
        """Take the map away, in the browser too, and end its threads. May be called again."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._unsubscribe()
        if not is_open(self._key, self):
            self._drawer.run(lambda: self.send({"farewell": MOVED}))
        forget_open(self._key, self)
        self._requests.close()
        self._drawer.run(self._close_all)
        self._drawer.give_back()

    def _close_all(self) -> None:
        close_with_all(self)
        super().close()
        # IPython remembers every cell's result, so a closed map must be small.
        scene = self._picture["scene"]
        small = {"title": scene.get("title", ""), "pods": dict.fromkeys(scene.get("pods", ()))}
        self._picture = {**self._picture, "scene": small}
        self.snapshot = {}

    def __repr__(self) -> str:
        scene = self._picture["scene"]
        return f"<LiveMap of {scene.get('title') or self._key}: {len(scene.get('pods', {}))} Pods>"

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """The widget, and for places without a kernel the same picture as SVG and as text."""
        from k8slab.graph.drawing import svg
        from k8slab.graph.static_picture import static_html
        from k8slab.graph.text import tree

        scene = self._source.scene()
        bundle = super()._repr_mimebundle_(**kwargs)
        data, metadata = bundle if bundle is not None else ({}, {})
        still = {
            "text/html": static_html(scene),
            "image/svg+xml": svg(scene),
            "text/plain": tree(scene),
        }
        data = {**data, **still}
        return data, metadata


def _difference(old: Scene, new: Scene) -> dict[str, Any]:
    """What `graph.scene.difference` says; imported on first use, as networkx comes with it."""
    from k8slab.graph.scene import difference

    changes: dict[str, Any] = difference(old, new)
    return changes
