"""The present: every object the mirror knows, by uid.

A name can come back with another uid: that is another object, and two changes. Versions
(`resourceVersion`) are integers that grow within one kind (stable from Kubernetes 1.35,
KEP-5504, and true of every server on etcd); an event that brings no newer one is dropped, so
replayed and reordered streams do no harm. A list is trusted as it is: etcd may have been
restored from older data.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any

from k8slab.mirror.changes import Change, Object, Verb, uid_of
from k8slab.mirror.slimming import slim

REMEMBERED_DELETIONS = 4096
"""Deleted uids a kind remembers, so that a late event cannot bring one back."""


class Store:
    """All objects of the mirrored kinds. Safe to read from any thread.

    Args:
        publish: takes every change, in order; called with the store's lock held, so it must only enqueue.
    """

    def __init__(self, publish: Callable[[Change], None] = lambda change: None) -> None:
        self._publish = publish
        self.lock = threading.RLock()
        self._objects: dict[str, dict[str, Object]] = {}
        self._names: dict[tuple[str, str, str], str] = {}
        self._deleted: dict[str, OrderedDict[str, None]] = {}

    def objects(self, kind: str, namespace: str = "") -> list[Object]:
        """The objects of a kind, in the order in which they were first seen.

        Args:
            kind: such as `Pod`.
            namespace: only there; everywhere if empty.
        """
        with self.lock:
            found = list(self._objects.get(kind, {}).values())
        return [obj for obj in found if not namespace or obj["metadata"].get("namespace") == namespace]

    def get(self, kind: str, name: str, namespace: str = "") -> Object | None:
        """The object of that name, or None."""
        with self.lock:
            uid = self._names.get((kind, namespace, name))
            return self._objects[kind][uid] if uid else None

    def by_uid(self, kind: str, uid: str) -> Object | None:
        """The object with that identity, or None."""
        with self.lock:
            return self._objects.get(kind, {}).get(uid)

    def everything(self) -> list[Object]:
        """Every object, kind by kind."""
        with self.lock:
            return [obj for objects in self._objects.values() for obj in objects.values()]

    def apply(self, kind: str, verb: Verb, raw: dict[str, Any], moment: float) -> bool:
        """Take in one event of a watch.

        Args:
            kind: such as `Pod`.
            verb: what the event says happened.
            raw: the object as it was sent.
            moment: when it was received, in epoch seconds.

        Returns:
            Whether it was news.
        """
        obj = slim(kind, raw)
        uid = uid_of(obj)
        with self.lock:
            known = self._objects.get(kind, {}).get(uid)
            if uid in self._deleted.get(kind, ()):
                return False
            if verb == "deleted":
                if known is None:
                    self._remember_deletion(kind, uid)
                    return False
                self._remove(kind, obj, moment, listed=False)
                return True
            if known is not None and not _newer(obj, known):
                return False
            self._put(kind, obj, moment, listed=False)
            return True

    def replace(self, kind: str, raw: Iterable[dict[str, Any]], moment: float) -> None:
        """Take in a complete list: what is not in it has gone, what differs has changed.

        Args:
            kind: such as `Pod`.
            raw: all objects of the kind, as they were sent.
            moment: when the list was complete, in epoch seconds.
        """
        listed = {uid_of(obj): obj for obj in (slim(kind, item) for item in raw)}
        with self.lock:
            self._deleted.pop(kind, None)
            for uid, known in list(self._objects.get(kind, {}).items()):
                if uid not in listed:
                    self._remove(kind, known, moment, listed=True)
            for uid, obj in listed.items():
                before = self._objects.get(kind, {}).get(uid)
                if before is None or _version(before) != _version(obj):
                    self._put(kind, obj, moment, listed=True)

    def clear(self, moment: float) -> None:
        """Forget everything, as when another cluster answers."""
        with self.lock:
            for kind in list(self._objects):
                self.replace(kind, (), moment)

    def _put(self, kind: str, obj: Object, moment: float, listed: bool) -> None:
        uid = uid_of(obj)
        metadata = obj["metadata"]
        key = (kind, str(metadata.get("namespace", "")), str(metadata["name"]))
        earlier = self._names.get(key)
        if earlier is not None and earlier != uid:
            # Its deletion was missed or is still on its way: the name is taken by another object now.
            self._remove(kind, self._objects[kind][earlier], moment, listed)
        objects = self._objects.setdefault(kind, {})
        before = objects.get(uid)
        objects[uid] = obj
        self._names[key] = uid
        self._publish(Change(moment, kind, "modified" if before else "added", before, obj, listed))

    def _remove(self, kind: str, last: Object, moment: float, listed: bool) -> None:
        uid = uid_of(last)
        known = self._objects[kind].pop(uid)
        metadata = known["metadata"]
        key = (kind, str(metadata.get("namespace", "")), str(metadata["name"]))
        if self._names.get(key) == uid:
            del self._names[key]
        self._remember_deletion(kind, uid)
        self._publish(Change(moment, kind, "deleted", last, None, listed))

    def _remember_deletion(self, kind: str, uid: str) -> None:
        deleted = self._deleted.setdefault(kind, OrderedDict())
        deleted[uid] = None
        if len(deleted) > REMEMBERED_DELETIONS:
            deleted.popitem(last=False)


def _version(obj: Object) -> str:
    return str(obj["metadata"].get("resourceVersion", ""))


def _newer(obj: Object, known: Object) -> bool:
    version, other = _version(obj), _version(known)
    if version.isdigit() and other.isdigit():
        return int(version) > int(other)
    return version != other
