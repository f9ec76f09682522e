"""The scene: the plain JSON that every view draws, and what differs between two of them. Pure.

docs/architecture.md has the format. A builder follows changes; a view asks it for a scene when
it wants to draw. Entries that did not change are the same objects in both scenes, so that a
difference costs little. In a difference the scalar fields stand under the section `scene`, and
the sentences of the story under `story` by their id.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from k8slab.graph.entries import (
    COMPONENTS,
    OWNERS,
    Entry,
    component_of,
    component_state,
    ghost_entry,
    node_entry,
    owner_entry,
    pod_entry,
    service_entry,
)
from k8slab.graph.layout import Layout
from k8slab.graph.model import Model
from k8slab.graph.endpoints import service_of
from k8slab.graph.escape import plain
from k8slab.graph.story import Story, removed_labels
from k8slab.mirror.changes import Change, controller_of
from k8slab.mirror.lives import Lives, wish_of
from k8slab.mirror.stopwatch import heirs, measured

Scene = dict[str, Any]

GHOST_SECONDS = 6.0
"""How long a Pod that has gone stays on the map."""

VICTIMS_WATCHED = 50
"""Pods that left last, among which the map looks for heirs."""

SECTIONS = ("nodes", "owners", "services", "pods", "edges", "components")
FIELDS = ("title", "namespace", "backend", "badge", "changes", "recovery")


@dataclass(frozen=True)
class _Ghost:
    entry: Entry
    node: str
    gone: float


class SceneBuilder:
    """Follows changes and makes scenes of one namespace. Safe to use from several threads.

    Args:
        namespace: whose Pods, owners and Services are shown; Nodes and the control plane always are.
        title: what stands above the map.
        backend: one sentence on what the cluster runs on.
        played: what is played, in words: `services` for every Service, `nodes` for Nodes that do not say
            themselves (annotation `k8slab.dev/played-by`).
    """

    def __init__(
        self, namespace: str, title: str = "", backend: str = "", played: Mapping[str, str] | None = None
    ) -> None:
        self._lock = threading.RLock()
        self._namespace = namespace
        self._title, self._backend, self._played = title, backend, dict(played or {})
        self._badge: dict[str, Any] = {"state": "reconnecting", "since": 0.0}
        self._model = Model()
        self._layout = Layout()
        self._lives = Lives()
        self._story = Story()
        self._changes = 0
        self._notes: dict[str, str] = {}
        self._ghosts: dict[str, _Ghost] = {}
        self._victims: dict[str, None] = {}
        self._heirs: dict[str, str] = {}
        self._doubtful: set[str] = set()
        self._parts: dict[str, dict[str, Entry]] = {section: {} for section in SECTIONS}
        self._dirty: set[str] = set()
        self._components: dict[str, tuple[str, str]] = {}

    @property
    def model(self) -> Model:
        """The graph behind the scene; only for reading, and from the thread that applies changes."""
        return self._model

    def apply(self, change: Change) -> None:
        """Follow one change; a mirror's listener. What belongs to other namespaces is passed over."""
        with self._lock:
            self._changes += 1
            self._fade(change.moment)
            namespace = change.object["metadata"].get("namespace", "")
            if change.kind == "Pod" and namespace == "kube-system":
                self._follow_component(change)
            if namespace not in ("", self._namespace):
                return
            self._lives.apply(change)
            self._story.tell(change, self._model)
            if change.kind == "EndpointSlice":
                self._follow_slice(change)
                return
            if change.kind == "Pod":
                self._follow_pod(change)
            elif change.kind in OWNERS:
                self._follow_owner(change)
            self._dirty |= self._model.apply(change)

    def announce(self, verb: str, pod: str, moment: float) -> None:
        """Say that the learner is about to do something to a Pod, so that the story can say "you".

        Args:
            verb: `delete` or `crash`.
            pod: its uid.
            moment: now, in epoch seconds.
        """
        with self._lock:
            self._story.announce(verb, pod, moment)

    def set_badge(self, state: str, since: float) -> None:
        """Say how fresh the picture is.

        Args:
            state: `live`, `reconnecting` or `stale`.
            since: since when, in epoch seconds.
        """
        with self._lock:
            self._badge = {"state": state, "since": since}

    def scene(self, moment: float) -> Scene:
        """The scene as it is now.

        Args:
            moment: now, in epoch seconds.
        """
        with self._lock:
            self._fade(moment)
            self._find_heirs()
            for uid in sorted(self._dirty):
                self._draw(uid)
            self._dirty.clear()
            return {
                "title": self._title,
                "namespace": self._namespace,
                "backend": self._backend,
                "moment": moment,
                "changes": self._changes,
                "badge": self._badge,
                **{section: dict(self._parts[section]) for section in SECTIONS},
                "components": self._component_entries(),
                "story": list(self._story.entries),
                "recovery": self._recovery(),
            }

    def _follow_slice(self, change: Change) -> None:
        services = {service_of(one) for one in (change.before, change.after) if one is not None}
        before = {key: self._model.endpoints.of(key) for key in services}
        touched = self._model.apply(change)
        self._dirty |= touched
        for uid in sorted(touched):
            service = self._model.object(uid)
            if service is not None and service["kind"] == "Service" and not change.listed:
                key = self._model.service_key(uid)
                after = self._model.endpoints.of(key)
                self._story.tell_endpoints(service, before.get(key, {}), after, self._model, change.moment)

    def _follow_pod(self, change: Change) -> None:
        uid, before, after = change.uid, change.before, change.after
        owner = controller_of(change.object)
        if before is not None and after is not None and controller_of(before) and not owner:
            labels = removed_labels(before, after)
            self._notes[uid] = f"its label {labels[0]} was removed" if labels else "released by its owner"
        elif owner:
            self._notes.pop(uid, None)
        life = self._lives.get(uid)
        if life is not None and life.left is not None and uid not in self._victims:
            self._victims[uid] = None
            while len(self._victims) > VICTIMS_WATCHED:
                del self._victims[next(iter(self._victims))]
        if before is None or after is None or self._heirs or self._victims:
            self._doubtful |= {one for one in (owner, life.owner if life else "") if one}
        if after is None:
            entry = self._parts["pods"].get(uid)
            if entry is not None:
                self._ghosts[uid] = _Ghost(entry, entry["node"], change.moment)
            self._notes.pop(uid, None)

    def _follow_owner(self, change: Change) -> None:
        was = wish_of(change.before) if change.before is not None else None
        now = wish_of(change.after) if change.after is not None else None
        if was != now:
            self._doubtful.add(change.uid)

    def _follow_component(self, change: Change) -> None:
        name = component_of(change.object)
        if name:
            state = "unknown" if change.after is None else component_state(change.after)
            if self._components.get(name, ("", ""))[1] != state or change.after is not None:
                self._components[name] = (change.uid, state)
            self._layout.place(f"component/{name}", "components")

    def _fade(self, moment: float) -> None:
        for uid, ghost in list(self._ghosts.items()):
            if moment - ghost.gone >= GHOST_SECONDS:
                del self._ghosts[uid]
                self._heirs.pop(uid, None)
                self._layout.remove(uid)
                self._dirty.add(uid)
                if ghost.entry["owner"]:
                    self._dirty.add(ghost.entry["owner"])

    def _find_heirs(self) -> None:
        for owner in self._doubtful:
            line = heirs(self._lives, owner, VICTIMS_WATCHED)
            for victim, heir in line.items():
                if self._heirs.get(victim, "") != heir:
                    self._heirs[victim] = heir
                    self._dirty.add(victim)
        self._doubtful.clear()

    def _draw(self, uid: str) -> None:
        """Make the entry of one object anew, or drop it."""
        if uid in self._ghosts:
            self._parts["pods"][uid] = ghost_entry(self._ghosts[uid].entry, self._heirs.get(uid, ""))
            self._draw_edges(uid)
            return
        obj = self._model.object(uid)
        kind = str(obj["kind"]) if obj is not None else ""
        if obj is None:
            for section in ("nodes", "owners", "services", "pods"):
                if self._parts[section].pop(uid, None) is not None:
                    self._layout.remove(uid)
            self._draw_edges(uid)
        elif kind == "Node":
            self._parts["nodes"][uid] = node_entry(obj, self._layout.place(uid, "nodes"), self._played)
        elif kind == "Service":
            slot = self._layout.place(uid, "services")
            self._parts["services"][uid] = service_entry(self._model, obj, slot, self._played)
            self._draw_edges(uid)
        elif kind in OWNERS:
            self._draw_owner(uid)
        elif kind == "Pod":
            self._draw_pod(uid)
            self._draw_edges(uid)
