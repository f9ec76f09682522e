"""What happens when a button of the map is pressed.

A message from the browser is only acknowledged on the drawer's thread; the work is done on a thread of its
own, so that neither the map nor the kernel waits for a cluster, and the answer goes back through the drawer.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from k8slab.answers import visible
from k8slab.errors import LabError
from k8slab.widgets.drawer import Drawer
from k8slab.widgets.history_message import packed

if TYPE_CHECKING:
    from k8slab.widgets.live_map import LiveMap

KILLING = frozenset({"kill", "force_kill", "crash"})
OBJECT_VERBS = frozenset(
    {"cordon", "uncordon", "drain", "power_off", "power_on", "scale", "restart"}
    | {"stop_component", "start_component"}
)
CHANGING = KILLING | OBJECT_VERBS
"""What waits while the map is not armed."""
LONGEST_TEXT = 100_000
"""Characters of an answer that are shown; of a longer log the end."""


class MapActions(Protocol):
    """What the buttons of a map do. Each returns text to show, or raises a LabError, which is shown."""

    def kill(self, uid: str) -> str:
        """Delete a Pod with its grace period."""
        ...

    def force_kill(self, uid: str) -> str:
        """Delete a Pod without a grace period."""
        ...

    def crash(self, uid: str, container: str) -> str:
        """End the program of one container."""
        ...

    def act(self, verb: str, uid: str, value: str) -> str:
        """Change something that is no Pod, by one of `OBJECT_VERBS`; `value` is the replicas of `scale`."""
        ...

    def logs(self, uid: str, container: str = "") -> str:
        """The logs of a Pod's containers, or of one."""
        ...

    def events(self, uid: str) -> str:
        """The events that name an object."""
        ...

    def yaml(self, uid: str) -> str:
        """An object as YAML; of a Secret the keys alone."""
        ...

    def command(self, uid: str, verb: str, container: str = "", value: str = "") -> str:
        """The line that does the same as the verb, kubectl's where there is one."""
        ...

    def set_layer(self, name: str, on: bool) -> str:
        """Draw a layer of the map, or draw it no more."""
        ...


class MapRequests:
    """Answers the requests of a map's views.

    Args:
        live_map: the map; its `send` is only called on the drawer's thread.
        actions: what the buttons do.
        drawer: the drawer that publishes for the map.
    """

    def __init__(self, live_map: LiveMap, actions: MapActions, drawer: Drawer) -> None:
        self._map = live_map
        self._actions = actions
        self._drawer = drawer
        self._threads: set[threading.Thread] = set()
        self._guard = threading.Lock()
        self._closed = False

    def received(self, widget: Any, content: Any, buffers: Any) -> None:
        """Take one request of a browser; on the drawer's thread, and quick."""
        if not isinstance(content, dict) or not isinstance(content.get("request"), str) or self._closed:
            return
        request, op, uid = content["request"], str(content.get("op", "")), str(content.get("uid", ""))
        direct = self._drawer.came_on_subshell
        if op == "hello":
            seq = self._map.picture()["seq"]
            self._answer(request, "done", "", {"direct": direct, "seq": seq})
        elif op == "snapshot":
            self._map.send({"snapshot": self._map.picture()})
            self._answer(request, "done", "", {"direct": direct})
        elif op in CHANGING and not self._map.armed:
            self._answer(request, "refused", self._map.reason or "The buttons wait.", {"direct": direct})
        else:
            self._answer(request, "working", "", {"direct": direct})
            more = tuple(str(content.get(name, "")) for name in ("container", "verb", "value"))
            thread = threading.Thread(
                target=self._work, args=(request, op, uid, *more), name=f"k8slab-map-{op}", daemon=True
            )
            with self._guard:
                self._threads.add(thread)
            thread.start()

    def _work(self, request: str, op: str, uid: str, container: str, verb: str, value: str) -> None:
        buffers = None
        try:
            if op == "history":
                state, text, buffers = "done", "", [packed(self._map.history())]
            else:
                state, text = "done", self._act(op, uid, container, verb, value)
        except LabError as error:
            state, text = "refused", str(error)
        except Exception as error:  # shown to the learner in the map, and kept
            state, text = "failed", f"{type(error).__name__}: {error}"
            self._drawer.troubles.append(text)
        if len(text) > LONGEST_TEXT:
            text = f"(the last {LONGEST_TEXT} of {len(text)} characters)\n{text[-LONGEST_TEXT:]}"
        text = visible(text, 2 * LONGEST_TEXT)
        with self._guard:
            self._threads.discard(threading.current_thread())
        self._drawer.soon(lambda: self._answer(request, state, text, {}, buffers))

    def _act(self, op: str, uid: str, container: str, verb: str, value: str) -> str:
        actions = self._actions
        if op in OBJECT_VERBS:
            return actions.act(op, uid, value)
        known: dict[str, Callable[[], str]] = {
            "kill": lambda: actions.kill(uid),
            "force_kill": lambda: actions.force_kill(uid),
            "crash": lambda: actions.crash(uid, container),
            "logs": lambda: actions.logs(uid, container),
            "events": lambda: actions.events(uid),
            "yaml": lambda: actions.yaml(uid),
            "command": lambda: actions.command(uid, verb, container, value),
            "layer": lambda: actions.set_layer(uid, verb == "on"),
        }
        if op not in known:
            names = ", ".join([*known, *sorted(OBJECT_VERBS)])
            raise LabError(f"The map does not know the request {op!r}.", f"Known are: {names}.")
        return known[op]()

    def _answer(
        self, request: str, state: str, text: str, more: dict[str, Any], buffers: list[bytes] | None = None
    ) -> None:
        if not self._closed:
            message = {"request": request, "state": state, "text": text, "moment": time.time(), **more}
            self._map.send(message, buffers)

    def close(self) -> None:
        """Answer nothing more; threads that still work get 2 s together to end."""
        self._closed = True
        deadline = time.monotonic() + 2.0
        with self._guard:
            threads = list(self._threads)
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, deadline - time.monotonic()))
