"""A recording as pictures: the scene at its start, and what changed, moment by moment. Pure.

Time is the recording's own, so the same recording gives the same pictures. A frame gathers what came
within a moment of each other, and is also due when a ghost fades: that changes the picture
without a change of the cluster.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from k8slab.graph.difference import Scene, difference
from k8slab.graph.scene import SceneBuilder
from k8slab.mirror.changes import Change
from k8slab.mirror.recording import Act, Entry, Freshness, Recording

GATHERED = 0.05
"""Seconds within which changes are drawn as one."""

_FADED = 0.001
"""Added to the moment of a fade, so that it has happened whatever floats make of it."""

Frame = dict[str, Any]
"""`{"moment", "set", "drop"}`, as `difference` gives them."""


@dataclass(frozen=True)
class Replay:
    """A recording, ready to be drawn.

    Args:
        start: the scene before anything happened.
        frames: what changed, in order.
        until: the moment at which it ends.
        missing: changes from its time that were no longer kept when it was recorded.
    """

    start: Scene
    frames: tuple[Frame, ...]
    until: float
    missing: int = 0

    def as_json(self) -> dict[str, Any]:
        """What the browser is given."""
        return {
            "start": self.start,
            "frames": list(self.frames),
            "until": self.until,
            "missing": self.missing,
        }

    def sentences(self) -> Iterator[dict[str, Any]]:
        """The whole story: every sentence, oldest first."""
        yield from self.start["story"]
        for frame in self.frames:
            yield from frame["set"].get("story", {}).values()


def replay(recording: Recording, layers: Mapping[str, bool] | None = None) -> tuple[Replay, Scene]:
    """Play a recording through.

    Args:
        recording: what was recorded.
        layers: which layers of the picture are on; those that were when it was recorded if None.

    Returns:
        The replay, and the scene at its end.
    """
    about, entries = recording.about, recording.entries
    namespace = about.namespace or _namespace_of(recording)
    builder = SceneBuilder(namespace, about.title or namespace, about.backend, dict(about.played))
    for layer, on in (about.layers if layers is None else layers).items():
        builder.set_layer(layer, on)
    start = about.since or (entries[0].moment if entries else 0.0)
    builder.set_badge("live", start)
    for change in recording.baseline:
        builder.apply(change)
    if entries and isinstance(entries[0], Freshness) and entries[0].moment <= start:
        _set_badge(builder, entries[0])
        entries = entries[1:]
    film = _Film(builder, start)
    first = film.scene
    for entry in entries:
        film.take(entry)
    film.end(about.until)
    until = max(about.until, film.moment)
    return Replay(first, tuple(film.frames), round(until, 3), about.missing), builder.scene(until)


class _Film:
    """Frames in the making."""

    def __init__(self, builder: SceneBuilder, start: float) -> None:
        self._builder = builder
        self._open: float | None = None
        self.moment = start
        self.scene = builder.scene(start)
        self.frames: list[Frame] = []

    def take(self, entry: Entry) -> None:
        """Follow what happened next."""
        if self._open is not None and entry.moment - self._open > GATHERED:
            self._close()
        self._fade(entry.moment)
        self.moment = max(self.moment, entry.moment)
        if isinstance(entry, Act):
            self._builder.announce(entry.verb, entry.uid, entry.moment)
            return
        if self._open is None:
            self._open = entry.moment
        if isinstance(entry, Change):
            self._builder.apply(entry)
        else:
            _set_badge(self._builder, entry)

    def end(self, until: float) -> None:
        """Close the last frame, and let the ghosts fade that do so before the end; all if `until` is 0."""
        self._close()
        self._fade(until or float("inf"))

    def _fade(self, before: float) -> None:
        while self._open is None:
            due = self._builder.next_fade()
            if due is None or due + _FADED >= before:
                return
            self.moment = max(self.moment, due + _FADED)
            self._close()

    def _close(self) -> None:
        """Make a frame of what differs; what nobody would see waits for the next."""
        self._open = None
        scene = self._builder.scene(self.moment)
        changed = difference(self.scene, scene)
        news = {name: value for name, value in changed["set"].items() if name != "scene"}
        seen = set(changed["set"].get("scene", {})) - {"moment", "changes"}
        if news or changed["drop"] or seen:
            self.frames.append({"moment": round(self.moment, 3), **changed})
            self.scene = scene


def _set_badge(builder: SceneBuilder, fresh: Freshness) -> None:
    builder.set_badge(fresh.state, fresh.since, fresh.note)


def _namespace_of(recording: Recording) -> str:
    """Where most Pods were, in a recording that does not say what it is of."""
    counts: dict[str, int] = {}
    for entry in (*recording.baseline, *recording.entries):
        if isinstance(entry, Change) and entry.kind == "Pod":
            namespace = str(entry.object["metadata"].get("namespace", ""))
            counts[namespace] = counts.get(namespace, 0) + (namespace != "kube-system")
    return max(sorted(counts), key=counts.__getitem__, default="default")
