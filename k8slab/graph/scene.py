"""The scene: the plain JSON that every view draws. Pure.

docs/architecture.md has the format. A builder follows changes; a view asks it for a scene when
it wants to draw. Entries that did not change are the same objects in both scenes, so that a
difference between them costs little.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import Any

from k8slab.graph.components import Components
from k8slab.graph.difference import SECTIONS, Scene, difference, patched
from k8slab.graph.endpoints import service_of
from k8slab.graph.entries import (
    OWNERS,
    Entry,
    ghost_entry,
    node_entry,
    owner_entry,
    pod_entry,
    service_entry,
)
from k8slab.graph.escape import plain
from k8slab.graph.ghosts import Ghosts
from k8slab.graph.layout import Layout
from k8slab.graph.model import Model
from k8slab.graph.resources import LAYERS
from k8slab.graph.story import Story, removed_labels
from k8slab.mirror.changes import Change, controller_of
from k8slab.mirror.lives import Lives, wish_of
from k8slab.mirror.stopwatch import heirs, measured

__all__ = ["Scene", "SceneBuilder", "difference", "patched"]

VICTIMS_WATCHED = 50
"""Pods that left last, among which the map looks for heirs."""


class SceneBuilder:
    """Follows changes and makes scenes of one namespace. Safe to use from several threads.

    Args:
        namespace: whose Pods, owners and Services are shown; Nodes and the control plane always are.
        title: what stands above the map.
        backend: one sentence on what the cluster runs on.
        played: what is played, in words: `services` for every Service, `nodes` for Nodes that do not say
            themselves (annotation `k8slab.dev/played-by`).
        layers: names of the layers that are on from the start.
    """

    def __init__(
        self,
        namespace: str,
        title: str = "",
        backend: str = "",
        played: Mapping[str, str] | None = None,
        layers: Iterable[str] = (),
    ) -> None:
        self._lock = threading.RLock()
        self._namespace = namespace
        self._title, self._backend, self._played = title, backend, dict(played or {})
        self._badge: dict[str, Any] = {"state": "reconnecting", "since": 0.0, "note": ""}
        self._layers = {name: name in layers for name in LAYERS}
        self._model = Model()
        self._layout = Layout()
        self._lives = Lives()
        self._story = Story()
        self._changes = 0
        self._notes: dict[str, str] = {}
        self._ghosts = Ghosts()
        self._victims: dict[str, None] = {}
        self._heirs: dict[str, str] = {}
        self._doubtful: set[str] = set()
        self._parts: dict[str, dict[str, Entry]] = {section: {} for section in SECTIONS}
        self._dirty: set[str] = set()
        self._components = Components()
        self._edges_of: dict[str, tuple[str, ...]] = {}

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
                sentence = self._components.apply(change)
                if sentence:
                    tone = "good" if sentence.endswith("runs again.") else "bad"
                    self._story.say(change.moment, sentence, tone, change.uid)
            if namespace not in ("", self._namespace):
                return
            self._lives.apply(change)
            self._story.tell(change, self._model)
            if change.kind == "Pod":
                self._follow_pod(change)
            elif change.kind in OWNERS:
                self._follow_owner(change)
            if change.kind == "EndpointSlice":
                touched = self._follow_slice(change)
            else:
                touched = self._model.apply(change)
            for uid in (change.uid, *sorted(touched - {change.uid})):
                self._place(uid)
            self._dirty |= touched

    def announce(self, verb: str, pod: str, moment: float) -> None:
        """Say that the learner is about to do something to a Pod, so that the story can say "you".

        Args:
            verb: `delete` or `crash`.
            pod: its uid.
            moment: now, in epoch seconds.
        """
        with self._lock:
            self._story.announce(verb, pod, moment)

    def set_badge(self, state: str, since: float, note: str = "") -> None:
        """Say how fresh the picture is.

        Args:
            state: `live`, `reconnecting` or `stale`.
            since: since when, in epoch seconds.
            note: what else has to be said of it, such as what this user may not see.
        """
        with self._lock:
            self._badge = {"state": state, "since": since, "note": plain(note)}

    def set_layer(self, name: str, on: bool) -> None:
        """Draw a layer, or draw it no more.

        Args:
            name: a key of `LAYERS`.
            on: whether it is drawn.
        """
        with self._lock:
            self._layers = {**self._layers, name: on}

    def next_fade(self) -> float | None:
        """When the picture changes by itself next, as a ghost fades, in epoch seconds; None if it will not."""
        with self._lock:
            return self._ghosts.next_fade()

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
                "shown": {"pods": len(self._parts["pods"]), "of": len(self._parts["pods"])},
                "layers": self._layers,
                **{section: dict(self._parts[section]) for section in SECTIONS},
                "components": self._components.entries(self._badge["state"] == "live"),
                "story": list(self._story.entries),
                "recovery": self._recovery(),
            }

    def _follow_slice(self, change: Change) -> set[str]:
        services = {service_of(one) for one in (change.before, change.after) if one is not None}
        before = {key: self._model.endpoints.of(key) for key in services}
        touched = self._model.apply(change)
        for uid in sorted(touched) if not change.listed else ():
            service = self._model.object(uid)
            if service is not None and service["kind"] == "Service":
                key = self._model.service_key(uid)
                after = self._model.endpoints.of(key)
                self._story.tell_endpoints(service, before.get(key, {}), after, self._model, change.moment)
        return touched

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
            self._doubtful.add(life.owner)
            if len(self._victims) > VICTIMS_WATCHED:
                oldest = next(iter(self._victims))
                del self._victims[oldest]
                self._heirs.pop(oldest, None)
        if before is None or after is None:
            self._doubtful.add(owner)
        if after is None and self._model.facts(uid) is not None:
            if uid in self._dirty:
                self._draw_pod(uid)
            entry = self._parts["pods"].get(uid)
            if entry is not None:
                self._ghosts.add(uid, entry, change.moment)
            self._notes.pop(uid, None)

    def _follow_owner(self, change: Change) -> None:
        was = wish_of(change.before) if change.before is not None else None
        now = wish_of(change.after) if change.after is not None else None
        if was != now:
            self._doubtful.add(change.uid)

    def _fade(self, moment: float) -> None:
        for uid, owner in self._ghosts.fade(moment):
            self._layout.remove(uid)
            self._place(owner)
            self._dirty |= {uid, owner}

    def _place(self, uid: str) -> None:
        """Give an object its slot, at once: slots go by arrival, whoever draws when."""
        obj = self._model.object(uid)
        if obj is None:
            if uid not in self._ghosts:
                self._layout.remove(uid)
        elif obj["kind"] == "Node":
            self._layout.place(uid, "nodes")
        elif obj["kind"] == "Service":
            self._layout.place(uid, "services")
        elif obj["kind"] == "Pod":
            self._layout.place(uid, f"pods/{self._model.node_of(uid)}")
        elif obj["kind"] in OWNERS:
            old_revision = wish_of(obj) == 0 and bool(controller_of(obj))
            if old_revision and not self._model.owns_any(uid) and not self._ghosts.owned_by(uid):
                self._layout.remove(uid)
            else:
                self._layout.place(uid, "owners")

    def _find_heirs(self) -> None:
        for owner in sorted(self._doubtful - {""}):
            for victim, heir in heirs(self._lives, owner, VICTIMS_WATCHED).items():
                if victim in self._victims and self._heirs.get(victim) != heir:
                    self._heirs[victim] = heir
                    self._dirty.add(victim)
        self._doubtful.clear()

    def _draw(self, uid: str) -> None:
        """Make the entry of one object anew, or drop it."""
        obj, slot = self._model.object(uid), self._layout.slot(uid)
        kind = str(obj["kind"]) if obj is not None else ""
        if uid in self._ghosts:
            self._set("pods", uid, ghost_entry(self._ghosts.entry(uid), self._heirs.get(uid, "")))
        elif obj is None or slot is None:
            for section in ("nodes", "owners", "services", "pods"):
                self._parts[section].pop(uid, None)
        elif kind == "Node":
            self._set("nodes", uid, node_entry(obj, slot, self._played))
        elif kind == "Service":
            self._set("services", uid, service_entry(self._model, obj, slot, self._played))
        elif kind == "Pod":
            self._draw_pod(uid)
        elif kind in OWNERS:
            note = self._story.notes.get(uid, "")
            self._set("owners", uid, owner_entry(self._model, obj, slot, note))
        self._draw_edges(uid)

    def _draw_pod(self, uid: str) -> None:
        facts, life = self._model.facts(uid), self._lives.get(uid)
        if facts is None:
            return
        note = facts.trouble or self._notes.get(uid, "") or ("" if facts.owner else "no owner")
        heir, slot = self._heirs.get(uid, ""), self._layout.slot(uid) or 0
        created = life.created if life is not None else 0.0
        self._set("pods", uid, pod_entry(facts, self._model.node_of(uid), slot, heir, note, created))

    def _draw_edges(self, pod: str) -> None:
        edges = self._parts["edges"]
        wanted = {f"{service} {pod}": service for service in self._model.parents(pod, "sends")}
        for key in self._edges_of.get(pod, ()):
            if key not in wanted:
                edges.pop(key, None)
        for key, service in wanted.items():
            state = self._model.graph.edges[service, pod]["state"]
            self._set("edges", key, {"service": service, "pod": pod, "state": state})
        if wanted:
            self._edges_of[pod] = tuple(wanted)
        else:
            self._edges_of.pop(pod, None)

    def _set(self, section: str, key: str, entry: Entry) -> None:
        # An entry that says the same stays the same object, so that a difference is found by identity.
        if self._parts[section].get(key) != entry:
            self._parts[section][key] = entry

    def _recovery(self) -> dict[str, Any] | None:
        for uid in reversed(self._victims):
            life = self._lives.get(uid)
            if uid in self._heirs and life is not None:
                found = measured(life, self._lives.get(self._heirs[uid]))
                return {
                    "victim": found.victim.name,
                    "heir": found.heir.name if found.heir else "",
                    "start": found.start,
                    "phases": [{"name": name, "seconds": round(span, 3)} for name, span in found.phases],
                    "healed": None if found.healed is None else round(found.healed, 3),
                }
        return None
