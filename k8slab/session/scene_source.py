"""What the pictures of a lab are made from: its mirror's changes as scenes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Any

from k8slab.cluster.answering import away
from k8slab.errors import ClusterStateError, LabError
from k8slab.graph.replay import replay
from k8slab.graph.resources import LAYERS
from k8slab.graph.scene import SceneBuilder
from k8slab.mirror.changes import Change
from k8slab.mirror.recording import About, Recording
from k8slab.session.session import Session

TICK = 1.0
"""Seconds between two looks at what changes without a change: how fresh the mirror is, ghosts that fade."""

SOON = 0.2
"""The same while something was asked for that is not here yet."""

VERBS = {"kill": "delete", "force_kill": "delete", "crash": "crash"}
"""What the buttons' verbs are called in announcements."""


class LabScene:
    """The scene of a session's namespace, and who wants to know of changes. Safe to use from several threads.

    Args:
        session: the session; its mirror must be running.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        cluster = session.cluster
        played = {each.part: each.sentence for each in cluster.reality() if each.played}
        words = {
            "services": played.get("kube-proxy", ""),
            "nodes": played.get("kubelet", played.get("nodes", "")),
        }
        facts = (
            session.namespace,
            session.chapter.title,
            backend_sentence(cluster.backend, cluster.isolation),
        )
        marks = {part: "played by k8slab" for part, sentence in words.items() if sentence}
        self._make: Callable[[Iterable[str]], SceneBuilder] = partial(SceneBuilder, *facts, marks)
        self._about = About(facts[1], facts[0], facts[2], marks)
        self._layers = dict.fromkeys(session.chapter.layers, True)
        for name in self._layers:
            session.mirror.follow(LAYERS[name])
        self._builder = self._make(self._layers)
        self._badge: tuple[str, float, str] = ("reconnecting", time.time(), "")
        self._known: frozenset[str] = frozenset()
        self._listed: frozenset[str] = frozenset()
        self._waiting = True
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[], None]] = []
        self._stopping = threading.Event()
        self._fading = False
        session.mirror.listen(self._heard)
        self._look_at_mirror()
        self._thread = threading.Thread(target=self._tick, name="k8slab-scene", daemon=True)
        self._thread.start()

    def scene(self) -> dict[str, Any]:
        """The scene of this moment, in the form that docs/architecture.md fixes."""
        scene = self._builder.scene(time.time())
        self._fading = any(pod["look"] == "ghost" for pod in scene["pods"].values())
        return scene

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` whenever the scene may have changed, from any thread; returns the end of it."""
        with self._lock:
            self._callbacks.append(callback)

        def end() -> None:
            with self._lock:
                if callback in self._callbacks:
                    self._callbacks.remove(callback)

        return end

    def announce(self, uid: str, verb: str) -> None:
        """Say that the learner is about to do something to a Pod: kill, force_kill or crash."""
        moment = time.time()
        self._session.timeline.announce(VERBS[verb], uid, moment)
        self._builder.announce(VERBS[verb], uid, moment)

    def recording(self) -> Recording:
        """What happened since the session began or was reset, and what was there before."""
        layers = dict(self._layers)
        about = replace(self._about, since=self._session.since, until=time.time(), layers=layers)
        return self._session.timeline.recording(about)

    def history(self) -> dict[str, Any]:
        """The same as pictures, with the layers that are on: what the map plays as its history."""
        return replay(self.recording())[0].as_json()

    def set_layer(self, name: str, on: bool) -> None:
        """Draw a layer of the map, or draw it no more; what it needs is followed from then on.

        Args:
            name: `ingress`, `volumes`, `configuration` or `limits`.
            on: whether it is drawn.

        Raises:
            LabError: there is no such layer.
        """
        if name not in LAYERS:
            raise LabError(f"The map has no layer {name!r}.", f"It has: {', '.join(LAYERS)}.")
        if on:
            self._session.mirror.follow(LAYERS[name])
        self._layers[name] = on
        self._builder.set_layer(name, on)
        self._waiting = True
        self._tell()

    def forget(self) -> None:
        """Begin anew with what is there now, as after a reset: no story, no recovery, no ghosts."""
        self._session.mirror.unlisten(self._heard)
        self._builder = self._make([name for name, on in self._layers.items() if on])
        self._builder.set_badge(*self._badge)
        self._builder.know(self._known)
        self._session.mirror.listen(self._heard)
        self._tell()

    def close(self) -> None:
        """Follow no more; at most 2 s."""
        self._session.mirror.unlisten(self._heard)
        self._stopping.set()
        self._thread.join(2.0)

    def _heard(self, change: Change) -> None:
        self._builder.apply(change)
        self._tell()

    def _tell(self) -> None:
        with self._lock:
            callbacks = list(self._callbacks)
        for callback in callbacks:
            callback()

    def _tick(self) -> None:
        while not self._stopping.wait(SOON if self._waiting else TICK):
            if self._look_at_mirror() or self._fading:
                self._tell()

    def _look_at_mirror(self) -> bool:
        """Pass on how fresh the picture is; whether that changed."""
        status = self._session.mirror.status()
        state, since = "stale" if status.state == "forbidden" else status.state, status.since
        if state == "live" and self._is_cut_off():
            # An API server that has lost etcd keeps its watches open and has nothing to tell.
            state, since = "stale", self._badge[1] if self._badge[0] == "stale" else time.time()
        listed = frozenset(kind.kind for kind in status.kinds if kind.synced)
        self._waiting = any(not kind.synced and kind.state != "forbidden" for kind in status.kinds)
        # What a list brought is told by another thread: believed whole only at the next look.
        news = listed != self._listed or self._listed != self._known
        self._known, self._listed = self._listed & listed, listed
        if news:
            self._waiting = True
            self._builder.know(self._known)
        before = self._badge
        self._badge = (state, since, status.message)
        self._builder.set_badge(*self._badge)
        self._session.timeline.freshness(state, since, time.time(), status.message)
        return news or before != self._badge

    def _is_cut_off(self) -> bool:
        try:
            return away(self._session.cluster) is not None
        except ClusterStateError:
            return True


def backend_sentence(backend: str, isolation: str) -> str:
    """What containers are on a backend, in one short sentence for the head of the map."""
    if backend == "kind":
        return "kind: nodes are containers of this machine"
    if backend == "existing":
        return "a cluster that k8slab did not make"
    if isolation == "sandboxed":
        return "embedded, sandboxed: containers are processes of this machine, each walled off"
    return "embedded, plain: containers are processes of this machine"
