"""What Pods and Services have to do with besides: the layers of the map. Pure.

What is not drawn by itself (a ConfigMap, say) is known here only, not in the graph, so that it never
joins Pods that have nothing else in common. What a Pod or an Ingress names and is not there stands where
it would: `missing/<kind>/<name>`; but only where its kind is known to have been listed (`know`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from k8slab.graph.difference import put
from k8slab.graph.entries import OWNERS
from k8slab.graph.layout import Layout
from k8slab.graph.pod_references import Reference, joined, pod_references
from k8slab.graph.resource_entries import (
    LAYER_OF,
    Entry,
    autoscaler_badge,
    has_port,
    ingress_references,
    is_noise,
    missing_entry,
    quota_entry,
    resource_entry,
)
from k8slab.mirror.changes import Change, Object

LAYERS: dict[str, tuple[str, ...]] = {
    "ingress": ("ingresses",),
    "volumes": ("persistentvolumeclaims", "storageclasses"),
    "configuration": ("configmaps", "secrets"),
    "limits": ("horizontalpodautoscalers", "resourcequotas"),
}
"""Each layer of the map, with the kinds it needs, by plural name."""

LAYER_KINDS: dict[str, str] = {
    "Ingress": "ingress",
    "PersistentVolumeClaim": "volumes",
    "StorageClass": "volumes",
    "ConfigMap": "configuration",
    "Secret": "configuration",
    "HorizontalPodAutoscaler": "limits",
    "ResourceQuota": "limits",
}
"""Kinds that only layers draw, with the layer of each."""

Key = tuple[str, str]
"""Kind and name."""


class Resources:
    """The sections `resources`, `links` and `limits`, and the badges of owners. One namespace only.

    Args:
        layout: where things stand.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._objects: dict[Key, Object] = {}
        self._references: dict[str, tuple[Reference, ...]] = {}
        self._source_kinds: dict[str, str] = {}
        self._users: dict[Key, dict[str, None]] = {}
        self._known: frozenset[str] = frozenset()
        self._layers: Mapping[str, bool] = {}
        self._dirty: dict[Key, None] = {}
        self._sources: dict[str, None] = {}
        self._links_of: dict[str, tuple[str, ...]] = {}

    def know(self, kinds: Iterable[str], layers: Mapping[str, bool]) -> None:
        """Say which kinds have been listed, and which layers are drawn.

        Args:
            kinds: such as `Secret`; of other kinds nothing is called missing.
            layers: name of each layer and whether it is drawn.
        """
        known = frozenset(kinds)
        if known != self._known or layers != self._layers:
            self._known, self._layers = known, dict(layers)
            self._dirty.update(dict.fromkeys([*self._objects, *self._users]))
            self._sources.update(dict.fromkeys(self._references))

    def apply(self, change: Change) -> set[str]:
        """Follow one change.

        Returns:
            The uids of owners whose badges may have changed.
        """
        kind, uid = change.kind, change.uid
        if kind == "Pod":
            if change.before is None or change.after is None or _spec(change.before) != _spec(change.after):
                self._refer(kind, uid, pod_references(change.after) if change.after else ())
            return set()
        if kind not in LAYER_KINDS and kind != "Service" and kind not in OWNERS:
            return set()
        key = (kind, str(change.object["metadata"]["name"]))
        if change.after is not None:
            self._objects[key] = change.after
        elif self._objects.get(key, change.object)["metadata"]["uid"] == uid:
            self._objects.pop(key, None)
            if kind in LAYER_KINDS:
                self._layout.remove(uid)
        if kind == "Ingress":
            self._place(key)
            self._refer(kind, uid, ingress_references(change.after) if change.after else ())
        elif kind == "HorizontalPodAutoscaler":
            return self._targets(change)
        elif kind == "StorageClass":
            self._dirty.update({one: None for one in self._objects if one[0] == "PersistentVolumeClaim"})
        if kind in LAYER_OF or kind == "ResourceQuota":
            self._dirty[key] = None
            self._sources.update(self._users.get(key, {}))
            self._place(key)
        return set()

    def badges(self, owner: Object) -> list[str]:
        """What autoscalers do to an owner, in sentences; nothing while the layer `limits` is not drawn."""
        if not self._layers.get("limits"):
            return []
        key = (str(owner["kind"]), str(owner["metadata"]["name"]))
        return [
            autoscaler_badge(obj)
            for (kind, _), obj in sorted(self._objects.items())
            if kind == "HorizontalPodAutoscaler" and _target(obj) == key
        ]

    def redraw(self, source: str) -> None:
        """Draw the links of a Pod anew: it is drawn now, or no more."""
        if source in self._references:
            self._sources[source] = None

    def update(self, parts: Mapping[str, dict[str, Entry]]) -> None:
        """Bring the sections of a scene up to date.

        Args:
            parts: the sections by name; Pods and Services must be up to date already.
        """
        for key in self._dirty:
            self._draw(key, parts)
        self._dirty.clear()
        for source in self._sources:
            self._link(source, parts)
        self._sources.clear()

    def _refer(self, kind: str, source: str, references: tuple[Reference, ...]) -> None:
        before = self._references.pop(source, ())
        keys = dict.fromkeys((one.kind, one.name) for one in (*before, *references))
        for key in keys:
            self._users.get(key, {}).pop(source, None)
        if references:
            self._references[source] = references
            self._source_kinds[source] = kind
            for one in references:
                self._users.setdefault((one.kind, one.name), {})[source] = None
        for key in keys:
            if not self._users[key]:
                del self._users[key]
            self._place(key)
            self._dirty[key] = None
        self._sources[source] = None

    def _missed_by(self, key: Key) -> list[str]:
        """Who names something that is not there and cannot do without it."""
        if key in self._objects:
            return []
        return [
            source
            for source in self._users.get(key, ())
            if any((one.kind, one.name) == key and not one.optional for one in self._references[source])
        ]

    def _place(self, key: Key) -> None:
        """Give something its slot as soon as it is there or missed: slots go by arrival."""
        obj, placeholder, lane = self._objects.get(key), missing_key(key), _lane(key[0])
        if obj is None and self._missed_by(key):
            self._layout.place(placeholder, lane)
            return
        self._layout.remove(placeholder)
        if obj is not None and key[0] != "Service" and not is_noise(obj):
            self._layout.place(str(obj["metadata"]["uid"]), lane)

    def _draw(self, key: Key, parts: Mapping[str, dict[str, Entry]]) -> None:
        kind, name = key
        if kind not in LAYER_OF and kind != "ResourceQuota":
            return
        section = parts["limits" if kind == "ResourceQuota" else "resources"]
        obj, placeholder = self._objects.get(key), missing_key(key)
        on = self._layers.get(LAYER_OF.get(kind, "limits"), False)
        missed = self._missed_by(key) if on and kind in self._known else []
        if missed:
            slot, user = self._layout.slot(placeholder) or 0, self._source_kinds[missed[0]]
            put(section, placeholder, missing_entry(kind, name, slot, len(missed), user))
        else:
            section.pop(placeholder, None)
        present = str(obj["metadata"]["uid"]) if obj is not None else ""
        slot = self._layout.slot(present) or 0
        for uid in [
            uid for uid, entry in section.items() if _is(entry, key) and uid not in (present, placeholder)
        ]:
            del section[uid]
        if obj is None or kind == "Service" or is_noise(obj):
            return
        if not on:
            section.pop(present, None)
        elif kind == "ResourceQuota":
            put(section, present, quota_entry(obj, slot))
        else:
            used = bool(self._users.get(key))
            put(section, present, resource_entry(obj, slot, self._classes(), used))

    def _classes(self) -> dict[str, Object] | None:
        if "StorageClass" not in self._known:
            return None
        return {name: obj for (kind, name), obj in self._objects.items() if kind == "StorageClass"}

    def _link(self, source: str, parts: Mapping[str, dict[str, Entry]]) -> None:
        links, grouped = parts["links"], dict[str, list[Reference]]()
        drawn = source in parts["pods"] or source in parts["resources"]
        for one in self._references.get(source, ()) if drawn else ():
            goal = self._goal((one.kind, one.name), parts)
            if goal:
                grouped.setdefault(goal, []).append(one)
        for key in self._links_of.pop(source, ()):
            if key.partition(" ")[2] not in grouped:
                links.pop(key, None)
        if grouped:
            self._links_of[source] = tuple(f"{source} {goal}" for goal in grouped)
        for goal, references in grouped.items():
            relation, text = joined(references, self._notes(references))
            entry = {"from": source, "to": goal, "relation": relation, "text": text}
            put(links, f"{source} {goal}", entry)

    def _goal(self, key: Key, parts: Mapping[str, dict[str, Entry]]) -> str:
        """What a reference leads to, if that is drawn."""
        obj = self._objects.get(key)
        uid = missing_key(key) if obj is None else str(obj["metadata"]["uid"])
        section = "services" if key[0] == "Service" and obj is not None else "resources"
        return uid if uid in parts[section] else ""

    def _notes(self, references: list[Reference]) -> dict[str, str]:
        """What is wrong with the key or port that a reference names, if that can be seen."""
        obj = self._objects.get((references[0].kind, references[0].name))
        keys = {one.key for one in references if one.key and not one.optional}
        if obj is None or not keys:
            return {}
        if obj["kind"] == "Service":
            return {key: f" (Service has no port {key})" for key in keys if not has_port(obj, key)}
        if obj["kind"] == "ConfigMap":
            there = {*(obj.get("data") or {}), *(obj.get("binaryData") or {})}
            return {key: " (there is no such key)" for key in keys - there}
        return {}

    def _targets(self, change: Change) -> set[str]:
        return self._scaled_by(obj for obj in (change.before, change.after) if obj is not None)

    def owners_scaled(self) -> set[str]:
        """The uids of all owners that an autoscaler acts on."""
        return self._scaled_by(
            obj for (kind, _), obj in self._objects.items() if kind == "HorizontalPodAutoscaler"
        )

    def _scaled_by(self, autoscalers: Iterable[Object]) -> set[str]:
        keys = map(_target, autoscalers)
        return {str(self._objects[key]["metadata"]["uid"]) for key in keys if key in self._objects}


def missing_key(key: Key) -> str:
    """How something that is not there is known in a scene: `missing/ConfigMap/settings`."""
    return f"missing/{key[0]}/{key[1]}"


def _lane(kind: str) -> str:
    return "limits" if kind == "ResourceQuota" else f"resources/{LAYER_OF.get(kind, '')}"


def _target(autoscaler: Object) -> Key:
    target = autoscaler.get("spec", {}).get("scaleTargetRef") or {}
    return str(target.get("kind", "")), str(target.get("name", ""))


def _spec(obj: Object) -> Any:
    return obj.get("spec")


def _is(entry: Entry, key: Key) -> bool:
    return bool(entry["name"] == key[1] and entry.get("kind", "ResourceQuota") == key[0])
