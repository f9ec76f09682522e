"""One thread that calls every listener, in order, so that nobody slow sits in a reader's way.

Its queue is bounded: when listeners are too slow, changes of the same object that nobody has
seen yet are merged into one. The last state is always right; only steps in between are lost.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace

from k8slab.mirror.changes import Change, Listener, Object, Verb

BACKLOG = 2_000
"""Changes that wait one by one; beyond that they are merged by object."""

log = logging.getLogger(__name__)


class Dispatcher:
    """Calls listeners with changes, on a thread of its own, between `start` and `stop`."""

    def __init__(self) -> None:
        self._ready = threading.Condition()
        self._queue: OrderedDict[int, Change | tuple[Listener, Sequence[Change]]] = OrderedDict()
        self._latest: dict[str, int] = {}
        self._next = 0
        self._listeners: list[Listener] = []
        self._stopping = False
        self._thread: threading.Thread | None = None
        self.merged = 0
        """Changes that were merged into one before it."""
        self.failures = 0
        """Exceptions that listeners raised; each is in the log."""

    def start(self) -> None:
        """Begin to call listeners; a second call does nothing."""
        if self._thread is None:
            self._stopping = False
            self._thread = threading.Thread(target=self._run, name="k8slab-mirror-changes", daemon=True)
            self._thread.start()

    def stop(self, seconds: float = 1.0) -> bool:
        """End the thread; what is still in the queue is dropped.

        Args:
            seconds: how long to wait for a listener that is running.

        Returns:
            Whether the thread has ended.
        """
        with self._ready:
            self._stopping = True
            self._ready.notify_all()
        thread = self._thread
        if thread is None or thread is threading.current_thread():
            return True
        thread.join(seconds)
        if thread.is_alive():
            return False
        self._thread = None
        return True

    def add(self, listener: Listener, present: Sequence[Object] = (), moment: float = 0) -> None:
        """Call a listener with all further changes.

        Args:
            listener: what to call.
            present: objects it hears of first, as `added`.
            moment: the time of those.
        """
        replay = [Change(moment, str(obj["kind"]), "added", None, obj, listed=True) for obj in present]
        with self._ready:
            # What comes later must not be merged into what came before: this listener has not seen it.
            self._latest.clear()
            self._append((listener, replay))

    def remove(self, listener: Listener) -> None:
        """Call a listener no more; a call that is running is not waited for."""
        with self._ready:
            self._listeners = [known for known in self._listeners if known != listener]
            for key, item in list(self._queue.items()):
                if isinstance(item, tuple) and item[0] == listener:
                    del self._queue[key]

    def put(self, change: Change) -> None:
        """Enqueue a change; never waits."""
        with self._ready:
            earlier = self._latest.get(change.uid)
            if len(self._queue) >= BACKLOG and earlier is not None:
                self._merge(earlier, change)
                return
            self._latest[change.uid] = self._append(change)

    def _append(self, item: Change | tuple[Listener, Sequence[Change]]) -> int:
        key = self._next = self._next + 1
        self._queue[key] = item
        self._ready.notify_all()
        return key

    def _merge(self, key: int, change: Change) -> None:
        pending = self._queue[key]
        assert isinstance(pending, Change)
        self.merged += 1
        if change.after is None and pending.before is None:
            del self._queue[key], self._latest[change.uid]
            return
        verb: Verb = "modified"
        if pending.before is None or change.after is None:
            verb = "added" if pending.before is None else "deleted"
        self._queue[key] = replace(change, verb=verb, before=pending.before)

    def _run(self) -> None:
        while True:
            with self._ready:
                while not self._queue and not self._stopping:
                    self._ready.wait()
                if self._stopping:
                    return
                key, item = self._queue.popitem(last=False)
                if isinstance(item, tuple):
                    self._listeners = [*self._listeners, item[0]]
                    calls = [(item[0], change) for change in item[1]]
                else:
                    if self._latest.get(item.uid) == key:
                        del self._latest[item.uid]
                    calls = [(listener, item) for listener in self._listeners]
            for listener, change in calls:
                self._call(listener, change)

    def _call(self, listener: Listener, change: Change) -> None:
        try:
            listener(change)
        except Exception:
            # One listener's mistake must not keep changes from the others.
            self.failures += 1
            log.exception("a listener failed on %s %s", change.verb, change.kind)
