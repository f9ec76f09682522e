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
from k8slab.graph.difference import SECTIONS, Scene, difference, patched, put
from k8slab.graph.endpoints import service_of
from k8slab.graph.entries import (
    OWNERS,
    Entry,
    ghost_entry,
    node_entry,
    owner_badges,
    owner_entry,
    pod_entry,
    service_entry,
)
from k8slab.graph.escape import plain
from k8slab.graph.ghosts import Ghosts
from k8slab.graph.groups import KEPT, Groups
from k8slab.graph.healing import Healing
from k8slab.graph.layout import Layout
from k8slab.graph.mismatches import WRITER, Mismatches
from k8slab.graph.model import Model
from k8slab.graph.resources import LAYER_KINDS, LAYERS, Resources
from k8slab.graph.selection import Selection
from k8slab.graph.story import Story, removed_labels
from k8slab.mirror.changes import Change, controller_of
from k8slab.mirror.lives import Lives, wish_of

__all__ = ["Scene", "SceneBuilder", "difference", "patched"]

DRAWN = frozenset({"Pod", "Node", "Service", "EndpointSlice", *OWNERS})
"""Kinds that the graph knows; those of the layers apart."""


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
        self._healing = Healing(self._lives)
        self._selection = Selection()
        self._mismatches = Mismatches(self._model, self._selection)
        self._mismatches_of: dict[str, tuple[str, ...]] = {}
        self._writer = ""
        self._resources = Resources(self._layout)
        self._groups = Groups(self._layout)
        self._known: frozenset[str] = frozenset()
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
            layer = LAYER_KINDS.get(change.kind)
            if layer is not None:
                if self._layers[layer]:
                    self._story.tell(change, self._model)
                self._dirty |= self._resources.apply(change)
                return
            if change.kind not in DRAWN:
                return
            self._lives.apply(change)
            self._story.tell(change, self._model)
            self._resources.apply(change)
            if change.kind == "Pod":
                self._follow_pod(change)
            elif change.kind in OWNERS:
                self._healing.follow_owner(change)
            elif change.kind == "Service":
                self._dirty |= self._selection.put_service(change.uid, change.after)
                self._dirty |= self._mismatches_of.keys()  # their reasons may have changed
            if change.kind == "EndpointSlice":
                touched = self._follow_slice(change)
            else:
                touched = self._model.apply(change)
            for uid in (change.uid, *sorted(touched - {change.uid})):
                self._place(uid)
            self._dirty |= touched
            self._group(touched)

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
            self._tell_resources()

    def know(self, kinds: Iterable[str]) -> None:
        """Say which kinds have been listed completely: only of those anything is called missing.

        Args:
            kinds: such as `Secret`.
        """
        with self._lock:
            self._known = frozenset(kinds)
            self._tell_resources()

    def _tell_resources(self) -> None:
        self._resources.know(self._known, self._layers)
        self._dirty |= self._resources.owners_scaled()

    def next_fade(self) -> float | None:
        """When the picture next changes by itself, as a ghost fades, in epoch seconds; None if never."""
        with self._lock:
            return self._ghosts.next_fade()

    def scene(self, moment: float) -> Scene:
        """The scene as it is now.

        Args:
            moment: now, in epoch seconds.
        """
        with self._lock:
            self._fade(moment)
            self._dirty.update(self._healing.look())
            components = self._components.entries(self._badge["state"] == "live")
            self._look_at_writer(components.get(WRITER, {}).get("state", ""))
            for uid in sorted(self._dirty):
                self._draw(uid)
            self._dirty.clear()
            self._draw_groups()
            self._resources.update(self._parts)
            return {
                "title": self._title,
                "namespace": self._namespace,
                "backend": self._backend,
                "moment": moment,
                "changes": self._changes,
                "badge": self._badge,
                "shown": self._shown(),
                "layers": self._layers,
                **{section: dict(self._parts[section]) for section in SECTIONS},
                "components": components,
                "story": list(self._story.entries),
                "recovery": self._healing.recovery(),
            }

    def _follow_slice(self, change: Change) -> set[str]:
        services = {service_of(one) for one in (change.before, change.after) if one is not None}
        before = {key: self._model.endpoints.of(key) for key in services}
        touched = self._model.apply(change)
        self._dirty |= self._mismatches_of.keys()  # who keeps the slice may have changed
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
        self._healing.follow_pod(change)
        self._dirty |= self._selection.put_pod(uid, after)
        if after is None and self._model.facts(uid) is not None:
            alone = self._groups.alone(uid) and (not self._groups.on or len(self._ghosts) < KEPT)
            if alone:
                self._draw_pod(uid)
                self._ghosts.add(uid, self._parts["pods"][uid], change.moment)
            self._dirty |= self._groups.drop(uid, alone) | {uid}
            self._notes.pop(uid, None)

    def _group(self, touched: set[str]) -> None:
        """Count the Pods among what a change touched in their groups."""
        for uid in sorted(touched):
            facts = self._model.facts(uid)
            if facts is not None:
                node, owner = self._model.node_of(uid), self._top_owner(facts.owner)
                self._dirty |= self._groups.put(uid, node, owner, facts.look)

    def _top_owner(self, owner: str) -> str:
        return owner if self._model.object(owner) is not None else ""

    def _fade(self, moment: float) -> None:
        for uid, owner in self._ghosts.fade(moment):
            self._layout.remove(uid)
            self._groups.fade(uid)
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

    def _look_at_writer(self, state: str) -> None:
        """Explain anew what is no endpoint, if the component that writes endpoints went or came."""
        if state != self._writer:
            self._writer = state
            self._dirty |= self._mismatches_of.keys()

    def _draw(self, uid: str) -> None:
        """Make the entry of one object anew, or drop it."""
        obj, slot = self._model.object(uid), self._layout.slot(uid)
        kind = str(obj["kind"]) if obj is not None else ""
        if uid in self._ghosts:
            put(self._parts["pods"], uid, ghost_entry(self._ghosts.entry(uid), self._healing.heir(uid)))
        elif obj is None or slot is None:
            for section in ("nodes", "owners", "services", "pods"):
                self._parts[section].pop(uid, None)
        elif kind == "Node":
            put(self._parts["nodes"], uid, node_entry(obj, slot, self._played))
        elif kind == "Service":
            selects, hint = len(self._selection.pods(uid)), self._selection.hint(uid)
            put(
                self._parts["services"],
                uid,
                service_entry(self._model, obj, slot, self._played, selects, hint),
            )
        elif kind == "Pod":
            self._draw_pod(uid)
        elif kind in OWNERS:
            note = self._story.notes.get(uid, "")
            badges = [*owner_badges(obj), *self._resources.badges(obj)]
            put(self._parts["owners"], uid, owner_entry(self._model, obj, slot, note, badges))
        self._draw_edges(uid)
        self._draw_mismatches(uid)

    def _draw_pod(self, uid: str) -> None:
        facts, life = self._model.facts(uid), self._lives.get(uid)
        if facts is None or not self._groups.alone(uid):
            if self._parts["pods"].pop(uid, None) is not None:
                self._resources.redraw(uid)
            return
        note = facts.trouble or self._notes.get(uid, "") or ("" if facts.owner else "no owner")
        place = self._groups.slot(uid) if self._groups.on else self._layout.slot(uid)
        heir, slot = self._healing.heir(uid), place or 0
        if uid not in self._parts["pods"]:
            self._resources.redraw(uid)
        created = life.created if life is not None else 0.0
        put(self._parts["pods"], uid, pod_entry(facts, self._model.node_of(uid), slot, heir, note, created))

    def _draw_edges(self, pod: str) -> None:
        drawn = pod in self._parts["pods"]
        wanted = {
            f"{service} {pod}": {
                "service": service,
                "pod": pod,
                "state": self._model.graph.edges[service, pod]["state"],
            }
            for service in (self._model.parents(pod, "sends") if drawn else ())
        }
        self._draw_lines("edges", pod, wanted, self._edges_of)

    def _draw_mismatches(self, pod: str) -> None:
        drawn = pod in self._parts["pods"]
        wanted = dict(self._mismatches.of_pod(pod, self._writer)) if drawn else {}
        self._draw_lines("mismatches", pod, wanted, self._mismatches_of)

    def _draw_lines(
        self, section: str, pod: str, wanted: dict[str, Entry], known: dict[str, tuple[str, ...]]
    ) -> None:
        """Bring what leads from Services to a Pod up to date."""
        for key in known.get(pod, ()):
            if key not in wanted:
                self._parts[section].pop(key, None)
        for key, entry in wanted.items():
            put(self._parts[section], key, entry)
        if wanted:
            known[pod] = tuple(wanted)
        else:
            known.pop(pod, None)

    def _draw_groups(self) -> None:
        for key in sorted(self._groups.dirty):
            owner = self._model.object(key.partition("/")[2])
            name, kind = ("", "") if owner is None else (str(owner["metadata"]["name"]), str(owner["kind"]))
            entry = self._groups.entry(key, name, kind)
            if entry is None:
                self._parts["groups"].pop(key, None)
            else:
                put(self._parts["groups"], key, entry)
        self._groups.dirty.clear()

    def _shown(self) -> dict[str, int]:
        present = len(self._groups)
        ghosts = sum(pod in self._parts["pods"] for pod in self._ghosts)
        return {"pods": len(self._parts["pods"]) - ghosts, "of": present}
